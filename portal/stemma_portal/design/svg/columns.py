"""Amounts over time: one column per period, stacked by kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, picture, voice

WIDTH, HEIGHT, BASE, TOP = 640, 230, 34, 14
WIDEST = 64
LABELS = 12
"""Names that fit beneath; of more columns every n-th is named."""


@dataclass(frozen=True)
class Column:
    """What stands over one name; each part in its own colour, from the foot."""

    name: str
    parts: Sequence[int]
    told: str
    """The column in words and figures."""


def columns(shown: Sequence[Column], *, label: str) -> SafeString:
    """The picture; the figures stand in the table beneath."""
    most = max((sum(column.parts) for column in shown), default=0) or 1
    step = (WIDTH - 8) / max(1, len(shown))
    width = min(WIDEST, step * 0.72)
    every = -(-len(shown) // LABELS) if shown else 1
    foot = HEIGHT - BASE
    drawn: list[str] = [element("path", d=f"M0 {foot}H{WIDTH}", class_="axis")]
    for place, column in enumerate(shown):
        left, y = 4 + place * step + (step - width) / 2, float(foot)
        bars: list[str] = [element("title", column.told)]
        for index, part in enumerate(column.parts):
            height = (foot - TOP) * max(0, part) / most
            if height <= 0:
                continue
            y -= height
            drawn_height = max(0.6, height - 1)
            bars.append(element("rect", x=left, y=y, width=width, height=drawn_height, class_=f"fill {voice(index)}"))
        drawn.append(element("g", *bars))
        if place % every == 0:
            drawn.append(element("text", column.name, x=left + width / 2, y=foot + 22, class_="tick middle"))
    return picture(WIDTH, HEIGHT, drawn, label=label, class_="curve columns-picture")
