"""Rows of a table as records: every cell checked by its column, every row with all that is wrong in it.

This is a hot path: rows are checked in blocks, column by column; values that come again are looked
up, and a record is made only when somebody asks for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import repeat
from typing import Any, NamedTuple

from stemma.catalog.columns import check_mapping
from stemma.catalog.origin import period_code, region_code
from stemma.catalog.record import PartyRecord, Problem, RecordingRecord, ReleaseRecord, ShareRecord
from stemma.catalog.text import clean, homograph, shown, undefuse
from stemma.errors import InvalidError
from stemma.rights.identifiers import ipi, isni, isrc, iswc, product_code
from stemma.rights.shares import WHOLE, WORLD, split

BLOCK = 512
"""Rows that are checked together."""
MOST_CELLS = 2_000
"""Cells of a row; more are a mistake or an attack."""
CACHED = 50_000
"""Values that are remembered for each column."""

Value = Any
Found = tuple[Value, tuple[tuple[str, str, str], ...]]
"""A value, and problems as (rule, remedy, severity)."""
Check = Callable[[str], Found]

_LONGEST = {
    "title": 500,
    "artist": 300,
    "release_title": 500,
    "release_artist": 300,
    "label": 200,
    "composer": 300,
    "work_title": 500,
    "reference": 100,
    "work_reference": 100,
    "collection": 200,
    "region": 100,
    "key": 20,
    "audio_file": 300,
}
_NAMES = {"artist", "release_artist", "label"}


class TableRow:
    """One row of a table (`stemma.catalog.record.Row`)."""

    __slots__ = ("_cells", "_headings", "_place", "_values", "number", "problems")

    def __init__(
        self,
        number: int,
        headings: Sequence[str],
        cells: Sequence[str],
        values: Mapping[str, Sequence[Value]],
        place: int,
        problems: tuple[Problem, ...],
    ) -> None:
        self.number = number
        self.problems = problems
        self._headings, self._cells, self._values, self._place = headings, cells, values, place

    @property
    def raw(self) -> dict[str, str]:
        """What was read, by heading."""
        return dict(zip(self._headings, self._cells, strict=False))

    def record(self) -> RecordingRecord | None:
        """The record; None when a problem is an error."""
        if any(problem.severity == "error" for problem in self.problems):
            return None
        given = {name: column[self._place] for name, column in self._values.items()}
        given = {name: value for name, value in given.items() if value is not None and value != ""}
        if duration := given.pop("duration", None):
            given["duration_ms"] = duration
        release = None
        if title := given.pop("release_title", "") or (given["title"] if "upc" in given else ""):
            release = ReleaseRecord(
                title=title,
                upc=given.get("upc", ""),
                artist=given.get("release_artist", ""),
                label=given.get("label", ""),
                released_on=given.get("released_on"),
            )
        for name in ("upc", "release_artist", "label", "released_on"):
            given.pop(name, None)
        shares = tuple(
            ShareRecord(
                party=PartyRecord(name=name, ipi=ipi or None, isni=isni or None),
                side=side,
                ppm=ppm,
                territory=territory,
            )
            for (name, ipi, isni), side, ppm, territory in given.pop("shares", ())
        )
        return RecordingRecord(**given, release=release, shares=shares)


Problems = dict[int, list[Problem]]
"""What is wrong in a block of rows, by the row's place in it."""


