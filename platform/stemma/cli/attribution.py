"""`stemma attribution`: the stores from which outputs are traced back, and what they say."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stemma.config import settings
from stemma.errors import UnavailableError

app = typer.Typer(help="Trace outputs back to the recordings that shaped them.", no_args_is_help=True)


@app.command()
def build(
    release: Annotated[str, typer.Argument(help="Model release, such as house-symbolic/1.")],
    checkpoints: Annotated[int, typer.Option(min=1, help="Checkpoints compared at most.")] = 3,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens taken of a recording at most.")] = 96,
    rank: Annotated[int, typer.Option(min=1, help="Directions kept on each side of a layer.")] = 32,
) -> None:
    """Make the store of a release and publish it.  An interrupted build goes on where it stopped."""
    from stemma.attribution.manifest import Plan
    from stemma.attribution.store import Store
    from stemma.rights.snapshot import Manifest
    from stemma.storage import storage
    from stemma.training import release as releases

    console = Console()
    columns = (
        TextColumn("[bold]{task.description}[/]"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Attribution store", total=None, note="")

        def progress(done: int, total: int, note: str = "", /) -> None:
            bar.update(task, completed=done, total=total, note=note)

        bundle = releases.fetch(release, settings().home / "releases" / release)
        snapshot = Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
        scores = ((r, storage().get(f"midi/{r.midi_sha256}.mid")) for r in snapshot.recordings)
        plan = Plan(checkpoints=checkpoints, tokens=tokens, rank=rank)
        store = Store.build(bundle, settings().home / "stores" / release, scores, progress=progress, plan=plan)
        store.publish(storage())
    console.print(
        f"Store {store.version} of {release}: {len(store.rows)} recordings and {len(store.decoys)} decoys "
        f"at {store.checkpoints} checkpoints."
    )


@app.command()
def show(
    generation: Annotated[str, typer.Argument(help="Identifier of a generation.")],
    api_key: Annotated[str | None, typer.Option(help="A licensee's key; else STEMMA_API_KEY.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Recordings listed at most.")] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="Print the attribution fact as JSON.")] = False,
) -> None:
    """Tell which recordings shaped a generation."""
    from stemma.cli.generate import caller_key
    from stemma.client import Client

    fact = Client(settings().serving_url, api_key or caller_key()).attribution(generation)
    if fact is None:
        raise UnavailableError(
            "This generation is not attributed yet.", remedy="Ask again in a few seconds.", code="pending"
        )
    if as_json:
        typer.echo(json.dumps(fact, indent=2))
        return
    console = Console()
    console.print(_table(fact, _titles(fact["snapshot"]), top))
    fidelity = (
        "not measured" if fact["lds"] is None else f"{fact['lds']:.2f} ({fact['lds_low']:.2f}…{fact['lds_high']:.2f})"
    )
    console.print(
        f"{fact['model_release']} · {fact['method']} · store {fact['store']} · {fact['checkpoints']} checkpoints "
        f"· fidelity (LDS) {fidelity}"
    )


def _titles(snapshot: str) -> dict[str, tuple[str, str]]:
    """Title and composer by recording."""
    from stemma.rights.snapshot import Manifest
    from stemma.storage import storage

    manifest = Manifest.model_validate_json(storage().get(f"snapshots/{snapshot}/manifest.json"))
    return {r.recording: (r.title, r.composer) for r in manifest.recordings}


def _table(fact: dict[str, Any], titles: dict[str, tuple[str, str]], top: int) -> Table:
    from stemma.royalties.facts import COMMONS, PPB

    shares: dict[str, int] = dict(fact["shares"])
    commons = shares.pop(COMMONS, 0)
    table = Table(title=f"Who shaped {fact['generation']}")
    table.add_column("Share", justify="right")
    for column in ("Title", "Composer", "Recording"):
        table.add_column(column, overflow="fold")
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    for recording, ppb in ordered[:top]:
        title, composer = titles.get(recording, ("", ""))
        table.add_row(f"{ppb / PPB:.2%}", title, composer, recording)
    if rest := ordered[top:]:
        table.add_row(f"{sum(ppb for _, ppb in rest) / PPB:.2%}", f"{len(rest)} more recordings", "", "")
    table.add_row(f"{commons / PPB:.2%}", "Commons: shared equally by all trained works", "", "")
    return table
