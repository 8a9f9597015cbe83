"""How good a trained model is, measured: against an n-gram model, and against the music it learned from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from stemma.errors import InvalidError
from stemma.models.protocol import GenerationRequest
from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.network import Batch
from stemma.models.symbolic.score import Score, read_midi
from stemma.models.symbolic.tokens import Segment, read
from stemma.training.baseline import Ngram
from stemma.training.dataset import Dataset, Work
from stemma.training.gate import Progress, silent
from stemma.training.measures import Runs, distance, likeness, measure

BARS = 16


@dataclass(frozen=True)
class StyleFigures:
    """Generated pieces of one style beside the training works of that style."""

    pieces: int
    in_key: float
    in_key_real: float
    profile_likeness: float
    """Correlation of the pitch-class profiles."""
    stepwise: float
    stepwise_real: float
    rhythm_distance: float
    """Total variation distance of the note durations, 0…1."""
    voices: float
    voices_real: float
    consonant: float
    consonant_real: float
    closes: float
    """Share that ends on the tonic."""
    closes_real: float


@dataclass(frozen=True)
class Figures:
    """Everything that evaluation says of a model."""

    nats_per_note: float
    """Negative log likelihood of held-out works per note, header included."""
    baseline_nats_per_note: float
    """The same by the n-gram model."""
    nats_per_token: float
    decoded: float
    """Share of generated pieces that read back as MIDI, with the bars asked for."""
    longest_run: int
    """Notes of the longest run that any generated piece shares with the snapshot, in any key."""
    typical_run: float
    """Median over the pieces."""
    longest_run_real: int
    """The same of held-out works, which nobody copied: what a style shares with itself."""
    styles: dict[str, StyleFigures]

    @property
    def beats_baseline(self) -> bool:
        """Whether the model predicts better than the n-gram model."""
        return self.nats_per_note < self.baseline_nats_per_note

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """As flat names and numbers, for tracking."""
        flat = {k: float(v) for k, v in asdict(self).items() if k != "styles"}
        for style, figures in self.styles.items():
            flat |= {f"{style}.{name}": float(value) for name, value in asdict(figures).items()}
        return {f"eval.{name}": value for name, value in flat.items() if math.isfinite(value)}


def validation_loss(model: Symbolic, segments: Sequence[Segment], *, rows: int = 8) -> float:
    """Negative log likelihood in nats of all free tokens of the segments, without a prompt."""
    training = model.network.training
    model.network.eval()
    order = sorted(segments, key=lambda s: len(s.tokens))
    nats = 0.0
    with torch.inference_mode():
        for start in range(0, len(order), rows):
            batch = Batch.of(order[start : start + rows], model.network.vocabulary)
            nats += float(model.network(batch).double().sum())
    model.network.train(training)
    return nats


def evaluate(
    model: Symbolic, data: Dataset, found: Sequence[Work], *, samples: int, progress: Progress = silent
) -> Figures:
    """Figures of a model that was trained on this data; `samples` pieces of each style are generated."""
    notes = max(1, sum(s.notes for s in data.validation))
    tokens = max(1, sum(int(s.free.sum()) for s in data.validation))
    loss = validation_loss(model, data.validation)
    ngram = Ngram(len(data.vocabulary))
    ngram.learn(data.segments)
    baseline = ngram.loss(data.validation)

    training = [work for work in found if not work.held_out]
    runs = Runs([work.score for work in training])
    pieces: dict[str, list[tuple[Score, str]]] = {style: [] for style in model.styles}
    asked = decoded = 0
    for style in model.styles:
        for number in range(samples):
            request = GenerationRequest(style=style, bars=BARS, seed=number)
            piece = model.generate(request)
            asked += 1
            progress(asked, samples * len(model.styles), f"listening to {style}")
            try:
                score = read_midi(piece.midi or b"")
                state = read(piece.example.tokens, model.network.vocabulary)
            except InvalidError:
                continue
            decoded += state.ended and piece.bars == BARS
            pieces[style].append((score, piece.key))
    lengths = [runs.longest(score) for scores in pieces.values() for score, _ in scores]
    real = [runs.longest(work.score) for work in found if work.held_out]
    return Figures(
        nats_per_note=loss / notes,
        baseline_nats_per_note=baseline / notes,
        nats_per_token=loss / tokens,
        decoded=decoded / max(1, asked),
        longest_run=max(lengths, default=0),
        typical_run=float(np.median(lengths)) if lengths else 0.0,
        longest_run_real=max(real, default=0),
        styles={
            style: _figures(pieces[style], [w for w in training if w.recording.style == style])
            for style in model.styles
        },
    )


def _figures(pieces: Sequence[tuple[Score, str]], trained: Sequence[Work]) -> StyleFigures:
    made = measure(pieces)
    real = measure([(work.score, work.recording.key) for work in trained])
    return StyleFigures(
        pieces=len(pieces),
        in_key=made.in_key,
        in_key_real=real.in_key,
        profile_likeness=likeness(made.profile, real.profile),
        stepwise=made.stepwise,
        stepwise_real=real.stepwise,
        rhythm_distance=distance(made.durations, real.durations),
        voices=made.voices,
        voices_real=real.voices,
        consonant=made.consonant,
        consonant_real=real.consonant,
        closes=made.closes,
        closes_real=real.closes,
    )
