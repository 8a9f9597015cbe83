"""`stemma cluster`: what the chart's own jobs call from within a pod."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from stemma.errors import UnavailableError

T = TypeVar("T")

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
    replace: Annotated[bool, typer.Option("--replace", help="Also in place of what it holds.")] = False,
) -> None:
    """Put files into a Secret where it lacks them."""
    from stemma.stack.cluster import Cluster

    Cluster().keep(name, {file.name: file.read_bytes() for file in files}, replace=replace)


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


@app.command()
def make(
    snapshot: Annotated[str, typer.Argument(help="Identifier of the snapshot.")],
    preset: Annotated[str, typer.Option(help="Preset of training.")] = "up",
    name: Annotated[str, typer.Option(help="Name of the model.")] = "house-symbolic",
) -> None:
    """Train past the gate, release, and build the attribution store: what a training job does from end to end.

    The store is built on all nodes of the cluster of Ray that the job has.
    """
    from stemma.attribution import on_ray
    from stemma.attribution.store import Contents, Store
    from stemma.capacity.energy import watt_hours
    from stemma.config import settings
    from stemma.storage import storage
    from stemma.training import release, run

    home, store = settings().home, storage()
    outcome = run.train(snapshot, preset=preset, energy=watt_hours)
    typer.echo(outcome.summary())
    bundle = release.build(outcome.folder, home / "releases" / name, name=name)
    release.sign(bundle)
    identifier = release.publish(bundle)
    with on_ray.cluster() as workers:
        made = Store.build(bundle, home / "stores" / identifier, Contents(bundle, store), workers=workers)
    made.publish(store)
    typer.echo(f"{identifier} is in production.")


@app.command()
def check(
    patience: Annotated[float, typer.Option(help="Seconds in which serving must have a model.")] = 600,
) -> None:
    """Make a piece, verify it, and find its use and its attribution in the portal: the test of an installation."""
    import tempfile

    from stemma.cli.generate import caller_key
    from stemma.cli.portal_client import Portal
    from stemma.client import Client
    from stemma.config import settings
    from stemma.errors import NotFoundError, StemmaError
    from stemma.provenance import bundle
    from stemma.provenance.verify import verify_file

    serving, portal = Client(settings().serving_url, caller_key(), tries=1), Portal()
    until = time.monotonic() + patience

    def patiently(what: str, ask: Callable[[], T | None]) -> T:
        while True:
            try:
                if found := ask():
                    return found
                last = "not yet"
            except (UnavailableError, NotFoundError) as error:
                last = str(error)
            if time.monotonic() > until:
                raise UnavailableError(f"Waited in vain for {what}: {last}")
            time.sleep(1)

    made = patiently("a piece", lambda: serving.generate(prompt="a calm tune", bars=4, seed=7))
    typer.echo(f"made {made.id} with {made.model_release}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.flac"
        # The proofs come together within a minute of the first piece of a release.
        patiently("its proofs", lambda: serving.save(serving.generation(made.id), path))
        report = verify_file(path, bundle.parse(path.with_name(path.name + ".proof.json").read_bytes()))
        if report.verdict.exit_code:
            raise StemmaError(f"The piece is not verified: {report.steps[-1].detail}")
        typer.echo(f"verified: {report.verdict.code}")
    patiently("its attribution", lambda: serving.attribution(made.id))
    typer.echo("attributed")

    def ingested() -> bool:
        rows = portal.get("generations", limit=100)["items"]
        return any(row["id"] == made.id and row["attributed"] for row in rows)

    patiently("its facts in the portal", ingested)
    typer.echo("its use and its attribution are in the portal")
