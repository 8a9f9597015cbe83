"""`stemma cluster`: what the chart's own jobs call from within a pod."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def secrets(
    name: Annotated[str, typer.Option(help="Secret of passwords; none is made when empty.")] = "",
    keys: Annotated[str, typer.Option(help="Secret of signing keys; none is made when empty.")] = "",
    postgres: Annotated[str, typer.Option(help="host:port of PostgreSQL")] = "",
    redis: Annotated[str, typer.Option(help="host:port of Redis")] = "",
) -> None:
    """Make the Secrets that are missing; what is there stays as it is."""
    from stemma.stack import cluster

    here = cluster.Cluster()
    if name:
        made = here.keep(name, cluster.passwords({"postgres": postgres, "redis": redis}))
        typer.echo(f"{name}: {'made' if made else 'was there'}.")
    if keys:
        # All or nothing: keys of two makings would not belong together.
        known = here.read(keys)
        if known is None:
            here.keep(keys, cluster.keys())
        typer.echo(f"{keys}: {'made' if known is None else 'was there'}.")


@app.command()
def keep(
    name: Annotated[str, typer.Argument(help="Secret to put it into.")],
    files: Annotated[list[Path], typer.Argument(help="Files; each becomes an entry of its name.")],
) -> None:
    """Put files into a Secret where it lacks them."""
    from stemma.stack.cluster import Cluster

    Cluster().keep(name, {file.name: file.read_bytes() for file in files})


@app.command()
def show(
    recordings: Annotated[int, typer.Option(help="How many of the house catalog.")] = 120,
    preset: Annotated[str, typer.Option(help="Preset of training.")] = "tiny",
) -> None:
    """Tell the story as far as a release in production with its attribution store."""
    from stemma.cli import story
    from stemma.storage import storage

    if storage().exists("releases/production.json"):
        typer.echo("A release is in production already.")
        return
    story.run(limit=recordings, preset=preset, until="attribution")
