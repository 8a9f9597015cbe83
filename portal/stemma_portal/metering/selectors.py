"""What pages and periods read of generations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDay

from stemma.attribution.ranked import COMMONS, PPB, by_owner, ranked
from stemma.rights import shares as shares_of
from stemma_portal.accounts.models import User
from stemma_portal.catalog.models import Share
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
class Owners:
    """What owners' recordings come to in a generation, in ppb; with the commons it is `PPB` exactly."""

    named: list[tuple[str, int]]
    """Names of the largest, the largest first."""
    rest: int
    others: int
    """How many owners `rest` is of."""
    unseen: int
    """Of recordings that the reader may not see."""
    beside: dict[str, str]
    """For each recording its owners' names."""


def generation_owners(*, shares: Sequence[GenerationShare], seen: Collection[str], top: int) -> Owners:
    """Owners as they are today, of the recordings that the reader may see."""
    owned: dict[str, list[shares_of.Share]] = defaultdict(list)
    names: dict[str, str] = {}
    beside: dict[str, dict[str, None]] = defaultdict(dict)
    rows = Share.objects.filter(recording__in=seen, territory=shares_of.WORLD).select_related("party")
    for row in rows.order_by("side", "-ppm", "party__name"):
        owned[row.recording_id].append(shares_of.Share(party=row.party_id, side=row.side, ppm=row.ppm))
        names[row.party_id] = row.party.name
        beside[row.recording_id][row.party.name] = None  # each once, in this order
    stated = {share.recording_id or COMMONS: share.ppb for share in shares}
    sums = by_owner(stated, owned)
    known = {party: ppb for party, ppb in sums.items() if party not in stated}
    found = ranked({**known, COMMONS: PPB - sum(known.values())}, top)
    return Owners(
        named=[(names[party], ppb) for party, ppb in found.top],
        rest=found.rest,
        others=found.others,
        unseen=sum(ppb for name, ppb in sums.items() if name in stated and name != COMMONS),
        beside={recording: ", ".join(each) for recording, each in beside.items()},
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
