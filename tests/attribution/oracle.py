"""Attribution by its definitions, in float64 NumPy over whole gradients: slow, and plain enough to believe."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
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


def part(layer: str) -> str:
    return {"embed": "tables", "head": "ends"}.get(layer, "blocks")


def ekfac(
    training: Sequence[Gradients], query: Gradients, factors: dict, damping: float, trained: Sequence[bool]
) -> tuple[np.ndarray, float]:
    """Cosines of whitened vectors less the mean of those trained on, and the length of the query's.

    `factors` per layer: U_S [out, out] and U_A [in, in].  Λ from the training gradients themselves.  All recordings are
    of one length and one style, and the model's parts weigh alike.
    """
    products, squares, size = np.zeros(len(training)), np.zeros(len(training)), 0.0
    every = {
        layer: np.array([outputs.T @ g[layer] @ inputs for g in training])
        for layer, (outputs, inputs) in factors.items()
    }
    for kind in {part(layer) for layer in factors}:
        own = [layer for layer in factors if part(layer) == kind]
        second = {layer: (every[layer] ** 2).mean(axis=0) for layer in own}
        mean = np.concatenate([second[layer].ravel() for layer in own]).mean()
        coordinates = sum((second[layer] / (second[layer] + damping * mean)).sum() for layer in own)
        for layer in own:
            outputs, inputs = factors[layer]
            precision = 1 / (second[layer] + damping * mean) / coordinates
            asked = outputs.T @ query[layer] @ inputs
            products += (every[layer] * asked * precision).sum(axis=(1, 2))
            size += (asked**2 * precision).sum()
            squares += (every[layer] ** 2 * precision).sum(axis=(1, 2))
    lengths = np.sqrt(squares)
    capped = products * np.minimum(1, 1.5 * np.median(lengths) / lengths)
    return (products - capped[list(trained)].mean()) / lengths / np.sqrt(size), np.sqrt(size)


def fisher(training: Sequence[Gradients], query: Gradients, ridge: float) -> np.ndarray:
    """Influence under the empirical Fisher matrix of the training gradients, in its dual form."""
    rows = np.array([flat(g) for g in training])
    gram = rows @ rows.T
    inverse = np.linalg.inv(gram + ridge * np.trace(gram) / len(gram) * np.eye(len(gram)))
    return rows @ flat(query) @ inverse / np.sqrt(np.diag(gram @ inverse))


def checkpoints(folder: Path, names: Sequence[str]) -> list[Toy]:
    return [Toy.load(folder / "checkpoints" / name) for name in names]


def explain(
    recordings: Sequence[str],
    scores: Sequence[float],
    decoys: Sequence[float],
    *,
    z: float,
    clusters: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    curve: tuple[Sequence[float], Sequence[float]] | None = None,
) -> dict[str, int]:
    """Shares by the seven steps of the documentation, one number at a time; `curve` are knots and slopes."""
    count = len(recordings)
    clusters, weights = clusters or recordings, weights if weights is not None else [1.0] * count
    members = {c: [i for i in range(count) if clusters[i] == c] for c in clusters}
    score = {c: float(np.mean([scores[i] for i in some])) for c, some in members.items()}
    weight = {c: float(np.mean([weights[i] for i in some])) for c, some in members.items()}

    null = sorted(decoys if len(decoys) > 1 else scores)
    middle = (null[(len(null) - 1) // 2] + null[len(null) // 2]) / 2

    def spread(values: Sequence[float]) -> float:
        return float(np.sqrt(np.mean([(v - middle) ** 2 for v in values]))) if values else 0.0

    sigma = max(spread([v for v in null if v <= middle]), spread([v for v in score.values() if v < middle]))
    counted = {}
    for c, value in score.items():
        over = value - middle
        shrunk = over - (z * sigma) ** 2 / over if over > z * sigma else 0.0
        counted[c] = min(shrunk, max(value, 0.0))
    positive = sum(max(value, 0.0) * weight[c] for c, value in score.items())
    excess = {c: counted[c] * weight[c] for c in members}
    excess = {c: value if value * 10**9 >= positive else 0.0 for c, value in excess.items()}
    if not any(excess.values()):
        return {"commons": 10**9}
    attributable = int(10**9 * min(1.0, sum(excess.values()) / positive))

    def nats(x: float) -> float:
        assert curve is not None
        knots, slopes = curve
        return slopes[0] * x + sum(s * max(x - k, 0.0) for k, s in zip(knots[1:], slopes[1:], strict=True))

    told = excess if curve is None else {c: nats(counted[c]) * weight[c] if excess[c] else 0.0 for c in members}
    told = told if sum(told.values()) > 0 else excess
    each = [told[clusters[i]] / len(members[clusters[i]]) for i in range(count)]
    exact = [Fraction(attributable) * Fraction(value) / sum(map(Fraction, each)) for value in each]
    parts = [int(value) for value in exact]
    for i in sorted(range(count), key=lambda i: (parts[i] - exact[i], i))[: attributable - sum(parts)]:
        parts[i] += 1
    return {**{n: p for n, p in zip(recordings, parts, strict=True) if p}, "commons": 10**9 - attributable}
