"""What every model family must offer; the rest of Stemma knows a model only by this.

Importing this module needs no torch: requests are parsed where no model is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    import numpy as np
    import torch

    from stemma.rights.snapshot import SnapshotRecording

MAX_PROMPT = 2000
MAX_SECONDS = 180.0
MAX_BARS = 64
KEYS = tuple(
    f"{tonic} {mode}"
    for mode in ("major", "minor")
    for tonic in ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
)


class GenerationRequest(BaseModel):
    """What a caller asks for.  Unset fields are chosen by the model from prompt, style and seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(default="", max_length=MAX_PROMPT)
    style: str | None = Field(default=None, max_length=40)
    """One of the styles the model was trained on."""
    bars: int | None = Field(default=None, ge=1, le=MAX_BARS, strict=True)
    seconds: float | None = Field(default=None, ge=2, le=MAX_SECONDS)
    """Length; at most one of `bars` and `seconds`.  Music ends at a bar, near the length asked for."""
    tempo: float | None = Field(default=None, ge=30, le=240)
    """Quarter notes per minute."""
    key: str | None = None
    """One of `KEYS`."""
    instruments: tuple[str, ...] = Field(default=(), max_length=8)
    """General MIDI instrument names, one per part from the top; see `stemma.music.instruments`."""
    seed: int | None = Field(default=None, ge=0, lt=2**53, strict=True)

    @field_validator("seconds", "tempo")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise ValueError("must be a finite number")
        return value

    @field_validator("key")
    @classmethod
    def _known_key(cls, value: str | None) -> str | None:
        if value is not None and value not in KEYS:
            raise ValueError(f"must be one of {', '.join(KEYS)}")
        return value

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.bars is not None and self.seconds is not None:
            raise ValueError("give bars or seconds, not both")
        return self


@dataclass(frozen=True)
class Piece:
    """A generated piece, before it is rendered (symbolic families) or as sound (latent ones)."""

    style: str
    tempo: float
    key: str
    bars: int
    seed: int
    midi: bytes | None
    """Standard MIDI file, one named track per part; None from families that make sound directly."""
    example: Example
    """The piece as the model sees it, for attribution."""
    audio: np.ndarray | None = None
    """Samples [channels, n] at 44.1 kHz, from families that make sound directly."""


@dataclass(frozen=True)
class Example:
    """One segment of music as a model sees it: a training example or a generated piece."""

    tokens: Sequence[int]
    """Of a latent model its latents, frame by frame, in units of its grain."""
    condition: Sequence[float] = field(default=())
    """Conditioning vector, such as the embedding of a text prompt; empty for none."""
    recording: str | None = None
    """The recording it is a segment of, for training examples."""


class Family(Protocol):
    """A loaded model of one family, from a released bundle or a checkpoint of a run.

    `Family.load(folder)` reads weights and everything else from one folder in the Hugging Face
    layout; a checkpoint folder has the same layout as a bundle.
    """

    name: str

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in this folder, ready to generate on the CPU, or on a GPU where there is one."""
        ...

    def save(self, folder: Path, **facts: Any) -> None:
        """Write the model in that layout; `facts` join what `stemma.json` says."""
        ...

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles it was trained on."""
        ...

    def generate(self, request: GenerationRequest, *, stop: Callable[[], bool] = lambda: False) -> Piece:
        """A piece.  The same model, request and seed give the same piece, byte for byte.

        `stop` is asked between tokens; when it says yes, `InterruptedError` is raised.  Raises
        `stemma.errors.InvalidError` for an unknown style or instrument.
        """
        ...

    # What attribution needs: the model as differentiable losses over examples.

    balanced: bool
    """Whether training shows rare styles more often, as `stemma.models.balance` says, or each token as often."""

    @property
    def module(self) -> torch.nn.Module:
        """The network, whose `torch.nn.Linear` layers carry the gradients that attribution compares."""
        ...

    def examples(self, recording: SnapshotRecording, content: bytes, /) -> list[Example]:
        """The segments of a recording on which the model is trained, without augmentation.

        `content` is what the family learns from: a standard MIDI file, or sound as FLAC.
        """
        ...

    def losses(self, examples: Sequence[Example]) -> torch.Tensor:
        """Summed negative log likelihood of each example, shape [len(examples)], differentiable.

        Of a diffusion model the functional that stands for it, at noise that is the same for all.
        Examples do not influence one another: padding is masked.
        """
        ...
