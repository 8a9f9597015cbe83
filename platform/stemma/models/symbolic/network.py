"""The decoder: a Llama of the transformers library over tokens and the features of where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from stemma.models.symbolic.tokens import COLUMNS, FEATURE_SIZES, Segment, Vocabulary, trace

PROMPT = 384
"""Size of a prompt's embedding."""


@dataclass(frozen=True)
class Shape:
    """Size of a network."""

    width: int = 192
    layers: int = 5
    heads: int = 6
    hidden: int = 512
    dropout: float = 0.1


class Network(nn.Module):
    """Predicts each token of a sequence from those before it, and the first from the prompt alone.

    The input at a place is the sum of the embeddings of the token just read and of the features after
    it, so that the network need not count time itself.  Place 0 holds the prompt.
    """

    def __init__(self, vocabulary: Vocabulary, shape: Shape) -> None:
        super().__init__()
        self.vocabulary, self.shape = vocabulary, shape
        config = LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=shape.width,
            intermediate_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            attention_dropout=0.0,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="sdpa",
        )
        self.decoder = LlamaForCausalLM(config)
        self.places = nn.EmbeddingBag(sum(FEATURE_SIZES.values()), shape.width, mode="sum")
        self.offsets: Tensor
        self.register_buffer("offsets", torch.from_numpy(offsets()), persistent=False)
        self.prompt = nn.Linear(PROMPT, shape.width)
        self.unprompted = nn.Parameter(torch.zeros(shape.width))
        self.dropout = nn.Dropout(shape.dropout)
        nn.init.normal_(self.places.weight, std=0.02)

    def inputs(self, tokens: Tensor, features: Tensor, prompt: Tensor, prompted: Tensor) -> Tensor:
        """Input of places 0…T for T tokens: [batch, T + 1, width].

        `features` [batch, T + 1, FEATURES] are those of the state before each token and after the
        last; `prompt` [batch, PROMPT] counts where `prompted` [batch] is true.
        """
        first = torch.where(prompted[:, None], self.prompt(prompt), self.unprompted)
        words = torch.cat([first[:, None], self.decoder.model.embed_tokens(tokens)], dim=1)
        rows = (features + self.offsets).flatten(0, 1)
        total = words + self.places(rows).view(words.shape)
        dropped: Tensor = self.dropout(total)
        return dropped

    def forward(self, batch: Batch) -> Tensor:
        """Negative log likelihood of every token [batch, T]; 0 for padding and forced tokens."""
        inputs = self.inputs(batch.tokens[:, :-1], batch.features, batch.prompt, batch.prompted)
        hidden = self.decoder.model(inputs_embeds=inputs, use_cache=False).last_hidden_state
        keep = batch.free
        if not self.training:
            # Place by place, forced ones too: attribution must see which sequence each row of the head belongs to.
            logits = self.decoder.lm_head(hidden)
            every = nn.functional.cross_entropy(logits.mT, batch.tokens, reduction="none")
            return torch.where(keep, every, 0.0)
        logits = self.decoder.lm_head(self.dropout(hidden[keep]))
        losses = nn.functional.cross_entropy(logits, batch.tokens[keep], reduction="none")
        return torch.zeros(keep.shape, dtype=losses.dtype).masked_scatter(keep, losses)


def offsets() -> npt.NDArray[np.int64]:
    """Row of the table of places at which each column's feature begins."""
    starts = dict(zip(FEATURE_SIZES, np.cumsum([0, *FEATURE_SIZES.values()]).tolist(), strict=False))
    return np.array([starts[name] for name in COLUMNS])


@dataclass(frozen=True)
class Batch:
    """Sequences padded to one length."""

    tokens: Tensor
    """[batch, T]"""
    features: Tensor
    """[batch, T, FEATURES], of the state before each token."""
    free: Tensor
    """[batch, T], false for padding and for tokens that the grammar forces."""
    prompt: Tensor
    prompted: Tensor

    @classmethod
    def of(cls, segments: Sequence[Segment], vocabulary: Vocabulary, prompts: Sequence[Sequence[float]] = ()) -> Batch:
        """Pad segments; `prompts` are embeddings, empty for none."""
        size = max(len(s.tokens) for s in segments)
        tokens = np.full((len(segments), size), vocabulary.pad, dtype=np.int64)
        features = np.zeros((len(segments), size, segments[0].features.shape[1]), dtype=np.int64)
        free = np.zeros((len(segments), size), dtype=bool)
        prompt = np.zeros((len(segments), PROMPT), dtype=np.float32)
        prompted = np.zeros(len(segments), dtype=bool)
        for i, segment in enumerate(segments):
            n = len(segment.tokens)
            tokens[i, :n], features[i, :n], free[i, :n] = segment.tokens, segment.features, segment.free
            if prompts and len(prompts[i]):
                prompt[i], prompted[i] = prompts[i], True
        arrays = (tokens, features, free, prompt, prompted)
        return cls(*(torch.from_numpy(a) for a in arrays))


def as_segment(tokens: Sequence[int], vocabulary: Vocabulary) -> Segment:
    """Tokens with the features they lead through."""
    features, free = trace(tokens, vocabulary)
    return Segment(np.array(tokens, dtype=np.int16), features, free, 0, 0, 0)
