"""Parts of a whole with the intervals in which they lie: one bar beneath each name, narrow enough for a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma_portal.design.svg.bars import whisker
from stemma_portal.design.svg.build import element, picture, voice
from stemma_portal.design.svg.groups import ROW, TEXT, WIDTH, shortened

TALL = 10
"""Height of a bar and its whisker."""


@dataclass(frozen=True)
class Spread:
    """A part with its interval; all three in the same unit."""

    name: str
    amount: int
    low: int
    high: int
    told: str
    """The part and its interval in figures."""
    index: int | None
    """Colour; None for what belongs to all."""


def whiskers(shown: Sequence[Spread], *, label: str) -> SafeString:
    """The picture, in the order given, on the scale of the longest whisker."""
    most = max((each.high for each in shown), default=0) or 1
    drawn: list[str] = []
    for place, each in enumerate(shown):
        y = place * ROW
        colour = "commons" if each.index is None else voice(each.index)
        width = WIDTH * each.amount / most
        drawn.append(
            element(
                "g",
                element("title", f"{each.name}: {each.told}"),
                element("text", shortened(each.name), x=0, y=y + TEXT, class_="group-name"),
                element("text", each.told.split(",")[0], x=WIDTH, y=y + TEXT, class_="group-figure"),
                element("rect", x=0, y=y + TEXT + 5, width=WIDTH, height=TALL, class_="track", rx=1),
                element("rect", x=0, y=y + TEXT + 5, width=max(1.0, width), height=TALL, class_=f"tint {colour}", rx=1),
                whisker(each.low / most, each.high / most, width=WIDTH, y=y + TEXT + 5, height=TALL),
            )
        )
    return picture(WIDTH, max(1, len(shown)) * ROW, drawn, label=label, class_="groups")
