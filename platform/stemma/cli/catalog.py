"""`stemma catalog`: the built-in house catalog, and files that others bring."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stemma.catalog.corrections import write_corrections
from stemma.catalog.record import Problem, Row
from stemma.config import settings
from stemma.errors import NotFoundError

app = typer.Typer(no_args_is_help=True, help="The built-in catalog of public-domain music, and catalogs in files.")
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


SHOWN = 20
"""Problems that `check` prints; the others are in the file of corrections."""


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(help="CSV, XLSX, DDEX ERN, CWR; a ZIP or folder of audio or of an ERN batch.", exists=True)
    ],
    mapping: Annotated[
        Path | None, typer.Option(help="JSON that says which field each column means; guessed unless given.")
    ] = None,
    errors: Annotated[Path | None, typer.Option(help="Write the rows to correct into this CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the counts as JSON.")] = False,
) -> None:
    """Read a catalog as the portal would and tell all that is wrong in it; needs no network and changes nothing.

    Leaves with 1 when rows are to be corrected.
    """
    from stemma.catalog.reading import headings, is_table, open_rows

    said = json.loads(mapping.read_text("utf-8")) if mapping else None
    found, rows = open_rows(file, mapping=said)
    note = headings(file).note if is_table(found) else ""
    rules: Counter[tuple[str, str, str]] = Counter()
    first: list[tuple[int, Problem]] = []
    counts = Counter[str]()

    def counted() -> Iterator[Row]:
        for row in rows:
            counts["rows"] += 1
            bad = False
            for problem in row.problems:
                rules[problem.field, problem.rule, problem.severity] += 1
                bad = bad or problem.severity == "error"
                if len(first) < SHOWN:
                    first.append((row.number, problem))
            counts["errors"] += bad
            counts["warnings"] += bool(row.problems) and not bad
            if counts["rows"] % 1000 == 0:
                progress.update(task, completed=counts["rows"])
            yield row

    columns = (TextColumn("{task.description}"), TextColumn("{task.completed} rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"Reading {file.name} as {found.upper()}", total=None)
        if errors:
            part = errors.with_name(errors.name + ".part")
            with part.open("w", encoding="utf-8", newline="") as out:
                write_corrections(counted(), out)
            part.replace(errors)
        else:
            for _ in counted():
                pass
    if as_json:
        told = [{"field": f, "rule": r, "severity": s, "rows": n} for (f, r, s), n in rules.most_common()]
        typer.echo(json.dumps({"format": found, "note": note, **counts, "problems": told}, ensure_ascii=False))
    else:
        _tell(found, counts, first, errors)
        if note:
            typer.echo(note)
    raise typer.Exit(1 if counts["errors"] else 0)


def _tell(found: str, counts: Counter[str], first: list[tuple[int, Problem]], errors: Path | None) -> None:
    if first:
        table = Table(title=f"The first {len(first)} of what was found" if len(first) == SHOWN else None)
        for title in ("Row", "Field", "Value", "What to do"):
            table.add_column(title, justify="right" if title == "Row" else "left", overflow="fold")
        for number, problem in first:
            table.add_row(*map(escape, (str(number), problem.field, problem.value, problem.remedy)))
        Console().print(table)
    rows = f"{counts['rows']:,} row{'' if counts['rows'] == 1 else 's'}"
    typer.echo(
        f"{rows} of {found.upper()}: {counts['rows'] - counts['errors']:,} can be taken, "
        f"{counts['warnings']:,} of them with a warning; {counts['errors']:,} to correct"
        + (f", written to {errors}." if errors and counts["errors"] else ".")
    )
