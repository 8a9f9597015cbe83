"""Files of a claim: taken in only as what they are by their content, and kept in object storage."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma.music.form import SOUNDS, form_of
from stemma.proof.canonical import sha256
from stemma.storage import storage
from stemma_portal.consent.evidence import MAX_BYTES, TYPES, content_format, plain_name
from stemma_portal.core.services import Actor
from stemma_portal.indemnity.models import ClaimPaper, OutputClaim

MOST_SOUND = 100 * 1024 * 1024
LETTERS = ("pdf", "png", "jpeg", "text")
_MIME = {**TYPES, "aiff": "audio/aiff", "ogg": "audio/ogg"}


@dataclass(frozen=True)
class Brought:
    """A file as it arrived: where it lies for now, and what it is."""

    path: Path
    name: str
    format: str
    size: int
    sha256: str


def paper_keep(claim: OutputClaim, kind: str, file: Brought, by: Actor) -> ClaimPaper:
    """Put a file that was brought into object storage, as part of the claim."""
    identifier = new_id()
    row = ClaimPaper(
        id=identifier, claim=claim, at=now(), kind=kind, by=by.email, name=file.name, format=file.format,
        size=file.size, sha256=file.sha256, key=f"indemnity/{claim.pk}/papers/{identifier}",
    )  # fmt: skip
    storage().put(row.key, file.path, _MIME.get(file.format, "application/octet-stream"))
    row.save(force_insert=True)
    return row


@contextmanager
def sound_brought(file: BinaryIO, name: str) -> Iterator[Brought]:
    """The sound, written down as it comes and never more than it may be."""
    with tempfile.NamedTemporaryFile(suffix=".sound") as kept:
        size, mark = 0, hashlib.sha256()
        while piece := file.read(1 << 20):
            size += len(piece)
            if size > MOST_SOUND:
                raise InvalidError(
                    f"The sound is larger than {MOST_SOUND >> 20} MB.", remedy="Send it as FLAC.", code="file-size"
                )
            mark.update(piece)
            kept.write(piece)
        kept.flush()
        path = Path(kept.name)
        form = form_of(path)
        if form not in SOUNDS:
            raise InvalidError("This is no sound.", remedy="Send WAV, FLAC, AIFF, MP3 or Ogg.", code="no-sound")
        yield Brought(path, plain_name(name, form), form, size, mark.hexdigest())


@contextmanager
def paper_brought(file: BinaryIO, name: str, *, kinds: tuple[str, ...] = LETTERS) -> Iterator[Brought]:
    """A paper, by its content."""
    body = file.read(MAX_BYTES + 1)
    form = content_format(body)
    if form not in kinds:
        raise InvalidError(
            "The letter is none of PDF, PNG, JPEG or plain text.", remedy="Export it as PDF.", code="file-type"
        )
    with tempfile.NamedTemporaryFile(suffix=".paper") as kept:
        kept.write(body)
        kept.flush()
        yield Brought(Path(kept.name), plain_name(name, form), form, len(body), sha256(body))
