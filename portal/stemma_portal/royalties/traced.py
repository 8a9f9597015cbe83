"""What was traced to each of a party's recordings, period by period, and what it earned by that.

The pieces of a period are those that it settled, so parts and money speak of the same pieces.  Both conserve:
the party's recordings, all others and the commons are a billion parts for each piece, and the recordings' money
is what the statement says under *attribution*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from stemma.attribution.ranked import PPB
from stemma_portal.catalog.models import Party
from stemma_portal.catalog.selectors import recordings_of_party
from stemma_portal.metering.models import GenerationShare
from stemma_portal.royalties.models import Settled, Statement, StatementLine
from stemma_portal.royalties.sheet import harmless, money

CHUNK = 2_000
COLUMNS = (
    "period", "starts", "ends", "currency", "kind", "recording_id", "isrc", "recording", "pieces", "ppb",
    "amount_micro", "amount",
)  # fmt: skip


@dataclass(frozen=True)
class TracedRow:
    """One recording in one period."""

    recording: str
    isrc: str
    title: str
    pieces: int
    """Pieces that it shaped."""
    ppb: int
    """Sum of its parts of them: a billion is as much as one whole piece."""
    amount: int
    """Micro-units that the party got for it by attribution."""


@dataclass(frozen=True)
class TracedSums:
    """One period of a party.  `own`, `others` and `commons` are `pieces` times a billion."""

    statement: Statement
    pieces: int
    """Pieces that the period settled, whoever shaped them."""
    own: int
    others: int
    commons: int
    amount: int
    """Micro-units: of the party's recordings by attribution."""
    commons_amount: int
    """Of the party's part of the commons."""


def statements_traced(*, party: Party) -> QuerySet[Statement]:
    """The statements of the party, the newest period first: each is a period that something can be traced in."""
    return Statement.objects.filter(party=party).select_related("period").order_by("-period__starts", "-period")


def traced_sums(*, statement: Statement) -> TracedSums:
    """The period of a statement, summed."""
    settled = Settled.objects.filter(period=statement.period_id)
    pieces = settled.count()
    traced = settled.filter(basis=Settled.Basis.ATTRIBUTION).count()
    shares = GenerationShare.objects.filter(
        generation__settled__period=statement.period_id, generation__settled__basis=Settled.Basis.ATTRIBUTION
    )
    unexplained = _sum(shares.filter(recording=None), "ppb")
    own = _sum(_own(statement), "ppb")
    money_of = dict(
        StatementLine.objects.filter(statement=statement, kind__in=("attribution", "commons"))
        .order_by()
        .values_list("kind")
        .annotate(total=Sum("amount"))
    )
    return TracedSums(
        statement=statement,
        pieces=pieces,
        own=own,
        others=traced * PPB - unexplained - own,
        commons=unexplained + (pieces - traced) * PPB,
        amount=int(money_of.get("attribution", 0)),
        commons_amount=int(money_of.get("commons", 0)),
    )


def traced_rows(*, statement: Statement, after: str | None = None) -> Iterator[TracedRow]:
    """The party's recordings in the period of a statement, by identifier, one after another from the database.

    `after` is the recording behind which to begin.
    """
    beyond = {} if after is None else {"recording__gt": after}
    named = ("recording", "recording__isrc", "recording__title")
    parts = (
        _own(statement)
        .filter(**beyond)
        .order_by("recording")
        .values_list(*named)
        .annotate(pieces=Count("generation"), ppb=Sum("ppb"))
        .iterator(chunk_size=CHUNK)
    )
    paid = (
        StatementLine.objects.filter(statement=statement, kind="attribution", **beyond)
        .order_by("recording")
        .values_list(*named)
        .annotate(total=Sum("amount"))
        .iterator(chunk_size=CHUNK)
    )
    part, line = next(parts, None), next(paid, None)
    while part is not None or line is not None:
        first = min(row[0] for row in (part, line) if row is not None)
        pieces = ppb = amount = 0
        isrc = title = ""
        if part is not None and part[0] == first:
            _, isrc, title, pieces, ppb = part
            part = next(parts, None)
        if line is not None and line[0] == first:
            _, isrc, title, amount = line
            line = next(paid, None)
        yield TracedRow(str(first), isrc or "", title or "", pieces, int(ppb), int(amount))


def traced_most(*, statement: Statement, limit: int) -> list[TracedRow]:
    """The recordings with the greatest parts in the period of a statement."""
    named = ("recording", "recording__isrc", "recording__title")
    rows = _own(statement).order_by().values_list(*named).annotate(n=Count("generation"), parts=Sum("ppb"))
    top = list(rows.order_by("-parts", "recording")[:limit])
    paid: dict[str, int] = dict(
        StatementLine.objects.filter(statement=statement, kind="attribution", recording__in=[row[0] for row in top])
        .order_by()
        .values_list("recording")
        .annotate(total=Sum("amount"))
    )
    return [TracedRow(r, isrc or "", title or "", n, int(ppb), int(paid.get(r, 0))) for r, isrc, title, n, ppb in top]


def traced_table(*, party: Party) -> Iterator[tuple[str, ...]]:
    """Every period of a party as the rows of a file, headings first: its recordings, then all others and the commons.

    `ppb` of a period is a billion for each piece; `amount_micro` what its statement has by attribution and commons.
    """
    yield COLUMNS
    for statement in statements_traced(party=party):
        period, sums = statement.period, traced_sums(statement=statement)
        begin = (period.pk, period.starts.isoformat(), period.ends.isoformat(), statement.currency)
        rows = ((row, "recording") for row in traced_rows(statement=statement))
        rest = (
            (TracedRow("", "", "", 0, sums.others, 0), "others"),
            (TracedRow("", "", "", sums.pieces, sums.commons, sums.commons_amount), "commons"),
        )
        for some in (rows, rest):
            for row, kind in some:
                texts = map(harmless, (row.recording, row.isrc, row.title))
                figures = (str(row.pieces), str(row.ppb), str(row.amount), money(row.amount))
                yield (*map(harmless, begin), kind, *texts, *figures)


def _own(statement: Statement) -> QuerySet[GenerationShare]:
    """Parts of the party's recordings, those it has now and those the statement pays for, in the period's pieces."""
    paid = StatementLine.objects.filter(statement=statement, kind="attribution").values("recording")
    now = recordings_of_party(party_id=statement.party_id).values("pk")
    return GenerationShare.objects.filter(
        Q(recording__in=now) | Q(recording__in=paid),
        generation__settled__period=statement.period_id,
        generation__settled__basis=Settled.Basis.ATTRIBUTION,
        ppb__gt=0,
    )


def _sum(rows: QuerySet[GenerationShare], field: str) -> int:
    return int(rows.aggregate(total=Sum(field))["total"] or 0)
