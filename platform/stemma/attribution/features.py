"""Per-example gradients of a model's layers, in the basis where they vary most.

For a layer with input `a` and output gradient `d`, the gradient of one example's loss is the sum of
`d aᵀ` over its tokens.  It is never formed: hooks catch `a` and `d`, both are projected on the top
eigenvectors of `A = E[aaᵀ]` and `S = E[ddᵀ]`, and the small product is summed.  Weights themselves
get no gradient, so a pass costs a forward and the half of a backward that flows through activations.

Layers are of three *parts*: tables of embeddings, the blocks that repeat, and the ends (of a decoder the projection
on its vocabulary).  Blocks have most coordinates and say much the same again; in scores each part has the same say.

A table of embeddings is a linear layer too, whose input has a one at the row that was looked up (or at
several, which a bag sums): its `a` are row numbers.  Where one row is looked up at a time, rows are
uncorrelated and are directions as they stand; a bag's have eigenvectors.

Only layers that see [sequences, tokens, …] take part: their products belong to one example each.
Features are sums over tokens, so a recording's vector is exactly the sum of its segments' vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from stemma.errors import InvalidError
from stemma.models.protocol import Example, Family

BATCH_TOKENS = 4096
"""Tokens of one pass, padding included."""
MEMORY = 1 << 28
"""Bytes of inputs and gradients that are kept for a second look; what is beyond is computed again."""

ROWS = 2048
"""Rows of a table that are told apart at most; a larger bag takes no part."""
WIDE = 4
"""Times `rank` that directions are kept of a bag's input and of what the ends put out: their rows, places and words,
say what other layers do not see."""

PARTS = ("tables", "blocks", "ends")
"""Parts of a model that have the same say."""

Caught = dict[str, tuple[Tensor, Tensor]]
"""Input and output gradient of every layer for a batch, [sequences, tokens, width] each.  Of a table
the row numbers, [sequences, tokens], or [sequences, tokens, n] where it sums n of them."""


@dataclass(frozen=True)
class Basis:
    """Directions on which one layer's gradients are projected: columns are orthonormal."""

    layer: str
    inputs: Tensor
    """[in, r] top eigenvectors of E[aaᵀ]; of a table that looks up one row at a time,
    the numbers [r] of those that were looked up most."""
    outputs: Tensor
    """[out, s] top eigenvectors of E[ddᵀ]."""
    kept: float
    """Part of the layer's gradient energy that the projection is expected to keep, 0…1."""

    @property
    def size(self) -> int:
        """Length of the layer's features."""
        return self.inputs.shape[-1] * self.outputs.shape[1]


@dataclass(frozen=True)
class Directions:
    """Where one checkpoint's gradients are looked at: the eigenbasis of EK-FAC, cut to what matters."""

    bases: tuple[Basis, ...]
    kept: Tensor
    """[k] coordinates kept of all layers' products, one after another, in rising order."""
    second: Tensor
    """[k] Λ: mean square of each coordinate over examples."""
    part: Tensor
    """[k] which part of the model each belongs to, a number of `PARTS`."""
    damping: Tensor
    """[k] mean of Λ over all coordinates of its part, kept or not: the unit of λ."""

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
    """The eigenbasis at a checkpoint, and the `keep` coordinates in which gradients vary most."""
    return explored(family, examples, rank=rank, keep=keep)[0]


def explored(family: Family, examples: Sequence[Example], *, rank: int, keep: int) -> tuple[Directions, Tensor]:
    """The directions of a checkpoint, and the features [examples, k] of what they were learned from.

    George et al. 2018 (EK-FAC): in the eigenbasis of the Kronecker factors the second moments of the
    gradient itself are the best diagonal.  They are measured on the same examples, which run through the
    model once as long as `MEMORY` holds what was caught.
    """
    caught: dict[int, Caught] = {}
    found = bases(family, examples, rank, caught)
    sizes = [b.size for b in found]
    everything = [torch.arange(size) for size in sizes]
    rows = torch.empty(len(examples), sum(sizes))
    squares = torch.zeros(sum(sizes), dtype=torch.float64)
    for number, batch in enumerate(batches(examples)):
        some = [examples[i] for i in batch]
        part = _products(family, some, found, everything, caught.pop(number, None)).cpu()
        rows[batch] = part
        squares += part.double().square().sum(dim=0)
    _check(rows, examples)
    second = squares / len(examples)
    part = torch.repeat_interleave(torch.tensor([_part(family.module, b.layer) for b in found]), torch.tensor(sizes))
    sums = torch.zeros(len(PARTS), dtype=torch.float64).index_add_(0, part, second)
    mean = (sums / torch.bincount(part, minlength=len(PARTS)).clamp_min(1))[part]
    kept = torch.sort(torch.topk(second, min(keep, len(second)), sorted=False).indices).values
    where = Directions(tuple(found), kept, second[kept].float(), part[kept], mean[kept].float())
    return where, rows if len(kept) == len(second) else rows[:, kept]


