"""Finding the certificate that a file belongs to, among those one may see.

Each way is asked only where the one before finds nothing: the hash of the file, of its samples, the
certificate that it carries, and how it sounds.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import soundfile
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q, QuerySet

from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.music.form import LOSSY, SOUNDS, form_of
from stemma.music.likeness import SAME_SOUND, bit_error, sound_sketch
from stemma.music.probe import probe
from stemma.provenance import certificate as certificates
from stemma.provenance.carried import carried
from stemma.provenance.certificate import pcm_sha256
from stemma_portal.certificates.selectors import said
from stemma_portal.core.keys import keyring
from stemma_portal.metering.models import Certificate

MOST_BYTES = 32 << 20
CANDIDATES = 50
FEWEST = 2
"""Members of a sketch that two sounds must share before they are compared."""


class Found(NamedTuple):
    """A certificate, and how the file led to it."""

    certificate: Certificate
    how: str


def by_hash(rows: QuerySet[Certificate], mark: str) -> Certificate | None:
    """By the SHA-256 of a FLAC file or a score as it was handed over, or of the samples of a sound."""
    same = Q(pcm_sha256=mark) | Q(midi_sha256=mark) | Q(sha256=mark) | Q(generation__audio_sha256=mark)
    return rows.filter(same).first()


def by_file(rows: QuerySet[Certificate], file: UploadedFile) -> Found:
    """By a file that was brought.  Raises `InvalidError` for one too large, `NotFoundError` where nothing fits."""
    if (file.size or 0) > MOST_BYTES:
        raise InvalidError(
            f"A file to look for has at most {MOST_BYTES >> 20} MiB.",
            remedy="Drop it on the page: its hash is taken in the browser, however large it is.",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "brought"
        digest = hashlib.sha256()
        with path.open("wb") as whole:
            for chunk in file.chunks():
                whole.write(chunk)
                digest.update(chunk)
        if (found := by_hash(rows, digest.hexdigest())) is not None:
            return Found(found, "It is the file that was handed over, byte for byte.")
        for match in _by_sound(rows, path):
            return match
    raise NotFoundError(
        "No certificate of yours is for this file.",
        remedy="Bring the FLAC, WAV or MIDI file as it was handed over, or ask whoever made it.",
    )


def _by_sound(rows: QuerySet[Certificate], path: Path) -> Iterator[Found]:
    try:
        form = form_of(path)
        if form not in SOUNDS:
            return
        master = path.with_name("master.flac")
        heard = probe(path, form=form, master=master)
        samples = soundfile.read(master, dtype="int16", always_2d=True)[0]
    except (InvalidError, soundfile.LibsndfileError):
        return
    if form not in LOSSY and (found := by_hash(rows, pcm_sha256(samples))) is not None:
        yield Found(found, "It is the sound that was handed over, sample by sample.")
    if (token := carried(path, form, "")) is not None:
        try:
            named = certificates.read(token, keyring().jwks()).generation
        except (ProofError, ValueError):
            named = None
        if named and (found := rows.filter(generation=named).first()):
            yield Found(found, "It carries this certificate, but its sound was changed.")
    mine = set(sound_sketch(heard.fingerprint))
    near = rows.filter(sketch__overlap=sorted(mine))[:CANDIDATES] if mine else ()
    alike = [
        (error, each)
        for each in near
        if len(mine & set(each.sketch)) >= FEWEST
        and (error := bit_error(heard.fingerprint, base64.b64decode(said(each).fingerprint))) is not None
        and error <= SAME_SOUND
    ]
    if alike:
        error, found = min(alike, key=lambda pair: pair[0])
        yield Found(found, f"It sounds the same ({error:.1%} of its fingerprint differs), but was changed.")
