"""What owners see first: what of theirs is in, what it trained, where it was heard, what it earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Sum, Value, When
from django.db.models.functions import TruncMonth
from django.urls import reverse
from django.utils.safestring import SafeString

from stemma_portal.catalog.models import Party, Recording
from stemma_portal.catalog.selectors import recordings_of_party
from stemma_portal.consent.models import Claim
from stemma_portal.consent.selectors import recordings_to_consent
from stemma_portal.design.svg.columns import Column, columns
from stemma_portal.design.svg.shares import Slice, share_bar
from stemma_portal.design.svg.treemap import Leaf, treemap
from stemma_portal.design.templatetags.stemma import grouped, money, ppb
from stemma_portal.metering.models import GenerationShare
from stemma_portal.operations.models import ModelRelease, SnapshotMember
from stemma_portal.royalties import selectors as royalties
from stemma_portal.royalties.selectors import Balance, Earned

SHOWN = 12
MONTHS = 12
PARTS = (
    ("in", "in the newest model"),
    ("held", "under claim"),
    ("not-free", "source not free"),
    ("waiting", "waits for your answer"),
    ("ready", "waits for other owners, its sound or the next model"),
)
"""How recordings stand, each in the first that fits."""


@dataclass(frozen=True)
class Standing:
    """How many recordings stand in one way."""

    name: str
    count: int
    colour: int


@dataclass(frozen=True)
class Trained:
    """A model and how much of the party's it learned from."""

    release: ModelRelease
    own: int


@dataclass(frozen=True)
class Heard:
    """A recording and what it gave to pieces."""

    recording: Recording
    pieces: int
    weight: int
    """Sum of its shares, ppb."""

    @property
    def mean(self) -> int:
        """Its mean share of a piece that it shaped, ppb."""
        return self.weight // self.pieces if self.pieces else 0


@dataclass(frozen=True)
class Month:
    """What was heard in a month."""

    begins: datetime
    pieces: int


@dataclass(frozen=True)
class Money:
    """One currency: what is confirmed, what is estimated, and how it came."""

    balance: Balance
    history: Sequence[royalties.BalancePoint]
    picture: SafeString | None
    top: Sequence[tuple[Recording, int]]


@dataclass(frozen=True)
class Overview:
    """Everything of the page but what waits for the reader."""

    total: int
    standings: Sequence[Standing]
    standings_picture: SafeString | None
    trained: Sequence[Trained]
    pieces: int
    heard: Sequence[Heard]
    heard_picture: SafeString | None
    months: Sequence[Month]
    months_picture: SafeString | None
    money: Sequence[Money] = field(default_factory=list)


def overview(party: Party) -> Overview:
    """The five answers for a rights-holder, in a bounded number of queries."""
    own = recordings_of_party(party_id=party.id)
    standings = _standings(party, own)
    shares = GenerationShare.objects.filter(recording__in=own.values("pk"), ppb__gt=0)
    heard, months = _heard(shares), _months(shares)
    return Overview(
        total=sum(each.count for each in standings),
        standings=standings,
        standings_picture=_standings_picture(standings),
        trained=_trained(own),
        pieces=shares.aggregate(n=Count("generation_id", distinct=True))["n"],
        heard=heard,
        heard_picture=_heard_picture(heard),
        months=months,
        months_picture=_months_picture(months),
        money=[_money(party, balance) for balance in royalties.balance(party_id=party.id)],
    )


def _standings(party: Party, own: QuerySet[Recording]) -> list[Standing]:
    newest = ModelRelease.objects.filter(state=ModelRelease.State.REGISTERED).order_by("-created_at").first()
    member = SnapshotMember.objects.filter(recording=OuterRef("pk"), snapshot=newest.snapshot_id if newest else None)
    holding = Claim.objects.holding()
    held = Exists(holding.filter(recording=OuterRef("pk"))) | Exists(holding.filter(other=OuterRef("pk")))
    waiting = recordings_to_consent(party.id).order_by().values("pk")
    stands = Case(
        When(held, then=Value("held")),
        When(Exists(member), then=Value("in")),
        When(source_free=False, then=Value("not-free")),
        When(pk__in=waiting, then=Value("waiting")),
        default=Value("ready"),
        output_field=CharField(),
    )
    counts = dict(own.order_by().annotate(stands=stands).values_list("stands").annotate(n=Count("pk")))
    return [Standing(told, counts[name], index + 1) for index, (name, told) in enumerate(PARTS) if counts.get(name)]


def _standings_picture(standings: Sequence[Standing]) -> SafeString | None:
    if not standings:
        return None
    slices = [Slice(name=each.name, amount=each.count, index=each.colour - 1) for each in standings]
    return share_bar(slices, label=", ".join(f"{each.count} {each.name}" for each in standings))


def _trained(own: QuerySet[Recording]) -> list[Trained]:
    counts = dict(
        SnapshotMember.objects.filter(recording__in=own.values("pk"))
        .order_by()
        .values_list("snapshot")
        .annotate(n=Count("pk"))
    )
    found = ModelRelease.objects.filter(snapshot__in=counts).select_related("snapshot").defer("statement")
    return [Trained(release, counts[release.snapshot_id]) for release in found.order_by("-created_at")[:SHOWN]]


def _heard(shares: QuerySet[GenerationShare]) -> list[Heard]:
    rows = shares.order_by().values_list("recording").annotate(pieces=Count("pk"), weight=Sum("ppb"))
    top = list(rows.order_by("-weight", "recording")[:SHOWN])
    known = Recording.objects.select_related("work").in_bulk([row[0] for row in top])
    return [Heard(known[pk], pieces, int(weight)) for pk, pieces, weight in top if pk in known]


