"""`stemma up` and `stemma start`: from nothing to a running stack, and the story it tells."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stemma.stack.local import Stack, State, Watch

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

LOOKS: dict[State, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "preparing": ("…", "yellow"),
    "starting": ("…", "yellow"),
    "running": ("✓", "green"),
    "stopping": ("…", "yellow"),
    "stopped": ("✓", "green"),
    "failed": ("✗", "bold red"),
}


def up(
    full: Annotated[
        bool, typer.Option("--full", help="Take every score that qualifies, not only some hundred.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=20, help="Take only so many scores, for a quick look.")] = None,
    preset: Annotated[str, typer.Option(help="How long to train: a preset of `stemma train`.")] = "up",
) -> None:
    """Start everything, and let one catalog travel the whole way: rights, training, music, royalties.

    What is done already is not done again: a second call takes seconds, and one that was
    interrupted is gone on with.
    """
    console = Console()
    began = time.monotonic()
    stack = Stack()
    with _resumable(console):
        _fetch_soundfont(stack, console)
        _start(stack, console)
        _tell(stack, console, full=full, limit=limit, preset=preset)
    _greet(stack, console)
    console.print(f"[dim]Ready after {time.monotonic() - began:.0f} s. `stemma status` tells how it fares.[/]")


def start() -> None:
    """Start whatever of the local stack does not run, in the order of needs."""
    console = Console()
    with _resumable(console):
        _start(Stack(), console)


def _fetch_soundfont(stack: Stack, console: Console) -> None:
    from stemma.music import soundfont

    with console.status("Looking for a SoundFont"):
        font = soundfont.install(stack.home.path)
    console.print(f"[bold]SoundFont[/] {font.name} ({font.license})")


def _start(stack: Stack, console: Console) -> None:
    from stemma.config import settings
    from stemma.storage import storage

    console.print(f"[bold]Local stack[/] in {stack.home.path}")
    with watching(stack, console) as watch:
        stack.start(watch)
    # The first start has just written addresses and secrets.
    settings.cache_clear()
    storage.cache_clear()


def _tell(stack: Stack, console: Console, *, full: bool, limit: int | None, preset: str) -> None:
    from stemma.cli import story
    from stemma.stack.applications import manage

    if not (stack.home.path / "demo.json").exists():
        manage(stack.home, stack.ports, "seed_demo")
    console.print("[bold]The way of the music[/]")
    story.run(full=full, limit=limit, preset=preset, console=console)


def _greet(stack: Stack, console: Console) -> None:
    """Where to look, with which login, what to listen to."""
    from stemma.cli import story

    addresses = Table(title="Addresses", box=None, title_justify="left", padding=(0, 2, 0, 0), show_header=False)
    for service in stack.services.values():
        if service.url:
            addresses.add_row(service.title, service.url)
    console.print()
    console.print(addresses)
    if logins := _logins(json.loads((stack.home.path / "demo.json").read_text())):
        console.print(logins)
    if listen := story.table(stack.home.path):
        console.print(listen)


def _logins(demo: dict[str, Any]) -> Table | None:
    rows = demo.get("logins", [])
    if not rows:
        return None
    table = Table(title="Demo logins", box=None, title_justify="left", padding=(0, 2, 0, 0))
    for column in ("who", "e-mail", "password"):
        table.add_column(column)
    for row in rows:
        table.add_row(row.get("organisation", row.get("role", "")), row["email"], row["password"])
    return table


@contextmanager
def _resumable(console: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.print("[yellow]Interrupted.[/] The same command goes on from here; `stemma down` ends what runs.")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def watching(stack: Stack, console: Console) -> Iterator[Watch]:
    """Show each process with its state and the seconds it took; on paper, a line for each that is done."""
    states: dict[str, tuple[State, float]] = {}

    def picture() -> Table:
        table = Table(box=None, show_header=False, padding=(0, 1))
        for name, service in stack.services.items():
            state, seconds = states.get(name, ("waiting", 0.0))
            sign, style = LOOKS[state]
            lead = Spinner("dots", style=style) if sign == "…" else Text(sign, style)
            took = f"{seconds:.1f} s" if state in {"running", "stopped"} else ""
            table.add_row("", lead, service.title, Text(state, style), Text(took, "dim"))
        return table

    def watch(name: str, state: State, seconds: float) -> None:
        states[name] = (state, seconds)
        if not console.is_terminal and state in {"running", "stopped", "failed"}:
            console.print(f"  {LOOKS[state][0]} {stack.services[name].title} {state} ({seconds:.1f} s)")

    if not console.is_terminal:
        yield watch
        return
    with Live(get_renderable=picture, console=console, refresh_per_second=8):
        yield watch
