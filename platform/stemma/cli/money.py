"""How the command line spells money and what it prints of it."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

MICRO = 1_000_000
console = Console(highlight=False)


def money(micro: int, currency: str = "") -> str:
    """Micro-units with all their places: `USD 1,234.500000`."""
    whole, rest = divmod(abs(micro), MICRO)
    return f"{currency} {'-' if micro < 0 else ''}{whole:,}.{rest:06d}".strip()


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table with quiet lines; columns in `right` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def say(what: Any) -> None:
    """Print for a person."""
    console.print(what)
