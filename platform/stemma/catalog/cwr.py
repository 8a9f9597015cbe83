"""CWR (Common Works Registration) 2.1, 2.2, 3.0 and 3.1 as rows, a transaction at a time.

Read are HDR, GRH, NWR, REV, WRK, SPU, OPU, SWR, OWR, SPT, OPT, SWT, OWT, PER, REC, GRT and TRL; other
records of the standard are passed over.  The columns are CISAC's, as Django-Music-Publisher writes them
(`cwr_templates.py`: 2.1, 2.2, 3.0 and the draft of 3.1) and CWR-DataApi reads them (2.1).

Shares are the ownership shares of the mechanical right (MR): making copies is what training does, and
that is the mechanical right, while PR (performance) and SR (synchronisation) pay for other uses.
Ownership in CWR holds for the whole world; SPT and SWT only say who collects where, so their territories
are checked and told, and change no share.

CWR 3 has no ownership shares, only who collects where.  They are taken for ownership where that cannot be
wrong: where they are of the world, and none is an administrator's or a sub-publisher's.  Anything else is
to be brought as CWR 2.2 or as a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemma.catalog.record import PartyRecord, Problem, RecordingRecord, ReleaseRecord, ShareRecord
from stemma.catalog.text import clean, homograph, shown
from stemma.errors import InvalidError
from stemma.rights.identifiers import ipi, isrc, iswc
from stemma.rights.shares import WHOLE, WORLD

LONGEST_LINE = 4096
MOST_RECORDS = 2_000
"""Records of one transaction."""
PPM = 100
"""Parts per million in a hundredth of a percent, the unit of CWR."""

Span = tuple[int, int]
"""First column, from 1, and length."""

_PUBLISHER = {"ip": (22, 9), "name": (31, 45), "ipi": (88, 11), "pr": (116, 5), "mr": (124, 5), "sr": (132, 5)}
_WRITER = {"ip": (20, 9), "name": (29, 45), "first": (74, 30), "ipi": (116, 11)}
_WRITER |= {"pr": (130, 5), "mr": (138, 5), "sr": (146, 5)}
_WORK = {"title": (20, 60), "reference": (82, 14), "iswc": (96, 11)}
_RECORDING = {"duration": (88, 6), "album": (99, 60), "label": (159, 60), "isrc": (250, 12)}
_RECORDING |= {"title": (267, 60), "artist": (387, 60)}
FIELDS: dict[str, dict[str, Span]] = {
    "HDR": {"sender": (15, 45), "version": (102, 3)},
    "GRH": {"kind": (4, 3), "group": (7, 5), "version": (12, 5)},
    "NWR": _WORK,
    "REV": _WORK,
    "SPU": _PUBLISHER,
    "OPU": _PUBLISHER,
    "SWR": _WRITER,
    "OWR": _WRITER,
    "SPT": {"ip": (20, 9), "mode": (50, 1), "tis": (51, 4)},
    "SWT": {"ip": (20, 9), "mode": (44, 1), "tis": (45, 4)},
    "PER": {"name": (20, 45), "first": (65, 30)},
    "REC": _RECORDING,
    "GRT": {"transactions": (9, 8), "records": (17, 8)},
    "TRL": {"groups": (4, 5), "transactions": (9, 8), "records": (17, 8)},
}
"""Where the fields of each record stand, by the record layouts of CISAC for CWR 2.1 and 2.2."""
_PUBLISHER_3 = {"ip": (22, 9), "name": (31, 45), "role": (77, 2), "numbers": (79, 20)}
_WRITER_3 = {"ip": (20, 9), "name": (29, 45), "first": (74, 30), "role": (105, 2), "numbers": (107, 20)}
_COLLECTION_3 = {"ip": (23, 9), "mr": (37, 5), "mode": (47, 1), "tis": (48, 4)}
_RECORDING_3 = {"duration": (28, 6), "isrc": (34, 12), "title": (46, 60), "artist": (166, 60)}
FIELDS_3: dict[str, dict[str, Span]] = {
    **{kind: FIELDS[kind] for kind in ("GRH", "PER", "GRT", "TRL")},
    "HDR": {"sender": (10, 45), "version": (103, 3)},
    "WRK": _WORK,
    "SPU": _PUBLISHER_3,
    "OPU": _PUBLISHER_3,
    "SWR": _WRITER_3,
    "OWR": _WRITER_3,
    **dict.fromkeys(("SPT", "OPT", "SWT", "OWT"), _COLLECTION_3),
    "REC": _RECORDING_3,
}
"""The same of CWR 3.0; 3.1 moves nothing that is read.

