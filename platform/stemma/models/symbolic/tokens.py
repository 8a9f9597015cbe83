"""Scores as tokens: about one and a half per note, exact, and never ambiguous.

A sequence is a header and bars::

    style meter tempo key begin instruments… | bar event event … | bar event …

An event is `[duration] pitch [added…]`, `[duration] rest` or `[duration] hold`.  Two rules make time
and part of an event implicit, so that neither costs a token:

* the next event belongs to the voice that falls silent first, of several the highest in the score;
* a duration is written only where it differs from the one before it in the same voice.

Pitches are written as if the piece stood in C major or A minor, so that what is learned in one key
is known in all.  A bar tells how many bars follow, so that a piece knows where it must end.

`State` follows the tokens one by one.  It is the only place that knows these rules: encoding,
decoding, the mask that keeps sampling inside the grammar and the features that tell the network
where it is all read them from there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from stemma.errors import InvalidError
from stemma.models.protocol import KEYS
from stemma.models.symbolic.score import DURATIONS, GRID, MAX_BEATS, UNITS, Meter, Note, Part, Score, tonic
from stemma.models.symbolic.voices import REACH, Event, split

MAX_STREAMS = 8
MAX_LEFT = 63
BEATS = range(1, MAX_BEATS + 1)
TEMPOS = tuple(round(30 * 8 ** (i / 23), 1) for i in range(24))
"""Quarter notes per minute, 30…240 in equal ratios."""
HOME = {"major": 0, "minor": 9}
WRITTEN = range(18, 109)
"""Pitches that new pieces are written with: on every instrument's keyboard, in any key."""
NONE = 128
"""Stands for no pitch, and for any instrument."""

ECHOES = (1, 2, 4, 8)
SLOTS = 6
FEATURE_SIZES = {
    # of the voice whose turn it is
    "voice": MAX_STREAMS + 1,
    "beat": 17,
    "tick": GRID,
    "pitch": NONE + 1,
    "duration": len(DURATIONS) + 1,
    "instrument": NONE + 1,
    # of the piece
    "left": 25,
    "since": 9,
    # what the voice began at this place of the bar so many bars ago
    **{f"echo {bars}": NONE + 1 for bars in ECHOES},
    # other voices: what sounds on, and what ends now
    "sounding": NONE + 1,
    "past": NONE + 1,
}
"""Numbers that a feature can be."""

COLUMNS = (
    *[name for name in FEATURE_SIZES if name not in {"sounding", "past"}],
    *["sounding"] * SLOTS,
    *["past"] * SLOTS,
)
"""Feature of each column of `State.features`."""

FEATURES = len(COLUMNS)
_HEADER = [MAX_STREAMS, 16, 0, NONE, len(DURATIONS), NONE, 24, 8, *[NONE] * (len(ECHOES) + 2 * SLOTS)]

Mask = npt.NDArray[np.bool_]