class Table:
    """How the rows of one table are read: its headings, and what each means.

    Rows are checked in blocks, column by column: what is right, which is most, costs no step of
    Python of its own.
    """

    def __init__(self, headings: Sequence[str], mapping: Mapping[str, str]) -> None:
        check_mapping(mapping, headings)
        self.headings = list(headings)
        places = {field: self.headings.index(heading) for heading, field in mapping.items()}
        self._plain = {field: place for field, place in places.items() if "." not in field}
        self._checks = {field: _Check(_CHECKS[field]) for field in self._plain if field in _CHECKS}
        self._owners = _Owners({field: place for field, place in places.items() if "." in field})
        self._seen: dict[str, dict[int, int]] = {name: {} for name in ("isrc", "reference") if name in self._plain}
        self._rows: dict[int, int] = {}
        """Rows that nothing identifies, by the hash of their cells."""

    def rows(self, cells: Iterable[Sequence[str]], first: int = 2) -> Iterator[TableRow]:
        """The rows of these cells, numbered from `first`; those with no cell filled are left out."""
        numbers: list[int] = []
        block: list[Sequence[str]] = []
        wide: Problems = {}
        width = len(self.headings)
        for number, row in enumerate(cells, start=first):
            if not any(row):
                continue
            if len(row) != width:
                if any(row[width:]):
                    wide[len(block)] = [self._too_wide(row)]
                # Trailing separators say nothing; cells that are missing are empty.
                row = [*row[:width], *[""] * (width - len(row))]  # noqa: PLW2901
            numbers.append(number)
            block.append(row)
            if len(block) == BLOCK:
                yield from self._block(numbers, block, wide)
                numbers, block, wide = [], [], {}
        if block:
            yield from self._block(numbers, block, wide)

    def _block(self, numbers: list[int], block: list[Sequence[str]], problems: Problems) -> Iterator[TableRow]:
        columns = list(zip(*block, strict=True))
        values: dict[str, Sequence[Value]] = {}
        for field, place in self._plain.items():
            check = self._checks.get(field)
            values[field] = (
                _texts(field, columns[place], problems)
                if check is None
                else check.column(field, columns[place], problems)
            )
        if "" in values["title"]:
            for i, title in enumerate(values["title"]):
                if title == "" and not any(p.field == "title" for p in problems.get(i, ())):
                    _note(problems, i, Problem("title", "", "missing", "Write the title of the recording."))
        if self._owners:
            values["shares"] = self._owners.column(columns, problems)
        for field, seen in self._seen.items():
            _unique(field, values[field], numbers, seen, problems)
        self._same(numbers, block, values, problems)
        headings, none = self.headings, ()
        for i, number in enumerate(numbers):
            yield TableRow(number, headings, block[i], values, i, tuple(problems[i]) if i in problems else none)

    def _same(
        self, numbers: list[int], block: list[Sequence[str]], values: dict[str, Sequence[Value]], problems: Problems
    ) -> None:
        """Note rows without ISRC and number that say what an earlier one says, word for word."""
        coded = [values[name] for name in self._seen]
        if any(all(column) for column in coded):
            return
        for i, number in enumerate(numbers):
            if any(column[i] for column in coded) or i in problems:
                continue
            at = self._rows.setdefault(hash(tuple(block[i])), number)
            if at != number:
                remedy = f"Row {at} says the same: leave one of them out, or give each its ISRC or your own number."
                _note(problems, i, Problem("", "", "twice", remedy))

    def _too_wide(self, row: Sequence[str]) -> Problem:
        extra = len(row) - len(self.headings)
        remedy = f"The row has {extra} cells more than there are columns: put quotes around text with the separator."
        return Problem("", shown(str(row[len(self.headings)])), "too-many-cells", remedy)


def _note(problems: Problems, place: int, problem: Problem) -> None:
    problems.setdefault(place, []).append(problem)


def _texts(field: str, column: Sequence[str], problems: Problems) -> Sequence[Value]:
    """A column of texts.  Mostly all of them are plain and short: then nothing can be wrong with them."""
    longest, joined, name = _LONGEST[field], "".join(column), field in _NAMES
    if _plain(joined, name=name) and "'" not in joined and max(map(len, column)) <= longest:
        return list(map(str.strip, column))
    values = []
    for i, text in enumerate(column):
        if len(text) <= longest and text[:1] != "'" and _plain(text, name=name):
            values.append(text.strip())
            continue
        value, told = _text(field, text)
        values.append(value)
        for rule, remedy, severity in told:
            _note(problems, i, Problem(field, shown(text), rule, remedy, severity))  # type: ignore[arg-type]
    return values


def _plain(text: str, *, name: bool) -> bool:
    """Whether there is nothing to look for: every character is seen, and none is like another in a name."""
    return text.isprintable() and (text.isascii() or (not name and unicodedata.is_normalized("NFC", text)))


def _unique(
    field: str, column: Sequence[Value], numbers: Sequence[int], seen: dict[int, int], problems: Problems
) -> None:
    """Note what an earlier row has already.  Values are kept as their hashes: some hundred bytes each."""
    given = [(hash(value), i) for i, value in enumerate(column) if value]
    block = {key for key, _ in given}
    if len(block) == len(given) and seen.keys().isdisjoint(block):
        seen.update(zip((key for key, _ in given), (numbers[i] for _, i in given), strict=True))
        return
    for key, i in given:
        at = seen.setdefault(key, numbers[i])
        if at != numbers[i]:
            remedy = f"Row {at} has it already: leave one of them out, or correct it."
            _note(problems, i, Problem(field, shown(column[i]), "twice", remedy))


