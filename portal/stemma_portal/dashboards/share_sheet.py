"""The sheet on which shares are written: rows as they came from the page, what is wrong with each, the pies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import QueryDict
from django.utils.safestring import SafeString

from stemma.errors import InvalidError
from stemma.rights.shares import SIDES, WHOLE, WORLD, Share
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.catalog.sharing import MOST, Line, party_by_name, shares_check, told
from stemma_portal.design.svg.pie import pie
from stemma_portal.design.svg.shares import Slice

EMPTY_ROWS = 2
TITLES = {"master": "Master", "publishing": "Publishing"}
MEANING = {
    "master": "The recording itself: who made or owns the tape.",
    "publishing": "The composition and its words: writers and their publishers.",
}


@dataclass
class Row:
    """One line as it was written."""

    party: str = ""
    territory: str = WORLD
    percent: str = ""
    email: str = ""
    error: str = ""
    ppm: int = 0
    colour: int = 0
    new: bool = False


@dataclass
class SideSheet:
    """One right: its rows, its pies (one per territory), what is wrong with their sum."""

    side: str
    title: str
    meaning: str
    rows: list[Row]
    pies: list[tuple[str, SafeString]] = field(default_factory=list)
    error: str = ""


@dataclass
class Sheet:
    """Both rights."""

    sides: list[SideSheet]
    error: str = ""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.error and not any(s.error or any(row.error for row in s.rows) for s in self.sides)

    def lines(self) -> list[Line]:
        """What is written."""
        return [
            Line(side=side.side, ppm=row.ppm, territory=row.territory, name=row.party, email=row.email)  # type: ignore[arg-type]
            for side in self.sides
            for row in side.rows
            if row.party
        ]

    def named(self) -> list[Row]:
        """Rows with something in them."""
        return [row for side in self.sides for row in side.rows if row.party]


def sheet_of(recording: Recording) -> Sheet:
    """The sheet with the shares in force on it."""
    rows: dict[str, list[Row]] = {side: [] for side in SIDES}
    for share in recording.shares.select_related("party").order_by("side", "territory", "-ppm", "party__name"):
        rows[share.side].append(Row(share.party.name, share.territory, percent_text(share.ppm)))
    return _finish(recording, rows)


def sheet_read(recording: Recording, sent: QueryDict) -> Sheet:
    """The sheet as it was sent, judged."""
    rows: dict[str, list[Row]] = {}
    for side in SIDES:
        columns = [sent.getlist(f"{name}-{side}")[:MOST] for name in ("party", "territory", "percent", "email")]
        longest = max(len(column) for column in columns)
        padded = [[*column, *[""] * (longest - len(column))] for column in columns]
        rows[side] = [
            Row(p.strip(), t.strip().upper() or WORLD, v.strip(), e.strip()) for p, t, v, e in zip(*padded, strict=True)
        ]
        rows[side] = [row for row in rows[side] if row.party or row.percent or row.email]
    return _finish(recording, rows)


def _finish(recording: Recording, rows: dict[str, list[Row]]) -> Sheet:
    colours: dict[str, int] = {}
    sheet = Sheet([SideSheet(side, TITLES[side], MEANING[side], rows[side]) for side in SIDES])
    for row in (row for side in sheet.sides for row in side.rows):
        _judge(recording, row)
        row.colour = colours.setdefault(row.party.casefold(), len(colours)) + 1
    for side in sheet.sides:
        side.pies = list(_pies(side))
        side.error = _sum_error(side, rows)
        side.rows += [Row() for _ in range(EMPTY_ROWS)]
    if not any(rows.values()) or not sheet.named():
        sheet.error = "No shares are named. Name at least who owns the master."
    return sheet


def _judge(recording: Recording, row: Row) -> None:
    if not row.party:
        row.error = "Who? Write the name of the rights-holder."
    elif len(row.party) > 200 or not row.party.isprintable():
        row.error = "Write a name of at most 200 letters."
    elif not re.fullmatch(r"WORLD|[A-Z]{2}", row.territory):
        row.error = "Write WORLD or a country as two letters, such as DE."
    else:
        try:
            row.ppm = percent_ppm(row.percent)
        except InvalidError as error:
            row.error = str(error)
        row.new = party_by_name(recording, row.party) is None
    if row.email and not row.error:
        try:
            validate_email(row.email)
        except ValidationError:
            row.error = "This is no e-mail address."


def _sum_error(side: SideSheet, rows: dict[str, list[Row]]) -> str:
    """What is wrong with the sums of one right, in the words of the rule."""
    if not side.rows or any(row.error for row in side.rows):
        return ""
    territories = {
        row.territory for own in rows.values() for row in own if re.fullmatch(r"WORLD|[A-Z]{2}", row.territory)
    }
    shares = [
        Share(party=row.party.casefold(), side=side.side, ppm=row.ppm, territory=row.territory)  # type: ignore[arg-type]
        for row in side.rows
    ]
    # A territory that only the other right names still needs this one.
    other = next(each for each in SIDES if each != side.side)
    rest = [Share(party="-", side=other, ppm=WHOLE, territory=territory) for territory in territories]
    try:
        shares_check([*shares, *rest])
    except InvalidError as error:
        return f"{error.message} {error.remedy}{_in_percent(shares)}"
    return ""


def _in_percent(shares: Iterable[Share]) -> str:
    sums: dict[str, int] = {}
    for share in shares:
        sums[share.territory] = sums.get(share.territory, 0) + share.ppm
    wrong = [
        f"{territory.title() if territory == WORLD else territory}: {percent_text(abs(WHOLE - total))} % "
        f"{'too much' if total > WHOLE else 'missing'}"
        for territory, total in sorted(sums.items())
        if total != WHOLE
    ]
    return f" ({'; '.join(wrong)}.)" if wrong else ""


def _pies(side: SideSheet) -> Iterable[tuple[str, SafeString]]:
    for territory in sorted({row.territory for row in side.rows if row.ppm}) or [WORLD]:
        own = [row for row in side.rows if row.territory == territory and row.ppm]
        told = ", ".join(f"{row.party} {percent_text(row.ppm)} %" for row in own) or "nobody is named"
        slices = [Slice(row.party, row.ppm, row.colour - 1) for row in own]
        yield territory, pie(slices, whole=WHOLE, label=f"{side.title}, {territory.title()}: {told}")


def percent_ppm(text: str) -> int:
    """A percentage as it is written, exactly in parts per million.  Raises `InvalidError` for what is none."""
    plain = text.replace("%", "").replace(" ", "").replace("\N{NARROW NO-BREAK SPACE}", "").replace(",", ".")
    try:
        value = Decimal(plain)
    except InvalidOperation:
        raise InvalidError("Write the share as a percentage, such as 33.3333.") from None
    if not value.is_finite() or not 0 < value <= 100:
        raise InvalidError("A share is more than 0 and at most 100 %.")
    ppm = value * 10_000
    if ppm != int(ppm):
        raise InvalidError("A share has at most four decimals: one part per million is the smallest.")
    return int(ppm)


def percent_text(ppm: int) -> str:
    """Parts per million as a percentage, exactly."""
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".")


def differences(recording: Recording) -> list[dict[str, Any]]:
    """Every revision, newest first, with what it changed and who has answered."""
    history = told(list(recording.share_revisions.order_by("-number")))
    names = {str(p.id): p for p in Party.objects.filter(id__in={key[0] for each in history for key in each.changes})}
    return [
        {
            "revision": each.revision,
            "changes": [
                {"party": names[party], "side": TITLES[side], "territory": territory, "before": was, "after": is_}
                for (party, side, territory), (was, is_) in each.changes.items()
            ],
            "questions": each.answers,
        }
        for each in history
    ]