def _part(module: nn.Module, layer: str) -> int:
    """Number of the part that a layer belongs to: what is a member of a list, by its number, repeats."""
    if isinstance(module.get_submodule(layer), nn.Embedding | nn.EmbeddingBag):
        return PARTS.index("tables")
    return PARTS.index("blocks" if any(name.isdigit() for name in layer.split(".")) else "ends")


def bases(
    family: Family, examples: Sequence[Example], rank: int, caught: dict[int, Caught] | None = None
) -> list[Basis]:
    """One basis per layer, from the inputs and output gradients that these examples cause.

    `rank` bounds the directions on each side of a layer (of some `WIDE` times as many); a layer narrower than that
    is kept whole, and so are the rows of a table.
    In `caught`, if it is given, stays what the first batches cause, by their number, up to `MEMORY` bytes.
    """
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    room = 0 if caught is None else MEMORY
    for number, batch in enumerate(batches(examples)):
        now = _caught(family, [examples[i] for i in batch])
        known: dict[int, Tensor] = {}  # several layers may read the same input
        for name, (a, d) in now.items():
            flat_d = d.flatten(0, 1)
            if id(a) not in known:
                known[id(a)] = _second(a, d, family.module.get_submodule(name))
            inputs[name] = inputs.get(name, 0) + known[id(a)]
            outputs[name] = outputs.get(name, 0) + flat_d.T @ flat_d
        room -= 4 * sum(t.numel() for t in {id(t): t for pair in now.values() for t in pair}.values())
        if caught is not None and room >= 0:
            caught[number] = now
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
        if covariance.dim() == 1:
            u_in, kept_in = _most(covariance)
        else:
            bag = isinstance(family.module.get_submodule(name), nn.EmbeddingBag)
            u_in, kept_in = _top(covariance, rank * WIDE if bag else rank)
        end = PARTS[_part(family.module, name)] == "ends"
        u_out, kept_out = _top(outputs[name], rank * WIDE if end else rank)
        found.append(Basis(layer=name, inputs=u_in, outputs=u_out, kept=kept_in * kept_out))
    return found


def features(family: Family, examples: Sequence[Example], where: Directions) -> Tensor:
    """Gradients of each example's loss in the coordinates kept, float32 [examples, k]."""
    rows = torch.empty(len(examples), where.size)
    inside = where.inside()
    for batch in batches(examples):
        rows[batch] = _products(family, [examples[i] for i in batch], where.bases, inside).cpu()
    _check(rows, examples)
    return rows


def _check(rows: Tensor, examples: Sequence[Example]) -> None:
    if not rows.isfinite().all():
        bad = int((~rows.isfinite().all(dim=1)).nonzero()[0])
        raise InvalidError(
            f"The gradient of {examples[bad].recording or 'the output'} is not finite.",
            remedy="This checkpoint is broken: train again, or leave it out.",
            code="bad-gradients",
        )


def _products(
    family: Family,
    examples: Sequence[Example],
    basis: Sequence[Basis],
    inside: Sequence[Tensor],
    caught: Caught | None = None,
) -> Tensor:
    caught = caught or _caught(family, examples)
    if len(examples) > 1 and any(caught[b.layer][0].shape[0] != len(examples) for b in basis):
        # A long example runs as several sequences: only alone is it known whose they are.
        return torch.cat([_products(family, [example], basis, inside) for example in examples])
    parts = []
    for b, own in zip(basis, inside, strict=True):
        if not len(own):
            continue
        a, d = caught[b.layer]
        product = _product(a, d @ b.outputs.to(d.device), b.inputs.to(a.device)).flatten(1)
        product = product if len(examples) > 1 else product.sum(dim=0, keepdim=True)
        parts.append(product if len(own) == b.size else product[:, own])
    return torch.cat(parts, dim=1)


