"""What a model was trained on, as a file to hold generated pieces against: passages, and likeness as a whole.

The file is made with a release and lies in its bundle.  It holds each line of each score as numbers and
what orders them, and a sketch of each score: some ten bytes a note.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemma.music import index_file
from stemma.music.likeness import SKETCH, jaccard, score_sketch
from stemma.music.ngrams import Index, Run

FILE = "reference.safetensors"
"""Its name in the bundle of a release."""
FORM = "stemma.reference/1"
EMPTY = np.iinfo(np.int32).max
"""Fills the sketch of a short score; a real member of this value is left out, which changes a likeness by 1/64."""


@dataclass(frozen=True)
class Found:
    """A piece beside the works."""

    run: Run
    """The longest passage that one of them holds note for note."""
    likest: str
    """The work most alike as a whole; empty where none shares anything."""
    shared_ppm: int
    """How much of both together is in both, by n-grams of steps (`stemma.music.likeness`)."""


class Reference:
    """The works of a release, ready to be asked."""

    def __init__(self, index: Index, sketches: npt.NDArray[np.int32], digest: str = "") -> None:
        self.index, self.sketches, self.digest = index, sketches, digest

    @classmethod
    def build(cls, works: Iterable[tuple[str, bytes]]) -> Reference:
        """Of MIDI files by the names of their recordings, each once.  Raises `InvalidError` for no MIDI file."""
        pairs = list(works)
        sketches = np.full((len(pairs), SKETCH), EMPTY, dtype=np.int32)
        for row, (_, midi) in zip(sketches, pairs, strict=True):
            sketch = score_sketch(midi)
            row[: len(sketch)] = sketch
        return cls(Index(pairs), sketches)

    @classmethod
    def load(cls, path: Path) -> Reference:
        """From a file.  Raises `InvalidError` for what is none."""

        def made(names: list[str], parts: index_file.Arrays, digest: str) -> Reference:
            index = Index.of(names, parts["steps"], parts["text"], parts["owner"], parts["order"])
            return cls(index, parts["sketches"], digest)

        return index_file.read(path, FORM, "works", "is no reference of works", made)

    def save(self, path: Path) -> None:
        """Write the file."""
        index = self.index
        parts = {
            "steps": index.steps, "text": index.text, "owner": index.owner, "order": index.order,
            "sketches": self.sketches,
        }  # fmt: skip
        index_file.write(path, FORM, index.names, "works", parts)

    def compare(self, midi: bytes) -> Found:
        """A piece beside every work.  Raises `InvalidError` for what is no MIDI file."""
        sketch = score_sketch(midi)
        shared = np.isin(self.sketches, np.array(sketch, dtype=np.int32)) & (self.sketches != EMPTY)
        best, likest = 0.0, ""
        for number in np.flatnonzero(shared.any(axis=1)):
            row = self.sketches[number]
            alike = jaccard(sketch, row[row != EMPTY].tolist())
            if alike > best:
                best, likest = alike, self.index.names[number]
        return Found(self.index.longest(midi), likest, round(best * 1_000_000))
