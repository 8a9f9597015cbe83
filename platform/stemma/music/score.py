"""Scores in the formats that music21 reads, brought onto one exact grid and written as clean MIDI.

A `Sheet` holds sounding pitches: ties are joined, grace notes and chord symbols left out, transposing
instruments read at concert pitch, the parts aligned bar by bar.  Times are in ticks of 1/24 quarter
note, which holds 32nd notes and triplets of sixteenths exactly; other tuplets go to the nearest tick.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import symusic

from stemma.errors import InvalidError
from stemma.music import instruments as gm

GRID = 24
"""Ticks per quarter note."""
MIDI_TICKS = 480
MAX_NOTES = 50_000
"""Scores beyond this are no single piece of music; they would only exhaust memory."""

_READABLE = "Readable are MusicXML (.xml, .musicxml, .mxl), Humdrum (.krn), ABC, MEI and MIDI."
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""Tonics as `stemma.models.protocol.KEYS` spells them, by pitch class."""


@dataclass(frozen=True, order=True)
class Note:
    """A sounding note; `start` and `end` in ticks of the grid."""

    start: int
    end: int
    pitch: int


@dataclass(frozen=True)
class Part:
    """One instrument's notes, sorted."""

    name: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Bar:
    """A bar: where it starts, how long it is, and the meter it is written in."""

    start: int
    length: int
    beats: int
    unit: int

    @property
    def nominal(self) -> int:
        """Length that the meter asks for; a pickup is shorter."""
        return self.beats * 4 * GRID // self.unit

    @property
    def beat(self) -> int:
        """Length of a beat; three eighths in compound meters."""
        compound = self.unit >= 8 and self.beats % 3 == 0 and self.beats > 3
        return 4 * GRID // self.unit * (3 if compound else 1)


@dataclass(frozen=True)
class Sheet:
    """A piece of music on the grid."""

    parts: tuple[Part, ...]
    """From the top."""
    bars: tuple[Bar, ...]
    key: str
    """Such as `F# minor`: tonic as `stemma.models.protocol.KEYS` spells it."""
    tempo_mark: float | None
    """Quarter notes per minute where the score says so."""
    tempo_word: str
    """Words at the head of the score, such as `Allegro`; empty where there are none."""

    @property
    def end(self) -> int:
        """Tick at which the last note ends."""
        return max(note.end for part in self.parts for note in part.notes)

    @property
    def time_signature(self) -> str:
        """The meter of most bars, such as `6/8`."""
        counts: dict[tuple[int, int], int] = {}
        for bar in self.bars:
            counts[bar.beats, bar.unit] = counts.get((bar.beats, bar.unit), 0) + bar.length
        beats, unit = max(counts, key=lambda meter: (counts[meter], meter))
        return f"{beats}/{unit}"

    def cut(self, first: int, last: int) -> Sheet:
        """Bars `first` up to, not including, `last`; notes that ring over the cut end with it."""
        bars = self.bars[first:last]
        start, end = bars[0].start, bars[-1].start + bars[-1].length
        parts = tuple(
            Part(part.name, tuple(Note(n.start - start, min(n.end, end) - start, n.pitch) for n in part.notes
                                  if start <= n.start < end))
            for part in self.parts
        )  # fmt: skip
        kept = tuple(part for part in parts if part.notes)
        if not kept:
            raise InvalidError("The bars asked for have no notes.", code="empty-score")
        return replace(self, parts=kept, bars=tuple(replace(bar, start=bar.start - start) for bar in bars))

    def midi(self, *, tempo: float, instruments: Sequence[str]) -> bytes:
        """A Standard MIDI file, type 1: one named track per part, tempo, meters and key at their places.

        Velocities follow the meter, times are exact: how notes are performed is the renderer's part.
        """
        if len(instruments) != len(self.parts):
            raise ValueError("every part needs an instrument")
        scale = MIDI_TICKS // GRID
        score = symusic.Score(MIDI_TICKS)
        score.tempos.append(symusic.Tempo(0, qpm=tempo))
        for tick, beats, unit in _meters(self.bars):
            score.time_signatures.append(symusic.TimeSignature(tick * scale, beats, unit))
        score.key_signatures.append(symusic.KeySignature(0, *_signature(self.key)))
        names = _distinct([part.name or instrument for part, instrument in zip(self.parts, instruments, strict=True)])
        for part, instrument, name in zip(self.parts, instruments, names, strict=True):
            track = symusic.Track(name, gm.program(instrument), False)
            for note, velocity in zip(part.notes, _velocities(part.notes, self.bars), strict=True):
                length = (note.end - note.start) * scale
                track.notes.append(symusic.Note(note.start * scale, length, note.pitch, velocity))
            score.tracks.append(track)
        return bytes(score.dumps_midi())


