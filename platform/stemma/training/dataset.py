"""From cleared scores to batches: which segments, in which order, padded how."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemma.errors import StemmaError
from stemma.models.balance import turns
from stemma.models.symbolic.captions import captions
from stemma.models.symbolic.compose import Layouts
from stemma.models.symbolic.network import Batch
from stemma.models.symbolic.prompt import embed
from stemma.models.symbolic.score import Score, read_midi
from stemma.models.symbolic.tokens import MAX_STREAMS, Layout, Segment, Vocabulary
from stemma.music import instruments
from stemma.proof.canonical import sha256
from stemma.rights.snapshot import SnapshotRecording

HELD_OUT = 20
"""One work in so many is kept for validation."""


@dataclass(frozen=True)
class Work:
    """A recording ready for training."""

    recording: SnapshotRecording
    score: Score
    layout: Layout
    held_out: bool


def works(recordings: Sequence[SnapshotRecording], scores: dict[str, bytes]) -> list[Work]:
    """Scores read and split into voices; which are held out, `held_out` says."""
    found, kept = [], held_out(recordings)
    for recording in recordings:
        score = read_midi(scores[recording.recording], source=f"score of {recording.title}")
        layout = Layout.of(score, recording.style, recording.key)
        found.append(Work(recording, score, layout, recording.recording in kept))
    return found


def held_out(recordings: Sequence[SnapshotRecording]) -> frozenset[str]:
    """Recordings that are kept for validation.

    One work in `HELD_OUT`, chosen by the hash of its identifier, so that the choice does not change when the catalog
    grows and all recordings of a work are on the same side; where that chooses none, the last recording.
    """
    kept = {r.recording for r in recordings if int(sha256(r.work.encode())[:8], 16) % HELD_OUT == 0}
    if not kept and len(recordings) > 1:
        kept = {recordings[-1].recording}
    return frozenset(kept)


def layouts(found: Sequence[Work]) -> Layouts:
    """Every line-up of each style, the most frequent first."""
    counts: dict[str, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for work in found:
        parts = work.score.parts
        line, previous = [], -1
        for part, _ in work.layout.streams:
            line.append(-1 if part == previous else parts[part].program)
            previous = part
        counts[work.recording.style][tuple(line[:MAX_STREAMS])] += 1
    return {style: [list(line) for line, _ in count.most_common(40)] for style, count in sorted(counts.items())}


@dataclass(frozen=True)
class Dataset:
    """Everything that a run reads: fixed for a snapshot, so that any step can be made again."""

    vocabulary: Vocabulary
    segments: tuple[Segment, ...]
    styles: tuple[str, ...]
    """Style of each segment."""
    owners: npt.NDArray[np.int64]
    """Row of `prompts` of each segment."""
    prompts: npt.NDArray[np.float32]
    """Embeddings of the captions of each work [works, captions, PROMPT]."""
    validation: tuple[Segment, ...]
    held_out: tuple[str, ...]
    """Recordings used for validation only."""

    @classmethod
    def of(cls, found: Sequence[Work], vocabulary: Vocabulary, *, limit: int, captions_each: int) -> Dataset:
        """Cut works into segments that overlap, and describe each in words."""
        training = [work for work in found if not work.held_out]
        if not training:
            raise StemmaError("The snapshot is too small to train on.", remedy="Train on two works at least.")
        segments: list[Segment] = []
        styles: list[str] = []
        owners: list[int] = []
        for row, work in enumerate(training):
            cut = work.layout.segments(vocabulary, limit=limit, overlap=True)
            segments += cut
            styles += [work.recording.style] * len(cut)
            owners += [row] * len(cut)
        words = [text for work in training for text in describe(work, captions_each)]
        different = {text: row for row, text in enumerate(dict.fromkeys(words))}
        vectors = embed(list(different))[[different[text] for text in words]]
        vectors = vectors.reshape(len(training), captions_each, -1)
        validation = [s for w in found if w.held_out for s in w.layout.segments(vocabulary, limit=limit)]
        held_out = tuple(work.recording.recording for work in found if work.held_out)
        return cls(vocabulary, tuple(segments), tuple(styles), np.array(owners), vectors, tuple(validation), held_out)

    def epoch(self, number: int, budget: int, seed: int) -> list[list[int]]:
        """Batches of one pass: indices of segments of like length, at most `budget` places each.

        Rare styles are repeated, as `stemma.models.balance` says.
        """
        rng = np.random.default_rng((seed, number))
        sizes = np.array([len(s.tokens) for s in self.segments])
        share = turns(self.styles, sizes)
        times = np.floor(share + rng.random(len(share))).astype(int)
        chosen = rng.permutation(np.repeat(np.arange(len(share)), times))
        # Nearly sorted: like lengths share a batch, but not always the same neighbours.
        chosen = chosen[np.argsort(sizes[chosen] + rng.normal(0, 20, len(chosen)), kind="stable")]
        batches: list[list[int]] = [[]]
        longest = 0
        for index in chosen.tolist():
            longest = max(longest, int(sizes[index]))
            if batches[-1] and longest * (len(batches[-1]) + 1) > budget:
                batches.append([])
                longest = int(sizes[index])
            batches[-1].append(index)
        return [batches[i] for i in rng.permutation(len(batches))]

    def batch(self, indices: Sequence[int], rng: np.random.Generator, *, unprompted: float) -> Batch:
        """Segments with a caption of their work each, or with none for the share `unprompted`."""
        prompts = []
        for index in indices:
            options = self.prompts[self.owners[index]]
            drawn = int(rng.integers(len(options)))
            prompts.append(() if rng.random() < unprompted else options[drawn])
        return Batch.of([self.segments[i] for i in indices], self.vocabulary, prompts)


def describe(work: Work, count: int) -> list[str]:
    """Captions of a work, always the same ones."""
    recording = work.recording
    assert recording.tempo is not None  # noqa: S101 - a snapshot for models that write notes holds nothing else
    return captions(
        style=recording.style,
        key=recording.key,
        tempo=recording.tempo,
        meter=work.score.meters[0],
        instruments=[instruments.name(part.program) for part in work.score.parts],
        count=count,
        seed=recording.recording,
    )
