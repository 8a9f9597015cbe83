"""Writing a piece: from a request through header and bars to a MIDI file."""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from stemma.errors import InvalidError
from stemma.models.protocol import KEYS, MAX_BARS, Example, GenerationRequest, Piece
from stemma.models.symbolic.prompt import embed, wishes
from stemma.models.symbolic.sampler import Reader, Weights, choose
from stemma.models.symbolic.score import DURATIONS, GRID, Part, Score, write_midi
from stemma.models.symbolic.tokens import HOME, MAX_LEFT, TEMPOS, Mask, State, Vocabulary
from stemma.music import instruments

Layouts = dict[str, list[list[int]]]
"""Line-ups of each style as trained: General MIDI program of each voice, -1 for a further voice of the same part."""

USUAL_BARS = 32
"""Longest piece that a model chooses by itself."""


class Composer:
    """Writes pieces with the weights of one model.  Safe to use from several threads."""

    def __init__(
        self,
        weights: Weights,
        vocabulary: Vocabulary,
        layouts: Layouts,
        *,
        limit: int,
        temperature: float,
        top_p: float,
        header_temperature: float,
    ) -> None:
        self.weights, self.v, self.layouts, self.limit = weights, vocabulary, layouts, limit
        self.temperature, self.top_p, self.header_temperature = temperature, top_p, header_temperature

    def compose(self, request: GenerationRequest, *, stop: Callable[[], bool]) -> Piece:
        """A piece as asked for.  What the request leaves open is read from the prompt, then chosen by the model."""
        request = self._understood(request)
        programs = [instruments.program(name) for name in request.instruments]
        seed = request.seed if request.seed is not None else secrets.randbelow(2**53)
        prompt = embed([request.prompt])[0].tolist() if request.prompt else []
        work = _Work(self, request, len(programs), prompt, np.random.default_rng(seed), stop)
        work.write()
        tempo = request.tempo or float(work.full.tempo)
        score = _arranged(work.full.score(tempo), programs)
        key = work.full.key
        return Piece(
            style=work.full.style,
            tempo=tempo,
            key=key,
            bars=work.full.bars,
            seed=seed,
            midi=write_midi(score, key=key, velocities=_velocities(score)),
            example=Example(tuple(work.tokens), tuple(prompt)),
        )

    def _understood(self, request: GenerationRequest) -> GenerationRequest:
        """The request with what its prompt says outright filled in."""
        said = wishes(request.prompt, self.v.styles)
        style = request.style or said.style
        if style is not None and style not in self.v.styles:
            raise InvalidError(
                f"The model does not know the style {style!r}.",
                remedy=f"Choose one of {', '.join(self.v.styles)}.",
                code="unknown-style",
            )
        unsized = request.bars is None and request.seconds is None
        return request.model_copy(
            update={
                "style": style,
                "key": request.key or said.key,
                "tempo": request.tempo or said.tempo,
                "bars": said.bars if unsized else request.bars,
                "seconds": said.seconds if unsized else request.seconds,
            }
        )


