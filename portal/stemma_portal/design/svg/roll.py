"""A piano roll on engraved staves: time to the right, pitch upwards, one colour per part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, number, picture, voice

PER_SECOND = 42
"""Width of a second."""
PER_SEMITONE = 6
PAD = 18
STAVES = (64, 67, 71, 74, 77), (43, 47, 50, 53, 57)
"""Pitches (MIDI) of the lines of the treble and the bass staff."""


@dataclass(frozen=True)
class Note:
    """A sounding note: its part (from 0), MIDI pitch, start and end in seconds."""

    part: int
    pitch: int
    start: float
    end: float


def roll(notes: Sequence[Note], bars: Sequence[float], seconds: float, *, label: str) -> SafeString:
    """The picture, as wide as the piece is long.  `bars` are the starts of bars in seconds.

    A note's place in time can be read back from it (x / `data-scale`), which is how the player follows.
    """
    pitches = [note.pitch for note in notes] or [60]
    low, high = min(pitches) - 2, max(pitches) + 2
    shown = [staff for staff in STAVES if staff[0] <= high and staff[-1] >= low]
    low, high = min([low, *(staff[0] - 2 for staff in shown)]), max([high, *(staff[-1] + 2 for staff in shown)])
    width, height = max(seconds * PER_SECOND, 320.0), (high - low) * PER_SEMITONE + 2 * PAD

    def y(pitch: int) -> float:
        return PAD + (high - pitch) * PER_SEMITONE

    lines = "".join(f"M0 {number(y(pitch))}H{number(width)}" for staff in shown for pitch in staff)
    barlines = "".join(f"M{number(at * PER_SECOND)} {PAD}V{number(height - PAD)}" for at in bars if at < seconds)
    drawn = [element("path", d=barlines, class_="barline"), element("path", d=lines, class_="staffline")]
    for part in sorted({note.part for note in notes}):
        rects = [
            element(
                "rect",
                x=note.start * PER_SECOND,
                y=y(note.pitch) - PER_SEMITONE / 2 - 0.5,
                width=max(2.0, (note.end - note.start) * PER_SECOND - 1.5),
                height=PER_SEMITONE + 1,
                rx=3,
            )
            for note in notes
            if note.part == part
        ]
        drawn.append(element("g", *rects, class_=f"fill {voice(part)}", data_part=part))
    drawn.append(element("path", d=f"M0 0V{number(height)}", class_="playhead", data_playhead=""))
    svg = picture(width, height, drawn, label=label, class_="roll", fixed=True)
    return svg.replace("<svg ", f'<svg data-scale="{PER_SECOND}" ', 1)  # type: ignore[return-value]
