"""Writing SVG: elements as escaped strings."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.html import conditional_escape, escape
from django.utils.safestring import SafeString, mark_safe

VOICES = 8
"""Colours of the categorical scale: classes `v1` to `v8`."""


def number(value: float) -> str:
    """A coordinate to a tenth, without trailing zeros."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def element(name: str, *children: str, **attributes: object) -> SafeString:
    """One element.  `class_` is `class`, `stroke_width` is `stroke-width`; children must be safe or are escaped."""
    written = []
    for key, value in attributes.items():
        if value is None:
            continue
        text = number(value) if isinstance(value, float) else str(value)
        written.append(f' {_attribute(key)}="{escape(text)}"')
    inside = "".join(conditional_escape(child) for child in children)
    opened = f"<{name}{''.join(written)}"
    return mark_safe(f"{opened}>{inside}</{name}>" if inside or name == "svg" else f"{opened}/>")  # noqa: S308 (escaped above)


def picture(
    width: float,
    height: float,
    children: Iterable[str],
    *,
    label: str,
    class_: str,
    fixed: bool = False,
    linked: bool = False,
    **more: object,
) -> SafeString:
    """An SVG document with a name for those who do not see it.

    `fixed` keeps it at its own size; `linked` says that parts of it lead elsewhere, so that it is no plain image.
    """
    size = {"width": float(width), "height": float(height)} if fixed else {}
    return element(
        "svg",
        *(() if linked else (element("title", label),)),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="group" if linked else "img",
        aria_label=label if linked else None,
        class_=class_,
        **size,
        **more,
    )


def voice(index: int) -> str:
    """Colour class of the n-th category, counted from 0."""
    return f"v{index % VOICES + 1}"


def _attribute(key: str) -> str:
    kept = {"viewBox": "viewBox", "preserveAspectRatio": "preserveAspectRatio", "clipPathUnits": "clipPathUnits"}
    return kept.get(key) or key.rstrip("_").replace("_", "-")
