"""The symbolic family behind the protocol: saving, loading, examples and losses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import safetensors.torch
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from stemma.errors import InvalidError
from stemma.models.protocol import Example, GenerationRequest, Piece
from stemma.models.symbolic.compose import Composer, Layouts
from stemma.models.symbolic.network import Batch, Network, Shape, as_segment
from stemma.models.symbolic.sampler import Weights
from stemma.models.symbolic.score import read_midi
from stemma.models.symbolic.tokens import Layout, Segment, Vocabulary, read
from stemma.rights.snapshot import SnapshotRecording


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, unless a caller says otherwise."""

    temperature: float = 0.9
    top_p: float = 0.95
    header_temperature: float = 0.8


class Symbolic:
    """A decoder over notes, in the folder layout of `Family`."""

    name = "symbolic"
    balanced = True

    def __init__(
        self, network: Network, layouts: Layouts, *, limit: int = 512, sampling: Sampling | None = None
    ) -> None:
        self.network, self.layouts, self.limit = network, layouts, limit
        self.sampling = sampling or Sampling()

    @classmethod
    def create(cls, styles: Iterable[str], layouts: Layouts, *, shape: Shape, limit: int = 512, seed: int = 0) -> Self:
        """A fresh, untrained model; the same seed gives the same weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Network(Vocabulary(sorted(set(styles))), shape)
        return cls(network, layouts, limit=limit)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in this folder, ready to generate."""
        try:
            config = json.loads((folder / "config.json").read_text())
            sampling = Sampling(**json.loads((folder / "generation_config.json").read_text()))
            vocabulary = json.loads((folder / "tokenizer" / "vocabulary.json").read_text())
            layouts = json.loads((folder / "tokenizer" / "layouts.json").read_text())
            network = Network(Vocabulary(vocabulary["styles"]), Shape(**config["shape"]))
            if network.vocabulary.names != vocabulary["tokens"]:
                raise InvalidError(
                    "The model was trained with other tokens than this version reads.", code="bad-bundle"
                )
            weights = safetensors.torch.load_file(folder / "model.safetensors")
            missing, unexpected = network.load_state_dict(weights, strict=False)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
            raise InvalidError(f"{folder} does not hold a whole symbolic model: {error}", code="bad-bundle") from error
        if unexpected or missing != ["decoder.lm_head.weight"]:
            raise InvalidError(f"{folder} holds the weights of another network.", code="bad-bundle")
        return cls(network.eval(), layouts, limit=config["context"], sampling=sampling)

    def save(self, folder: Path, **facts: Any) -> None:
        """Write the model; `facts` join what `stemma.json` says."""
        (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
        llama: Any = self.network.decoder.config
        config = {
            **llama.to_dict(),
            "model_type": "stemma-symbolic",
            "architectures": ["StemmaSymbolic"],
            "shape": asdict(self.network.shape),
            "context": self.limit,
        }
        vocabulary = {"styles": self.styles, "tokens": self.network.vocabulary.names}
        _write(folder / "config.json", config)
        _write(folder / "generation_config.json", asdict(self.sampling))
        _write(folder / "tokenizer" / "vocabulary.json", vocabulary)
        _write(folder / "tokenizer" / "layouts.json", self.layouts)
        _write(folder / "stemma.json", {"family": self.name, "styles": self.styles, **facts})
        weights = {n: w.contiguous() for n, w in self.network.state_dict().items() if n != "decoder.lm_head.weight"}
        safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles it was trained on."""
        return self.network.vocabulary.styles

    def generate(self, request: GenerationRequest, *, stop: Callable[[], bool] = lambda: False) -> Piece:
        """A piece; see `Composer`."""
        return self._composer.compose(request, stop=stop)

    @cached_property
    def _composer(self) -> Composer:
        s = self.sampling
        return Composer(
            Weights(self.network),
            self.network.vocabulary,
            self.layouts,
            limit=self.limit,
            temperature=s.temperature,
            top_p=s.top_p,
            header_temperature=s.header_temperature,
        )

    @property
    def module(self) -> torch.nn.Module:
        """The network."""
        return self.network

    def examples(self, recording: SnapshotRecording, midi: bytes) -> list[Example]:
        """The recording in whole bars, as many to a segment as the context holds."""
        score = read_midi(midi, source=f"score of {recording.title}")
        layout = Layout.of(score, recording.style, recording.key)
        return [
            Example(segment.tokens.tolist(), recording=recording.recording)
            for segment in layout.segments(self.network.vocabulary, limit=self.limit)
        ]

    def losses(self, examples: Sequence[Example]) -> torch.Tensor:
        """Negative log likelihood of each example in nats, [len(examples)].

        The sum over tokens that the grammar leaves free.  An example longer than the context is
        judged in the segments that it would be trained in.
        """
        vocabulary = self.network.vocabulary
        owners, segments, prompts = [], [], []
        for index, example in enumerate(examples):
            for segment in self._segments(example):
                owners.append(index)
                segments.append(segment)
                prompts.append(example.condition)
        batch = Batch.of(segments, vocabulary, prompts)
        # Only the math kernel gives the same gradient to an example whatever its neighbours.
        with sdpa_kernel(SDPBackend.MATH):
            losses = self.network(batch).sum(dim=1)
        return torch.zeros(len(examples)).index_add(0, torch.tensor(owners), losses)

    def _segments(self, example: Example) -> list[Segment]:
        vocabulary = self.network.vocabulary
        whole = as_segment(example.tokens, vocabulary)
        if len(whole.tokens) <= self.limit:
            return [whole]
        return read(example.tokens, vocabulary).layout().segments(vocabulary, limit=self.limit)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