def _second(a: Tensor, d: Tensor, layer: Any) -> Tensor:
    """Σ aaᵀ over tokens; of a table that looks up one row at a time its diagonal, for the rest is zero."""
    if a.is_floating_point():
        flat = a.flatten(0, 1)
        return flat.T @ flat
    seen = (d != 0).any(dim=-1).flatten().to(d.dtype)  # not padding
    if a.dim() == 2:
        return torch.bincount(a.flatten(), weights=seen, minlength=layer.num_embeddings)
    rows = a.flatten(0, 1)
    hot = torch.zeros(len(rows), layer.num_embeddings, device=a.device)
    hot.scatter_add_(1, rows, seen[:, None].expand(rows.shape))
    return hot.T @ hot


def _product(a: Tensor, turned: Tensor, directions: Tensor) -> Tensor:
    """Σ `turned` aᵀ over the tokens of each sequence, in these directions of `a`: [sequences, s, r]."""
    if a.is_floating_point():
        return torch.bmm(turned.mT, a @ directions)
    if a.dim() == 3:
        summed = nn.functional.embedding_bag(a.flatten(0, 1), directions, mode="sum")
        return torch.bmm(turned.mT, summed.view(*a.shape[:2], -1))
    size, (sequences, _, width) = len(directions), turned.shape
    slot = torch.full((int(max(a.max(), directions.max())) + 1,), size, device=a.device)  # the last is for all others
    slot[directions] = torch.arange(size, device=a.device)
    place = slot[a] + (size + 1) * torch.arange(sequences, device=a.device)[:, None]
    sums = turned.new_zeros(sequences * (size + 1), width)
    sums.index_add_(0, place.flatten(), turned.flatten(0, 1))
    return sums.view(sequences, size + 1, width)[:, :size].mT


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


def _caught(family: Family, examples: Sequence[Example]) -> Caught:
    """What a batch causes in every layer.

    The kernel of attention is fixed: the fast ones let an example's gradient depend on its batch.
    """
    module = family.module
    module.eval().requires_grad_(False)
    seen: Caught = {}
    inputs: dict[int, tuple[Tensor, Tensor]] = {}  # a tensor and what is kept of it: layers may share one
    again: set[str] = set()

    def hook(name: str, layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        if not _takes_part(layer, given):
            return
        if name in seen:
            again.add(name)
        if not output.requires_grad:
            output.requires_grad_(True)  # a root: nothing before the first layers needs a gradient
        if id(given[0]) not in inputs:
            inputs[id(given[0])] = (given[0], given[0].detach())
        seen[name] = (inputs[id(given[0])][1], output)

    handles = [
        layer.register_forward_hook(lambda layer, given, output, name=name: hook(name, layer, given, output))
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.Embedding | nn.EmbeddingBag)
    ]
    try:
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            total = family.losses(examples).sum()
            names = [name for name in seen if name not in again]
            gradients = torch.autograd.grad(total, [seen[name][1] for name in names], allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    found = {name: (seen[name][0], d) for name, d in zip(names, gradients, strict=True) if d is not None}
    # A bag sees the sequences' tokens one after another.
    count = next((len(d) for _, d in found.values() if d.dim() == 3), 0)
    for name, (a, d) in list(found.items()):
        if d.dim() == 2:
            if count and len(d) % count == 0:
                found[name] = (a.view(count, -1, a.shape[-1]), d.view(count, -1, d.shape[-1]))
            else:
                del found[name]
    return found


def _takes_part(layer: nn.Module, given: tuple[Tensor, ...]) -> bool:
    """Whether a layer sees sequences of tokens, so that it is known whose a row of its output is."""
    if isinstance(layer, nn.EmbeddingBag):
        return len(given) == 1 and given[0].dim() == 2 and layer.mode == "sum" and layer.num_embeddings <= ROWS
    return given[0].dim() == (2 if isinstance(layer, nn.Embedding) else 3)


def _most(counts: Tensor) -> tuple[Tensor, float]:
    """The rows of a table that were looked up most, and the part of all look-ups that goes to them."""
    rows = torch.sort(counts, descending=True, stable=True).indices[:ROWS]
    rows = rows[counts[rows] > 0]
    return rows.cpu(), float(counts[rows].sum() / counts.sum().clamp_min(1e-300))


def _top(covariance: Tensor, rank: int) -> tuple[Tensor, float]:
    """The eigenvectors of the largest eigenvalues, and the part of the trace that they carry."""
    values, vectors = torch.linalg.eigh(covariance.double().cpu())
    top = vectors[:, -min(rank, len(values)) :].flip(1)
    # An eigenvector's sign is arbitrary: fix it, so that a store can be built twice to the same bytes.
    sign = torch.sign(top.gather(0, top.abs().argmax(0, keepdim=True)))
    kept = values[-top.shape[1] :].sum() / values.sum().clamp_min(1e-300)
    return (top * sign).float(), float(kept)
