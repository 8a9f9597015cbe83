"""How large the groups of a whole are: one bar beneath each name, narrow enough for a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, picture, voice

WIDTH, ROW, BAR, TEXT = 320, 38, 8, 15
LETTERS = 30
"""Letters of a name that fit beside its figure."""


@dataclass(frozen=True)
class Group:
    """A group: its name, its size, and its colour; None for what is not known."""

    name: str
    amount: int
    index: int | None


def groups(shown: Sequence[Group], *, label: str) -> SafeString:
    """The picture, in the order given; bars are as long as their part of the whole."""
    total = sum(max(0, group.amount) for group in shown) or 1
    drawn: list[str] = []
    for place, group in enumerate(shown):
        y, part = place * ROW, max(0, group.amount) / total
        colour = "commons" if group.index is None else voice(group.index)
        drawn.append(
            element(
                "g",
                element("title", f"{group.name}: {group.amount:,} ({100 * part:.1f} %)"),
                element("text", shortened(group.name), x=0, y=y + TEXT, class_="group-name"),
                element("text", f"{100 * part:.1f} %", x=WIDTH, y=y + TEXT, class_="group-figure"),
                element("rect", x=0, y=y + TEXT + 7, width=WIDTH, height=BAR, class_="track", rx=1),
                element(
                    "rect", x=0, y=y + TEXT + 7, width=max(1.0, WIDTH * part), height=BAR, class_=f"fill {colour}", rx=1
                ),
            )
        )
    return picture(WIDTH, max(1, len(shown)) * ROW, drawn, label=label, class_="groups")


def shortened(text: str) -> str:
    """As much of a name as fits."""
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1].rstrip()}…"
