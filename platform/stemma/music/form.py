"""What a file of sound or score is, by its content: neither its name nor what its sender says counts."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from stemma.errors import InvalidError

Form = Literal["wav", "flac", "mp3", "aiff", "ogg", "midi", "musicxml", "zip"]
SOUNDS: tuple[Form, ...] = ("wav", "flac", "mp3", "aiff", "ogg")
SCORES: tuple[Form, ...] = ("midi", "musicxml")
LOSSY: tuple[Form, ...] = ("mp3", "ogg")


def form_of(path: Path) -> Form:
    """What a file is, by its first bytes.  Raises `InvalidError` for anything that is no music."""
    with path.open("rb") as file:
        head = file.read(64 * 1024)
    if head.startswith(b"ID3"):
        head = _behind_tag(path, head)
        if not head.startswith(b"fLaC"):
            return "mp3"
    if head.startswith(b"PK\x03\x04"):
        return "musicxml" if _is_mxl(path) else "zip"
    for form, fits in _SIGNS.items():
        if fits(head):
            return form
    raise InvalidError(
        "This is neither sound nor a score." if head else "The file is empty.",
        remedy="Bring WAV, FLAC, AIFF, MP3 or Ogg; for scores MIDI or MusicXML. The name of a file does not count.",
        code="no-music",
    )


def _behind_tag(path: Path, head: bytes) -> bytes:
    """What follows an ID3 tag; its size is in four times seven bits."""
    size = 0
    for byte in head[6:10]:
        size = size << 7 | (byte & 0x7F)
    with path.open("rb") as file:
        file.seek(10 + size)
        return file.read(4096)


def _is_mp3(head: bytes) -> bool:
    """Whether two frames of MPEG audio, layer III, follow each other."""
    first = _frame(head[:4])
    return first > 0 and _frame(head[first : first + 4]) > 0


_BITRATES = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _frame(header: bytes) -> int:
    """Length of the layer III frame with this header in bytes; 0 where it is none (ISO/IEC 11172-3, 2.4.2.3)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate = _BITRATES[1 if version == 3 else 2][header[2] >> 4]
    rate = header[2] >> 2 & 3
    if version == 1 or layer != 1 or not bitrate or rate == 3:
        return 0
    return (144 if version == 3 else 72) * bitrate * 1000 // _RATES[version][rate] + (header[2] >> 1 & 1)


def _is_ogg(head: bytes) -> bool:
    """Whether the first page of an Ogg stream is of sound that we read; the same container carries films."""
    return head.startswith(b"OggS") and any(mark in head[:128] for mark in (b"\x01vorbis", b"OpusHead", b"\x7fFLAC"))


def _is_musicxml(head: bytes) -> bool:
    text = head[:4096].replace(b"\x00", b"")  # UTF-16 too
    begins = text.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<")
    return begins and (b"<score-partwise" in text or b"<score-timewise" in text)


_SIGNS: dict[Form, Callable[[bytes], bool]] = {
    "wav": lambda head: head[:4] in {b"RIFF", b"RF64", b"BW64"} and head[8:12] == b"WAVE",
    "aiff": lambda head: head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"},
    "flac": lambda head: head.startswith(b"fLaC"),
    "ogg": _is_ogg,
    "midi": lambda head: head.startswith(b"MThd"),
    "mp3": _is_mp3,
    "musicxml": _is_musicxml,
}
"""How each format begins."""


def open_zip(path: Path, *, remedy: str = "Pack it anew.") -> zipfile.ZipFile:
    """An archive from outside.  Raises `InvalidError` where its table of contents cannot be read."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InvalidError("The archive is broken.", remedy=remedy, code="broken-archive") from error


def _is_mxl(path: Path) -> bool:
    with open_zip(path) as archive:
        names = archive.namelist()
    return "META-INF/container.xml" in names and any(name.endswith((".xml", ".musicxml")) for name in names)
