"""Asking for a yes that is missing: an owner who is here is reminded, one who is not is invited."""

from __future__ import annotations

from typing import NamedTuple

from django.db import transaction
from django.urls import reverse

from stemma.errors import InvalidError
from stemma.ids import now
from stemma_portal.accounts.access import is_owner, is_staff
from stemma_portal.accounts.invitations import invite_for_party
from stemma_portal.accounts.models import User
from stemma_portal.catalog.models import Party
from stemma_portal.consent.selectors import owners_missing
from stemma_portal.core.services import audit
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify


class Asked(NamedTuple):
    """Who was asked, and how."""

    owner: Party
    email: str
    """The address that was invited; empty: they are here, and were reminded."""


@transaction.atomic
def owner_ask(*, party: Party, owner_id: str, email: str = "", by: User) -> Asked:
    """Ask an owner for the yes that recordings of the party wait for; who is here is reminded once a day at most.

    Raises `InvalidError` for who is not missing, and without an address for who is not here.
    """
    missing = next((each for each in owners_missing(party.id) if each.party.id == owner_id), None)
    if missing is None:
        raise InvalidError(
            "This owner is not missing, or not any more.", remedy="Look at the list again.", code="not-missing"
        )
    owner = missing.party
    if missing.organisation:
        told = notify(
            organisations=owner.organisations.all(),
            topic=Topic.CONSENT,
            title=f"{party.name} waits for your yes",
            text=f"{party.name} has granted {missing.recordings} recordings in which you have a share. They are used "
            "once you grant them too; until then, and if you do not want it, they are not.",
            href=reverse("consent:grant"),
            key=f"missing:{party.id}:{owner.id}:{now():%Y-%m-%d}",
        )
        if told:
            audit(by=by, action="consent.remind", subject=party.id, owner=owner.id, recordings=missing.recordings)
        return Asked(owner, "")
    if not email:
        raise InvalidError("This is no e-mail address.", remedy="Write it as in name@example.com.", code="email")
    reason = f"{party.name} has granted recordings in which you have a share. They are used once you agree."
    speak = [] if is_staff(by) else [each for each in party.organisations.all() if is_owner(by, each)]
    brought = sorted(speak, key=lambda each: each.pk != owner.introduced_by_id)
    invite_for_party(party=owner, email=email, reason=reason, inviting=next(iter(brought), None), by=by)
    return Asked(owner, email)
