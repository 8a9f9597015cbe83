"""ERN batches with their resources, as a folder or a ZIP: messages one after another, each with its sounds beside it.

    N_20261126120000000/                        the batch
        A10301A0000000001X/                     a release
            A10301A0000000001X.xml              its NewReleaseMessage
            resources/EX-1.wav                  what the message names
        BatchComplete_20261126120000000.xml     the ManifestMessage, which may be missing

(Electronic Release Notification Message Suite, part 3: choreographies, file server organisation.)  The outer
folder may be missing, and folders may be called anything: a message is known by its content, and a resource is
looked for where its message says, in `resources/` beside it, and beside it.  Names are only compared with each
other; they never become paths.  Nothing is fetched.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from lxml import etree

from stemma.catalog import ern
from stemma.catalog.record import Problem, RecordingRecord
from stemma.catalog.tags import MOST_FILES, UNPACKING, packed
from stemma.catalog.text import shown
from stemma.errors import InvalidError
from stemma.music.form import SOUNDS, form_of, open_zip

MOST_UNPACKED = 64 * 1024**3
"""Bytes that a batch may hold."""
HEAD = 4096
_MESSAGE = re.compile(rb"<(?:[\w.-]+:)?(?:NewReleaseMessage|PurgeReleaseMessage)[\s>/]")
_MANIFEST = re.compile(rb"<(?:[\w.-]+:)?ManifestMessage[\s>/]")
_HASHES = {"MD5": "md5", "SHA": "sha1", "SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}
"""Algorithms of the standard (allowed values, HashSumAlgorithmType) that are checked; others are passed over."""
_ARCHIVES = {".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar"}

Lying = Callable[[Path], Path]
"""Where a file lies; one of an archive is first unpacked to the path that is given."""


class BatchRow(NamedTuple):
    """One sound recording of a message of the batch (`stemma.catalog.record.Row`)."""

    number: int
    raw: dict[str, str]
    problems: tuple[Problem, ...]
    row: ern.ErnRow | None
    resource: str = ""
    """The name of its sound in the batch, where it is there and is what the message says."""

    def record(self) -> RecordingRecord | None:
        """The record; None when a problem is an error."""
        if self.row is None or any(problem.severity == "error" for problem in self.problems):
            return None
        return self.row.record()


def is_batch(path: Path) -> bool:
    """Whether a folder or archive holds a release message.  Raises `InvalidError` for a broken archive."""
    if path.is_dir():
        return any(_MESSAGE.search(_head(file)) for file in _xml_in(path))
    with open_zip(path) as archive:
        names = [info for info in archive.infolist()[:MOST_FILES] if info.filename.lower().endswith(".xml")]
        return any(_MESSAGE.search(_packed_head(archive, info)) for info in names)


def rows(path: Path) -> Iterator[BatchRow]:
    """The sound recordings of all messages, in the order of their names.

    A message that cannot be read is a row to correct, and takes no other along.  Raises `InvalidError` for
    an archive that is broken, encrypted, too large, or holds archives or names that leave it.
    """
    with tempfile.TemporaryDirectory() as scratch, lying(path) as files:
        reading = _Reading(files, Path(scratch))
        for name in sorted(files):
            if name.lower().endswith(".xml"):
                yield from reading.file(name)
        yield from reading.finish()


@contextmanager
def lying(path: Path) -> Iterator[Mapping[str, Lying]]:
    """The files of a batch by their names within it."""
    if path.is_dir():
        yield {str(file.relative_to(path)): _there(file) for file in _files_in(path)}
        return
    _refuse(path)
    with packed(path, names=lambda _: True) as members:
        yield {_plain(name): _unpacking(write) for name, write in members}


def _there(file: Path) -> Lying:
    return lambda _: file


def _unpacking(write: Callable[[Path], None]) -> Lying:
    def unpack(into: Path) -> Path:
        write(into)
        return into

    return unpack


def _refuse(path: Path) -> None:
    """Raise `InvalidError` for an archive that no honest sender makes, by what it says of itself."""
    with open_zip(path) as archive:
        infos = archive.infolist()
    if any(info.flag_bits & 1 for info in infos):
        raise InvalidError("The archive is encrypted.", remedy="Pack it anew, without a password.", code="encrypted")
    if sum(info.file_size for info in infos) > MOST_UNPACKED:
        told = f"The batch would unpack to more than {MOST_UNPACKED // 1024**3} GiB."
        raise InvalidError(told, remedy="Bring it in parts.", code="archive-bomb")
    names = [_plain(info.filename) for info in infos]
    for name in names:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or ":" in name.partition("/")[0]:
            told = f"The archive holds a name that leaves it: {shown(name, 100)}."
            raise InvalidError(told, remedy="Pack the folder of the batch itself.", code="path")
        if PurePosixPath(name).suffix.lower() in _ARCHIVES:
            told = f"The archive holds another archive: {shown(name, 100)}."
            raise InvalidError(told, remedy="Pack the files of the batch themselves.", code="nested-archive")
    if len(set(names)) < len(names):
        raise InvalidError("The archive holds one name twice.", remedy="Pack it anew.", code="twice")


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _files_in(path: Path) -> list[Path]:
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.is_symlink()]
    if len(files) > MOST_FILES:
        raise InvalidError(
            f"The folder holds more than {MOST_FILES:,} files.", remedy="Bring it in parts.", code="too-many-files"
        )
    return files


def _xml_in(path: Path) -> list[Path]:
    return [file for file in _files_in(path) if file.suffix.lower() == ".xml"]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD).replace(b"\x00", b"")  # UTF-16 too


def _packed_head(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The first bytes of a member; none where it cannot be unpacked, which is told when it is read."""
    try:
        with archive.open(info) as file:
            return file.read(HEAD).replace(b"\x00", b"")
    except UNPACKING:
        return b""


