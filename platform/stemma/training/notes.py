"""What a study of a model that writes notes is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from stemma.attribution.manifest import Plan
from stemma.models.protocol import Example, Family, GenerationRequest
from stemma.models.symbolic.captions import captions
from stemma.models.symbolic.compose import Layouts
from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.prompt import embed
from stemma.models.symbolic.tokens import Vocabulary, read
from stemma.music import instruments
from stemma.rights.snapshot import SnapshotRecording
from stemma.training.dataset import Dataset, layouts, works
from stemma.training.material import OURS, SISTERS, Matrix, Read, Way, cosine, evenly, spread
from stemma.training.presets import AnyPreset, Preset
from stemma.training.profiles import Profile
from stemma.training.symbolic import SymbolicCourse

CAPTIONS = 8
"""Descriptions in words of each query, for the similarity of prompts."""
PLAN = Plan(tokens=96, whole=False)
"""The plan that is judged; of a recording the study's model learns from one segment only."""


@dataclass(frozen=True)
class Notes:
    """Scores of a snapshot as segments of tokens; made by `Notes.open`."""

    profile: Profile
    recordings: list[SnapshotRecording]
    held_out: list[SnapshotRecording]
    data: Dataset
    layouts: Layouts

    family = "symbolic"
    rival = "trigrams of tokens"

    @classmethod
    def open(cls, profile: Profile, recordings: Sequence[SnapshotRecording], scores: Read) -> Self:
        """Of a snapshot's recordings as many as the profile takes, and their scores."""
        preset = _preset(profile.preset)
        rows = sorted(recordings, key=lambda r: r.recording)
        every = works(rows, {r.recording: scores(r) for r in rows})
        trained = spread([w.recording for w in every if not w.held_out], profile.works)
        names = {r.recording for r in trained}
        found = [w for w in every if w.held_out or w.recording.recording in names]
        vocabulary = Vocabulary(sorted({w.recording.style for w in found}))
        data = Dataset.of(found, vocabulary, limit=preset.context, captions_each=preset.captions)
        held_out = [w.recording for w in every if w.held_out]
        return cls(profile, trained, held_out, _only(data, evenly(data.owners, profile.segments)), layouts(found))

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The recording of each segment."""
        return self.data.owners

    @property
    def beside(self) -> Mapping[str, Any]:
        """Nothing: all that such a model knows is in the snapshot."""
        return {}

    def course(self, preset: AnyPreset, segments: Sequence[int] | None = None) -> SymbolicCourse:
        """A fresh decoder with these segments."""
        own = _preset(preset)
        model = Symbolic.create(
            self.data.vocabulary.styles, self.layouts, shape=own.shape, limit=own.context, seed=own.seed
        )
        return SymbolicCourse(model, self.data if segments is None else _only(self.data, segments), own)

    def load(self, folder: Path) -> Symbolic:
        """The model in a checkpoint."""
        return Symbolic.load(folder)

    def examples(self) -> list[list[Example]]:
        """Segments of each recording, without a prompt."""
        found: list[list[Example]] = [[] for _ in self.recordings]
        for segment, row in zip(self.data.segments, self.rows.tolist(), strict=True):
            found[row].append(Example(segment.tokens.tolist(), recording=self.recordings[row].recording))
        return found

    def query(self, model: Family, style: str, seed: int) -> Example:
        """The beginning of a piece: the beginning of a segment is a segment, for models are causal."""
        made = model.generate(GenerationRequest(style=style, bars=self.profile.bars, seed=seed)).example
        return Example(tuple(made.tokens[: _preset(self.profile.preset).context]), made.condition)

    def held(self) -> list[Example]:
        """The beginnings of works."""
        kept = [s for s in self.data.validation if s.first == 0]
        kept = kept[:: max(1, len(kept) // max(1, self.profile.held))][: self.profile.held]
        return [Example(s.tokens.tolist()) for s in kept]

    def likelihoods(self, model: Family, queries: Sequence[Example]) -> Matrix:
        """Log likelihood of each query in nats per token."""
        found = []
        with torch.no_grad():
            for start in range(0, len(queries), 32):
                some = queries[start : start + 32]
                found += (-model.losses(some).double() / torch.tensor([len(q.tokens) for q in some])).tolist()
        return np.array(found)

    @property
    def ways(self) -> Mapping[str, Way]:
        """The usual store, with one checkpoint, with every coordinate, and by the exact dual form."""
        whole = {"keep": 10**7, "rank": 4096}
        return {
            OURS: Way(PLAN),
            SISTERS: Way(PLAN, sisters=True),
            "one checkpoint": Way(PLAN.model_copy(update={"checkpoints": 1})),
            "every coordinate": Way(PLAN.model_copy(update=whole)),
            "exact dual": Way(PLAN.model_copy(update={"form": "dual", **whole})),
        }

    def similarities(self, model: Family, queries: Sequence[Example]) -> Mapping[str, Matrix]:
        """Of trigrams of tokens, of hidden states, and of prompts."""
        examples = [some[0] for some in self.examples()]
        assert isinstance(model, Symbolic)  # noqa: S101 - as `load` gives it
        hidden = _hidden(model)
        return {
            self.rival: cosine(*_trigrams(queries, examples)),
            "hidden states": cosine(np.stack(hidden(queries)), np.stack(hidden(examples))),
            "prompts": cosine(*self._prompts(queries)),
        }

    def _prompts(self, queries: Sequence[Example]) -> tuple[Matrix, Matrix]:
        """Mean embedding of the words for each query, and of those that each recording was trained with.

        A query's are made as a recording's are, from what its beginning says: style, key, tempo, meter and
        instruments.  So they are as close to the prompts of training as a prompt can be.
        """
        told: list[str] = []
        for number, query in enumerate(queries):
            layout = read(query.tokens, self.data.vocabulary).layout()
            told += captions(
                style=layout.style,
                key=layout.key,
                tempo=layout.score.tempo,
                meter=layout.score.meters[0],
                instruments=[instruments.name(part.program) for part in layout.score.parts],
                count=CAPTIONS,
                seed=f"query {number}",
            )
        asked = embed(told).reshape(len(queries), CAPTIONS, -1).astype(np.float64)
        return asked.mean(axis=1), self.data.prompts.astype(np.float64).mean(axis=1)


def _preset(preset: AnyPreset) -> Preset:
    assert isinstance(preset, Preset)  # noqa: S101 - profiles for models that write notes hold nothing else
    return preset


def _only(data: Dataset, keep: Sequence[int]) -> Dataset:
    """The same dataset with these segments only."""
    return replace(
        data,
        segments=tuple(data.segments[i] for i in keep),
        styles=tuple(data.styles[i] for i in keep),
        owners=data.owners[list(keep)],
    )


def _trigrams(queries: Sequence[Example], examples: Sequence[Example]) -> tuple[Matrix, Matrix]:
    counts = [
        Counter(zip(e.tokens, e.tokens[1:], e.tokens[2:], strict=False)) for some in (queries, examples) for e in some
    ]
    place = {gram: i for i, gram in enumerate(dict.fromkeys(g for c in counts for g in c))}
    matrix = np.zeros((len(counts), len(place)))
    for row, count in enumerate(counts):
        for gram, number in count.items():
            matrix[row, place[gram]] = number
    matrix *= np.log(len(matrix) / (matrix > 0).sum(axis=0).clip(1))
    return matrix[: len(queries)], matrix[len(queries) :]


def _hidden(model: Symbolic) -> Callable[[Sequence[Example]], list[Matrix]]:
    """Mean of the last hidden states of each example."""

    def states(examples: Sequence[Example]) -> list[Matrix]:
        found: list[Matrix] = []
        handle = model.network.decoder.model.register_forward_hook(
            lambda _, __, output: found.append(output.last_hidden_state[0].double().mean(dim=0).numpy())
        )
        try:
            with torch.no_grad():
                for example in examples:
                    model.losses([Example(example.tokens[: model.limit], example.condition)])
        finally:
            handle.remove()
        return found

    return states
