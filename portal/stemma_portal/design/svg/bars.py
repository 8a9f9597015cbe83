"""Small pictures that stand in tables and beside figures: a bar, and a curve."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, number, picture

BAR_WIDTH, BAR_HEIGHT = 160, 8
CURVE_WIDTH, CURVE_HEIGHT, MARGIN = 640, 220, 36


def bar(
    part: float, whole: float, *, colour: str = "v1", low: float | None = None, high: float | None = None
) -> SafeString:
    """A bar as long as its part of the whole, with a whisker from `low` to `high` where they are known.

    The figures stand beside it, so it is hidden from readers of text.
    """
    width = max(1.0, BAR_WIDTH * min(1.0, part / whole)) if whole > 0 and part > 0 else 0.0
    return element(
        "svg",
        element("rect", x=0, y=0, width=BAR_WIDTH, height=BAR_HEIGHT, class_="track", rx=1),
        element("rect", x=0, y=0, width=width, height=BAR_HEIGHT, class_=f"fill {colour}", rx=1),
        *([] if low is None or high is None or whole <= 0 else [whisker(low / whole, high / whole)]),
        viewBox=f"0 0 {BAR_WIDTH} {BAR_HEIGHT}",
        class_="bar",
        aria_hidden="true",
        focusable="false",
    )


def whisker(
    low: float, high: float, *, width: float = BAR_WIDTH, y: float = 0, height: float = BAR_HEIGHT
) -> SafeString:
    """A line between two parts of the width, with an end at each, over a bar whose top is at `y`."""
    left, right = (min(width - 0.5, max(0.5, width * part)) for part in (low, high))
    top, middle, foot = number(y), number(y + height / 2), number(y + height)
    ends = "".join(f"M{number(x)} {top}V{foot}" for x in (left, right))
    return element("path", d=f"M{number(left)} {middle}H{number(right)}{ends}", class_="whisker")


def curve(points: Sequence[tuple[float, float]], *, label: str, level: float | None = None) -> SafeString:
    """A line through points; `level` is a value to beat, drawn dashed."""
    if not points:
        return picture(CURVE_WIDTH, CURVE_HEIGHT, [], label=label, class_="curve")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min([*ys, *([level] if level is not None else [])]), max([*ys, *([level] if level is not None else [])])
    span_x, span_y = (max(xs) - min(xs)) or 1, (high - low) or 1

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            MARGIN + (x - min(xs)) / span_x * (CURVE_WIDTH - 2 * MARGIN),
            MARGIN / 2 + (high - y) / span_y * (CURVE_HEIGHT - 1.5 * MARGIN),
        )

    path = "M" + "L".join(f"{number(a)} {number(b)}" for a, b in (place(x, y) for x, y in points))
    base = CURVE_HEIGHT - MARGIN
    drawn = [element("path", d=f"M{MARGIN} {base}H{CURVE_WIDTH - MARGIN}", class_="axis")]
    if level is not None:
        _, y = place(xs[0], level)
        drawn.append(element("path", d=f"M{MARGIN} {number(y)}H{CURVE_WIDTH - MARGIN}", class_="level"))
        drawn.append(element("text", f"{level:.3f}", x=CURVE_WIDTH - MARGIN, y=y - 6, class_="tick end"))
    last = place(*points[-1])
    drawn += [
        element("path", d=path, class_="line"),
        element("circle", cx=last[0], cy=last[1], r=3.5, class_="fill v1"),
        element("text", f"{ys[-1]:.3f}", x=last[0], y=last[1] - 9, class_="tick end"),
        element("text", f"{xs[0]:g}", x=MARGIN, y=base + 20, class_="tick"),
        element("text", f"{xs[-1]:g}", x=CURVE_WIDTH - MARGIN, y=base + 20, class_="tick end"),
    ]
    return picture(CURVE_WIDTH, CURVE_HEIGHT, drawn, label=label, class_="curve")