`numbers`: senders write the IPI name number there, or a tax number of nine digits and then the IPI.
"""
PARTIES = frozenset({"SPU", "OPU", "SWR", "OWR"})
COLLECTIONS = frozenset({"SPT", "OPT", "SWT", "OWT"})
AGENTS = frozenset({"AM", "PA", "SE"})
"""Roles of those who collect for others: administrator, income participant, sub-publisher."""
PASSED = frozenset(re.findall("...", "ALTXRFNPNNWNNPRNPAPWROPTOWTEWTNETNCTNOWVERINSINDCOMORNARIMSGTERIPA"))
"""Details of a transaction that say nothing the catalog keeps."""
PASSED_3 = PASSED | frozenset(re.findall("...", "OWKNRCDOTFTVNATNOTWRIMAN"))
OTHERS = frozenset({"AGR", "ACK", "ISW", "EXC", "ISR", "ISA", "DWR", "LIC"})
"""Transactions that register no work of the sender: counted, and passed over."""
_COUNTRIES = "040AT056BE124CA208DK246FI250FR276DE372IE380IT392JP036AU076BR"
_COUNTRIES += "484MX528NL554NZ578NO616PL620PT724ES752SE756CH826GB840US"
TERRITORIES = {code[:3].lstrip("0"): code[3:] for code in re.findall(".....", _COUNTRIES)} | {"2136": WORLD}
"""Territories of the TIS that are one of ISO 3166."""


REGISTRATIONS = frozenset({"NWR", "REV", "WRK"})


@dataclass(frozen=True)
class CwrRow:
    """A recording or work of a transaction, or what is wrong with a line."""

    number: int
    raw: dict[str, str]
    problems: tuple[Problem, ...]
    given: dict[str, Any] | None

    def record(self) -> RecordingRecord | None:
        """The record; None when a problem is an error."""
        return None if self.given is None else RecordingRecord(**self.given)


@dataclass
class _Transaction:
    line: int
    head: dict[str, str]
    third: bool = False
    """Whether it is in CWR 3."""
    records: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def rows(path: Path) -> Iterator[CwrRow]:
    """The recordings and works of a message.  Raises `InvalidError` where it cannot be read at all or ends early."""
    message = _Message()
    for number, text in _lines(path):
        yield from message.line(number, text)
    yield from message.finish()
    if not message.ended:
        raise InvalidError(
            "The message ends without its trailer TRL: it is cut off.",
            remedy="Send the whole file again.",
            code="cut-off",
        )


class _Message:
    """Where the reading stands: the transaction that is open, and what was counted."""

    def __init__(self) -> None:
        self.counts = {"groups": 0, "transactions": 0, "records": 0}
        self.group = {"transactions": 0, "records": 0}
        self.current: _Transaction | None = None
        self.seen: dict[str, int] = {}
        self.ended = False
        self.fields, self.passed = FIELDS, PASSED

    def finish(self) -> Iterator[CwrRow]:
        """The rows of the open transaction."""
        if self.current is not None:
            yield from _finish(self.current, self.seen)
        self.current = None

    def line(self, number: int, text: str) -> Iterator[CwrRow]:
        """Read one record; the rows that it completes."""
        kind = text[:3]
        if self.ended or (self.counts["records"] == 0) != (kind == "HDR"):
            remedy = "send one message a file, that begins with HDR and ends with TRL."
            yield _wrong(number, text, "record-order", remedy)
            return
        if kind in {"HDR", "GRH"}:
            self._version(number, kind, text)
        self.counts["records"] += 1
        self.group["records"] += 1
        values = {name: text[at - 1 : at - 1 + size].strip() for name, (at, size) in self.fields.get(kind, {}).items()}
        if kind in REGISTRATIONS & self.fields.keys() or kind in OTHERS:
            yield from self.finish()
            self.counts["transactions"] += 1
            self.group["transactions"] += 1
            self.current = None if kind in OTHERS else _Transaction(number, values, self.fields is FIELDS_3)
        elif kind in {"GRH", "GRT", "TRL"}:
            yield from self.finish()
            yield from self._frame(number, text, values)
        elif kind in self.fields or kind in self.passed:
            self._detail(number, kind, values)
        else:
            wrong = _wrong(number, text, "record-type", "write a record type of this version of CWR.")
            if self.current is None:
                yield wrong
            else:
                self.current.problems += wrong.problems

    def _version(self, number: int, kind: str, text: str) -> None:
        """Which columns count: CWR 3 says in its header and again in each group that it is CWR 3."""
        told = text[102:105] if kind == "HDR" else text[11:16].lstrip("0")
        if not told.startswith("3."):
            if kind == "GRH" and self.fields is FIELDS_3:
                problem = f"Line {number}: a group of version {shown(told)!r} in a message of CWR 3."
                raise InvalidError(problem, remedy="Send it in a message of its own.", code="cwr-version")
            return
        if told[:3] not in {"3.0", "3.1"}:
            problem = f"Line {number}: the message is in CWR {shown(told)}."
            raise InvalidError(problem, remedy="Send it as CWR 2.1, 2.2 or 3.0.", code="cwr-version")
        if kind == "GRH" and self.fields is FIELDS and self.counts["groups"]:
            problem = f"Line {number}: a group of CWR 3 in a message of CWR 2."
            raise InvalidError(problem, remedy="Send it in a message of its own.", code="cwr-version")
        self.fields, self.passed = FIELDS_3, PASSED_3

    def _frame(self, number: int, text: str, values: dict[str, str]) -> Iterator[CwrRow]:
        if text.startswith("GRH"):
            self.counts["groups"] += 1
            self.group = {"transactions": 0, "records": 1}
            return
        self.ended = text.startswith("TRL")
        yield from _counted(number, text, values, self.counts if self.ended else self.group)

    def _detail(self, number: int, kind: str, values: dict[str, str]) -> None:
        if self.current is None:
            return
        self.current.records.append((number, kind, values))
        if len(self.current.records) > MOST_RECORDS:
            problem = f"Line {number}: the transaction has more than {MOST_RECORDS:,} records."
            raise InvalidError(problem, remedy="Divide it.", code="too-many-records")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise InvalidError(
                    f"Line {number} is longer than any record of CWR.",
                    remedy="End each record with a line break.",
                    code="long-line",
                )
            line = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n\x1a")
            if not line.strip():
                continue
            try:
                yield number, line.decode()
            except UnicodeDecodeError:
                yield number, line.decode("latin-1")


def _wrong(number: int, text: str, rule: str, remedy: str) -> CwrRow:
    told = Problem("record", shown(text[:60]), rule, f"Line {number}: {remedy}")
    return CwrRow(number, {"record": shown(text, 1000)}, (told,), None)


def _counted(number: int, text: str, told: dict[str, str], counts: dict[str, int]) -> Iterator[CwrRow]:
    for name, count in counts.items():
        if told.get(name, "") != f"{count:0{len(told.get(name, ''))}d}":
            remedy = f"{text[:3]} says {shown(told.get(name, ''))!r} {name}, there are {count}: look for lost lines."
            yield _wrong(number, text, "count", remedy)
            return


class _Reader:
    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def error(self, line: int, name: str, value: str, rule: str, remedy: str, severity: Any = "error") -> None:
        self.problems.append(Problem(name, shown(value), rule, f"Line {line}: {remedy}", severity))

    def text(self, line: int, name: str, value: str) -> str:
        found = clean(value)
        if found.refused:
            self.error(line, name, value, found.rule or "text", found.remedy)
            return ""
        if found.rule:
            self.error(line, name, value, found.rule, found.remedy, "warning")
        if why := homograph(found.text):
            self.error(line, name, value, "homograph", why, "warning")
        return found.text.strip()

    def code(self, line: int, name: str, value: str, check: Callable[[str], str]) -> str:
        if not value.strip("0"):
            return ""
        try:
            return check(value)
        except InvalidError as error:
            self.error(line, name, value, error.code, error.remedy or error.message)
            return ""


def _plain_iswc(text: str) -> str:
    return iswc(text).replace("-", "").replace(".", "")


def _finish(found: _Transaction, seen: dict[str, int]) -> Iterator[CwrRow]:
    """The rows of one transaction: one for each ISRC, else one for the work."""
    reader = _Reader(found.problems)
    head, line = found.head, found.line
    if found.third:
        _as_owned(found, reader)
    title = reader.text(line, "work_title", head["title"])
    if not title and not head["title"]:
        reader.error(line, "work_title", "", "missing", "write the title of the work.")
    writers, shares, total = _owners(found, reader)
    performers: list[str] = []
    recordings: list[tuple[int, dict[str, str]]] = []
    for number, kind, values in found.records:
        if not found.third and kind in {"SPT", "SWT"} and values["tis"].lstrip("0") not in TERRITORIES:
            remedy = "this territory is no single country known here; ownership is taken for the world."
            reader.error(number, "territory", values["tis"], "territory", remedy, "warning")
        elif kind == "PER":
            performers.append(reader.text(number, "artist", f"{values['first']} {values['name']}".strip()))
        elif kind == "REC" and values["isrc"]:
            recordings.append((number, values))
    if total * PPM != WHOLE:
        what = "collection shares of the world" if found.third else "ownership shares"
        remedy = f"the MR {what} have {total / 100:g} % together: correct them to 100."
        reader.error(line, "shares", f"{total / 100:g}", "shares-sum", remedy)
    common: dict[str, Any] = {
        "iswc": reader.code(line, "iswc", head["iswc"], _plain_iswc),
        "work_reference": reader.text(line, "work_reference", head["reference"]),
        "work_title": title,
        "composer": "; ".join(dict.fromkeys(filter(None, writers)))[:300],
        "shares": tuple(shares),
    }
    artist = "; ".join(dict.fromkeys(filter(None, performers)))[:300]
    if not recordings:
        yield _made(line, head, reader.problems, {**common, "kind": "work", "title": title, "artist": artist})
    for number, values in recordings:
        own = _Reader(list(reader.problems))
        code = own.code(number, "isrc", values["isrc"], isrc)
        if not code and values["isrc"] and not values["isrc"].strip("0"):
            own.error(number, "isrc", values["isrc"], "isrc", "write the ISRC, or leave it empty.")
        if code and seen.setdefault(code, number) != number:
            own.error(number, "isrc", code, "twice", f"line {seen[code]} has it already.")
        album = own.text(number, "release.title", values.get("album", ""))
        given = {
            **common,
            "isrc": code,
            "title": own.text(number, "title", values["title"]) or title,
            "artist": own.text(number, "artist", values["artist"]) or artist,
            "duration_ms": _duration(own, number, values["duration"]),
        }
        if album:
            label = own.text(number, "release.label", values["label"])
            given["release"] = ReleaseRecord(title=album, label=label)
        yield _made(number, {**head, **values}, own.problems, given)


def _as_owned(found: _Transaction, reader: _Reader) -> None:
    """Give each party of CWR 3 what it collects in the world; tell where that says nothing of who owns."""
    party: dict[str, str] | None = None
    for number, kind, values in found.records:
        if kind in PARTIES:
            digits = values["numbers"].partition("I-")[0].strip()
            values["ipi"] = digits[9:] if len(digits) == 20 else digits[:11]
            values["mr"] = "0"
            party = values
        elif kind in COLLECTIONS and values["mr"].strip("0"):
            if party is None:
                reader.error(number, "shares", values["mr"], "record-order", "write whose share it is before it.")
            elif values["tis"].lstrip("0") != "2136" or values["mode"] != "I":
                remedy = "this share is not of the world, and does not say who owns: send CWR 2.2 or a table."
                reader.error(number, "territory", f"{values['mode']}{values['tis']}", "collects", remedy)
            elif party["role"] in AGENTS:
                remedy = "it collects for others, and the message does not say who owns: send CWR 2.2 or a table."
                reader.error(number, "shares", party["name"], "collects", remedy)
            elif party["mr"] == "0":
                party["mr"] = values["mr"]
            else:
                reader.error(number, "shares", values["mr"], "twice", "write one share of the world for each party.")


def _owners(found: _Transaction, reader: _Reader) -> tuple[list[str], list[ShareRecord], int]:
    """Names of the writers, the shares of all, and their sum in hundredths of a percent."""
    writers: list[str] = []
    shares: list[ShareRecord] = []
    total = 0
    for number, kind, values in found.records:
        if kind not in PARTIES:
            continue
        name = reader.text(number, "shares", f"{values.get('first', '')} {values['name']}".strip())
        if kind in {"SWR", "OWR"} and name:
            writers.append(name)
        part = values["mr"] or "0"
        if not (part.isascii() and part.isdigit()) or int(part) > 10_000:
            reader.error(number, "shares", part, "percent", "write the MR share in hundredths of a percent.")
            continue
        code = reader.code(number, "shares", values["ipi"], ipi)
        total += int(part)
        if int(part):
            party = PartyRecord(name=name or f"Unknown ({kind} {values['ip'] or number})", ipi=code or None)
            shares.append(ShareRecord(party=party, side="publishing", ppm=int(part) * PPM, territory=WORLD))
    return writers, shares, total


def _made(number: int, raw: dict[str, str], problems: list[Problem], given: dict[str, Any]) -> CwrRow:
    bad = any(problem.severity == "error" for problem in problems)
    cells = {name: shown(value, 1000) for name, value in raw.items()}
    return CwrRow(number, cells, tuple(problems), None if bad else given)


def _duration(reader: _Reader, number: int, text: str) -> int | None:
    if not text.strip("0"):
        return None
    if not (len(text) == 6 and text.isascii() and text.isdigit() and text[2] < "6" and text[4] < "6"):
        reader.error(number, "duration", text, "duration", "write the duration as hhmmss.")
        return None
    return (int(text[:2]) * 3600 + int(text[2:4]) * 60 + int(text[4:])) * 1000
