"""Documents as PDF/UA-1: tagged, so that a screen reader reads their tables."""

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import typst

from stemma_portal.design.fonts import folder

log = logging.getLogger(__name__)

ATTEMPTS: tuple[dict[str, Any], ...] = (
    {"ignore_system_fonts": True, "pdf_standards": ["ua-1"]},
    {"ignore_system_fonts": False, "pdf_standards": ["ua-1"]},
    {"ignore_system_fonts": False},
)


def typeset(template: Path, data: Mapping[str, str], *, at: datetime, name: str) -> bytes:
    """The template with its data (`sys.inputs`), dated `at`: the same data give the same bytes.

    A name in a script that our typefaces lack is set in one of the system's; where that lacks it too,
    the page shows boxes and no longer claims the standard.  A missing letter keeps nobody from being
    paid, nor from a proof.  `name` is what the log calls it.
    """
    stamp = int(at.timestamp())
    for attempt in ATTEMPTS:
        try:
            return typst.compile(template, sys_inputs=dict(data), font_paths=_fonts(), timestamp=stamp, **attempt)  # type: ignore[no-any-return]
        except typst.TypstError as error:
            if attempt is ATTEMPTS[-1]:
                raise
            log.warning("%s: %s", name, str(error).splitlines()[0])
    raise AssertionError("the last attempt returns or raises")


@cache
def _fonts() -> list[Path]:
    return [folder("font_source_serif_pro"), folder("font_source_sans_pro")]