_UNKNOWN = object()


class _Check:
    """The check of a column, which remembers what it found."""

    def __init__(self, check: Callable[[str], Found]) -> None:
        self._check = check
        self._good: dict[str, Value] = {}

    def column(self, field: str, texts: Sequence[str], problems: Problems) -> Sequence[Value]:
        """The values of a column; None where the text is none."""
        values = list(map(self._good.get, texts, repeat(_UNKNOWN)))
        if _UNKNOWN not in values:
            return values
        if len(self._good) >= CACHED:
            self._good.clear()
        for i, text in enumerate(texts):
            if values[i] is _UNKNOWN:
                if text in self._good:  # found a few rows above
                    values[i] = self._good[text]
                    continue
                found, told = self._check(text)
                values[i] = found
                if not told:
                    self._good[text] = found
                for rule, remedy, severity in told:
                    _note(problems, i, Problem(field, shown(text), rule, remedy, severity))  # type: ignore[arg-type]
        return values


_NOTHING: Found = ("", ())
_NONE: Found = (None, ())


def _error(rule: str, remedy: str) -> Found:
    return None, ((rule, remedy, "error"),)


def _text(field: str, text: str) -> Found:
    found = clean(undefuse(text))
    if found.refused:
        return _error(found.rule, found.remedy)
    if len(found.text) > _LONGEST[field]:
        return _error("too-long", f"Write at most {_LONGEST[field]} characters.")
    told = [(found.rule, found.remedy, "warning")] if found.rule else []
    if field in _NAMES and (why := homograph(found.text)):
        told.append(("homograph", f"{why} Write it in one script, or go on if this is meant.", "warning"))
    return found.text, tuple(told)


def _identifier(of: Callable[[str], str]) -> Check:
    def check(text: str) -> Found:
        text = undefuse(text.strip())
        if not text:
            return _NOTHING
        try:
            return of(text), ()
        except InvalidError as error:
            # The value stands beside what is told of it: it need not be said again.
            wrong = "The check digit is wrong." if "check digit" in error.message else error.message
            return _error(error.code, f"{wrong.replace(repr(text), 'This')} {error.remedy}")

    return check


PLAIN_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}").fullmatch


def _isrc(text: str) -> Found:
    return (text, ()) if PLAIN_ISRC(text) else _any_isrc(text)


_any_isrc = _identifier(isrc)


def _iswc_plain(text: str) -> str:
    return iswc(text).replace("-", "").replace(".", "")


_THREES = {f"{n:03d}": (n // 100, n // 10 % 10, n % 10) for n in range(1000)}
_ISWC = [
    {text: sum((3 * part + i + 1) * d for i, d in enumerate(digits)) for text, digits in _THREES.items()}
    for part in range(3)
]
"""What three digits add to the check sum, by their place: ISWC weighs its nine digits 1…9."""
_PLAIN_ISWC = re.compile(r"T-?([0-9]{3})\.?([0-9]{3})\.?([0-9]{3})-?([0-9])").fullmatch


def _iswc(text: str) -> Found:
    if (found := _PLAIN_ISWC(text)) is not None:
        a, b, c, check = found.groups()
        if (1 + _ISWC[0][a] + _ISWC[1][b] + _ISWC[2][c] + int(check)) % 10 == 0:
            return f"T{a}{b}{c}{check}", ()
    return _any_iswc(text)


_any_iswc = _identifier(_iswc_plain)


def _product(text: str) -> Found:
    found = _any_product(text)
    if found[1] and re.fullmatch(r"[0-9]{11}", text.strip()):
        # Spreadsheets drop the zero that a UPC begins with.
        mended = _any_product("0" + text.strip())
        if not mended[1]:
            return mended[0], (("upc-zero", "A zero was put before it: spreadsheets drop it.", "warning"),)
    return found


_any_product = _identifier(product_code)


def _whole(low: int, high: int, what: str) -> Check:
    def check(text: str) -> Found:
        text = text.strip()
        if not text:
            return _NONE
        plain = text.removesuffix(".0")
        if not (plain.isascii() and plain.isdigit() and len(plain) < 12 and low <= int(plain) <= high):
            return _error("range", f"Write {what} from {low} to {high}.")
        return int(plain), ()

    return check


def _tempo(text: str) -> Found:
    text = text.strip()
    if not text:
        return _NONE
    if not re.fullmatch(r"[0-9]{1,3}([.,][0-9]{1,6})?", text) or not (value := float(text.replace(",", "."))):
        return _error("range", "Write quarter notes a minute, such as 96 or 96.5.")
    return value, ()


_ISO = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ]00:00(?::00)?)?", re.ASCII).fullmatch
_DOTS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", re.ASCII).fullmatch


