"""Descent as philologists draw it: a stemma, from the sources at the top to the copies beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, picture, voice

WIDTH, ROW, TOP, HEAD = 450, 104, 40, (11, 8.5)
AXIS, WORDS = 120.0, 262
"""Where the line of descent and its words stand."""
SOURCES = 8
"""Kinds of sources are drawn as at most this many heads; the number of sources is written."""


@dataclass(frozen=True)
class Generation:
    """One row of the tree: a name in letters of its own, what it is, and where it leads."""

    title: str
    note: str
    href: str | None = None
    current: bool = False


def lineage(sources: int, kinds: int, descent: Sequence[Generation], *, label: str) -> SafeString:
    """A fan of kinds of sources that meet in the first of `descent`, and the line of the others below it."""
    heads = max(1, min(kinds, SOURCES))
    spread = [AXIS + (i - (heads - 1) / 2) * 27 for i in range(heads)]
    first = TOP + ROW
    lines = [element("path", d=f"M{x:.1f} {TOP}L{AXIS} {first}", class_="branch") for x in spread]
    height = TOP + ROW * len(descent)
    if len(descent) > 1:
        lines.append(element("path", d=f"M{AXIS} {first}V{height}", class_="branch"))
    dots = [_head(x, TOP, f"source fill {voice(i)}") for i, x in enumerate(spread)]
    words = [
        element(
            "text", f"{sources:,} recordings".replace(",", "\N{THIN SPACE}"), x=WORDS, y=TOP + 5, class_="node-title"
        )
    ]
    for i, node in enumerate(descent):
        y = first + i * ROW
        dots.append(_head(AXIS, y, "current" if node.current else "node"))
        text = element(
            "g",
            element("text", node.title, x=WORDS, y=y - 2, class_="node-title"),
            element("text", node.note, x=WORDS, y=y + 17, class_="node-note"),
        )
        words.append(element("a", text, href=node.href) if node.href else text)
    return picture(WIDTH, height + TOP, [*lines, *dots, *words], label=label, class_="lineage", linked=True)


def _head(x: float, y: float, kind: str) -> SafeString:
    """A note head: what hangs on a stem."""
    return element(
        "ellipse",
        cx=float(x),
        cy=float(y),
        rx=HEAD[0],
        ry=HEAD[1],
        transform=f"rotate(-22 {x:.1f} {y:.1f})",
        class_=f"head {kind}",
    )
