"""What pages and periods read of generations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDay

from stemma_portal.accounts.models import User
from stemma_portal.metering.access import generations_access
from stemma_portal.metering.models import FactConflict, FactObject, Generation, GenerationShare


def generation_list(*, user: User) -> QuerySet[Generation]:
    """Generations visible to the user, newest first, with licensee and attribution (absent while it is pending)."""
    return generations_access(user=user).select_related("licensee", "attribution")


def generation_shares(*, generation: Generation) -> QuerySet[GenerationShare]:
    """Who shaped it, the largest share first; the commons has no recording."""
    return (
        GenerationShare.objects.filter(generation=generation)
        .select_related("recording__work")
        .order_by("-ppb", "recording")
    )


@dataclass(frozen=True)
class LicenseUsage:
    """What a license has made in a stretch of time."""

    generations: int
    billable_ms: int
    latest: datetime | None


def license_usage(*, license_: str, since: datetime | None = None, until: datetime | None = None) -> LicenseUsage:
    """Live counters of one license: a handful of milliseconds over an index, seconds behind the sound."""
    made = Generation.objects.filter(license=license_)
    if since is not None:
        made = made.filter(at__gte=since)
    if until is not None:
        made = made.filter(at__lt=until)
    sums = made.aggregate(n=Count("id"), ms=Coalesce(Sum("billable_ms"), 0))
    latest = made.order_by("-at").values_list("at", flat=True).first()
    return LicenseUsage(generations=sums["n"], billable_ms=int(sums["ms"]), latest=latest)


def license_usage_by_day(*, license_: str, since: datetime) -> list[tuple[datetime, int, int]]:
    """Day, generations and billable milliseconds, the oldest first, days without any left out."""
    made = Generation.objects.filter(license=license_, at__gte=since).annotate(day=TruncDay("at"))
    days = made.values("day").annotate(n=Count("id"), ms=Sum("billable_ms")).order_by("day")
    return [(row["day"], row["n"], int(row["ms"])) for row in days]


def recording_influence(*, recording: str) -> QuerySet[GenerationShare]:
    """Generations that a recording shaped, the strongest first."""
    return (
        GenerationShare.objects.filter(recording=recording, generation__at__isnull=False)
        .select_related("generation")
        .order_by("-ppb")
    )


def objects_quarantined() -> QuerySet[FactObject]:
    """Objects of the lake that could not be read, the newest first."""
    return FactObject.objects.filter(state=FactObject.State.QUARANTINED).order_by("-position")


def conflicts() -> QuerySet[FactConflict]:
    """Facts that say otherwise than the ones that stand, the newest first."""
    return FactConflict.objects.select_related("source")
