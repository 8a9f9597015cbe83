"""What is written into a claim, and who hears of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.urls import reverse

from stemma.ids import now
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.core.services import Actor
from stemma_portal.indemnity.models import ClaimEvent, OutputClaim
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify
from stemma_portal.webhooks.services import event_emit

PORTAL = "Stemma"
STAFF = "Rights staff"


def event_write(
    claim: OutputClaim,
    kind: str,
    *,
    speaker: str = PORTAL,
    by: Actor | None = None,
    text: str = "",
    before: str = "",
    after: str = "",
    detail: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> ClaimEvent:
    """Write down what was said or done."""
    return ClaimEvent.objects.create(
        claim=claim, at=at or now(), kind=kind, speaker=speaker, by=by.email if by else "", text=text.strip(),
        before=before, after=after, detail=detail or {},
    )  # fmt: skip


def claim_told(claim: OutputClaim, *, title: str, text: str, staff: bool = False, licensee: bool = False) -> None:
    """A notice to rights staff, or to the licensee: its owners, whoever sent the claim, and its own systems."""
    href = reverse("indemnity:claim", args=[claim.pk])
    if staff:
        house = Organisation.objects.filter(kind=Organisation.Kind.RIGHTS)
        notify(organisations=house, topic=Topic.CLAIMS, title=title, text=text, href=href)
    if licensee:
        data = {"claim": claim.pk, "state": claim.state, "title": title[:200], "page": href}
        event_emit(organisation=claim.organisation, type="claim.news", data=data)
        sender = User.objects.filter(email=claim.submitted_by, organisations=claim.organisation_id)
        notify(users=sender, organisations=[claim.organisation], topic=Topic.CLAIMS, title=title, text=text, href=href)
