"""Per-example gradients of a model's linear layers, in the basis where they vary most.

For a layer with input `a` and output gradient `d`, the gradient of one example's loss is the sum of
`d aᵀ` over its tokens.  It is never formed: hooks catch `a` and `d`, both are projected on the top
eigenvectors of `A = E[aaᵀ]` and `S = E[ddᵀ]`, and the small product is summed.  Weights themselves
get no gradient, so a pass costs a forward and the half of a backward that flows through activations.

Only layers that see [sequences, tokens, width] take part: their products belong to one example each.
Features are sums over tokens, so a recording's vector is exactly the sum of its segments' vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from stemma.errors import InvalidError
from stemma.models.protocol import Example, Family

BATCH_TOKENS = 4096
"""Tokens of one pass, padding included."""
DAMPING = 0.1
"""λ as a multiple of a layer's mean Λ, where nobody says otherwise: the heuristic of Grosse et al. 2023."""


@dataclass(frozen=True)
class Basis:
    """Directions on which one layer's gradients are projected: columns are orthonormal."""

    layer: str
    inputs: Tensor
    """[in, r] top eigenvectors of E[aaᵀ]."""
    outputs: Tensor
    """[out, s] top eigenvectors of E[ddᵀ]."""
    kept: float
    """Part of the layer's gradient energy that the projection is expected to keep, 0…1."""

    @property
    def size(self) -> int:
        """Length of the layer's features."""
        return self.inputs.shape[1] * self.outputs.shape[1]


@dataclass(frozen=True)
class Directions:
    """Where one checkpoint's gradients are looked at: the eigenbasis of EK-FAC, cut to what matters."""

    bases: tuple[Basis, ...]
    kept: Tensor
    """[k] coordinates kept of all layers' products, one after another, in rising order."""
    second: Tensor
    """[k] Λ: mean square of each coordinate over examples."""
    damping: Tensor
    """[k] mean of Λ over all coordinates of the coordinate's layer: the unit of λ."""

    @property
    def size(self) -> int:
        """Length of a vector of features."""
        return len(self.kept)

    @property
    def unit(self) -> Tensor:
        """[k] typical size of each coordinate; never zero."""
        return (self.second + 1e-6 * self.damping).sqrt().clamp_min(1e-20)

    def inside(self) -> list[Tensor]:
        """The coordinates kept of each layer, counted from the layer's first."""
        bounds = torch.cumsum(torch.tensor([0, *(b.size for b in self.bases)]), 0).tolist()
        cuts = torch.searchsorted(self.kept, torch.tensor(bounds)).tolist()
        return [self.kept[low:high] - start for start, (low, high) in zip(bounds, pairwise(cuts), strict=False)]


def directions(family: Family, examples: Sequence[Example], *, rank: int, keep: int) -> Directions:
    """The eigenbasis at a checkpoint, and the `keep` coordinates in which gradients vary most.

    George et al. 2018 (EK-FAC): in the eigenbasis of the Kronecker factors the second moments of the
    gradient itself are the best diagonal.  They are measured on the same examples.
    """
    found = bases(family, examples, rank)
    total = sum(b.size for b in found)
    whole = Directions(tuple(found), torch.arange(total), torch.zeros(total), torch.zeros(total))
    squares = torch.zeros(total, dtype=torch.float64)
    for batch in batches(examples):
        squares += features(family, [examples[i] for i in batch], whole).double().square().sum(dim=0)
    second = squares / len(examples)
    means = torch.cat([part.mean().expand(len(part)) for part in torch.split(second, [b.size for b in found])])
    # What a coordinate adds to the variance of a score, at the usual damping.
    weight = second / (second + DAMPING * means).clamp_min(1e-300)
    kept = torch.sort(torch.topk(weight, min(keep, total), sorted=False).indices).values
    return Directions(tuple(found), kept, second[kept].float(), means[kept].float())


