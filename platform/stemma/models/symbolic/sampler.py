"""Sampling token by token with a cache of keys and values, in NumPy.

The network is small: on a processor the calls, not the sums, take most of the time of a step, and
NumPy's calls cost a fraction of PyTorch's.  `tests/models` holds both to the same logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from stemma.models.symbolic.network import Network, offsets
from stemma.models.symbolic.tokens import Mask

Array = npt.NDArray[np.float32]


class Weights:
    """The network's weights, laid out for products of one row."""

    def __init__(self, network: Network) -> None:
        config: Any = network.decoder.config
        self.heads = int(config.num_attention_heads)
        self.epsilon = float(config.rms_norm_eps)
        self.width = int(config.hidden_size)
        base = float(config.rope_parameters["rope_theta"])
        size = self.width // self.heads
        angles = np.outer(np.arange(config.max_position_embeddings), base ** (-np.arange(0, size, 2) / size))
        self.cos, self.sin = (np.tile(f(angles), 2).astype(np.float32)[:, None] for f in (np.cos, np.sin))
        self.words = _array(network.decoder.model.embed_tokens.weight)
        self.output = np.ascontiguousarray(self.words.T)
        self.places, self.offsets = _array(network.places.weight), offsets()
        self.prompt, self.bias = _array(network.prompt.weight), _array(network.prompt.bias)
        self.unprompted = _array(network.unprompted)
        self.norm = _array(network.decoder.model.norm.weight)
        self.layers = [self._layer(layer) for layer in network.decoder.model.layers]

    @staticmethod
    def _layer(layer: Any) -> tuple[Array, ...]:
        attention, mlp = layer.self_attn, layer.mlp

        def columns(*linears: Any) -> Array:
            return np.ascontiguousarray(np.concatenate([_array(m.weight) for m in linears]).T)

        return (
            _array(layer.input_layernorm.weight),
            columns(attention.q_proj, attention.k_proj, attention.v_proj),
            columns(attention.o_proj),
            _array(layer.post_attention_layernorm.weight),
            columns(mlp.gate_proj, mlp.up_proj),
            columns(mlp.down_proj),
        )

    def start(self, prompt: Sequence[float]) -> Array:
        """Embedding of place 0."""
        if not len(prompt):
            return self.unprompted
        vector: Array = self.prompt @ np.asarray(prompt, dtype=np.float32) + self.bias
        return vector


def _array(tensor: torch.Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())


class Reader:
    """One sequence being read; `step` answers with the logits of the next token."""

    def __init__(self, weights: Weights, capacity: int) -> None:
        self.w, self.length = weights, 0
        head = weights.width // weights.heads
        shape = (len(weights.layers), weights.heads, capacity, head)
        self.keys, self.values = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        self.scale = np.float32(head**-0.5)

    def step(self, word: Array, features: Sequence[int]) -> Array:
        """Read one place: the embedding of its token (or prompt) and the features after it."""
        w, place = self.w, self.length
        x = word + w.places[w.offsets + features].sum(axis=0)
        heads, size = w.heads, w.width // w.heads
        cos, sin, half = w.cos[place], w.sin[place], size // 2
        for index, (norm, qkv, out, norm2, up, down) in enumerate(w.layers):
            mixed = (self._norm(x, norm) @ qkv).reshape(3, heads, size)
            turned = np.concatenate([-mixed[:2, :, half:], mixed[:2, :, :half]], axis=2)
            query, key = mixed[:2] * cos + turned * sin
            keys, values = self.keys[index], self.values[index]
            keys[:, place], values[:, place] = key, mixed[2]
            scores = np.matmul(keys[:, : place + 1], query[:, :, None])[:, :, 0] * self.scale
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=1, keepdims=True)
            x = x + np.matmul(scores[:, None], values[:, : place + 1]).reshape(-1) @ out
            gate, value = (self._norm(x, norm2) @ up).reshape(2, -1)
            x = x + (gate / (1 + np.exp(-gate)) * value) @ down
        self.length += 1
        logits: Array = self._norm(x, w.norm) @ w.output
        return logits

    def _norm(self, x: Array, weight: Array) -> Array:
        normed: Array = x * (weight / np.sqrt(np.mean(x * x) + self.w.epsilon, dtype=np.float32))
        return normed


def choose(logits: Array, mask: Mask, *, temperature: float, top_p: float, rng: np.random.Generator) -> int:
    """One of the allowed tokens, from the smallest set that holds `top_p` of the probability."""
    (allowed,) = np.nonzero(mask)
    if len(allowed) == 1:
        return int(allowed[0])
    scores = logits[allowed].astype(np.float64) / max(temperature, 1e-3)
    order = np.argsort(-scores, kind="stable")
    odds = np.exp(scores[order] - scores[order[0]])
    total = np.cumsum(odds)
    count = int(np.searchsorted(total, top_p * total[-1])) + 1
    drawn = rng.random() * total[min(count, len(total)) - 1]
    return int(allowed[order[min(int(np.searchsorted(total, drawn, side="right")), count - 1)]])
