"""Who owns what of one right, as a pie: what is missing to a whole stays open, what is too much is marked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, picture, voice
from stemma_portal.design.svg.shares import Slice

SIZE, OUTER, INNER = 200, 92, 52
CENTRE = SIZE / 2


def pie(slices: Sequence[Slice], *, whole: int, label: str) -> SafeString:
    """Slices clockwise from the top.  Where they are more than the whole, all of them share the circle."""
    total = sum(part.amount for part in slices if part.amount > 0)
    circle = max(total, whole, 1)
    drawn = [element("circle", cx=CENTRE, cy=CENTRE, r=(OUTER + INNER) / 2, class_="open", stroke_width=OUTER - INNER)]
    at = 0
    for part in (each for each in slices if each.amount > 0):
        colour = "commons" if part.index is None else voice(part.index)
        title = element("title", f"{part.name}: {_percent(part.amount, whole)}")
        drawn.append(
            element("path", title, d=_sector(at / circle, (at + part.amount) / circle), class_=f"fill {colour}")
        )
        at += part.amount
    state = "" if total == whole else " over" if total > whole else " under"
    drawn.append(element("text", _percent(total, whole), x=CENTRE, y=CENTRE + 6, class_="pie-sum"))
    return picture(SIZE, SIZE, drawn, label=label, class_=f"pie{state}")


def _percent(amount: int, whole: int) -> str:
    """To the last part per million: 33.3333 %."""
    return f"{100 * amount / whole:.4f}".rstrip("0").rstrip(".") + " %"


def _sector(start: float, end: float) -> str:
    """A part of the ring, from and to a share of the turn; a whole turn is drawn as two halves."""
    if end - start >= 1:
        return _sector(0, 0.5) + _sector(0.5, 0.999_999)
    large = int(end - start > 0.5)
    (ax, ay), (bx, by) = _point(start, OUTER), _point(end, OUTER)
    (cx, cy), (dx, dy) = _point(end, INNER), _point(start, INNER)
    return (
        f"M{ax:.2f} {ay:.2f}A{OUTER} {OUTER} 0 {large} 1 {bx:.2f} {by:.2f}"
        f"L{cx:.2f} {cy:.2f}A{INNER} {INNER} 0 {large} 0 {dx:.2f} {dy:.2f}Z"
    )


def _point(turn: float, radius: float) -> tuple[float, float]:
    angle = 2 * math.pi * turn
    return CENTRE + radius * math.sin(angle), CENTRE - radius * math.cos(angle)