def read(source: Path | str, *, name: str = "", form: str | None = None, repeats: bool = False) -> Sheet:
    """The sheet of a score: a file, or text in the format `form` (such as `abc`).

    `repeats` plays repeated sections again.  `name` stands for the score in errors; the file's name
    unless given.  Raises `InvalidError` with code `unreadable-score` or `empty-score`.
    """
    from music21 import converter, stream

    label = name or (source.name if isinstance(source, Path) else "score")
    if isinstance(source, Path) and not source.is_file():
        raise InvalidError(f"There is no score {label}.", remedy="Check the path.", code="unreadable-score")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # music21 warns of oddities that the sheet mends or leaves out
            # music21 leaves files of these two formats open when they are broken.
            if isinstance(source, Path) and source.suffix.lower() == ".abc":
                found = converter.parse(source.read_text("utf-8", "replace"), format="abc")
            elif isinstance(source, Path) and source.suffix.lower() in {".mid", ".midi"}:
                found = converter.parseData(source.read_bytes(), format="midi")
            elif isinstance(source, Path):
                found = converter.parse(source, format=form, forceSource=True, storePickle=False)
            else:
                found = converter.parse(source, format=form)
            if isinstance(found, stream.Opus):
                raise InvalidError(
                    f"{label} holds {len(found.scores)} pieces.",
                    remedy="Give them one by one.",
                    code="unreadable-score",
                )
            return _sheet(found, label, repeats=repeats)
    except InvalidError:
        raise
    except Exception as error:
        # Each of music21's readers fails in its own ways, from KeyError to zipfile.BadZipFile.
        raise InvalidError(
            f"The score {label} cannot be read ({type(error).__name__}: {str(error)[:120]}).",
            remedy=f"{_READABLE} Open it in a notation program and export it as MusicXML.",
            code="unreadable-score",
        ) from error


def _sheet(score: Any, label: str, *, repeats: bool) -> Sheet:
    """The sheet of a parsed score."""
    from music21 import stream

    parts = list(score.parts) if isinstance(score, stream.Score) else [score]
    lines = [list(part.getElementsByClass(stream.Measure)) for part in parts]
    if not any(lines):  # a format without bars, such as a bare melody: give it bars
        parts = [part.makeMeasures() for part in parts]
        lines = [list(part.getElementsByClass(stream.Measure)) for part in parts]
    if repeats:
        order = _played(lines[0], parts[0])
        lines = [[line[index] for index in order if index < len(line)] for line in lines]
    bars = _bars(lines)
    staves = [(part, _notes(line, bars, part)) for part, line in zip(parts, lines, strict=True)]
    if sum(len(notes) for _, notes in staves) > MAX_NOTES:
        raise InvalidError(
            f"The score {label} has more than {MAX_NOTES} notes.",
            remedy="Split it into movements.",
            code="unreadable-score",
        )
    found = [Part(name, notes) for name, notes in _join_staves(staves) if notes]
    if not found:
        raise InvalidError(f"The score {label} has no notes.", remedy="Check the file.", code="empty-score")
    mark, word = _tempo(score)
    return Sheet(tuple(found), _merged(bars), find_key(found), mark, word)


def _played(measures: Sequence[Any], part: Any) -> list[int]:
    """Measures in the order in which they are played, repeats and endings written out.

    music21 can do this by copying the score, which takes longer than reading it.
    """
    from music21 import bar, spanner

    index_of = {id(measure): index for index, measure in enumerate(measures)}
    endings: dict[int, tuple[int, ...]] = {}
    for bracket in part.recurse().getElementsByClass(spanner.RepeatBracket):
        for measure in bracket.getSpannedElements():
            if id(measure) in index_of:
                endings[index_of[id(measure)]] = tuple(bracket.numberRange)
    opens = [isinstance(measure.leftBarline, bar.Repeat) for measure in measures]
    closes = [isinstance(measure.rightBarline, bar.Repeat) for measure in measures]
    order: list[int] = []
    start, index, turn = 0, 0, 1
    while index < len(measures) and len(order) < 8 * len(measures):
        after_ending = index - 1 in endings and index not in endings
        if index != start and (opens[index] or after_ending):
            start, turn = index, 1
        if turn not in endings.get(index, (turn,)):
            index += 1
            continue
        order.append(index)
        last = max((number for i, numbers in endings.items() if i >= start for number in numbers), default=2)
        if closes[index] and turn < (last if index in endings else 2):
            index, turn = start, turn + 1
            continue
        if closes[index] and index not in endings:
            start, turn = index + 1, 1
        index += 1
    return order


