"""How a model that writes notes learns: batches of segments, their loss, what is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.network import Batch, Network
from stemma.training.dataset import Dataset, Work, layouts, works
from stemma.training.evaluation import Figures, evaluate, validation_loss
from stemma.training.gate import Clearance, Progress
from stemma.training.presets import Preset


class SymbolicCourse:
    """A decoder with its dataset; `found` are the works, for the judgement at the end."""

    metric = "nats_per_note"
    """Name of what `validate` gives."""

    def __init__(self, model: Symbolic, data: Dataset, preset: Preset, found: Sequence[Work] = ()) -> None:
        self.model, self.data, self.preset, self.found = model, data, preset, found

    @classmethod
    def open(cls, clearance: Clearance, preset: Preset, *, progress: Progress) -> Self:
        """A fresh model, and what a cleared snapshot has to teach it."""
        progress(0, None, "reading scores")
        recordings = clearance.manifest.recordings
        found = works(recordings, clearance.scores)
        styles, lines = {r.style for r in recordings}, layouts(found)
        model = Symbolic.create(styles, lines, shape=preset.shape, limit=preset.context, seed=preset.seed)
        data = Dataset.of(found, model.network.vocabulary, limit=preset.context, captions_each=preset.captions)
        return cls(model, data, preset, found)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those of the network."""
        return optimizers(self.model.network, self.preset)

    def batches(self, epoch: int) -> list[list[int]]:
        """Segments of like length together."""
        return self.data.epoch(epoch, self.preset.batch, self.preset.seed)

    def loss(self, batch: Sequence[int], rng: np.random.Generator) -> tuple[torch.Tensor, int]:
        """Negative log likelihood of a token, in nats."""
        made = self.data.batch(batch, rng, unprompted=self.preset.unprompted)
        return mean_loss(self.model.network, made), made.tokens.numel()

    # What a run asks beside learning

    @property
    def held_out(self) -> tuple[str, ...]:
        """Recordings used for validation only."""
        return self.data.held_out

    def described(self) -> dict[str, Any]:
        """What it learns from, in numbers."""
        return {
            "segments": len(self.data.segments),
            "training_tokens": sum(len(s.tokens) for s in self.data.segments),
            "vocabulary": len(self.data.vocabulary),
        }

    def facts(self) -> dict[str, Any]:
        """What a release must tell beside: nothing, for all that it knows is in the snapshot."""
        return {}

    def validate(self) -> float:
        """Nats a note on works that were held out."""
        notes = max(1, sum(s.notes for s in self.data.validation))
        return validation_loss(self.model, self.data.validation) / notes

    def judge(self, progress: Progress) -> Figures:
        """The figures of the finished model."""
        return evaluate(self.model, self.data, self.found, samples=self.preset.samples, progress=progress)


def mean_loss(network: Network, batch: Batch) -> torch.Tensor:
    """Of a token that the grammar leaves free."""
    loss: torch.Tensor = network(batch).sum() / batch.free.sum()
    return loss


def optimizers(network: Network, preset: Preset) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms and the rest."""
    inner = {id(p) for p in network.decoder.model.layers.parameters() if p.ndim == 2}
    matrices = [p for p in network.parameters() if id(p) in inner]
    others = [p for p in network.parameters() if id(p) not in inner]
    return [
        torch.optim.Muon(matrices, lr=preset.muon, weight_decay=preset.weight_decay, momentum=0.95, nesterov=True),
        torch.optim.AdamW(others, lr=preset.adam, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def summary(facts: dict[str, Any]) -> str:
    """A finished run in one line for people."""
    figures = facts["figures"]
    return (
        f"{facts['steps']} steps, {facts['tokens_per_second']:,.0f} tokens/s; held-out works cost "
        f"{figures['nats_per_note']:.2f} nats a note (n-gram {figures['baseline_nats_per_note']:.2f}); "
        f"{figures['decoded']:.0%} of pieces decode; longest shared run {figures['longest_run']} notes"
    )
