"""What a piece is held against before it leaves: the works that its model was trained on.

A piece with a score is held against scores; one that is sound alone against recordings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemma.models.protocol import Piece
from stemma.music import audio, echoes
from stemma.music.echoes import Echoes
from stemma.music.reference import FILE, Reference
from stemma.provenance.certificate import Filters, Heard, PromptRules, Similarity, Verbatim
from stemma_serving.config import FiltersConfig
from stemma_serving.problems import Problem


@dataclass(frozen=True)
class Sieve:
    """The filters of one release."""

    config: FiltersConfig
    reference: Reference | None
    """None: the release is of before references, or makes sound."""
    echoes: Echoes | None = None
    """None: the release writes notes, or is of before echoes."""

    @classmethod
    def open(cls, bundle: Path, config: FiltersConfig) -> Sieve:
        """The filters for a bundle.  Raises `InvalidError` for a reference that cannot be read."""
        scores, sounds = bundle / FILE, bundle / echoes.FILE
        return cls(
            config,
            Reference.load(scores) if scores.exists() else None,
            Echoes.load(sounds) if sounds.exists() else None,
        )

    def hold(self, piece: Piece, prompt: PromptRules | None) -> Filters:
        """What the filters find; those that are off, or have nothing to hold it against, say nothing."""
        if self.echoes is not None and piece.midi is None and piece.audio is not None:
            return self._heard(piece.audio, prompt)
        if self.reference is None or piece.midi is None:
            return Filters(prompt=prompt)
        found = self.reference.compare(piece.midi)
        verbatim = similarity = None
        if self.config.verbatim_notes:
            verbatim = Verbatim(
                notes=found.run.notes,
                limit=self.config.verbatim_notes,
                recording=found.run.work,
                works=len(self.reference.index.names),
                index_sha256=self.reference.digest,
            )
        if self.config.similarity_ppm:
            similarity = Similarity(
                shared_ppm=found.shared_ppm, limit_ppm=self.config.similarity_ppm, recording=found.likest
            )
        return Filters(prompt=prompt, verbatim=verbatim, similarity=similarity)

    def _heard(self, sound: np.ndarray, prompt: PromptRules | None) -> Filters:
        """Of sound [channels, n] as a piece has it."""
        assert self.echoes is not None  # noqa: S101 - asked just before
        found = self.echoes.compare(audio.samples_of(sound), audio.RATE)
        heard = similarity = None
        if self.config.heard_ms:
            heard = Heard(
                ms=found.echo.ms,
                limit_ms=self.config.heard_ms,
                recording=found.echo.recording,
                start_ms=found.echo.start_ms,
                their_start_ms=found.echo.their_start_ms,
                works=len(self.echoes.names),
                index_sha256=self.echoes.digest,
            )
        if self.config.similarity_ppm:
            similarity = Similarity(
                shared_ppm=found.shared_ppm, limit_ppm=self.config.similarity_ppm, recording=found.likest
            )
        return Filters(prompt=prompt, heard=heard, similarity=similarity)


def alarm(found: Filters) -> str:
    """What those who answer for rights must hear of; empty when there is nothing.

    A passage longer than its limit is told however the piece ends: refused, or drawn again from another
    seed, it never leaves, and yet the model holds that work by heart.
    """
    if found.verbatim is not None and found.verbatim.too_long:
        run = found.verbatim
        return f"{run.notes} notes on end of recording {run.recording}; limit {run.limit}"
    if found.heard is not None and found.heard.too_long:
        stretch = found.heard
        return (
            f"{stretch.ms} ms from {stretch.start_ms} ms on, of recording {stretch.recording} from "
            f"{stretch.their_start_ms} ms on; limit {stretch.limit_ms} ms"
        )
    return ""


def refusal(found: Filters) -> Problem | None:
    """Why a piece must not leave; None when it may."""
    said = ""
    if found.verbatim is not None and found.verbatim.too_long:
        said = f"{found.verbatim.notes} notes on end stand in a work of the snapshot; {found.verbatim.limit} may"
    elif found.heard is not None and found.heard.too_long:
        long, may = found.heard.ms / 1000, found.heard.limit_ms / 1000
        said = f"{long:.1f} s of it stand nearly as they are in a recording of the snapshot; {may:.1f} s may"
    elif found.similarity is not None and found.similarity.shared_ppm > found.similarity.limit_ppm:
        shared, limit = (ppm / 10_000 for ppm in (found.similarity.shared_ppm, found.similarity.limit_ppm))
        said = f"it shares {shared:.0f} % with a work of the snapshot; {limit:.0f} % may be"
    if not said:
        return None
    return Problem(
        422,
        "too-close",
        f"The piece came out too close to a work that the model was trained on: {said}. Nothing was billed.",
        "Ask with another seed, or describe the music otherwise.",
    )
