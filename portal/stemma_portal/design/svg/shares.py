"""Who owns what, as one bar per side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, picture, voice

WIDTH, HEIGHT, GAP = 600, 28, 2


@dataclass(frozen=True)
class Slice:
    """A part of a whole; `index` chooses its colour, so that a party keeps it in every bar."""

    name: str
    amount: int
    index: int | None
    """None for what belongs to all."""


def share_bar(slices: Sequence[Slice], *, label: str) -> SafeString:
    """Parts side by side, as long as they are large."""
    total = sum(part.amount for part in slices) or 1
    left, bars = 0.0, []
    for part in (each for each in slices if each.amount > 0):
        width = WIDTH * part.amount / total
        colour = "commons" if part.index is None else voice(part.index)
        title = element("title", f"{part.name}: {100 * part.amount / total:.2f} %")
        bars.append(
            element(
                "rect",
                title,
                x=left,
                y=0,
                width=max(1.0, width - GAP),
                height=HEIGHT,
                class_=f"fill {colour}",
            )
        )
        left += width
    return picture(WIDTH, HEIGHT, bars, label=label, class_="sharebar")
