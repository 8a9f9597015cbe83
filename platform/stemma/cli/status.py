"""`stemma status`: one line per process."""

from __future__ import annotations

import json
import webbrowser
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stemma.stack import health
from stemma.stack.local import Stack
from stemma.stack.ports import LOOPBACK

STYLES = {
    "running": "green",
    "starting": "yellow",
    "unhealthy": "bold red",
    "failed": "bold red",
    "orphaned": "bold red",
    "stopped": "dim",
}


def status(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Tell state, process id, port, memory, uptime and address of each process.

    Leaves with 0 when everything runs, else with 3.
    """
    lines = health.status(Stack())
    console = Console()
    if as_json:
        typer.echo(json.dumps([line.model_dump() for line in lines], indent=1))
    else:
        console.print(_table(lines))
        for line in lines:
            if line.problem:
                console.print(Text.assemble((line.name, "bold"), f": {line.problem} → `stemma logs {line.name}`"))
    if any(line.state != "running" for line in lines):
        raise typer.Exit(3)


def open_portal() -> None:
    """Open the portal in the browser."""
    url = Stack().service("portal").url
    typer.echo(url)
    webbrowser.open(url)


def _table(lines: list[health.Status]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("process", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("pid", "memory", "uptime"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("address", no_wrap=True)
    for line in lines:
        table.add_row(
            line.name,
            Text(line.state, STYLES[line.state]),
            str(line.pid or ""),
            _mebibytes(line.memory_bytes),
            str(timedelta(seconds=line.uptime_seconds)) if line.uptime_seconds else "",
            line.url or "".join(f"{LOOPBACK}:{port}" for port in line.ports),
        )
    table.add_row("", "", "", _mebibytes(sum(line.memory_bytes for line in lines)), "", "", style="bold")
    return table


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB" if count else ""