class _Work:
    """One piece being written.

    `full` follows the whole piece.  `view` follows what the network has read: when a long piece has
    filled the context, the network reads a continuation that begins some bars earlier instead.
    """

    def __init__(
        self,
        composer: Composer,
        request: GenerationRequest,
        parts: int,
        prompt: Sequence[float],
        rng: np.random.Generator,
        stop: Callable[[], bool],
    ) -> None:
        self.c, self.v, self.request, self.parts = composer, composer.v, request, parts
        self.rng, self.stop = rng, stop
        self.prompt = composer.weights.start(prompt)
        self.full = self.view = State(self.v)
        self.tokens: list[int] = []
        self.bars = 0
        """Bars of the piece; 0 until it is settled."""

    def write(self) -> None:
        """Write to the end; `InterruptedError` when told to stop."""
        logits = self._open()
        while not self.full.ended:
            if self.stop():
                raise InterruptedError("The generation was stopped.")
            full = self.reader.length > self.c.limit - 64 and self.view.bars > 1
            if full and self.view.bar_due and self.full.bars < self.bars:
                logits = self._slide(logits)
            if self._behind() > 0:
                logits = self._hold()
                continue
            header = self.view.stage < 7
            token = choose(
                logits,
                self._mask(),
                temperature=self.c.header_temperature if header else self.c.temperature,
                top_p=self.c.top_p,
                rng=self.rng,
            )
            if self.bars == 0 and token in self.v.bar:
                self.bars = token - self.v.bar.start + 1
            self._keep(token)
            logits = self._read(token)

    def _open(self) -> np.ndarray:
        # A bar is wound up at one and a half times the context; the rest is room for how it ends.
        self.reader = Reader(self.c.weights, 2 * self.c.limit + 256)
        return self.reader.step(self.prompt, self.view.features())

    def _read(self, token: int) -> np.ndarray:
        if self.view is not self.full:
            self.view.push(token)
        return self.reader.step(self.c.weights.words[token], self.view.features())

    def _keep(self, token: int) -> None:
        """Add a token of `view` to `full`, whose voices may remember other durations."""
        v = self.v
        if self.view is self.full:
            self._add(token)
        elif token in v.pitch or token == v.rest:
            duration = self.view.streams[self.view.turn].duration
            if self.full.streams[self.full.turn].duration != duration:
                self._add(v.duration[duration])
            self._add(token)
        elif token not in v.duration:
            self._add(token)

    def _add(self, token: int) -> None:
        self.full.push(token)
        self.tokens.append(token)

    def _slide(self, logits: np.ndarray) -> np.ndarray:
        """Let the network read the last bars again as the start of a continued piece.

        As many bars as fill half of the context, and one at least.
        """
        layout, done = self.full.layout(), self.full.bars
        for first in range(done - self.view.bars + 1, done):
            segment = layout.segment(self.v, first=first, limit=10**6, total=self.bars, until=done)
            if len(segment.tokens) <= self.c.limit // 2:
                break
        if len(segment.tokens) + 1 >= self.reader.length:
            return logits
        self.view = State(self.v)
        logits = self._open()
        for token in segment.tokens.tolist():
            self.view.push(token)
            logits = self.reader.step(self.c.weights.words[token], self.view.features())
        self.view.chord = -1  # which note came last may differ from `full`: none of them grows any more
        return logits

    def _behind(self) -> int:
        """Ticks of a note from before the bars read again that the network has not read yet."""
        view, full = self.view, self.full
        if view is full or view.timed or view.bar_due:
            return 0
        return full.streams[view.turn].cursor - full.bar_end - view.streams[view.turn].cursor + view.bar_end

    def _hold(self) -> np.ndarray:
        """Let the network read on in a long note; `full` has it whole already."""
        index = bisect_right(DURATIONS, self._behind()) - 1
        if self.view.streams[self.view.turn].duration != index:
            self._read(self.v.duration[index])
        return self._read(self.v.hold)

    def _mask(self) -> Mask:
        """What the grammar and the request allow."""
        v, view = self.v, self.view
        mask = view.allowed()
        if view.stage < 4:
            wanted = self._wanted(view.stage)
            if wanted is not None:
                return _only(mask, wanted)
        elif view.stage == 5:
            self._line_up(mask)
        elif self.reader.length > self.c.limit * 3 // 2 and not view.bar_due:
            self._wind_up(mask)
        elif view.stage == 7:
            self._close(mask)
        if mask[v.bar.start : v.bar.stop].any():
            self._length(mask)
        return mask

    def _wanted(self, stage: int) -> int | None:
        v, request = self.v, self.request
        if stage == 0 and request.style is not None:
            return v.style[v.styles.index(request.style)]
        if stage == 2 and request.tempo is not None:
            return v.tempo_token(request.tempo)
        if stage == 3 and request.key is not None:
            return v.key[KEYS.index(request.key)]
        return None

    def _line_up(self, mask: Mask) -> None:
        """Only line-ups that the style was trained with, with as many parts as asked for or nearly."""
        v = self.v
        known = self.c.layouts[self.view.style]
        if self.parts:
            distance = [abs(sum(p >= 0 for p in layout) - self.parts) for layout in known]
            known = [layout for layout, d in zip(known, distance, strict=True) if d == min(distance)]
        parts = [-1, *(s.part for s in self.view.streams)]
        so_far = [-1 if s.part == parts[i] else s.program for i, s in enumerate(self.view.streams)]
        n = len(so_far)
        begun = [layout for layout in known if layout[:n] == so_far]
        mask[:] = False
        for layout in begun:
            if len(layout) == n:
                mask[v.bar.start : v.bar.stop] = True
            else:
                mask[v.instrument[layout[n]] if layout[n] >= 0 else v.same] = True

    def _wind_up(self, mask: Mask) -> None:
        """A bar of more events than the context holds ends in silence: no music has one, but a draw may."""
        v, stream = self.v, self.view.streams[self.view.turn]
        if mask[v.rest]:
            _only(mask, v.rest)
        elif not self.view.timed:
            room = self.view.bar_end - stream.cursor
            _only(mask, v.duration[bisect_right(DURATIONS, room) - 1])

    def _close(self, mask: Mask) -> None:
        """Notes that end with the piece are of the tonic chord, the lowest voice's the tonic itself.

        A small model hears a cadence coming but often misses its last step; a composer would not.
        """
        v, view = self.v, self.view
        mode = view.key.split()[1]
        home = HOME[mode]
        chord = [0, 4, 7] if mode == "major" else [0, 3, 4, 7]
        end = view.bar_end + max(0, view.left) * view.bar
        if view.chord >= 0:
            start, duration, event = view.notes[view.chord][-1]
            if start + duration >= end:
                added = mask[v.added.start : v.added.stop]
                added &= np.isin((event[-1] - 1 - np.arange(len(added)) - home) % 12, chord)
        stream = view.streams[view.turn]
        known = stream.duration < len(DURATIONS)
        if view.bar_due or not known or stream.cursor + DURATIONS[stream.duration] < end:
            return
        lowest = view.turn == len(view.streams) - 1
        pitches = mask[v.pitch.start : v.pitch.stop]
        resting = pitches & np.isin((np.arange(len(pitches)) - home) % 12, [0] if lowest else chord)
        if resting.any():
            pitches[:] = resting
            mask[v.rest] = False

    def _length(self, mask: Mask) -> None:
        """The bar token that leads to the length asked for."""
        v = self.v
        if not self.bars:
            self.bars = self._bars_asked()
        if not self.bars:
            mask[v.bar.start + USUAL_BARS : v.bar.stop] = False
            mask[v.bar.start : v.bar.start + 3] = False
            return
        mask[v.bar.start : v.bar.stop] = False
        mask[v.bar[min(MAX_LEFT, self.bars - self.full.bars - 1)]] = True

    def _bars_asked(self) -> int:
        request = self.request
        if request.bars is not None:
            return request.bars
        if request.seconds is None:
            return 0
        tempo = request.tempo or float(self.view.tempo)
        return max(1, round(request.seconds * tempo / 60 * GRID / self.view.bar))


