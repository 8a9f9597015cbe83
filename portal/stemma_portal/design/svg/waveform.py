"""A waveform from the peaks that were measured when the recording was made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from django.utils.safestring import SafeString

from stemma_portal.design.svg.build import element, number, picture

WIDTH, HEIGHT = 1200, 96
BARS = 200


def waveform(peaks: Sequence[int], *, label: str, key: str = "wave") -> SafeString:
    """Mirrored bars, twice: what is to come, and above it what was played, clipped by `data-played`.

    `peaks` are 0…255 over equal parts of the recording; `key` is unique on the page.
    """
    bars = _thin(peaks, BARS)
    step = WIDTH / max(1, len(bars))
    path = "".join(
        f"M{number((i + 0.5) * step)} {number(HEIGHT / 2 - half)}v{number(2 * half)}"
        for i, half in enumerate(max(0.75, peak / 255 * (HEIGHT / 2 - 4)) for peak in bars)
    )
    clip = f"{key}-played"
    return picture(
        WIDTH,
        HEIGHT,
        [
            element(
                "defs",
                element("clipPath", element("rect", data_played="", x=0, y=0, width=0, height=HEIGHT), id=clip),
            ),
            element("path", d=path, class_="wave"),
            element("path", d=path, class_="wave wave-played", clip_path=f"url(#{clip})"),
        ],
        label=label,
        class_="waveform",
        preserveAspectRatio="none",
    )


def thumbnail(peaks: Sequence[int]) -> SafeString:
    """The shape of a sound beside its title; words say what it is, so readers of text are spared it."""
    bars = _thin(peaks, 56)
    path = "".join(
        f"M{i * 2 + 1} {number(14 - half)}v{number(2 * half)}"
        for i, half in enumerate(max(0.5, peak / 255 * 13) for peak in bars)
    )
    return element(
        "svg",
        element("path", d=path, class_="wave"),
        viewBox=f"0 0 {2 * len(bars) or 2} 28",
        class_="thumbnail",
        aria_hidden="true",
        focusable="false",
    )


def _thin(peaks: Sequence[int], count: int) -> list[int]:
    """The highest peak of each of `count` equal parts, as high as the loudest allows; loudness is told apart."""
    loudest = max(max(peaks, default=0), 1)
    peaks = [peak * 255 // loudest for peak in peaks]
    if len(peaks) <= count:
        return peaks
    edges = [round(i * len(peaks) / count) for i in range(count + 1)]
    return [max(peaks[a:b]) for a, b in pairwise(edges)]
