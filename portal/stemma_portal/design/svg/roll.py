"""A piano roll on engraved staves: time to the right, pitch upwards, one colour per part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, number, picture, voice

PER_SECOND = 42, 150
"""Least and greatest width of a second."""
SHEET = 1080
"""Width that a short piece fills."""
PER_SEMITONE = 6
PAD = 18
STAVES = (64, 67, 71, 74, 77), (43, 47, 50, 53, 57)
"""Pitches (MIDI) of the lines of the treble and the bass staff."""


def empty() -> SafeString:
    """Staves that wait for music."""
    high, low = STAVES[0][-1] + 2, STAVES[1][0] - 2
    lines = "".join(f"M0 {PAD + (high - pitch) * PER_SEMITONE}H640" for staff in STAVES for pitch in staff)
    top, bottom = PAD + (high - STAVES[0][-1]) * PER_SEMITONE, PAD + (high - STAVES[1][0]) * PER_SEMITONE
    bars = "".join(f"M{x} {top}V{bottom}" for x in (0.5, 213, 426, 639.5))
    height = (high - low) * PER_SEMITONE + 2 * PAD
    return element(
        "svg",
        element("path", d=bars, class_="barline"),
        element("path", d=lines, class_="staffline"),
        viewBox=f"0 0 640 {height}",
        class_="roll roll-empty",
        aria_hidden="true",
        focusable="false",
    )


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
    scale = max(PER_SECOND[0], min(PER_SECOND[1], int(SHEET / max(seconds, 1.0))))
    pitches = [note.pitch for note in notes] or [60]
    low, high = min(pitches) - 2, max(pitches) + 2
    shown = [staff for staff in STAVES if staff[0] <= high and staff[-1] >= low]
    low, high = min([low, *(staff[0] - 2 for staff in shown)]), max([high, *(staff[-1] + 2 for staff in shown)])
    width, height = max(seconds * scale, 320.0), (high - low) * PER_SEMITONE + 2 * PAD

    def y(pitch: int) -> float:
        return PAD + (high - pitch) * PER_SEMITONE

    lines = "".join(f"M0 {number(y(pitch))}H{number(width)}" for staff in shown for pitch in staff)
    barlines = "".join(f"M{number(at * scale)} {PAD}V{number(height - PAD)}" for at in bars if at < seconds)
    drawn = [element("path", d=barlines, class_="barline"), element("path", d=lines, class_="staffline")]
    for part in sorted({note.part for note in notes}):
        rects = [
            element(
                "rect",
                x=note.start * scale,
                y=y(note.pitch) - PER_SEMITONE / 2 - 0.5,
                width=max(2.0, (note.end - note.start) * scale - 1.5),
                height=PER_SEMITONE + 1,
                rx=3,
            )
            for note in notes
            if note.part == part
        ]
        drawn.append(element("g", *rects, class_=f"fill {voice(part)}", data_part=part))
    drawn.append(element("path", d=f"M0 0V{number(height)}", class_="playhead", data_playhead=""))
    return picture(width, height, drawn, label=label, class_="roll", fixed=True, data_scale=scale)
