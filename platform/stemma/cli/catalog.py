"""`stemma catalog`: the built-in house catalog."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stemma.config import settings
from stemma.errors import NotFoundError

app = typer.Typer(no_args_is_help=True, help="The built-in catalog of public-domain music.")
FILE = "catalog.jsonl"


@app.command()
def build(
    full: Annotated[bool, typer.Option("--full", help="Everything that qualifies, not a balanced choice.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="About so many pieces, of every style alike.")] = None,
) -> None:
    """Engrave, render and upload the house catalog; its records go to `catalog.jsonl` in the home folder.

    What was made before is not made again.
    """
    from stemma.catalog import house
    from stemma.music import soundfont
    from stemma.storage import storage

    home = settings().home
    home.mkdir(parents=True, exist_ok=True)
    soundfont.install(home)
    bucket = storage()
    bucket.ensure_bucket()
    target = home / FILE
    part = target.with_suffix(".part")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    recordings, seconds = 0, 0.0
    with Progress(*columns, console=Console(stderr=True)) as progress, part.open("w", encoding="utf-8") as out:
        task = progress.add_task("House catalog")

        def tell(done: int, total: int, _title: str) -> None:
            progress.update(task, completed=done, total=total)

        for record in house.build(bucket, home, full=full, limit=limit, progress=tell):
            out.write(record.model_dump_json() + "\n")
            recordings += 1
            seconds += (record.duration_ms or 0) / 1000
    part.replace(target)
    typer.echo(f"{recordings} recordings, {seconds / 60:.0f} minutes of music; records in {target}.")


@app.command()
def show(
    file: Annotated[Path | None, typer.Option(help=f"Records; {FILE} in the home folder unless given.")] = None,
) -> None:
    """What the catalog built last holds: recordings and minutes by style and source, and what is free."""
    path = file or settings().home / FILE
    if not path.is_file():
        raise NotFoundError(f"There is no catalog {path}.", remedy="Run `stemma catalog build`.")
    count: Counter[tuple[str, str, str]] = Counter()
    minutes: Counter[tuple[str, str, str]] = Counter()
    for line in path.read_text("utf-8").splitlines():
        record = json.loads(line)
        free = "yes" if record["source"]["free"] else "no"
        row = (record["style"], record["collection"], free)
        count[row] += 1
        minutes[row] += record["duration_ms"]
    table = Table(title=f"{sum(count.values())} recordings")
    for title in ("Style", "Collection", "Free", "Recordings", "Minutes"):
        table.add_column(title, justify="right" if title in {"Recordings", "Minutes"} else "left")
    for row in sorted(count):
        table.add_row(*row, str(count[row]), f"{minutes[row] / 60_000:.1f}")
    Console().print(table)


@app.command()
def sources() -> None:
    """Where the house catalog's scores come from, under which license, and what is not free and why."""
    from stemma.catalog import corpus

    table = Table(show_lines=True)
    for title in ("Source", "Free", "License", "Note"):
        table.add_column(title)
    for group in corpus.GROUPS:
        table.add_row(group.name, "yes" if group.free else "no", group.license, group.note)
    Console().print(table)
