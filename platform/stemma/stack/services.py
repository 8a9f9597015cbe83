"""What a process of the local stack is: how it starts, what it needs, and how one knows that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


def nothing() -> None:
    """Do nothing, which is enough for many a service."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process.

    `prepare` makes what must exist before it starts (files, folders) and `complete` what it must
    hold once it answers (roles, buckets).  Both may run at every start and change nothing then.
    """

    name: str
    title: str
    command: Sequence[str]
    folder: Path
    """Its working folder."""
    healthy: Callable[[], None] = nothing
    """Returns when it does its work; raises anything when it does not."""
    ports: tuple[int, ...] = ()
    needs: tuple[str, ...] = ()
    """Names of those that must be healthy before it starts, and that end after it."""
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = nothing
    complete: Callable[[], None] = nothing
    url: str = ""
    """Where a person may look at it."""
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    """After which it is killed."""
    start_seconds: int = 60
    """Within which it must be healthy."""
