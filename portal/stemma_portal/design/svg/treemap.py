"""Who shaped a generation: areas as large as shares (squarified treemap, Bruls, Huizing and van Wijk 2000)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, picture, voice

WIDTH, HEIGHT, GAP = 960, 420, 3


@dataclass(frozen=True)
class Leaf:
    """One cell: its names, its size, what stands on it, and where it leads."""

    title: str
    subtitle: str
    amount: int
    figure: str
    index: int | None = None
    """Colour; None for the commons, which belongs to all."""
    href: str | None = None


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


def layout(amounts: Sequence[int], box: Box) -> list[Box]:
    """One box per amount, in order, filling `box`; amounts are positive and sorted from the largest."""
    total = sum(amounts)
    areas = [amount / total * box.width * box.height for amount in amounts]
    placed: list[Box] = []
    while areas:
        side = min(box.width, box.height)
        row = 1
        while row < len(areas) and _worst(areas[: row + 1], side) <= _worst(areas[:row], side):
            row += 1
        cells, box = _place(areas[:row], box)
        placed += cells
        areas = areas[row:]
    return placed


def treemap(leaves: Sequence[Leaf], *, label: str, height: int = HEIGHT) -> SafeString:
    """The picture; cells too small for their names keep them as a tooltip."""
    shown = sorted((leaf for leaf in leaves if leaf.amount > 0), key=lambda leaf: -leaf.amount)
    boxes = layout([leaf.amount for leaf in shown], Box(0, 0, WIDTH, height)) if shown else []
    cells = [_cell(leaf, box) for leaf, box in zip(shown, boxes, strict=True)]
    return picture(WIDTH, height, cells, label=label, class_="treemap", linked=any(leaf.href for leaf in shown))


def _worst(row: Sequence[float], side: float) -> float:
    """The worst aspect ratio in a row laid along a side."""
    total = sum(row)
    return max(max(side**2 * area / total**2, total**2 / (side**2 * area)) for area in row)


def _place(row: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    total = sum(row)
    cells, at = [], 0.0
    if box.width >= box.height:
        depth = total / box.height
        for area in row:
            cells.append(Box(box.x, box.y + at, depth, area / depth))
            at += area / depth
        return cells, Box(box.x + depth, box.y, max(1e-9, box.width - depth), box.height)
    depth = total / box.width
    for area in row:
        cells.append(Box(box.x + at, box.y, area / depth, depth))
        at += area / depth
    return cells, Box(box.x, box.y + depth, box.width, max(1e-9, box.height - depth))


def _cell(leaf: Leaf, box: Box) -> SafeString:
    width, height = max(0.5, box.width - GAP), max(0.5, box.height - GAP)
    colour = voice(leaf.index) if leaf.index is not None else "commons"
    told = f"{leaf.title}, {leaf.subtitle}: {leaf.figure}"
    parts = [
        element("title", told),
        element("rect", x=box.x, y=box.y, width=width, height=height, class_=f"tint {colour}"),
    ]
    if width > 74 and height > 34:
        parts.append(element("text", leaf.figure, x=box.x + 10, y=box.y + 24, class_="cell-figure"))
    if width > 74 and height > 56:
        parts.append(element("text", _fit(leaf.title, width), x=box.x + 10, y=box.y + 44, class_="cell-title"))
    if width > 74 and height > 76:
        parts.append(element("text", _fit(leaf.subtitle, width), x=box.x + 10, y=box.y + 62, class_="cell-subtitle"))
    group = element("g", *parts)
    return element("a", group, href=leaf.href, aria_label=told) if leaf.href else group


def _fit(text: str, width: float) -> str:
    room = max(3, int((width - 16) / 7.2))
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"