def _heard_picture(heard: Sequence[Heard]) -> SafeString | None:
    if not heard:
        return None
    leaves = [
        Leaf(
            title=each.recording.title,
            subtitle=f"{grouped(each.pieces)} piece{'s' if each.pieces != 1 else ''}",
            amount=each.weight,
            figure=f"⌀ {ppb(each.mean)}",
            index=place,
            href=reverse("dashboards:earned", args=[each.recording.pk]),
        )
        for place, each in enumerate(heard)
    ]
    told = "; ".join(f"{leaf.title}: {leaf.subtitle}, {leaf.figure} each" for leaf in leaves)
    return treemap(leaves, label=f"What shaped the most: {told}", height=300)


def _months(shares: QuerySet[GenerationShare]) -> list[Month]:
    rows = (
        shares.filter(generation__at__isnull=False)
        .annotate(month=TruncMonth("generation__at"))
        .order_by()
        .values_list("month")
        .annotate(n=Count("generation_id", distinct=True))
        .order_by("-month")[:MONTHS]
    )
    return [Month(month, n) for month, n in reversed(rows)]


def _months_picture(months: Sequence[Month]) -> SafeString | None:
    if len(months) < 2:
        return None
    shown = [Column(f"{m.begins:%b %y}", (m.pieces,), f"{m.begins:%B %Y}: {m.pieces} pieces") for m in months]
    return columns(shown, label="Pieces shaped, month by month")


def _money(party: Party, balance: Balance) -> Money:
    history = royalties.balance_history(party_id=party.id, currency=balance.currency)
    shown = [
        Column(point.period, (point.earned,), f"{point.period}: {money(point.earned, balance.currency)}")
        for point in history[-MONTHS:]
    ]
    return Money(
        balance=balance,
        history=history[-MONTHS:][::-1],
        picture=columns(shown, label=f"Earned in each period, {balance.currency}") if len(shown) > 1 else None,
        top=royalties.recordings_earned(party_id=party.id, currency=balance.currency, limit=5),
    )


@dataclass(frozen=True)
class Piece:
    """A piece that a recording shaped.  Whose it was is the licensee's to tell."""

    at: datetime
    style: str
    model: str
    milliseconds: int
    ppb: int


@dataclass(frozen=True)
class RecordingEarned:
    """What one recording shaped, and what it earned a party."""

    pieces: int
    strongest: Sequence[Piece]
    styles_picture: SafeString | None
    earned: Sequence[Earned]
    earned_picture: SafeString | None
    totals: Sequence[tuple[str, int]]
    """By currency, micro-units."""
    holds: Sequence[royalties.OnHold]


def recording_earned(party: Party, recording: Recording) -> RecordingEarned:
    """Everything about what a recording shaped and earned."""
    shares = GenerationShare.objects.filter(recording=recording, ppb__gt=0, generation__at__isnull=False)
    strongest = [
        Piece(share.generation.at, share.generation.style, share.generation.model_release,
              share.generation.billable_ms, share.ppb)
        for share in shares.select_related("generation").order_by("-ppb", "pk")[:25]
    ]  # fmt: skip
    earned = royalties.recording_earned(party_id=party.id, recording_id=recording.id)
    totals: dict[str, int] = {}
    for row in earned:
        totals[row.statement.currency] = totals.get(row.statement.currency, 0) + row.total
    return RecordingEarned(
        pieces=shares.count(),
        strongest=strongest,
        styles_picture=_styles_picture(shares),
        earned=earned,
        earned_picture=_earned_picture(earned),
        totals=sorted(totals.items()),
        holds=[row for row in royalties.on_hold(party_id=party.id) if row.recording.pk == recording.pk],
    )


def _styles_picture(shares: QuerySet[GenerationShare]) -> SafeString | None:
    rows = shares.order_by().values_list("generation__style", "generation__model_release")
    found = list(rows.annotate(n=Count("pk"), weight=Sum("ppb")).order_by("-weight")[:SHOWN])
    if not found:
        return None
    leaves = [
        Leaf(
            title=style.replace("-", " ").capitalize() or "No style",
            subtitle=f"{grouped(n)} piece{'s' if n != 1 else ''}, {model}",
            amount=int(weight),
            figure=f"⌀ {ppb(int(weight) // n)}",
            index=place,
        )
        for place, (style, model, n, weight) in enumerate(found)
    ]
    told = "; ".join(f"{leaf.title}: {leaf.subtitle}, {leaf.figure} each" for leaf in leaves)
    return treemap(leaves, label=f"What it shaped: {told}", height=260)


def _earned_picture(earned: Sequence[Earned]) -> SafeString | None:
    if not earned:
        return None
    shown = [
        Column(
            row.statement.period_id,
            (row.training, row.attribution, row.commons),
            f"{row.statement.period_id}: {money(row.total, row.statement.currency)}",
        )
        for row in reversed(earned[:MONTHS])
    ]
    return columns(shown, label="Earned in each period: trained on, attribution and commons")


def visible_earned(party: Party, recording: Recording) -> bool:
    """Whether the party has or had a part in the recording."""
    lines = royalties.StatementLine.objects.filter(statement__party=party, recording=recording)
    return recordings_of_party(party_id=party.id).filter(Q(pk=recording.pk)).exists() or lines.exists()
