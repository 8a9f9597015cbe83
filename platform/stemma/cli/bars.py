"""A bar on the screen for work that tells how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def told(title: str, console: Console) -> Iterator[Callable[..., None]]:
    """A bar that goes with the work and leaves nothing behind.

    The work calls what this gives: how much is done, of how much where that is known, and what it is at.
    """
    columns = (
        TextColumn("[bold]{task.description}[/]"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, note="")

        def progress(done: float, total: float | None = None, note: str = "", /) -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield progress
