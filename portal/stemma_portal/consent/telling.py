"""Who hears of what happens in a case: the sides, their systems, and the ledger, after the commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from celery import current_app
from django.db import transaction
from django.urls import reverse
from kombu.exceptions import OperationalError as BrokerError

from stemma_portal.accounts.models import Membership, Organisation, User
from stemma_portal.consent.models import Claim
from stemma_portal.webhooks.services import event_emit

log = logging.getLogger(__name__)
MAIL_TASK = "stemma_portal.consent.tasks.case_mail"
HOLDS_TASK = "stemma_portal.royalties.tasks.holds_settle"


def money_told() -> None:
    """Let the ledger put money on hold or release it once this is committed; a periodic run does it otherwise.

    The ledger stands above this app, so it is called by the name of its task.
    """
    transaction.on_commit(_send, robust=True)


def _send() -> None:
    try:
        current_app.send_task(HOLDS_TASK, retry=False)
    except BrokerError:
        log.warning("No worker can be reached; the periodic run will settle what is on hold.")


def case_told(claim: Claim, *, sides: Iterable[str], title: str, text: str) -> None:
    """An e-mail to the owners of every organisation of these sides, and a call to their own systems."""
    href = reverse("consent:case", args=[claim.pk])
    told = organisations_of_sides(claim, set(sides))
    for organisation in told:
        data = {"claim": claim.pk, "state": claim.state, "title": title[:200], "page": href}
        event_emit(organisation=organisation, type="claim.news", data=data)
    addresses = sorted(
        User.objects.filter(memberships__organisation__in=told, memberships__role=Membership.Role.OWNER, is_active=True)
        .distinct()
        .values_list("email", flat=True)
    )
    if addresses:
        transaction.on_commit(lambda: _mail(addresses, title, text, href), robust=True)


def _mail(addresses: list[str], title: str, text: str, href: str) -> None:
    try:
        current_app.send_task(MAIL_TASK, args=[addresses, title[:200], text, href], retry=False)
    except BrokerError:
        log.warning("No worker can be reached: nobody hears by mail of %s.", href)


def organisations_of_sides(claim: Claim, sides: set[str]) -> list[Organisation]:
    """The organisations that are these sides of the case."""
    found = Organisation.objects.filter(party__cases__claim=claim, party__cases__side__in=sides)
    if Claim.Side.CLAIMANT in sides and claim.claimant_organisation_id:
        found = found | Organisation.objects.filter(pk=claim.claimant_organisation_id)
    if Claim.Side.STAFF in sides:
        found = found | Organisation.objects.filter(kind=Organisation.Kind.RIGHTS)
    return list(found.distinct())
