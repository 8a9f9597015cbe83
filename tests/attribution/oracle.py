"""Attribution by its definitions, in float64 NumPy over whole gradients: slow, and plain enough to believe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from attribution.toy import Toy
from stemma.attribution.features import Basis
from stemma.models.protocol import Example

Gradients = dict[str, np.ndarray]
"""Gradient of each layer's weight [out, in]."""


def gradients(toy: Toy, example: Example) -> Gradients:
    """Of one example's loss in every weight, by autograd in float64."""
    module = toy.module.double().requires_grad_(True)
    module.zero_grad()
    toy.losses([example]).sum().backward()
    found = {
        name: (layer.weight.grad if isinstance(layer, torch.nn.Linear) else layer.weight.grad.T).numpy().copy()
        for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear) or name == "embed"
    }
    module.float()
    return found


def columns(basis: Basis, toy: Toy) -> np.ndarray:
    """Directions of a layer's inputs as columns [in, r], also where they are rows of a table."""
    if basis.inputs.is_floating_point():
        return basis.inputs.double().numpy()
    return np.eye(toy.module.get_submodule(basis.layer).num_embeddings)[:, basis.inputs.numpy()]


def flat(gradient: Gradients) -> np.ndarray:
    return np.concatenate([part.ravel() for part in gradient.values()])


def ekfac(training: Sequence[Gradients], query: Gradients, factors: dict, damping: float) -> tuple[np.ndarray, float]:
    """Cosines of whitened vectors, and the length of the query's.

    `factors` per layer: U_S [out, out] and U_A [in, in].  Λ from the training gradients themselves.
    """
    scores, squares, size = np.zeros(len(training)), np.zeros(len(training)), 0.0
    every = {
        layer: np.array([outputs.T @ g[layer] @ inputs for g in training])
        for layer, (outputs, inputs) in factors.items()
    }
    mean = np.concatenate([(turned**2).mean(axis=0).ravel() for turned in every.values()]).mean()
    for layer, (outputs, inputs) in factors.items():
        turned = every[layer]
        precision = 1 / ((turned**2).mean(axis=0) + damping * mean)
        asked = outputs.T @ query[layer] @ inputs
        scores += (turned * asked * precision).sum(axis=(1, 2))
        size += (asked**2 * precision).sum()
        squares += (turned**2 * precision).sum(axis=(1, 2))
    return scores / np.sqrt(squares * size), np.sqrt(size)


def fisher(training: Sequence[Gradients], query: Gradients, ridge: float) -> np.ndarray:
    """Influence under the empirical Fisher matrix of the training gradients, in its dual form."""
    rows = np.array([flat(g) for g in training])
    gram = rows @ rows.T
    inverse = np.linalg.inv(gram + ridge * np.trace(gram) / len(gram) * np.eye(len(gram)))
    return rows @ flat(query) @ inverse / np.sqrt(np.diag(gram @ inverse))


def checkpoints(folder: Path, names: Sequence[str]) -> list[Toy]:
    return [Toy.load(folder / "checkpoints" / name) for name in names]
