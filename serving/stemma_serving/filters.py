"""What a piece is held against before it leaves: the works that its model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stemma.models.protocol import Piece
from stemma.music.reference import FILE, Reference
from stemma.provenance.certificate import Filters, PromptRules, Similarity, Verbatim
from stemma_serving.config import FiltersConfig
from stemma_serving.problems import Problem


@dataclass(frozen=True)
class Sieve:
    """The filters of one release."""

    config: FiltersConfig
    reference: Reference | None
    """None: the release is of before references."""

    @classmethod
    def open(cls, bundle: Path, config: FiltersConfig) -> Sieve:
        """The filters for a bundle.  Raises `InvalidError` for a reference that cannot be read."""
        path = bundle / FILE
        return cls(config, Reference.load(path) if path.exists() else None)

    def hold(self, piece: Piece, prompt: PromptRules | None) -> Filters:
        """What the filters find; those that are off, or find no score to look at, say nothing."""
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


def alarm(found: Filters) -> str:
    """What those who answer for rights must hear of; empty when there is nothing.

    A passage longer than its limit is told however the piece ends: refused, or drawn again from another
    seed, it never leaves, and yet the model holds that work by heart.
    """
    if found.verbatim is None or not found.verbatim.too_long:
        return ""
    return f"{found.verbatim.notes} notes on end of recording {found.verbatim.recording}; limit {found.verbatim.limit}"


def refusal(found: Filters) -> Problem | None:
    """Why a piece must not leave; None when it may."""
    said = ""
    if found.verbatim is not None and found.verbatim.too_long:
        said = f"{found.verbatim.notes} notes on end stand in a work of the snapshot; {found.verbatim.limit} may"
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