def bases(family: Family, examples: Sequence[Example], rank: int) -> list[Basis]:
    """One basis per layer, from the inputs and output gradients that these examples cause.

    `rank` bounds the directions on each side of a layer; a layer narrower than that is kept whole.
    """
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    for batch in batches(examples):
        for name, (a, d) in _caught(family, [examples[i] for i in batch]).items():
            flat_a, flat_d = a.flatten(0, 1), d.flatten(0, 1)
            inputs[name] = inputs.get(name, 0) + flat_a.T @ flat_a
            outputs[name] = outputs.get(name, 0) + flat_d.T @ flat_d
    if not inputs:
        raise InvalidError("There is nothing to learn the gradients' directions from: no examples.")
    found = []
    for name, covariance in inputs.items():
        if not (covariance.isfinite().all() and outputs[name].isfinite().all()):
            raise InvalidError(
                f"The gradients of layer {name} are not finite.",
                remedy="This checkpoint is broken: train again, or leave it out.",
                code="bad-gradients",
            )
        u_in, kept_in = _top(covariance, rank)
        u_out, kept_out = _top(outputs[name], rank)
        found.append(Basis(layer=name, inputs=u_in, outputs=u_out, kept=kept_in * kept_out))
    return found


def features(family: Family, examples: Sequence[Example], where: Directions) -> Tensor:
    """Gradients of each example's loss in the coordinates kept, float32 [examples, k]."""
    rows = torch.empty(len(examples), where.size)
    inside = where.inside()
    for batch in batches(examples):
        rows[batch] = _products(family, [examples[i] for i in batch], where.bases, inside).cpu()
    if not rows.isfinite().all():
        bad = int((~rows.isfinite().all(dim=1)).nonzero()[0])
        raise InvalidError(
            f"The gradient of {examples[bad].recording or 'the output'} is not finite.",
            remedy="This checkpoint is broken: train again, or leave it out.",
            code="bad-gradients",
        )
    return rows


def _products(family: Family, examples: Sequence[Example], basis: Sequence[Basis], inside: Sequence[Tensor]) -> Tensor:
    caught = _caught(family, examples)
    if len(examples) > 1 and any(caught[b.layer][0].shape[0] != len(examples) for b in basis):
        # A long example runs as several sequences: only alone is it known whose they are.
        return torch.cat([_products(family, [example], basis, inside) for example in examples])
    parts = []
    for b, own in zip(basis, inside, strict=True):
        if not len(own):
            continue
        a, d = caught[b.layer]
        product = torch.bmm((d @ b.outputs.to(d.device)).mT, a @ b.inputs.to(a.device)).flatten(1)
        product = product if len(examples) > 1 else product.sum(dim=0, keepdim=True)
        parts.append(product if len(own) == b.size else product[:, own])
    return torch.cat(parts, dim=1)


def batches(examples: Sequence[Example]) -> Iterator[list[int]]:
    """Indices of examples of like length, a batch at a time, so that little is spent on padding."""
    batch: list[int] = []
    for i in sorted(range(len(examples)), key=lambda i: len(examples[i].tokens)):
        if batch and (len(batch) + 1) * len(examples[i].tokens) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _caught(family: Family, examples: Sequence[Example]) -> dict[str, tuple[Tensor, Tensor]]:
    """Input and output gradient of every layer for a batch, [sequences, tokens, width] each.

    The kernel of attention is fixed: the fast ones let an example's gradient depend on its batch.
    """
    module = family.module
    module.eval().requires_grad_(False)
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    again: set[str] = set()

    def hook(name: str, output: Tensor, given: Tensor) -> None:
        if given.dim() != 3:
            return
        if name in seen:
            again.add(name)
        if not output.requires_grad:
            output.requires_grad_(True)  # a root: nothing before the first layers needs a gradient
        seen[name] = (given.detach(), output)

    handles = [
        layer.register_forward_hook(lambda _, given, output, name=name: hook(name, output, given[0]))
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            total = family.losses(examples).sum()
            names = [name for name in seen if name not in again]
            gradients = torch.autograd.grad(total, [seen[name][1] for name in names], allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: (seen[name][0], gradient) for name, gradient in zip(names, gradients, strict=True) if gradient is not None
    }


def _top(covariance: Tensor, rank: int) -> tuple[Tensor, float]:
    """The eigenvectors of the largest eigenvalues, and the part of the trace that they carry."""
    values, vectors = torch.linalg.eigh(covariance.double().cpu())
    top = vectors[:, -min(rank, len(values)) :].flip(1)
    # An eigenvector's sign is arbitrary: fix it, so that a store can be built twice to the same bytes.
    sign = torch.sign(top.gather(0, top.abs().argmax(0, keepdim=True)))
    kept = values[-top.shape[1] :].sum() / values.sum().clamp_min(1e-300)
    return (top * sign).float(), float(kept)
