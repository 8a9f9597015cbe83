"""Who hears of what happens in a case: the sides, their systems, and the ledger."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from celery import current_app
from django.db import transaction
from django.urls import reverse
from kombu.exceptions import OperationalError as BrokerError

from stemma_portal.accounts.models import Organisation
from stemma_portal.consent.models import Claim
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify
from stemma_portal.webhooks.services import event_emit

log = logging.getLogger(__name__)
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
    """A notice to the owners of every organisation of these sides, and a call to their own systems."""
    href = reverse("consent:case", args=[claim.pk])
    told = organisations_of_sides(claim, set(sides))
    for organisation in told:
        data = {"claim": claim.pk, "state": claim.state, "title": title[:200], "page": href}
        event_emit(organisation=organisation, type="claim.news", data=data)
    notify(organisations=told, topic=Topic.CLAIMS, title=title, text=text, href=href)


def organisations_of_sides(claim: Claim, sides: set[str]) -> list[Organisation]:
    """The organisations that are these sides of the case."""
    found = Organisation.objects.filter(party__cases__claim=claim, party__cases__side__in=sides)
    if Claim.Side.CLAIMANT in sides and claim.claimant_organisation_id:
        found = found | Organisation.objects.filter(pk=claim.claimant_organisation_id)
    if Claim.Side.STAFF in sides:
        found = found | Organisation.objects.filter(kind=Organisation.Kind.RIGHTS)
    return list(found.distinct())
