"""What waits for the house's own people: how much of it, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, QuerySet
from django.urls import reverse

from stemma.ids import now
from stemma_portal.billing.banking import payments_queued
from stemma_portal.billing.declaring import declarations_waiting
from stemma_portal.billing.models import Deadline
from stemma_portal.billing.refunding import refunds_waiting
from stemma_portal.consent.models import Claim
from stemma_portal.consent.reserved import conflicts
from stemma_portal.indemnity.models import OutputClaim


@dataclass(frozen=True)
class Queue:
    """One kind of thing that waits."""

    title: str
    count: int
    oldest: int | None
    """Days for which the first one waits; None where none does."""
    href: str


def queues() -> list[Queue]:
    """Every queue of the house, whether something waits in it or not."""
    pending = OutputClaim.objects.exclude(state__in=OutputClaim.ENDED)
    decide = Deadline.objects.filter(state=Deadline.State.REVIEW)
    return [
        _queue("Cases about recordings", Claim.objects.pending(), "opened_at", "consent:claims"),
        _queue("Claims against outputs", pending, "received_at", "indemnity:claims"),
        _queue("Reservations beside a consent", conflicts(), "read_at", "consent:reservations"),
        _queue("Declarations of revenue", declarations_waiting(), "made_at", "billing:declarations"),
        _queue("Payments to match", payments_queued(), "source__imported_at", "billing:payments"),
        _queue("Refunds for a second person", refunds_waiting(), "asked_at", "billing:refunds"),
        _queue("Licenses to decide about", decide, "opened_at", "billing:deadlines"),
    ]


def _queue(title: str, rows: QuerySet, since: str, page: str) -> Queue:  # type: ignore[type-arg]
    found: dict[str, datetime | int | None] = rows.order_by().aggregate(n=Count("pk"), first=Min(since))
    first, count = found["first"], found["n"]
    age = (now() - first).days if isinstance(first, datetime) else None
    return Queue(title, count if isinstance(count, int) else 0, age, reverse(page))
