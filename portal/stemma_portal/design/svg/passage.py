"""A passage that two pieces share: both lines above each other, note under note."""

from __future__ import annotations

from django.utils.safestring import SafeString

from stemma.music.ngrams import GRID
from stemma.music.passages import Excerpt, Passage
from stemma_portal.design.svg.build import element, number, picture, voice

PER_QUARTER, PER_SEMITONE, PAD = 44, 6, 14
PER_TICK = PER_QUARTER / GRID


def passage(found: Passage, *, label: str) -> SafeString:
    """The piece above, the work below; what they share in colour, what stands around it in grey."""
    rows = (found.piece, found.work)
    begins = min(row.notes[0][0] for row in rows)
    ends = max(at + length for row in rows for at, _, length in row.notes)
    drawn, top = [], PAD
    for index, row in enumerate(rows):
        pitches = [pitch for _, pitch, _ in row.notes]
        drawn.append(_row(row, found.length, begins, top + (max(pitches) * PER_SEMITONE), voice(index)))
        top += (max(pitches) - min(pitches) + 1) * PER_SEMITONE + 2 * PAD
    edges = [(row.notes[row.first][0], *_last(row, found.length)) for row in rows]
    left, right = (edges[0][0] - begins) * PER_TICK, (max(at + long for _, at, long in edges) - begins) * PER_TICK
    frame = element("path", d=f"M{number(left)} 0V{top}M{number(right)} 0V{top}", class_="barline")
    width = max((ends - begins) * PER_TICK, 320.0)
    return picture(width, top, [frame, *drawn], label=label, class_="roll", fixed=True)


def _last(row: Excerpt, length: int) -> tuple[int, int]:
    at, _, long = row.notes[row.first + length - 1]
    return at, long


def _row(row: Excerpt, length: int, begins: int, zero: int, colour: str) -> SafeString:
    """One line; `zero` is where pitch 0 would stand."""
    rects = [
        element(
            "rect",
            x=(at - begins) * PER_TICK,
            y=zero - pitch * PER_SEMITONE,
            width=max(2.0, long * PER_TICK - 1.5),
            height=PER_SEMITONE + 1,
            rx=3,
            class_=f"fill {colour if row.first <= place < row.first + length else 'commons'}",
        )
        for place, (at, pitch, long) in enumerate(row.notes)
    ]
    return element("g", *rects)
