"""Claim `featurise`: gradients of recordings in the store's coordinates, against a bare forward and backward.

Both see the same segments of the house model's size (preset `up`) in the same batches; the peer takes the
gradient of the sum of losses in every weight, which is what a step of training does and no more.
"""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ground.corpus import catalog
from ground.timing import claim, turns
from stemma.attribution.build import segments_of
from stemma.attribution.features import batches, directions, features
from stemma.attribution.manifest import Plan
from stemma.models.symbolic.family import Symbolic
from stemma.training.presets import PRESETS

RECORDINGS = 96


def main() -> None:
    """Measure and print the claim."""
    torch.set_num_threads(1)
    preset, plan = PRESETS["up"], Plan()
    rows, scores = catalog(280)
    model = Symbolic.create({r.style for r in rows}, {}, shape=preset.shape, limit=preset.context)
    examples = [e for r in rows[:RECORDINGS] for e in segments_of(model, r, scores[r.recording], plan.tokens)]
    where = directions(model, examples, rank=plan.rank, keep=plan.keep)
    weights = list(model.network.parameters())

    def bare() -> None:
        model.network.requires_grad_(True).eval()
        for batch in batches(examples):
            with sdpa_kernel(SDPBackend.MATH):
                total = model.losses([examples[i] for i in batch]).sum()
            torch.autograd.grad(total, weights, allow_unused=True)

    ours, peer = turns(lambda: features(model, examples, where), bare, rounds=5)
    tokens = sum(len(e.tokens) for e in examples)
    claim("featurise", tokens / ours, tokens / peer, peer / ours, "tokens/s")


if __name__ == "__main__":
    main()