class Vocabulary:
    """Token numbers.  Everything but the styles is the same for every model."""

    def __init__(self, styles: Sequence[str]) -> None:
        self.styles = tuple(styles)
        self.names: list[str] = []
        self.pad, self.end = self._add("pad"), self._add("end")
        self.whole, self.continued, self.pickup = (self._add(n) for n in ("whole", "continued", "pickup"))
        self.rest, self.hold, self.same = (self._add(n) for n in ("rest", "hold", "same"))
        self.meter = self._range(f"meter {b}/{u}" for b in BEATS for u in UNITS)
        self.tempo = self._range(f"tempo {t}" for t in TEMPOS)
        self.key = self._range(f"key {k}" for k in KEYS)
        self.instrument = self._range(f"instrument {i}" for i in range(NONE + 1))
        self.bar = self._range(f"bar {left}" for left in range(MAX_LEFT + 1))
        self.duration = self._range(f"duration {d}" for d in DURATIONS)
        self.pitch = self._range(f"pitch {p}" for p in range(128))
        self.added = self._range(f"added {k}" for k in range(1, REACH + 1))
        self.style = self._range(f"style {s}" for s in self.styles)

    def __len__(self) -> int:
        return len(self.names)

    def _add(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def _range(self, names: Iterator[str] | Sequence[str]) -> range:
        start = len(self.names)
        self.names += names
        return range(start, len(self.names))

    def meter_token(self, meter: Meter) -> int:
        """Token of a time signature; `InvalidError` for one that no score should have."""
        if meter.beats not in BEATS or meter.unit not in UNITS:
            raise InvalidError(f"A meter of {meter.beats}/{meter.unit} is not supported.", code="unsupported-meter")
        return self.meter[(meter.beats - 1) * len(UNITS) + UNITS.index(meter.unit)]

    def meter_of(self, token: int) -> tuple[int, int]:
        """Beats and unit of a meter token."""
        beats, unit = divmod(token - self.meter.start, len(UNITS))
        return beats + 1, UNITS[unit]

    def tempo_token(self, tempo: float) -> int:
        """Token of the nearest tempo."""
        return self.tempo[min(range(len(TEMPOS)), key=lambda i: abs(np.log(TEMPOS[i] / tempo)))]

    @cached_property
    def durations(self) -> npt.NDArray[np.int64]:
        """Durations in ticks, in the order of their tokens."""
        return np.array(DURATIONS)


def shift(key: str) -> int:
    """Semitones from a key to the one in which tokens are written, at most six."""
    pitch, mode = tonic(key)
    return (HOME[mode] - pitch + 5) % 12 - 5


def _filled(pitches: list[int]) -> list[int]:
    return (pitches + [NONE] * SLOTS)[:SLOTS]


def _inside(pitch: int) -> int:
    """A pitch that the change of key moved past the end of MIDI's range, an octave back."""
    return pitch + 12 if pitch < 0 else pitch - 12 if pitch > 127 else pitch


@dataclass
class Stream:
    """Where one voice stands."""

    program: int
    part: int
    cursor: int = 0
    pitch: int = NONE
    duration: int = len(DURATIONS)
    """Index into `DURATIONS`; `len(DURATIONS)` for none yet."""
    sounding: tuple[int, ...] = ()
    began: dict[int, int] = field(default_factory=dict)
    """Highest pitch of each event by its start."""


class State:
    """Reads tokens and knows what may follow.  Times count from the start of the first bar read."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.v = vocabulary
        self.style = self.key = self.tempo = ""
        self.beats, self.unit = 4, 4
        self.pickup = 0
        self.continued = False
        self.streams: list[Stream] = []
        self.notes: list[list[tuple[int, int, list[int]]]] = []
        """Per stream: start, duration and pitches of its events."""
        self.meters: list[Meter] = []
        self.stage = 0
        """Header fields read: 0 none … 5 begin read, 6 in the pickup, 7 in the bars."""
        self.origin = self.bar_start = self.bar_end = 0
        """Where the music begins, and the bounds of the bar that is read, in ticks."""
        self.bars = 0
        self.left = -1
        self.turn = 0
        self.timed = False
        """A duration was just read: its event must follow."""
        self.last: int = -1
        """Token read last."""
        self.chord: int = -1
        """Stream whose chord may still grow."""

    @property
    def bar(self) -> int:
        """Length of a bar in ticks."""
        return max(1, self.beats * 4 * GRID // self.unit)

    @property
    def bar_due(self) -> bool:
        """Whether a bar must begin now, or the piece has ended."""
        return self.stage == 7 and not self.timed and (self.bars == 0 or self.streams[self.turn].cursor >= self.bar_end)

    @property
    def ended(self) -> bool:
        """Whether the piece is over."""
        return self.last == self.v.end

    @property
    def forced(self) -> bool:
        """Whether only one token may follow."""
        return self.bar_due and self.bars > 0 and self.left < MAX_LEFT and self.chord < 0

    def push(self, token: int) -> None:
        """Read one token; raises `InvalidError` where the grammar does not allow it."""
        v = self.v
        self._expect(not self.ended, token)
        if self.stage < 7:
            if not (self.stage == 5 and self.streams and token in v.bar):
                self._header(token)
                self.last = token
                return
            self.stage = 7
        if token in v.bar:
            self._bar(token - v.bar.start)
        elif token == v.end:
            self._expect(self.bar_due and self.left == 0, token)
        elif token in v.duration:
            self._expect(not self.timed and not self.bar_due, token)
            self.streams[self.turn].duration = token - v.duration.start
            self.timed, self.chord = True, -1
        elif token in v.pitch:
            pitch = token - v.pitch.start
            self._event([pitch], token)
        elif token == v.rest:
            self._event([], token)
        elif token == v.hold:
            self._hold()
        elif token in v.added:
            self._expect(self.chord >= 0, token)
            event = self.notes[self.chord][-1][2]
            pitch = event[-1] - (token - v.added.start + 1)
            self._expect(pitch >= 0 and len(event) < 8, token)
            event.append(pitch)
            self.streams[self.chord].sounding = tuple(event)
        elif token in v.meter:
            self._expect(self.last in v.bar, token)
            self.beats, self.unit = v.meter_of(token)
            self.bar_end = self.bar_start + self.bar
            self.meters.append(Meter(self.bar_start, self.beats, self.unit))
        else:
            self._expect(False, token)
        self.last = token

    def _expect(self, condition: bool, token: int) -> None:
        if not condition:
            name = self.v.names[token] if 0 <= token < len(self.v) else str(token)
            raise InvalidError(f"The token {name!r} may not stand here.", code="bad-tokens")

    def _header(self, token: int) -> None:
        v, stage = self.v, self.stage
        if stage < 4:
            names = (v.style, v.meter, v.tempo, v.key)
            self._expect(token in names[stage], token)
            index = token - names[stage].start
            if stage == 0:
                self.style = v.styles[index]
            elif stage == 1:
                self.beats, self.unit = v.meter_of(token)
            elif stage == 2:
                self.tempo = str(TEMPOS[index])
            else:
                self.key = KEYS[index]
            self.stage += 1
        elif stage == 4:
            self._expect(token in (v.whole, v.continued, v.pickup), token)
            self.continued = token == v.continued
            self.stage = 6 if token == v.pickup else 5
        elif stage == 6:
            self._expect(token in v.duration and DURATIONS[token - v.duration.start] < self.bar, token)
            self.pickup = DURATIONS[token - v.duration.start]
            self.stage = 5
        else:
            self._expect(
                (token in v.instrument or (token == v.same and bool(self.streams))) and len(self.streams) < MAX_STREAMS,
                token,
            )
            if token == v.same:
                self.streams.append(Stream(self.streams[-1].program, self.streams[-1].part))
            else:
                part = self.streams[-1].part + 1 if self.streams else 0
                self.streams.append(Stream(token - v.instrument.start, part))
            self.notes.append([])

    def _bar(self, left: int) -> None:
        expected = self.bars == 0 or left == self.left - 1 or (self.left == MAX_LEFT == left)
        self._expect(self.bar_due and expected, self.v.bar[left])
        if self.bars == 0:
            self.meters.append(Meter(0, self.beats, self.unit))
            self.bar_start = 0
            if self.pickup:
                self.origin = self.bar - self.pickup
                for stream in self.streams:
                    stream.cursor = self.origin
        else:
            self.bar_start = self.bar_end
        self.bar_end = self.bar_start + self.bar
        self.left = left
        self.bars += 1
        self.chord = -1

    def _event(self, pitches: list[int], token: int) -> None:
        stream = self.streams[self.turn] if self.streams else None
        if stream is None or self.bar_due or stream.duration == len(DURATIONS):
            self._expect(False, token)
            return
        duration = DURATIONS[stream.duration]
        self.notes[self.turn].append((stream.cursor, duration, pitches))
        stream.cursor += duration
        stream.sounding = tuple(pitches)
        if pitches:
            stream.pitch = stream.began[stream.cursor - duration] = pitches[0]
        self.timed = False
        self.chord = self.turn if pitches else -1
        self._next()

    def _hold(self) -> None:
        """The last event of the voice goes on; at the start of a continued piece its pitch is unknown."""
        stream = self.streams[self.turn] if self.streams else None
        if stream is None or self.bar_due or stream.duration == len(DURATIONS):
            self._expect(False, self.v.hold)
            return
        duration = DURATIONS[stream.duration]
        if events := self.notes[self.turn]:
            start, before, pitches = events[-1]
            events[-1] = (start, before + duration, pitches)
        else:
            events.append((stream.cursor, duration, []))
        stream.cursor += duration
        self.timed, self.chord = False, -1
        self._next()

    def _next(self) -> None:
        self.turn = min(range(len(self.streams)), key=lambda i: self.streams[i].cursor)

    def allowed(self, *, parts: int = MAX_STREAMS) -> Mask:
        """Which tokens may follow when a new piece is written.

        Narrower than what `push` reads: a piece that is written has one meter, no note is longer than
        the piece, and no rest goes past the end of its bar.
        """
        v = self.v
        mask = np.zeros(len(v), dtype=bool)
        stage = self.stage
        if stage < 4:
            names = (v.style, v.meter, v.tempo, v.key)[stage]
            mask[names.start : names.stop] = True
        elif stage == 4:
            mask[[v.whole, v.pickup]] = True
        elif stage == 6:
            mask[v.duration.start : v.duration.stop] = v.durations < self.bar
        elif stage == 5:
            if len(self.streams) < parts:
                mask[v.instrument.start : v.instrument.stop] = True
                mask[v.same] = bool(self.streams)
            if self.streams:
                mask[v.bar.start : v.bar.stop] = True
        elif self.bar_due:
            if self.bars == 0:
                mask[v.bar.start : v.bar.stop] = True
            else:
                mask[v.bar[self.left - 1] if self.left > 0 else v.end] = True
        else:
            self._allow_event(mask)
        if self.chord >= 0 and stage == 7:
            event = self.notes[self.chord][-1][2]
            if len(event) < 8:
                mask[v.added.start : v.added.start + max(0, min(REACH, event[-1] - WRITTEN.start))] = True
        return mask

    def _allow_event(self, mask: Mask) -> None:
        v, stream = self.v, self.streams[self.turn]
        room = self.bar_end - stream.cursor + self.left * self.bar
        known = stream.duration < len(DURATIONS)
        if self.timed or (known and DURATIONS[stream.duration] <= room):
            mask[v.pitch[WRITTEN.start] : v.pitch[WRITTEN.stop]] = True
            mask[v.rest] = DURATIONS[stream.duration] <= self.bar_end - stream.cursor
        if not self.timed:
            mask[v.duration.start : v.duration.stop] = v.durations <= room
            if known:
                mask[v.duration[stream.duration]] = False

    def features(self) -> list[int]:
        """Where the music stands, for the network: one number for each of `COLUMNS`."""
        if self.stage < 7 or self.bars == 0:
            return _HEADER
        stream = self.streams[self.turn]
        now = stream.cursor
        beat, tick = divmod(max(0, now - self.bar_start), GRID)
        left = self.left if self.left < 16 else min(23, 16 + (self.left - 16) // 8)
        since = 8 if self.continued else (self.bars - 1) % 8
        began, bar = stream.began, self.bar
        echoes = [began.get(now - bars * bar, NONE) for bars in ECHOES]
        sounding: list[int] = []
        past: list[int] = []
        for other in self.streams:
            if other is not stream:
                (sounding if other.cursor > now else past).extend(other.sounding)
        return [
            self.turn,
            min(beat, 15),
            tick,
            stream.pitch,
            stream.duration,
            stream.program,
            left,
            since,
            *echoes,
            *_filled(sounding),
            *_filled(past),
        ]

    def layout(self) -> Layout:
        """The music read so far, its voices as they are."""
        down = shift(self.key)
        streams = tuple(
            (
                stream.part,
                tuple(
                    Event(start - self.origin, duration, tuple(_inside(p - down) for p in pitches))
                    for start, duration, pitches in events
                    if pitches
                ),
            )
            for stream, events in zip(self.streams, self.notes, strict=True)
        )
        return Layout(self.style, self.key, self.score(), streams, exact=True)

    def score(self, tempo: float | None = None, names: Sequence[str] = ()) -> Score:
        """The music read so far, in its own key."""
        down = shift(self.key)
        parts: list[list[Note]] = [[] for _ in range(self.streams[-1].part + 1)] if self.streams else []
        programs = [0] * len(parts)
        for stream, events in zip(self.streams, self.notes, strict=True):
            programs[stream.part] = 0 if stream.program == NONE else stream.program
            for start, duration, pitches in events:
                parts[stream.part] += [Note(start - self.origin, duration, _inside(p - down)) for p in pitches]
        named = [names[i] if i < len(names) else f"Part {i + 1}" for i in range(len(parts))]
        return Score(
            tuple(Part(p, n, tuple(sorted(notes))) for p, n, notes in zip(programs, named, parts, strict=True)),
            tuple(replace(m, start=max(0, m.start - self.origin)) for m in self.meters),
            tempo if tempo is not None else float(self.tempo),
            self.pickup,
        )


@dataclass(frozen=True)
class Segment:
    """Whole bars of a piece as tokens, with what the network is told at each."""

    tokens: npt.NDArray[np.int16]
    features: npt.NDArray[np.int16]
    """Of the state before each token: [tokens, FEATURES]."""
    free: Mask
    """Tokens that the grammar did not force."""
    first: int
    """Index of the first bar."""
    after: int
    """Index of the bar after the last."""
    notes: int
    """Notes that begin in it."""


@dataclass(frozen=True)
class Layout:
    """A piece ready to be cut into segments."""

    style: str
    key: str
    score: Score
    streams: tuple[tuple[int, tuple[Event, ...]], ...]
    """Part and events of each voice."""
    exact: bool

    @classmethod
    def of(cls, score: Score, style: str, key: str) -> Layout:
        """Split the parts of a score into voices, at most `MAX_STREAMS` in all."""
        streams: list[tuple[int, tuple[Event, ...]]] = []
        exact = score.exact and len(score.parts) <= MAX_STREAMS
        for index, part in enumerate(score.parts[:MAX_STREAMS]):
            later = min(len(score.parts), MAX_STREAMS) - index - 1
            voices, whole = split(part.notes, max(1, min(4, MAX_STREAMS - len(streams) - later)))
            exact &= whole
            streams += [(index, voice.events) for voice in voices]
        return cls(style, key, score, tuple(streams), exact)

    def segment(
        self,
        vocabulary: Vocabulary,
        *,
        first: int = 0,
        limit: int = 512,
        total: int | None = None,
        until: int | None = None,
    ) -> Segment:
        """Bars from `first` on, as many whole ones as fit into `limit` tokens (at least one).

        `total` is the number of bars where the piece will have more than it has now; `until` is the
        bar before which to stop.
        """
        return _Writer(self, vocabulary, first, total, until).write(limit)

    def segments(self, vocabulary: Vocabulary, *, limit: int = 512, overlap: bool = False) -> list[Segment]:
        """The whole piece in segments; with `overlap` each begins in the middle of the one before."""
        found = [self.segment(vocabulary, limit=limit)]
        total = len(self.score.bars())
        while found[-1].after < total:
            last = found[-1]
            first = max(last.first + 1, (last.first + last.after + 1) // 2) if overlap else last.after
            found.append(self.segment(vocabulary, first=first, limit=limit))
        return found


class _Writer:
    """Writes bars of a layout by asking `State` whose turn it is."""

    def __init__(
        self, layout: Layout, vocabulary: Vocabulary, first: int, total: int | None, until: int | None
    ) -> None:
        self.layout, self.v, self.first = layout, vocabulary, first
        self.bars = layout.score.bars(until or 0)
        self.until = len(self.bars) if until is None else until
        self.total = total or len(self.bars)
        self.origin = self.bars[first][0]
        self.up = shift(layout.key)
        self.state = State(vocabulary)
        self.tokens: list[int] = []
        self.features: list[list[int]] = []
        self.free: list[bool] = []
        self.notes = 0
        self.next = [self._entry(events) for _, events in layout.streams]

    def _entry(self, events: Sequence[Event]) -> int:
        start = max(self.origin, 0)
        index = bisect_right(events, start, key=lambda e: e.start) - 1
        return index if index >= 0 and events[index].start + events[index].duration > start else index + 1

    def push(self, token: int) -> None:
        self.features.append(self.state.features())
        self.free.append(not self.state.forced)
        self.state.push(token)
        self.tokens.append(token)

    def write(self, limit: int) -> Segment:
        self._header()
        cut, bar = (len(self.tokens), self.notes), self.first
        while bar < self.until:
            self._bar(bar)
            if len(self.tokens) > limit and bar > self.first:
                break
            bar += 1
            if bar == self.total:
                self.push(self.v.end)
            cut = (len(self.tokens), self.notes)
        size, notes = cut
        return Segment(
            np.array(self.tokens[:size], dtype=np.int16),
            np.array(self.features[:size], dtype=np.int16),
            np.array(self.free[:size], dtype=bool),
            self.first,
            bar,
            notes,
        )

    def _header(self) -> None:
        v, layout = self.v, self.layout
        if layout.style not in v.styles:
            raise InvalidError(f"The model does not know the style {layout.style!r}.", code="unknown-style")
        self.push(v.style[v.styles.index(layout.style)])
        self.push(v.meter_token(self.bars[self.first][1]))
        self.push(v.tempo_token(layout.score.tempo))
        pitch, mode = tonic(layout.key)
        self.push(v.key[pitch + 12 * (mode == "minor")])
        if self.first:
            self.push(v.continued)
        elif layout.score.pickup in DURATIONS:
            self.push(v.pickup)
            self.push(v.duration[DURATIONS.index(layout.score.pickup)])
        else:
            self.push(v.whole)
        previous = -1
        for part, _ in layout.streams:
            self.push(v.same if part == previous else v.instrument[layout.score.parts[part].program])
            previous = part

    def _bar(self, index: int) -> None:
        v, state = self.v, self.state
        self.push(v.bar[min(MAX_LEFT, self.total - 1 - index)])
        meter = self.bars[index][1]
        if (meter.beats, meter.unit) != (state.beats, state.unit):
            self.push(v.meter_token(meter))
        while not state.bar_due:
            self._event(state.turn)

    def _event(self, turn: int) -> None:
        v, state = self.v, self.state
        events, index = self.layout.streams[turn][1], self.next[turn]
        now = state.streams[turn].cursor + self.origin
        event = events[index] if index < len(events) else None
        if event is None or event.start > now:
            end = state.bar_end + self.origin
            until = end if event is None else min(end, event.start)
            self._timed(turn, until - now)
            self.push(v.rest)
            return
        rest = event.start + event.duration - now
        written = self._timed(turn, rest)
        if event.start == now:
            top, *others = sorted({_inside(p + self.up) for p in event.pitches}, reverse=True)
            self.push(v.pitch[top])
            for pitch in others:
                self.push(v.added[top - pitch - 1])
                top = pitch
            self.notes += 1 + len(others)
        else:
            self.push(v.hold)
        if written == rest:
            self.next[turn] += 1

    def _timed(self, turn: int, ticks: int) -> int:
        """Write the longest duration that fits, where it is a new one; its ticks."""
        index = bisect_right(DURATIONS, ticks) - 1
        if self.state.streams[turn].duration != index:
            self.push(self.v.duration[index])
        longest: int = DURATIONS[index]
        return longest


def read(tokens: Sequence[int], vocabulary: Vocabulary) -> State:
    """The state after these tokens; `InvalidError` where they break the grammar."""
    state = State(vocabulary)
    for token in tokens:
        state.push(int(token))
    return state


def trace(tokens: Sequence[int], vocabulary: Vocabulary) -> tuple[npt.NDArray[np.int16], Mask]:
    """Features before each token, and which tokens were free, as `Segment` holds them."""
    state = State(vocabulary)
    features, free = [], []
    for token in tokens:
        features.append(state.features())
        free.append(not state.forced)
        state.push(int(token))
    return np.array(features, dtype=np.int16), np.array(free, dtype=bool)
