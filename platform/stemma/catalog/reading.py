"""Files of a catalog as rows: what a file is by its content, and the reader for it.

Every reader is a generator in constant memory.  A file that cannot be read at all raises
`InvalidError`; a row that is wrong is a row with problems and does not end the reading.
"""

from __future__ import annotations

import codecs
import csv
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Literal

from stemma.catalog import columns
from stemma.catalog.record import Row
from stemma.catalog.table import MOST_CELLS, Table
from stemma.catalog.text import shown, undefuse
from stemma.errors import InvalidError
from stemma.music.form import open_zip

Format = Literal["csv", "xlsx", "ern", "cwr", "audio", "batch"]

LONGEST_LINE = 1024 * 1024
"""Bytes between two line ends."""
LONGEST_CELL = 64 * 1024
MOST_UTF16 = 64 * 1024 * 1024
MOST_UNPACKED = 512 * 1024 * 1024
"""Bytes that a spreadsheet may unpack to."""
MOST_RATIO = 200
"""How many times its own size a part of a spreadsheet may unpack to."""
CHUNK = LONGEST_LINE // 2


@dataclass(frozen=True)
class Headings:
    """What a table says of itself: its columns, and what they were guessed to mean."""

    format: Format
    headings: tuple[str, ...]
    guess: Mapping[str, str]
    sample: tuple[tuple[str, ...], ...]
    """The first rows, for a person who says what the columns mean."""
    encoding: str = "utf-8"
    note: str = ""
    """What a person should know of how the file was read."""


def sniff(path: Path) -> Format:
    """What a file is, by its content.  Raises `InvalidError` for what is none of the formats."""
    if path.is_dir():
        return _heap(path)
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"PK\x03\x04"):
        with _zip(path) as archive:
            names = set(archive.namelist())
        if "[Content_Types].xml" in names and any(n.startswith("xl/") for n in names):
            return "xlsx"
        return _heap(path)
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start.startswith(b"<"):
        return "ern"
    if start.startswith(b"HDR") and b"," not in head[:60]:
        return "cwr"
    if not head:
        raise InvalidError("The file is empty.", remedy="Choose the file again.", code="empty")
    if b"\x00" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidError(
            "This is neither a table, nor an ERN or CWR message, nor a ZIP.",
            remedy="Bring CSV, XLSX, DDEX ERN or CWR, or a ZIP of audio or of an ERN batch.",
            code="unknown-format",
        )
    return "csv"


def _heap(path: Path) -> Format:
    from stemma.catalog import batch

    return "batch" if batch.is_batch(path) else "audio"


def is_table(found: Format) -> bool:
    """Whether a format has columns, whose meaning is chosen or guessed."""
    return found in _TABLES


def headings(path: Path) -> Headings:
    """The columns of a table, and a guess of what they mean."""
    found = sniff(path)
    if found not in _TABLES:
        raise InvalidError("This file has no columns to choose from.", remedy="Its format says what is what.")
    cells, encoding, note = _TABLES[found](path)
    first = _first(cells)
    sample = []
    for row in cells:
        sample.append(tuple(shown(cell, 60) for cell in row[: len(first)]))
        if len(sample) == 5:
            break
    return Headings(found, first, columns.guess(first), tuple(sample), encoding, note)


def open_rows(path: Path, *, mapping: Mapping[str, str] | None = None) -> tuple[Format, Iterator[Row]]:
    """The format of a file and its rows.

    `mapping` says which field each heading of a table means; where there is none it is guessed.
    Raises `InvalidError` where the file cannot be read or the mapping does not fit it.
    """
    found = sniff(path)
    if found in _TABLES:
        cells, _, _ = _TABLES[found](path)
        first = _first(cells)
        table = Table(first, columns.guess(first) if mapping is None else mapping)
        return found, table.rows(cells)
    return found, READERS[found](path)


def _ern(path: Path) -> Iterator[Row]:
    from stemma.catalog import ern

    return ern.rows(path)


def _cwr(path: Path) -> Iterator[Row]:
    from stemma.catalog import cwr

    return cwr.rows(path)


def _audio(path: Path) -> Iterator[Row]:
    from stemma.catalog import tags

    return tags.rows(path)


def _batch(path: Path) -> Iterator[Row]:
    from stemma.catalog import batch

    return batch.rows(path)


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {"ern": _ern, "cwr": _cwr, "audio": _audio, "batch": _batch}
"""Readers of the formats that need no mapping, by format."""


Cells = Iterator[Sequence[str]]


def _first(cells: Cells) -> tuple[str, ...]:
    """The row of headings.  Columns without one are named by their letter."""
    for row in cells:
        if any(cell.strip() for cell in row):
            break
    else:
        raise InvalidError("The table has no row of headings.", remedy="Begin it with one.", code="no-headings")
    if len(row) > MOST_CELLS:
        raise InvalidError(
            f"The table has {len(row):,} columns; at most {MOST_CELLS:,} are read.",
            remedy="Leave out the columns that say nothing of recordings.",
            code="too-many-columns",
        )
    names: list[str] = []
    for i, cell in enumerate(row):
        name = shown(undefuse(cell.strip()), 100) or f"column {i + 1}"
        names.append(name if name not in names else f"{name} ({i + 1})")
    while len(names) > 1 and names[-1] == f"column {len(names)}":
        names.pop()
    return tuple(names)


