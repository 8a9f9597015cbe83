"""What pages read across several apps, in a bounded number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Max, Prefetch, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.utils.safestring import SafeString

from stemma_portal.accounts.models import Organisation, User
from stemma_portal.catalog.models import Likeness, Recording, Share
from stemma_portal.catalog.selectors import likenesses_visible
from stemma_portal.consent.models import Claim, Consent, Withdrawal
from stemma_portal.consent.selectors import standings
from stemma_portal.design.svg.columns import Column, columns
from stemma_portal.design.svg.shares import Slice, share_bar
from stemma_portal.design.templatetags.stemma import grouped, worth
from stemma_portal.metering.models import Generation, GenerationShare
from stemma_portal.operations.models import ModelRelease, Snapshot, SnapshotMember

MONTHS = 24
"""Months of its influence that the page of a recording or a work tells."""

Recordings = Sequence[Recording] | QuerySet[Recording]


def likenesses(user: User, recording: Recording) -> list[Likeness]:
    """Undecided duplicates of a recording, one for each other recording."""
    rows = likenesses_visible(user).filter(Q(one=recording) | Q(other=recording), state=Likeness.State.OPEN)
    return list({(row.one_id, row.other_id): row for row in rows.order_by("score")[:20]}.values())


@dataclass(frozen=True)
class Side:
    """One right in a recording: its owners, largest first, and their picture."""

    name: str
    shares: list[Share]
    picture: SafeString


def ownership(recording: Recording) -> list[Side]:
    """Both rights, each party in one colour."""
    shares = list(recording.shares.select_related("party").order_by("side", "-ppm", "party__name"))
    colours: dict[str, int] = {}
    for share in shares:
        colours.setdefault(share.party_id, len(colours))
        share.colour = colours[share.party_id] + 1  # type: ignore[attr-defined]
    sides = []
    for side in Share.Side:
        own = [share for share in shares if share.side == side]
        slices = [Slice(name=share.party.name, amount=share.ppm, index=colours[share.party_id]) for share in own]
        told = ", ".join(f"{share.party.name} {share.ppm / 10_000:g} %" for share in own)
        sides.append(Side(name=side.label, shares=own, picture=share_bar(slices, label=f"{side.label}: {told}")))
    return sides


@dataclass(frozen=True)
class Grants:
    """The grants, withdrawals and claims on a recording."""

    consents: list[Consent]
    withdrawals: list[Withdrawal]
    claims: list[Claim]


def grants_on(recording: Recording, *, parties: Iterable[str]) -> Grants:
    """All of them, newest first; `own` marks consents of the reader's parties."""
    own = set(parties)
    consents = list(
        Consent.objects.filter(items__recording=recording)
        .select_related("party")
        .defer("document")
        .order_by("-granted_at")
    )
    for consent in consents:
        consent.own = consent.party_id in own  # type: ignore[attr-defined]
    withdrawals = Withdrawal.objects.filter(consent__in=[c.id for c in consents]).filter(
        Q(recording=recording) | Q(recording=None)
    )
    return Grants(
        consents=consents,
        withdrawals=list(withdrawals.select_related("consent__party")),
        claims=list(Claim.objects.filter(Q(recording=recording) | Q(other=recording))),
    )


def may_grant(recording: Recording, *, organisation: Organisation | None) -> bool:
    """Whether the organisation's party owns a share that it has not granted, or not any more."""
    if organisation is None or organisation.party_id is None or not recording.source_free:
        return False
    own = [standing for standing in standings(recording_id=recording.id) if standing.party.id == organisation.party_id]
    return any(standing.state != "granted" for standing in own)


def trained(recordings: Recordings) -> list[Snapshot]:
    """Snapshots that hold one of the recordings, with the models made of them."""
    releases = ModelRelease.objects.defer("statement").order_by("-created_at")
    held = SnapshotMember.objects.filter(recording__in=recordings).values("snapshot")
    found = Snapshot.objects.filter(id__in=held).order_by("-created_at")
    return list(found.prefetch_related(Prefetch("releases", releases)))


@dataclass(frozen=True)
class Month:
    """What was shaped in one month (UTC), by a recording or by all of a work together."""

    begins: datetime
    pieces: int
    weight: int
    """Sum of its shares, ppb: a billion is as much as one whole piece."""

    @property
    def mean(self) -> int:
        """The mean share of a piece that was shaped, ppb."""
        return self.weight // self.pieces if self.pieces else 0


@dataclass(frozen=True)
class Influence:
    """How far a recording, or a work by its recordings, has shaped what was made."""

    generations: int
    strongest: int
    """The largest share of one recording, ppb."""
    months: list[Month]
    """The newest first, at most `MONTHS`; those in which it shaped nothing stand between the others."""
    picture: SafeString | None
    why_none: str
    """Why nothing is traced to it, where nothing is."""


def influence(recordings: Recordings, training: Sequence[Snapshot]) -> Influence:
    """Over every generation so far.  Whose they were is the licensees' to tell."""
    shares = GenerationShare.objects.filter(recording__in=recordings, ppb__gt=0)
    sums = shares.aggregate(generations=Count("generation_id", distinct=True), strongest=Max("ppb"))
    months = _months(shares) if sums["generations"] else []
    return Influence(
        generations=sums["generations"],
        strongest=sums["strongest"] or 0,
        months=months[::-1],
        picture=_months_picture(months),
        why_none="" if sums["generations"] else _why_none(training),
    )


def _months(shares: QuerySet[GenerationShare]) -> list[Month]:
    rows = (
        shares.filter(generation__at__isnull=False)  # a share may be here before its generation
        .annotate(month=TruncMonth("generation__at", tzinfo=UTC))
        .order_by()
        .values_list("month")
        .annotate(n=Count("generation_id", distinct=True), weight=Sum("ppb"))
        .order_by("month")
    )
    found = {month: Month(month, n, int(weight)) for month, n, weight in rows}
    if not found:
        return []
    every, last = [min(found)], max(found)
    while every[-1] < last:
        every.append((every[-1] + timedelta(days=32)).replace(day=1))
    return [found.get(month, Month(month, 0, 0)) for month in every[-MONTHS:]]


def _months_picture(months: Sequence[Month]) -> SafeString | None:
    if not months:
        return None
    shown = [
        Column(f"{m.begins:%b %y}", (m.weight,), f"{m.begins:%B %Y}: {m.pieces} pieces, {worth(m.weight)}")
        for m in months
    ]
    return columns(shown, label="What it shaped, month by month: " + "; ".join(column.told for column in shown))


def _why_none(training: Sequence[Snapshot]) -> str:
    """Why nothing is traced to what these snapshots hold."""
    releases = [release.id for snapshot in training for release in snapshot.releases.all()]
    if not training:
        return "It is in no snapshot, so no model has learned from it and nothing can be traced to it."
    if not releases:
        return "It is in a snapshot, but no model has been made of that yet."
    made = Generation.objects.filter(model_release__in=releases)
    counts = made.aggregate(made=Count("id"), traced=Count("attribution"))
    if not counts["made"]:
        return "Models have learned from it, but nothing has been made with them yet."
    if not counts["traced"]:
        return "What was made with models that learned from it is still being traced."
    return (
        f"{grouped(counts['traced'])} piece{'s' if counts['traced'] != 1 else ''} made with models that learned from "
        "it were traced. In none did its part stand out of the noise: of these it gets its equal part of the commons."
    )
