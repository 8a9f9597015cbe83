"""How long and how large: the named settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from stemma.errors import InvalidError
from stemma.models.symbolic.network import Shape

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Preset:
    """Everything that decides a run of a model that writes notes, besides its snapshot."""

    name: str
    shape: Shape = field(default_factory=Shape)
    context: int = 512
    """Tokens of a segment."""
    batch: int = 1536
    """Places of a batch, padding included."""
    steps: int | None = None
    """Steps of the run; with `seconds`, at most so many."""
    seconds: float | None = None
    """Wall time to fit into: the number of steps is settled once from the speed of the first ones."""
    muon: float = 0.02
    """Learning rate of the matrices inside the layers (Muon)."""
    adam: float = 3e-3
    """Learning rate of everything else (AdamW)."""
    weight_decay: float = 0.1
    warmup: int = 20
    """Steps over which the learning rate rises."""
    decay: float = 0.6
    """Last part of the run, over which it falls to nothing in a straight line."""
    checkpoints: int = 5
    captions: int = 4
    """Descriptions in words of each work."""
    unprompted: float = 0.3
    """Share of examples without a prompt."""
    threads: int = 2
    samples: int = 3
    """Pieces of each style that are generated for evaluation."""
    seed: int = 0

    def document(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "tiny",
            Shape(width=64, layers=2, heads=2, hidden=128),
            context=256,
            batch=1024,
            steps=60,
            captions=2,
            samples=1,
        ),
        Preset("up", Shape(width=160, layers=4, heads=5, hidden=448), seconds=150, steps=4000),
        Preset(
            "base",
            Shape(width=256, layers=6, heads=8, hidden=704, dropout=0.15),
            batch=4096,
            steps=6000,
            captions=12,
            samples=12,
            warmup=100,
        ),
    )
}


@dataclass(frozen=True)
class LatentPreset:
    """Everything that decides a run of a model that makes sound, besides its snapshot and its pipeline."""

    name: str
    batch: int = 16
    """Segments of a batch."""
    steps: int | None = None
    seconds: float | None = None
    """As in `Preset`."""
    adam: float = 1e-4
    """Learning rate (AdamW)."""
    weight_decay: float = 1e-3
    warmup: int = 100
    decay: float = 0.6
    checkpoints: int = 5
    unprompted: float = 0.1
    """Share of examples without words, from which guidance is learned."""
    threads: int = 2
    samples: int = 1
    """Pieces of each style that are generated for evaluation."""
    seed: int = 0
    pipeline: str = ""
    """SHA-256 of the pipeline that it starts from; set when the run begins."""

    def document(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)


AnyPreset = Preset | LatentPreset
"""What decides a run, whatever its family."""
LATENT = {
    preset.name: preset
    for preset in (
        LatentPreset("tiny", batch=8, steps=60, adam=3e-3, warmup=5),
        LatentPreset("up", seconds=150, steps=4000, adam=3e-4),
        LatentPreset("base", batch=32, steps=100_000, warmup=1000, samples=4),
    )
}


def preset(name: str) -> Preset:
    """The settings of this name for a model that writes notes."""
    return _named(PRESETS, name)


def latent_preset(name: str) -> LatentPreset:
    """The settings of this name for a model that makes sound."""
    return _named(LATENT, name)


def _named(presets: Mapping[str, Settings], name: str) -> Settings:
    try:
        return presets[name]
    except KeyError:
        raise InvalidError(
            f"There is no preset {name!r}.", remedy=f"Choose one of {', '.join(presets)}.", code="unknown-preset"
        ) from None
