"""A folder or ZIP of audio as rows of a catalog: what the tags of each file say, checked as a table's cells are.

Where a file has no title its name has to do.  Files that are no music (covers, lists, what systems
leave behind) are passed over; what calls itself music and is none is a row to correct.
"""

from __future__ import annotations

import lzma
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from stemma.catalog.record import Problem, Row
from stemma.catalog.table import Table, TableRow
from stemma.catalog.text import shown
from stemma.errors import InvalidError
from stemma.music.form import SOUNDS, form_of, open_zip

MOST_BYTES = 2 * 1024**3
"""Bytes of one file of sound."""
MOST_FILES = 100_000
MOST_RATIO = 200
"""How many times its packed size a file may unpack to: digital silence as WAV reaches that, music never."""
MUSIC = {".wav", ".wave", ".flac", ".mp3", ".aif", ".aiff", ".aifc", ".ogg", ".oga", ".opus", ".bwf"}
"""Names by which a file calls itself music; its content decides whether it is."""

UNPACKING = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, RuntimeError, NotImplementedError),
    *(EOFError, ValueError),
)
"""What unpacking meets in a broken archive."""

_TAGS: dict[str, tuple[str, ...]] = {
    "title": ("TIT2", "title"),
    "artist": ("TPE1", "artist"),
    "isrc": ("TSRC", "isrc"),
    "release_title": ("TALB", "album"),
    "release_artist": ("TPE2", "albumartist", "album artist"),
    "upc": ("TXXX:BARCODE", "TXXX:UPC", "barcode", "upc", "ean/upn"),
    "label": ("TPUB", "organization", "label", "publisher"),
    "released_on": ("TDRL", "TDRC", "date"),
    "track": ("TRCK", "tracknumber"),
    "composer": ("TCOM", "composer"),
    "iswc": ("TXXX:ISWC", "iswc"),
}
"""Where each field stands: frames of ID3 (MP3, WAV, AIFF), comments of FLAC and Ogg."""
FIELDS = (*_TAGS, "duration_ms", "audio_file")
_BREAKS = (struct.error, ValueError, KeyError, IndexError, OverflowError, ZeroDivisionError, EOFError, MemoryError)


def tags_of(path: Path) -> dict[str, str]:
    """What the tags of a sound say, by field of a record, and its length in milliseconds as its header says.

    A file without tags, or with broken ones, says nothing.
    """
    import mutagen

    try:
        file = mutagen.File(path)
    except (mutagen.MutagenError, OSError, *_BREAKS):
        return {}
    if file is None:
        return {}
    found = {field: text for field, names in _TAGS.items() if (text := _text(file.tags, names))}
    found["track"] = re.split(r"[/ ]", found.get("track", ""))[0]
    found["released_on"] = found.get("released_on", "")[:10] if len(found.get("released_on", "")) >= 10 else ""
    length = float(getattr(file.info, "length", 0) or 0)
    if 0 < length < 1e6:
        found["duration_ms"] = str(round(1000 * length))
    return {field: text for field, text in found.items() if text}


def _text(tags: Any, names: tuple[str, ...]) -> str:
    for name in names:
        try:
            value = tags.get(name) if tags is not None else None
        except _BREAKS:
            continue
        if value:
            first = getattr(value, "text", value)
            return str(first[0] if isinstance(first, list) and first else first).strip()[:1000]
    return ""


def title_of(name: str) -> str:
    """A title out of a file's name: without its ending, its number in front, its underscores."""
    stem = PurePosixPath(name.replace("\\", "/")).stem.replace("_", " ")
    return re.sub(r"^\s*(\d{1,3}[-.\s]\s*)?\d{1,3}\s*[-.)]?\s+(?=\S)", "", stem).strip() or stem


def rows(path: Path) -> Iterator[Row]:
    """The files of a folder or a ZIP, each a row."""
    table = Table(FIELDS, {field: field for field in FIELDS})
    for number, (name, file) in enumerate(_files(path), start=1):
        yield _row(table, number, name, file)


def _row(table: Table, number: int, name: str, file: Path | None) -> Row:
    base = PurePosixPath(name).name
    if file is None:
        return _broken(table, number, name, "It cannot be unpacked, or unpacks to more than it should.")
    try:
        if form_of(file) not in SOUNDS:
            return _broken(table, number, name, "This is no sound: bring scores by themselves.")
    except InvalidError as error:
        return _broken(table, number, name, f"{error.message} {error.remedy}")
    said = tags_of(file)
    said = {"title": title_of(base), "audio_file": base} | said
    (row,) = table.rows([[said.get(field, "") for field in FIELDS]], first=number)
    return row


def _broken(table: Table, number: int, name: str, remedy: str) -> Row:
    problem = Problem("audio_file", shown(name, 200), "no-music", remedy)
    return TableRow(number, table.headings, ["" for _ in FIELDS], {}, 0, (problem,))


def _files(path: Path) -> Iterator[tuple[str, Path | None]]:
    """Every file that calls itself music, and where it lies; None for one that cannot be unpacked."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and not file.is_symlink() and wanted(str(file.relative_to(path))):
                yield str(file.relative_to(path)), file
        return
    with tempfile.TemporaryDirectory() as folder, packed(path) as members:
        into = Path(folder) / "file"
        for name, unpack in members:
            try:
                unpack(into)
            except InvalidError:
                yield name, None
            else:
                yield name, into


def wanted(name: str) -> bool:
    """Whether a file of this name calls itself music, and is none that a system has left behind."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    hidden = any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in parts)
    return not hidden and PurePosixPath(parts[-1] if parts else "").suffix.lower() in MUSIC


Member = tuple[str, Callable[[Path], None]]
"""A file of an archive: its name, and a function that unpacks it to a path of ours."""


@contextmanager
def packed(path: Path, *, names: Callable[[str], bool] = wanted) -> Iterator[list[Member]]:
    """The files of a ZIP whose names are wanted.  Names never become paths.

    Raises `InvalidError` for a broken archive or one with too many files.
    """
    with open_zip(path) as archive:
        infos = archive.infolist()
        if len(infos) > MOST_FILES:
            raise InvalidError(
                f"The archive holds more than {MOST_FILES:,} files.", remedy="Bring it in parts.", code="too-many-files"
            )
        # A name may be empty, which `is_dir` does not expect.
        kept = [info for info in infos if info.filename and not info.is_dir() and names(info.filename)]
        yield [(info.filename, partial(_unpack, archive, info)) for info in kept]


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, into: Path) -> None:
    """Write a file out, never more than allowed, whatever its header says."""
    most = min(MOST_BYTES, max(1024 * 1024, MOST_RATIO * info.compress_size))
    written = 0
    try:
        with archive.open(info) as file, into.open("wb") as out:
            while piece := file.read(1024 * 1024):
                written += len(piece)
                if written > most:
                    raise InvalidError("It would unpack to far more than it should.", code="archive-bomb")
                out.write(piece)
    except UNPACKING as error:
        raise InvalidError(
            "It cannot be unpacked.", remedy="Pack it anew, without a password.", code="broken"
        ) from error