# --- CSV ------------------------------------------------------------------------------------------


def _csv(path: Path) -> tuple[Cells, str, str]:
    encoding, note = _encoding(path)
    delimiter = _delimiter(path, encoding)
    return _csv_cells(path, encoding, delimiter), encoding, note


def _csv_cells(path: Path, encoding: str, delimiter: str) -> Cells:
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            yield from reader
        except (csv.Error, UnicodeError) as error:
            raise InvalidError(
                f"The table cannot be read further than line {reader.line_num}: {error}.",
                remedy="Look there for a quotation mark without its pair, or save the file anew as CSV in UTF-8.",
                code="broken-table",
            ) from error


def _encoding(path: Path) -> tuple[str, str]:
    """In which encoding the whole file reads, and what to tell of it.  No line may be longer than allowed."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8 = True
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            if path.stat().st_size > MOST_UTF16:
                raise InvalidError("A table in UTF-16 is read up to 64 MiB.", remedy="Save it as UTF-8.", code="size")
            _decodes(path, "utf-16", "The file says that it is in UTF-16, and is not.")
            return "utf-16", ""
        file.seek(0)
        while chunk := file.read(CHUNK):
            if len(chunk) == CHUNK and b"\n" not in chunk and b"\r" not in chunk:
                raise InvalidError(
                    "A line of the file is longer than half a mebibyte: this is no table.",
                    remedy="Save it anew as CSV, with one recording in each line.",
                    code="long-line",
                )
            if utf8:
                try:
                    decoder.decode(chunk, final=len(chunk) < CHUNK)
                except UnicodeDecodeError:
                    utf8 = False
    if utf8:
        return "utf-8-sig", ""
    _decodes(path, "cp1252", "The file is neither in UTF-8 nor in Windows-1252.")
    return "cp1252", "The file is not in UTF-8; it was read as Windows-1252. Look whether accents are right."


def _decodes(path: Path, encoding: str, otherwise: str) -> None:
    """Raise `InvalidError` with these words unless the whole file can be read so."""
    try:
        with path.open(encoding=encoding, newline="") as text:
            while text.read(CHUNK):
                pass
    except UnicodeError as error:
        raise InvalidError(otherwise, remedy="Save it anew, as “CSV UTF-8”.", code="encoding") from error


def _delimiter(path: Path, encoding: str) -> str:
    """The separator: the one that gives the first line the most columns."""
    with path.open(encoding=encoding, newline="") as file:
        line = ""
        while not line.strip():
            line = file.readline(LONGEST_LINE)
            if not line:
                return ","
    counts = {mark: _cells_of(line, mark) for mark in ",;\t|"}
    return max(counts, key=lambda mark: counts[mark])


def _cells_of(line: str, mark: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=mark), []))
    except csv.Error:  # a cell that is too long, or a quotation mark where none may be
        return 0


# --- XLSX -----------------------------------------------------------------------------------------


def _xlsx(path: Path) -> tuple[Cells, str, str]:
    _unpackable(path)
    return _xlsx_cells(path), "", ""


def _xlsx_cells(path: Path) -> Cells:
    import openpyxl

    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            for row in book.worksheets[0].iter_rows(values_only=True):
                yield [_cell(value) for value in row]
    except InvalidError:
        raise
    except Exception as error:  # whatever the library meets in a broken file
        raise InvalidError(
            f"The spreadsheet cannot be read: {shown(str(error), 100)}.",
            remedy="Save it anew as .xlsx, or as CSV.",
            code="broken-spreadsheet",
        ) from error


def _cell(value: Any) -> str:
    return next((write(value) for kind, write in _WRITTEN if isinstance(value, kind)), str(value))


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _moment(value: datetime) -> str:
    return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")


def _clock(value: time) -> str:
    """A spreadsheet takes 3:45 for a quarter to four: what it calls hours and minutes are minutes and seconds."""
    return value.isoformat() if value.second else f"{value.hour}:{value.minute:02d}"


_WRITTEN: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (str, lambda value: value[: LONGEST_CELL + 1]),
    (type(None), lambda _: ""),
    (bool, lambda value: "yes" if value else "no"),
    (float, _number),
    (datetime, _moment),
    (date, date.isoformat),
    (time, _clock),
)
"""How a spreadsheet's values are written as text; the first kind that fits counts."""


def _zip(path: Path) -> zipfile.ZipFile:
    """The archive, unless what it says of itself is absurd."""
    archive = open_zip(path, remedy="Pack or save it anew.")
    infos = archive.infolist()
    if len(infos) > 100_000:
        archive.close()
        raise InvalidError(
            "The archive holds more than 100,000 files.", remedy="Bring it in parts.", code="too-many-files"
        )
    return archive


def _unpackable(path: Path) -> None:
    with _zip(path) as archive:
        infos = archive.infolist()
        total = sum(info.file_size for info in infos)
        bomb = any(info.file_size > 1024 * 1024 and info.file_size > MOST_RATIO * info.compress_size for info in infos)
    if total > MOST_UNPACKED or bomb:
        raise InvalidError(
            "The spreadsheet would unpack to far more than it should.",
            remedy="Save it anew, or bring it as CSV.",
            code="archive-bomb",
        )


_TABLES: dict[str, Callable[[Path], tuple[Cells, str, str]]] = {"csv": _csv, "xlsx": _xlsx}
