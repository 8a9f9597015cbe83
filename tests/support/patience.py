"""How long a test waits for what must come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 240
"""Seconds after which something counts as hanging.  No claim about speed: a machine with other work is
ten times slower than a quiet one, and a wait that is cut too short fails for nothing."""


def until(wanted: Callable[[], T], what: Callable[[], object] | str, *, pause: float = 0.1) -> T:
    """The first true answer, asked again and again; `what` says what is wrong when none comes."""
    deadline = time.monotonic() + PATIENCE
    while not (found := wanted()):
        assert time.monotonic() < deadline, f"{what if isinstance(what, str) else what()} after {PATIENCE} s"
        time.sleep(pause)
    return found