def read_date(text: str) -> Found:
    """A day; None for an empty text."""
    text = text.strip()
    if not text:
        return _NONE
    try:
        if found := _ISO(text):
            return date(int(found[1]), int(found[2]), int(found[3])), ()
        if found := _DOTS(text):
            return date(int(found[3]), int(found[2]), int(found[1])), ()
    except ValueError:
        pass
    return _error("date", "Write the day as year-month-day, such as 2026-03-21.")


_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2})(?:[.,](\d{1,3}))?", re.ASCII).fullmatch
_PERIOD = re.compile(r"PT(?:(\d{1,2})H)?(?:(\d{1,4})M)?(?:(\d{1,5})(?:[.,](\d{1,6}))?S)?", re.ASCII).fullmatch
_SECONDS = re.compile(r"(\d{1,5})(?:[.,](\d{1,3}))?", re.ASCII).fullmatch
DAY_MS = 24 * 3600 * 1000


def read_duration(text: str) -> Found:
    """`3:45`, `1:02:03.5`, `PT3M45S`, or seconds; what is 10,000 and more in whole numbers is milliseconds."""
    text = text.strip()
    if not text:
        return _NONE
    value = None
    if found := _CLOCK(text):
        hours, minutes, seconds, part = found.groups()
        value = ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + _thousandths(part)
    elif text != "PT" and (found := _PERIOD(text.upper())):
        hours, minutes, seconds, part = found.groups()
        value = ((int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * 1000 + _thousandths(part)
    elif text.isascii() and text.isdigit() and len(text) <= 8 and int(text) >= 10_000:
        value = int(text)
    elif found := _SECONDS(text):
        value = int(found[1]) * 1000 + _thousandths(found[2])
    if value is None or not 0 < value <= DAY_MS:
        return _error("duration", "Write minutes and seconds, such as 3:45; at most 24 hours.")
    return value, ()


def _thousandths(part: str | None) -> int:
    return int((part or "")[:3].ljust(3, "0"))


def read_style(text: str) -> Found:
    """A repertoire in small letters with hyphens."""
    if not text.strip():
        return _NOTHING
    found = clean(text)
    if found.refused:
        return _error(found.rule, found.remedy)
    from stemma.catalog.columns import plain

    slug = re.sub(r"[^a-z]+", "-", plain(found.text)).strip("-")[:40].strip("-")
    if len(slug) < 2:
        return _error("style", "Write a word in Latin letters, such as folk.")
    return slug, ()


def read_region(text: str) -> Found:
    """A region in the sender's words, with a warning where no code is known for them."""
    value, told = _text("region", text)
    if not value or region_code(value):
        return value, told
    remedy = "No code is known for it, so it counts as unknown. Write a country (IE), its part (GB-SCT) or M49 (419)."
    return value, (*told, ("region", remedy, "warning"))


def read_period(text: str) -> Found:
    """A year or a century of origin."""
    if not text.strip():
        return _NOTHING
    if code := period_code(text):
        return code, ()
    return _error("period", "Write a year (1731) or a century (17XX, 1700s or 18th century).")


_YES, _NO = {"yes", "y", "true", "1", "x", "ja", "oui", "si"}, {"", "no", "n", "false", "0", "nein", "non"}


def _flag(text: str) -> Found:
    word = text.strip().casefold()
    if word in _YES:
        return True, ()
    return (None, ()) if word in _NO else _error("flag", "Write yes or no.")


_CHECKS: dict[str, Callable[[str], Found]] = {
    "isrc": _isrc,
    "iswc": _iswc,
    "upc": _product,
    "released_on": read_date,
    "track": _whole(1, 9999, "a whole number"),
    "year": _whole(1, 9999, "a year"),
    "duration": read_duration,
    "duration_ms": _whole(1, DAY_MS, "milliseconds"),
    "tempo": _tempo,
    "style": read_style,
    "region": read_region,
    "period": read_period,
    "takedown": _flag,
}


Held = tuple[tuple[str, str, str], str, int, str]
"""A share before it is a record: party (name, IPI, ISNI), side, ppm, territory."""


class _Owner(NamedTuple):
    """The columns of one owner; None for those that the table does not have."""

    side: str
    path: str
    name: int
    percent: int | None
    ppm: int | None
    ipi: int | None
    isni: int | None
    territory: int | None


class _Owners:
    """The columns that say who owns a recording.

    Names and ways of dividing come again and again: each is parsed once and then looked up.
    """

    def __init__(self, columns: Mapping[str, int]) -> None:
        owners: dict[tuple[str, int], dict[str, int]] = {}
        for field, place in columns.items():
            side, number, part = field.split(".")
            owners.setdefault((side, int(number)), {})[part] = place
        parts = ("percent", "ppm", "ipi", "isni", "territory")
        self._owners = [
            _Owner(side, f"{side}.{number}", places["name"], *(places.get(part) for part in parts))
            for (side, number), places in sorted(owners.items())
            if "name" in places
        ]
        self._places = sorted(columns.values())
        self._known: dict[Any, tuple[Held, ...]] = {}
        self._parties: dict[tuple[str, str, str], tuple[tuple[str, str, str] | None, list[_Told]]] = {}
        self._divided: dict[tuple[str, str, tuple[str, ...]], tuple[list[int], list[_Told]]] = {}

    def __bool__(self) -> bool:
        return bool(self._owners)

    def column(self, columns: Sequence[Sequence[str]], problems: Problems) -> Sequence[tuple[Held, ...]]:
        """The shares of each row of a block; the same cells give the same shares."""
        keys = list(zip(*(columns[place] for place in self._places), strict=True))
        values: list[Any] = list(map(self._known.get, keys))
        if None in values:
            if len(self._known) >= CACHED:
                self._known.clear()
            for i, value in enumerate(values):
                if value is None:
                    if keys[i] in self._known:  # found a few rows above
                        values[i] = self._known[keys[i]]
                        continue
                    told: list[Problem] = []
                    values[i] = self._read(dict(zip(self._places, keys[i], strict=True)), told)
                    if told:
                        problems.setdefault(i, []).extend(told)
                    else:
                        self._known[keys[i]] = values[i]
        return values

    def _read(self, row: Mapping[int, str], problems: list[Problem]) -> tuple[Held, ...]:
        """The shares of a row in ppm; what is wrong with them is added to the problems."""
        sides: dict[tuple[str, str], tuple[list[str], list[Any], list[str]]] = {}
        whole = True
        for owner in self._owners:
            name = row[owner.name]
            text = self._amount(owner, row)
            if not name or name.isspace():
                if text:
                    problems.append(Problem(f"{owner.path}.name", "", "missing", "Say whose share this is."))
                    whole = False
                continue
            territory = _territory(row[owner.territory]) if owner.territory is not None else WORLD
            party = self._party(owner, row, name, problems)
            if territory is None:
                remedy = "Write WORLD, or a country as two letters (ISO 3166)."
                problems.append(
                    Problem(f"{owner.path}.territory", shown(row[owner.territory or 0]), "territory", remedy)
                )
            if territory is None or party is None:
                whole = False
                continue
            paths, parties, texts = sides.setdefault((owner.side, territory), ([], [], []))
            paths.append(owner.path)
            parties.append(party)
            texts.append(text)
        if not whole:
            return ()
        held: list[Held] = []
        for (side, territory), (paths, parties, texts) in sides.items():
            amounts = self._divide(side, territory, paths, texts, problems)
            if len(parties) > 1 and len({p[1] or p[2] or p[0] for p in parties}) < len(parties):
                problems.append(Problem(side, "", "share-twice", "Name each owner once, with the sum of its shares."))
            held += [(party, side, ppm, territory) for party, ppm in zip(parties, amounts, strict=bool(amounts)) if ppm]
        return tuple(held)

    @staticmethod
    def _amount(owner: _Owner, row: Mapping[int, str]) -> str:
        if owner.ppm is not None and (text := row[owner.ppm].strip()):
            return f"{text} ppm"
        return row[owner.percent].strip() if owner.percent is not None else ""

    def _party(
        self, owner: _Owner, row: Mapping[int, str], name: str, problems: list[Problem]
    ) -> tuple[str, str, str] | None:
        key = (name, row[owner.ipi] if owner.ipi is not None else "", row[owner.isni] if owner.isni is not None else "")
        found = self._parties.get(key)
        if found is None:
            found = _remember(self._parties, key, _party(*key))
        if found[1]:
            problems += [Problem(f"{owner.path}.{part}", value, *told) for part, value, *told in found[1]]
        return found[0]

    def _divide(
        self, side: str, territory: str, paths: list[str], texts: list[str], problems: list[Problem]
    ) -> list[int]:
        key = (side, territory, tuple(texts))
        found = self._divided.get(key)
        if found is None:
            found = _remember(self._divided, key, _divide(side, territory, texts))
        for where, value, *told in found[1]:
            path = f"{paths[int(where)]}.percent" if where else side
            problems.append(Problem(path, value, *told))
        return found[0]


_Told = tuple[str, str, str, str, str]
"""A problem before it knows its place: part or number of the owner, value, rule, remedy, severity."""


def _remember(known: dict[Any, Any], key: Any, value: Any) -> Any:
    if len(known) >= CACHED:
        known.clear()
    known[key] = value
    return value


def _party(name: str, ipi_text: str, isni_text: str) -> tuple[tuple[str, str, str] | None, list[_Told]]:
    told: list[_Told] = []
    found = clean(undefuse(name))
    if found.refused or not 0 < len(found.text) <= 200:
        told.append(
            ("name", shown(name), found.rule or "too-long", found.remedy or "Write at most 200 characters.", "error")
        )
    elif found.rule:
        told.append(("name", shown(name), found.rule, found.remedy, "warning"))
    if why := homograph(found.text):
        told.append(("name", shown(name), "homograph", why, "warning"))
    codes = []
    for part, text, check in (("ipi", ipi_text, ipi), ("isni", isni_text, isni)):
        code = ""
        if plain := undefuse(text.strip()):
            try:
                code = check(plain)
            except InvalidError as error:
                told.append((part, shown(plain), error.code, error.remedy, "error"))
        codes.append(code)
    if any(problem[4] == "error" for problem in told):
        return None, told
    return (found.text, codes[0], codes[1]), told


_PERCENT = re.compile(r"(\d{1,3})(?:[.,](\d{1,9}))?\s*%?", re.ASCII).fullmatch


def read_percent(text: str) -> tuple[int, int] | None:
    """A share as it was written: whole units, and how many decimals of a percent they count; None for what is none."""
    if text.endswith(" ppm"):
        plain = text.removesuffix(" ppm")
        return (int(plain), 4) if plain.isascii() and plain.isdigit() and len(plain) <= 7 else None
    found = _PERCENT(text)
    if found is None:
        return None
    decimals = found[2] or ""
    return int(found[1] + decimals), len(decimals)


def _divide(side: str, territory: str, texts: Sequence[str]) -> tuple[list[int], list[_Told]]:
    """The shares of one side in ppm, exact.

    What was rounded to its decimals is completed by largest remainder, and told.
    """
    if len(texts) == 1 and not texts[0]:
        return [WHOLE], []
    if "" in texts:
        return [], [(str(texts.index("")), "", "missing", "Say the share of each owner.", "error")]
    parts = [read_percent(text) for text in texts]
    if None in parts:
        bad = parts.index(None)
        return [], [(str(bad), shown(texts[bad]), "percent", "Write a percentage such as 50 or 33.33.", "error")]
    known = [part for part in parts if part is not None]
    places = max(count for _, count in known)
    units = [value * 10 ** (places - count) for value, count in known]
    whole, total = 100 * 10**places, sum(units)
    if total == whole:
        return split(WHOLE, units), []
    where = "" if territory == WORLD else f" in {territory}"
    # Each value may be off by half of its own last decimal, if it has decimals.
    slack = sum(10 ** (places - count) for _, count in known if count)
    if not total or 2 * abs(total - whole) > slack:
        figure = f"{total / 10**places:.6f}".rstrip("0").rstrip(".")
        wrong = "more than" if total > whole else "less than"
        remedy = f"The {side} shares{where} sum to {figure} %, {wrong} 100 %: correct them."
        return [], [("", "", "shares-sum", remedy, "error")]
    remedy = f"The {side} shares{where} were rounded: they were completed to exactly 100 %."
    return split(WHOLE, units), [("", "", "shares-rounded", remedy, "warning")]


_EVERYWHERE = {"", "WORLD", "WW", "WORLDWIDE", "GLOBAL", "2136", "WELT", "MONDE", "MUNDO"}


def _territory(text: str) -> str | None:
    code = text.strip().upper()
    if code in _EVERYWHERE:
        return WORLD
    return code if re.fullmatch(r"[A-Z]{2}", code) else None
