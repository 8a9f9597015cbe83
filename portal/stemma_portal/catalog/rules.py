"""What a record must fulfil before it enters the catalog; each rule says which field, and what to do."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stemma.catalog.record import RecordingRecord
from stemma.errors import InvalidError
from stemma.rights.identifiers import ipi, isrc, iswc
from stemma.rights.shares import Share, check_shares
from stemma_portal.core.fields import is_id

_NEEDED = ("work_title", "style", "tempo", "key", "duration_ms", "midi_sha256")
_NEEDED += ("audio_sha256", "loudness_lufs", "source")
_LONGEST = {"region": 100, "collection": 200, "source.name": 300, "source.license": 5000, "source.note": 5000}


class Rejection(BaseModel):
    """A record that was not taken."""

    model_config = ConfigDict(frozen=True)

    row: int
    """Its place among the records sent, from 0."""
    id: str | None
    field: str
    rule: str
    remedy: str


class RuleError(Exception):
    """A record breaks a rule."""

    def __init__(self, field: str, rule: str, remedy: str) -> None:
        super().__init__(rule)
        self.field, self.rule, self.remedy = field, rule, remedy


def parse(record: Any) -> RecordingRecord:
    """The record in its one type.  Raises `RuleError` for the first rule it breaks."""
    check_text("", record)
    try:
        parsed = RecordingRecord.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RuleError(field, first["type"], f"{first['msg']}.") from None
    _check_complete(parsed)
    _check_identifiers(parsed)
    _check_numbers(parsed)
    _check_lengths(parsed)
    _check_owners(parsed)
    return parsed


def rejection(row: int, record: Any, error: RuleError) -> Rejection:
    """How a broken rule is told to whoever sent the record."""
    identifier = record.get("id") if isinstance(record, dict) else None
    shown = identifier if isinstance(identifier, str) and identifier.isprintable() else None
    return Rejection(row=row, id=shown, field=error.field, rule=error.rule, remedy=error.remedy)


def check_text(field: str, value: Any) -> None:
    """Refuse what no database can hold: NUL and lone surrogates."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise RuleError(field, "text", "Remove characters that are no text (NUL, lone surrogates).")
        return
    for name, part in _parts(value):
        check_text(f"{field}.{name}".removeprefix("."), part)


def _check_complete(record: RecordingRecord) -> None:
    """What is taken here brings its content with it; a label's own catalog is staged first."""
    for field in _NEEDED:
        if getattr(record, field) in (None, ""):
            raise RuleError(field, "missing", "Field required.")


def _check_identifiers(record: RecordingRecord) -> None:
    named = [("id", record.id), ("work_id", record.work_id)]
    named += [(f"shares.{i}.party.id", share.party.id) for i, share in enumerate(record.shares)]
    for field, value in named:
        if not is_id(value):
            raise RuleError(field, "uuid", "Write the identifier as a UUID in lower case, with hyphens.")
    _holds("isrc", isrc, record.isrc)
    _holds("iswc", iswc, record.iswc)
    for i, share in enumerate(record.shares):
        if share.party.ipi:
            _holds(f"shares.{i}.party.ipi", ipi, share.party.ipi)
        if share.party.isni and not (len(share.party.isni) == 16 and share.party.isni[:15].isdigit()):
            raise RuleError(f"shares.{i}.party.isni", "isni", "Write the ISNI as sixteen characters without spaces.")


def _holds(field: str, check: Any, value: str) -> None:
    try:
        check(value)
    except InvalidError as error:
        raise RuleError(field, error.code, f"{error.message} {error.remedy}") from None


def _check_numbers(record: RecordingRecord) -> None:
    for field, number in (("tempo", record.tempo), ("loudness_lufs", record.loudness_lufs)):
        if not math.isfinite(number):
            raise RuleError(field, "finite", "Write a finite number.")
    if record.duration_ms > 24 * 3600 * 1000:
        raise RuleError("duration_ms", "range", "A recording lasts at most 24 hours.")
    if record.year is not None and not -5000 <= record.year <= 9999:
        raise RuleError("year", "range", "Write the year with at most four digits.")
    if any(not 0 <= peak <= 255 for peak in record.peaks):
        raise RuleError("peaks", "range", "Write peaks from 0 to 255.")


def _check_lengths(record: RecordingRecord) -> None:
    for field, longest in _LONGEST.items():
        value: Any = record
        for name in field.split("."):
            value = getattr(value, name)
        if len(value) > longest:
            raise RuleError(field, "too-long", f"Write at most {longest} characters.")
    if len(record.instruments) > 64 or any(len(name) > 100 for name in record.instruments):
        raise RuleError("instruments", "too-long", "Name at most 64 instruments, each with at most 100 characters.")


def _check_owners(record: RecordingRecord) -> None:
    if not record.shares:
        raise RuleError("shares", "shares-missing", "Say who owns the master and the publishing side.")
    keys = [(share.party.id, share.side, share.territory) for share in record.shares]
    if len(set(keys)) < len(keys):
        raise RuleError("shares", "share-twice", "Write one share per party, side and territory.")
    try:
        check_shares([Share(party=s.party.id, side=s.side, ppm=s.ppm, territory=s.territory) for s in record.shares])
    except ValidationError:
        raise RuleError("shares", "territory", "Write WORLD or a country code of two capital letters.") from None
    except InvalidError as error:
        raise RuleError("shares", error.code, f"{error.message} {error.remedy}") from None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, Sequence) and not isinstance(value, bytes) and not all(type(v) is int for v in value):
        yield from ((str(i), part) for i, part in enumerate(value))
