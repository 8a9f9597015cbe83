"""What a study is about, as a family of models has it; the study knows a family by this only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from stemma.attribution.manifest import Plan
from stemma.models.protocol import Example, Family
from stemma.rights.snapshot import SnapshotRecording
from stemma.training.learn import Course
from stemma.training.presets import AnyPreset
from stemma.training.profiles import Profile

_T = TypeVar("_T")
Matrix = npt.NDArray[np.float64]
Read = Callable[[SnapshotRecording], bytes]
"""Gives what a model learns from of a recording."""
OURS, SISTERS = "this method", "with sister runs"
OTHER = {"d-trak": "loss", "loss": "d-trak"}
"""The other function of a denoiser that attribution may differentiate."""


@dataclass(frozen=True)
class Way:
    """How scores are made: by a store of this plan."""

    plan: Plan
    sisters: bool = False
    """Of the checkpoints of sister runs too."""
    asking: Mapping[str, Any] = field(default_factory=dict)
    """What `attribution` in the checkpoints' `stemma.json` is; empty: as they were made."""


class Material(Protocol):
    """Recordings made ready to be learned from, and how a model of the family learns, is asked and is measured.

    It goes to the processes that train, so it can be pickled, and what is large lies in files.
    """

    @property
    def family(self) -> str:
        """Name of the family."""
        ...

    @property
    def profile(self) -> Profile:
        """How much of everything."""
        ...

    @property
    def recordings(self) -> Sequence[SnapshotRecording]:
        """What is trained on, in the order of all rows."""
        ...

    @property
    def held_out(self) -> Sequence[SnapshotRecording]:
        """Recordings of the snapshot that no model is trained on."""
        ...

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The recording of each segment."""
        ...

    @property
    def beside(self) -> Mapping[str, Any]:
        """What decides a training beside its profile and its recordings."""
        ...

    def course(self, preset: AnyPreset, segments: Sequence[int] | None = None) -> Course:
        """A fresh model of the preset's seed, and these segments, else all, for it to learn."""
        ...

    def load(self, folder: Path) -> Family:
        """The model in a checkpoint; what `examples` makes of the recordings was made once and is not made again."""
        ...

    def examples(self) -> list[list[Example]]:
        """Segments of each recording that a model is trained on, as attribution takes them."""
        ...

    def query(self, model: Family, style: str, seed: int) -> Example:
        """What the model makes in a style."""
        ...

    def held(self) -> list[Example]:
        """Queries from what was held out."""
        ...

    def likelihoods(self, model: Family, queries: Sequence[Example]) -> Matrix:
        """How likely the model finds each query: a mean over its tokens."""
        ...

    @property
    def ways(self) -> Mapping[str, Way]:
        """How scores are made: `OURS`, the way that is judged, and what it is compared with."""
        ...

    @property
    def rival(self) -> str:
        """The similarity that is taken out for comparison, where one stands for all."""
        ...

    def similarities(self, model: Family, queries: Sequence[Example]) -> Mapping[str, Matrix]:
        """Plain likeness [queries, recordings] of several kinds; `model` has learned from all recordings."""
        ...


def by(functional: str) -> str:
    """Name of the way that differentiates this function of a denoiser."""
    return f"by {functional}"


def spread(things: Sequence[_T], most: int | None) -> list[_T]:
    """At most so many, evenly over the list."""
    if most is None or len(things) <= most:
        return list(things)
    return [things[i * len(things) // most] for i in range(most)]


def evenly(rows: npt.NDArray[np.int64], each: int | None) -> list[int]:
    """Numbers of the segments that are kept: at most so many of each recording, evenly over it."""
    keep: list[int] = []
    for row in range(int(rows.max()) + 1):
        keep += spread(np.flatnonzero(rows == row).tolist(), each)
    return keep


def cosine(left: Matrix, right: Matrix) -> Matrix:
    """Cosines of the rows of one with the rows of the other."""
    one, other = (m / np.linalg.norm(m, axis=1, keepdims=True).clip(1e-30) for m in (left, right))
    return np.asarray(one @ other.T)