class _Reading:
    """Where the reading of a batch stands."""

    def __init__(self, files: Mapping[str, Lying], scratch: Path) -> None:
        self.files, self.scratch = files, scratch
        self.folded = {name.casefold(): name for name in files}
        self.number = self.messages = 0
        self.told: int | None = None
        """How many messages the manifest says there are."""
        self.seen: dict[str, str] = {}
        self.looked: dict[tuple[str, str], Problem | None] = {}

    def file(self, name: str) -> Iterator[BatchRow]:
        """The rows of one file of XML; none where it is no message."""
        try:
            path = self.files[name](self.scratch / "message.xml")
            head = _head(path)
            if _MANIFEST.search(head):
                self.told = _messages_told(path)
            elif _MESSAGE.search(head):
                self.messages += 1
                for row in ern.rows(path):
                    yield self._row(name, row)
        except InvalidError as error:
            yield self._wrong(name, error.code, f"{error.message} {error.remedy}")

    def finish(self) -> Iterator[BatchRow]:
        """What is wrong with the batch as a whole."""
        if self.told is not None and self.told > self.messages:
            remedy = f"The manifest says {self.told} messages, there are {self.messages}: look for lost files."
            yield self._wrong(str(self.told), "count", remedy)

    def _wrong(self, value: str, rule: str, remedy: str) -> BatchRow:
        self.number += 1
        problem = Problem("message", shown(value), rule, remedy)
        return BatchRow(self.number, {"message": shown(value, 1000)}, (problem,), None)

    def _row(self, message: str, row: ern.ErnRow) -> BatchRow:
        self.number += 1
        problems, resource = list(row.problems), ""
        code = (row.given or {}).get("isrc", "")
        if code and self.seen.setdefault(code, message) != message:
            remedy = f"The message {shown(self.seen[code], 100)} of this batch has it already: the first one is taken."
            problems.append(Problem("isrc", code, "twice", remedy))
        elif uri := row.found.get("uri", ""):
            resource, problem = self._resource(message, uri, row.found.get("hash", ""))
            if problem is not None:
                problems.append(problem)
        raw = {**row.raw, "message": shown(message, 1000)}
        return BatchRow(self.number, raw, tuple(problems), row, resource)

    def _resource(self, message: str, uri: str, digest: str) -> tuple[str, Problem | None]:
        """The sound that a message names, and what is wrong with it."""
        name = self._find(message, uri)
        if name is None:
            remedy = "This file is not in the batch: bring it on Audio, or send the batch again with it."
            return "", Problem("audio_file", shown(uri), "missing-file", remedy, "warning")
        key = name, digest
        if key not in self.looked:
            self.looked[key] = self._look(name, digest)
        problem = self.looked[key]
        return ("" if problem is not None and problem.severity == "error" else name), problem

    def _find(self, message: str, uri: str) -> str | None:
        beside = PurePosixPath(message).parent
        for said in dict.fromkeys((_plain(uri), _plain(unquote(uri)))):
            base = PurePosixPath(said).name
            for one in (said, f"resources/{base}", base):
                if ".." in PurePosixPath(one).parts:
                    continue
                wanted = str(beside / one.lstrip("/"))
                if found := (wanted if wanted in self.files else self.folded.get(wanted.casefold())):
                    return found
        return None

    def _look(self, name: str, digest: str) -> Problem | None:
        """What is wrong with a sound: that it is none, or not the one whose hash the message tells."""
        try:
            path = self.files[name](self.scratch / "sound")
            if form_of(path) not in SOUNDS:
                raise InvalidError("This is no sound.", remedy="Send WAV, FLAC, AIFF, MP3 or Ogg.", code="no-music")
        except InvalidError as error:
            return Problem("audio_file", shown(name), error.code, f"{error.message} {error.remedy}".strip())
        algorithm, _, value = digest.partition(" ")
        known = _HASHES.get(algorithm.upper().replace("-", ""))
        if not digest:
            return None
        if known is None:
            remedy = f"Its hash by {shown(algorithm, 20)} is not checked: send MD5 or SHA-256."
            return Problem("audio_file", shown(name), "hash", remedy, "warning")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.new(known, usedforsecurity=False)).digest()
        if found in _as_bytes(value):
            return None
        remedy = f"Its {known.upper()} is {found.hex()}, the message says {shown(value, 128)}: send the file again."
        return Problem("audio_file", shown(name), "wrong-hash", remedy)


def _as_bytes(value: str) -> list[bytes]:
    """A hash as bytes, written in hexadecimal or Base64."""
    found = []
    for read in (bytes.fromhex, lambda text: base64.b64decode(text, validate=True)):
        try:
            found.append(read(value))
        except (ValueError, binascii.Error):
            continue
    return found


def _messages_told(path: Path) -> int | None:
    """How many messages the manifest says there are (ManifestMessage, NumberOfMessages)."""
    try:
        with path.open("rb") as file:
            reading: Any = etree.iterparse(
                file, tag="{*}NumberOfMessages", resolve_entities=False, no_network=True, load_dtd=False
            )
            for _, element in reading:
                text = (element.text or "").strip()
                return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    except etree.XMLSyntaxError as error:
        told = f"The manifest is not well-formed: {shown(str(error), 100)}."
        raise InvalidError(told, remedy="Ask its sender for it again.", code="broken-xml") from error
    return None
