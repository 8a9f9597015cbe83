"""How long and how large: the named settings of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from stemma.errors import InvalidError
from stemma.models.symbolic.network import Shape


@dataclass(frozen=True)
class Preset:
    """Everything that decides a run, besides its snapshot."""

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


def preset(name: str) -> Preset:
    """The settings of this name."""
    try:
        return PRESETS[name]
    except KeyError:
        raise InvalidError(
            f"There is no preset {name!r}.", remedy=f"Choose one of {', '.join(PRESETS)}.", code="unknown-preset"
        ) from None