def _ticks(quarters: float | Fraction) -> int:
    return round(Fraction(quarters) * GRID)


def _bars(lines: Sequence[Sequence[Any]]) -> list[Bar]:
    """The bars all parts share: a bar lasts as long as its longest part."""
    bars: list[Bar] = []
    start, meter = 0, (4, 4)
    for index in range(max(len(line) for line in lines)):
        measures = [line[index] for line in lines if index < len(line)]
        signature = next((measure.timeSignature for measure in measures if measure.timeSignature is not None), None)
        if signature is not None:
            meter = (signature.numerator, signature.denominator)
        nominal = meter[0] * 4 * GRID // meter[1]
        length = max(_ticks(measure.highestTime) for measure in measures) or nominal
        bars.append(Bar(start, length, *meter))
        start += length
    return bars


def _merged(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    """Bars as they are counted: one that a repeat sign divides is one bar, and the last is whole."""
    merged: list[Bar] = []
    for bar in bars:
        last = merged[-1] if merged else None
        if last and last.length < last.nominal and last.length + bar.length == last.nominal == bar.nominal:
            merged[-1] = replace(last, length=last.nominal)
        else:
            merged.append(bar)
    return tuple(merged)


def _notes(measures: Sequence[Any], bars: Sequence[Bar], part: Any) -> tuple[Note, ...]:
    """Sounding notes of one part, ties joined."""
    shift = _transposition(part)
    found: list[Note] = []
    tied: dict[int, Note] = {}  # notes held over, by pitch
    for measure, bar in zip(measures, bars, strict=False):
        for voice in (*measure.voices, measure):
            for element in voice.notes:
                offset = element.offset + (voice.offset if voice is not measure else 0)
                start = bar.start + _ticks(offset)
                end = bar.start + _ticks(offset + element.quarterLength)
                if end <= start or "Harmony" in element.classes:
                    continue  # grace notes and chord symbols do not sound
                for one in _members(element):
                    pitch = one.pitch.midi + shift
                    if not 0 <= pitch <= 127:
                        continue
                    tie = one.tie.type if one.tie is not None else ""
                    held = tied.pop(pitch, None) if tie in {"stop", "continue"} else None
                    note = Note(held.start, end, pitch) if held and held.end == start else Note(start, end, pitch)
                    if held and held.end != start:
                        found.append(held)
                    if tie in {"start", "continue"}:
                        if pitch in tied:
                            found.append(tied[pitch])
                        tied[pitch] = note
                    else:
                        found.append(note)
    return _disjoint([*found, *tied.values()])


def _members(element: Any) -> Iterable[Any]:
    """The pitched notes of a note or chord; percussion has none."""
    members = element.notes if element.isChord else (element,)
    return (one for one in members if hasattr(one, "pitch"))


def _transposition(part: Any) -> int:
    """Semitones from written to sounding pitch."""
    for instrument in part.getInstruments(returnDefault=False, recurse=True):
        if instrument.transposition is not None:
            return int(instrument.transposition.semitones)
    return 0


def _disjoint(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Notes of one pitch never overlap: an earlier one ends where the next begins, doublings are one."""
    kept: list[Note] = []
    last: dict[int, int] = {}  # index of the last note of each pitch
    for note in sorted(notes, key=lambda n: (n.start, n.pitch, -n.end)):
        before = last.get(note.pitch)
        if before is not None and kept[before].end > note.start:
            if kept[before].start == note.start:
                continue
            kept[before] = replace(kept[before], end=note.start)
        last[note.pitch] = len(kept)
        kept.append(note)
    return tuple(sorted(kept))


def _join_staves(staves: Sequence[tuple[Any, tuple[Note, ...]]]) -> list[tuple[str, tuple[Note, ...]]]:
    """Parts by name; the staves of one keyboard instrument are one part."""
    joined: list[tuple[str, tuple[Note, ...]]] = []
    keyboard = False
    for part, notes in staves:
        staff = "PartStaff" in part.classes
        name = " ".join(str(part.partName or "").split())
        name = "" if name.startswith("MusicXML Part") else name
        if staff and keyboard:
            joined[-1] = (joined[-1][0] or name, _disjoint([*joined[-1][1], *notes]))
        else:
            joined.append((name, notes))
        keyboard = staff
    return joined


def _tempo(score: Any) -> tuple[float | None, str]:
    """The first tempo mark in quarter notes per minute, and the words at the head of the score."""
    from music21 import expressions, tempo

    number = None
    for mark in score.recurse().getElementsByClass(tempo.MetronomeMark):
        if mark.number is not None and not mark.numberImplicit:
            number = float(mark.getQuarterBPM())
        elif mark.numberSounding is not None:  # for playback only, not printed: quarter notes by definition
            number = float(mark.numberSounding)
        if number is not None:
            break
    words = [
        str(text.text if isinstance(text, tempo.TempoIndication) else text.content)
        for text in score.recurse().getElementsByClass(
            (tempo.TempoText, tempo.MetronomeMark, expressions.TextExpression)
        )
        if text.getOffsetInHierarchy(score) < 8
    ]
    return (number if number and 20 <= number <= 400 else None), " ".join(w for w in words if w != "None")[:120]


@cache
def _profiles() -> tuple[tuple[str, tuple[float, ...]], ...]:
    """How much each pitch class weighs in each key: the tables of Aarden (2003), as music21 has them."""
    from music21.analysis.discrete import AardenEssen

    tables = AardenEssen()
    return tuple(
        (f"{tonic} {mode}", tuple(weights[(pitch - place) % 12] for pitch in range(12)))
        for mode in ("major", "minor")
        for weights in (tables.getWeights(mode),)
        for place, tonic in enumerate(TONICS)
    )


def find_key(parts: Iterable[Part]) -> str:
    """The key whose profile the sounding time of the pitch classes follows best (Krumhansl and Schmuckler).

    The same tables and measure as music21's own analysis, without the scales that it builds for each
    key on the way and that take longer than reading the score.
    """
    heard = [0.0] * 12
    for part in parts:
        for note in part.notes:
            heard[note.pitch % 12] += note.end - note.start
    return max(_profiles(), key=lambda profile: _correlation(heard, profile[1]))[0]


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    if len(set(one)) == 1:  # every pitch class alike: no key fits better than another
        return 0.0
    return statistics.correlation(one, other)


def _signature(key: str) -> tuple[int, int]:
    """Sharps (positive) or flats of a key, and 1 for minor, as MIDI writes them."""
    tonic, mode = key.split()
    pitch = TONICS.index(tonic) + (3 if mode == "minor" else 0)
    return (pitch * 7 + 5) % 12 - 5, int(mode == "minor")


def _meters(bars: Sequence[Bar]) -> list[tuple[int, int, int]]:
    """Where meters change.  A bar shorter or longer than its meter gets a meter of its own length."""
    changes: list[tuple[int, int, int]] = []
    for index, bar in enumerate(bars):
        beats, unit = bar.beats, bar.unit
        # The last bar may be short, as a pickup's complement: nothing follows that it would displace.
        if bar.length != bar.nominal and (index < len(bars) - 1 or bar.length > bar.nominal):
            for finer in (4, 8, 16, 32):
                if bar.length * finer % (4 * GRID) == 0:
                    beats, unit = bar.length * finer // (4 * GRID), finer
                    break
        if not changes or (beats, unit) != changes[-1][1:]:
            changes.append((bar.start, min(beats, 255), unit))
    return changes


def _velocities(notes: Sequence[Note], bars: Sequence[Bar]) -> Iterable[int]:
    """Weight of each note by its place in the bar: downbeat, beat, or between beats."""
    index = 0
    for note in notes:
        while index + 1 < len(bars) and bars[index + 1].start <= note.start:
            index += 1
        bar = bars[index]
        # A pickup is the end of a full bar.
        place = note.start - bar.start + (bar.nominal - bar.length if index == 0 and bar.length < bar.nominal else 0)
        half = bar.nominal // 2
        if place == 0:
            yield 92
        elif place % bar.beat == 0:
            yield 86 if bar.beats % 4 == 0 and place == half else 80
        else:
            yield 74


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of tracks, numbered where several are alike."""
    totals: dict[str, int] = {}
    for name in names:
        totals[name] = totals.get(name, 0) + 1
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(f"{name} {seen[name]}" if totals[name] > 1 else name)
    return distinct
