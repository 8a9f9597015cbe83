"""`stemma release`: bundles of trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stemma.config import settings

app = typer.Typer(help="Build, sign and publish model releases.", no_args_is_help=True)
Bundle = Annotated[Path, typer.Argument(help="Folder of the bundle.", exists=True, file_okay=False)]


@app.command()
def build(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", exists=True, file_okay=False)],
    name: Annotated[str | None, typer.Option(help="Name of the model; else house- and its family.")] = None,
) -> None:
    """Make and sign the bundle of a finished run."""
    from stemma.training import release

    name = name or release.usual_name(run)
    bundle = release.build(run, settings().home / "releases" / name, name=name)
    statement = release.sign(bundle)
    Console().print(f"{statement.id}: {len(statement.files)} files, signed, in {bundle}")


@app.command()
def publish(bundle: Bundle) -> None:
    """Log, upload and register a signed bundle, and bring it into production."""
    from stemma.training import release

    console = Console()
    with console.status("Publishing") as status:

        def progress(done: float, total: float | None = None, note: str = "") -> None:  # noqa: ARG001 - a Progress
            status.update(note)

        identifier = release.publish(bundle, progress=progress)
    console.print(f"{identifier} is logged, registered and in production.")


@app.command()
def verify(bundle: Bundle) -> None:
    """Check that a bundle is whole, unchanged and signed by this installation."""
    from stemma.storage import storage
    from stemma.training import gate, release

    statement = release.verify(bundle, gate.trusted_keys(storage()))
    Console().print(f"{statement.id} is whole: {len(statement.files)} files, snapshot root {statement.snapshot_root}.")


@app.command()
def show(bundle: Bundle) -> None:
    """Print what a bundle says of itself."""
    import json

    about = json.loads((bundle / "stemma.json").read_text())
    table = Table(show_header=False)
    for name in (
        "name",
        "version",
        "family",
        "snapshot",
        "snapshot_root",
        "covenant",
        "run_id",
        "code_version",
        "created_at",
    ):
        table.add_row(name, str(about.get(name, "")))
    table.add_row("styles", ", ".join(about["styles"]))
    for name, value in about.get("metrics", {}).items():
        if not isinstance(value, dict):
            table.add_row(name, f"{value:.4g}")
    Console().print(table)
