"""A measured value with the interval in which it lies, on a line from 0 to 1."""

from __future__ import annotations

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, picture

WIDTH, HEIGHT, LINE, TEXT = 320, 46, 14, 40


def interval(value: float, low: float, high: float, *, label: str) -> SafeString:
    """The picture; what lies below 0 is drawn at 0.  The figures stand in the table beneath."""

    def x(at: float) -> float:
        return WIDTH * min(1.0, max(0.0, at))

    drawn = [
        element("rect", x=0, y=LINE - 1, width=WIDTH, height=2, class_="track"),
        element("rect", x=x(low), y=LINE - 5, width=max(2.0, x(high) - x(low)), height=10, class_="fill v1", rx=1),
        element("rect", x=max(0.0, x(value) - 1.5), y=LINE - 11, width=3, height=22, class_="fill v2"),
        *(
            element("text", name, x=WIDTH * at, y=TEXT, class_="group-name" if at < 1 else "group-figure")
            for at, name in ((0.0, "0"), (1.0, "1"))
        ),
    ]
    return picture(WIDTH, HEIGHT, drawn, label=label, class_="groups")
