"""What speaks for a side: files, texts and addresses, taken in only as what they are."""

from __future__ import annotations

import io
import re
import warnings
from typing import BinaryIO

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from PIL import Image, UnidentifiedImageError

from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma.proof.canonical import sha256
from stemma.storage import storage
from stemma_portal.consent.cases import Seat
from stemma_portal.consent.models import Claim, ClaimEvent, ClaimEvidence
from stemma_portal.consent.telling import case_told
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import Actor, audit

MAX_BYTES = 20 * 1024 * 1024
MAX_PIECES = 60
"""Of one case: enough for a dispute, too few to fill a disk."""
MAX_PIXELS = 60_000_000
TYPES = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "text": "text/plain; charset=utf-8",
}
"""What may be brought, by its content."""
ACCEPT = ".pdf,.png,.jpg,.jpeg,.flac,.wav,.mp3,.txt,.csv"


@transaction.atomic
def evidence_add(
    *,
    claim: Claim,
    seat: Seat,
    by: Actor,
    title: str,
    text: str = "",
    link: str = "",
    file: BinaryIO | None = None,
    name: str = "",
) -> ClaimEvidence:
    """Bring a file, a text or an address into a case; both sides and staff see it, and it stays.

    Raises `InvalidError` for what is too large, is none of `TYPES` by its content, or is no address;
    `ConflictError` when the case is over or full.
    """
    claim = Claim.objects.select_for_update(of=("self",)).select_related("recording").get(pk=claim.pk)
    if not claim.pending:
        raise ConflictError("This case is over: nothing can be brought any more.", remedy="Open a new one.")
    if claim.evidence.count() >= MAX_PIECES:
        raise ConflictError(f"This case has {MAX_PIECES} pieces of evidence already.", remedy="Put them together.")
    title, text, link = title.strip(), text.strip(), link.strip()
    if not title:
        raise InvalidError("Evidence needs a title.", remedy="Say in a few words what it shows.")
    if not (text or link or file):
        raise InvalidError("There is no evidence here.", remedy="Choose a file, give an address or write it down.")
    if link:
        _link_check(link)
    row = ClaimEvidence(
        id=new_id(), claim=claim, at=now(), side=seat.side, speaker=seat.name, by=by.email, title=title, text=text,
        link=link,
    )  # fmt: skip
    if file is not None:
        body = file.read(MAX_BYTES + 1)
        row.format = content_format(body)
        row.name, row.size, row.sha256 = plain_name(name, row.format), len(body), sha256(body)
        row.key = f"cases/{claim.pk}/{row.id}"
        storage().put(row.key, body, TYPES[row.format])
    row.save(force_insert=True)
    ClaimEvent.objects.create(
        claim=claim, at=row.at, kind=ClaimEvent.Kind.EVIDENCE, side=seat.side, speaker=seat.name, by=by.email,
        text=title, detail={"evidence": row.id, "sha256": row.sha256},
    )  # fmt: skip
    audit(by=by, action="claim.evidence", subject=claim.pk, evidence=row.id, title=title, sha256=row.sha256)
    others = [side for side in Claim.Side if side != seat.side]
    case_told(claim, sides=others, title=f"New evidence: {claim.recording.title}", text=f"{seat.name}: {title}")
    return row


def content_format(body: bytes) -> str:
    """What a file is, by its content.  Raises `InvalidError` for anything that is none of `TYPES`."""
    if not body:
        raise InvalidError("The file is empty.", remedy="Choose another one.", code="file-empty")
    if len(body) > MAX_BYTES:
        limit = MAX_BYTES // 1024 // 1024
        raise InvalidError(f"The file is larger than {limit} MB.", remedy="Shorten or divide it.", code="file-size")
    found = _sniff(body)
    if found is None:
        raise InvalidError(
            "The file is none of PDF, PNG, JPEG, FLAC, WAV, MP3 or plain text, whatever its name says.",
            remedy="Export it as PDF and bring that.",
            code="file-type",
        )
    return found


def plain_name(name: str, format_: str) -> str:
    """A file's name without folders, controls and quotes, with an ending that tells the truth."""
    last = re.split(r"[\\/]", name)[-1]
    stem = re.sub(r"[^\w.() -]+", "_", last.rpartition(".")[0] or last).strip(" ._")[:120] or "evidence"
    return f"{stem}.{'txt' if format_ == 'text' else format_}"


def _sniff(body: bytes) -> str | None:
    if body.startswith(b"%PDF-"):
        return "pdf" if b"%%EOF" in body[-2048:] else None
    if body.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return _image(body)
    if body.startswith(b"fLaC"):
        return "flac"
    if body[:4] in {b"RIFF", b"RF64"} and body[8:12] == b"WAVE":
        return "wav"
    if body.startswith(b"ID3") or (body[0] == 0xFF and len(body) > 1 and body[1] & 0xE6 == 0xE2):
        return "mp3"
    return "text" if _is_text(body) else None


def _image(body: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(body), formats=("PNG", "JPEG")) as image:
                if image.width * image.height > MAX_PIXELS:
                    return None
                image.verify()
                return {"PNG": "png", "JPEG": "jpeg"}[str(image.format)]
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Warning):
        return None


def _is_text(body: bytes) -> bool:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return not any(ord(c) < 32 and c not in "\t\n\r\f" for c in text) and "<script" not in text.lower()


def _link_check(link: str) -> None:
    try:
        URLValidator(schemes=["https", "http"])(link)
    except ValidationError as error:
        raise InvalidError(
            f"{link[:80]!r} is no address on the web.", remedy="Begin it with https://.", code="link"
        ) from error