def _only(mask: Mask, token: int) -> Mask:
    mask[:] = False
    mask[token] = True
    return mask


def _arranged(score: Score, programs: Sequence[int]) -> Score:
    """The score for the instruments asked for: the last plays the remaining parts, further ones double."""
    if not programs:
        parts = [replace(p, name=instruments.name(p.program)) for p in score.parts]
    else:
        count = max(len(score.parts), len(programs))
        parts = [
            Part(programs[min(i, len(programs) - 1)], "", score.parts[i % len(score.parts)].notes) for i in range(count)
        ]
        parts = [replace(p, name=instruments.name(p.program)) for p in parts]
    names = [p.name for p in parts]
    numbered = [f"{n} {names[: i + 1].count(n)}" if names.count(n) > 1 else n for i, n in enumerate(names)]
    return replace(score, parts=tuple(replace(p, name=n) for p, n in zip(parts, numbered, strict=True)))


def _velocities(score: Score) -> list[list[int]]:
    """Loudness by metre: the first beat leads, the last bar calms."""
    bars = score.bars()
    starts = np.array([start for start, _ in bars])
    found = []
    for part in score.parts:
        row = []
        for note in part.notes:
            index = int(np.searchsorted(starts, note.start, side="right")) - 1
            start, meter = bars[index]
            place = note.start - start
            beat = GRID * 4 // meter.unit
            accent = 12 if place == 0 else 6 if place % meter.bar == meter.bar // 2 else 3 if place % beat == 0 else 0
            row.append(min(110, 76 + accent - (4 if index == len(bars) - 1 else 0)))
        found.append(row)
    return found


__all__ = ["DURATIONS", "MAX_BARS", "TEMPOS", "Composer", "Layouts"]
