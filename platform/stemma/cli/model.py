"""`stemma model`: released models, as licensees have them from the portal."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from stemma.cli.portal_client import Portal
from stemma.errors import InvalidError
from stemma.proof.keys import Jwks
from stemma.provenance.statement import ReleaseStatement

app = typer.Typer(help="Released models: what there is, and their weights.", no_args_is_help=True)
Release = Annotated[str, typer.Argument(metavar="RELEASE", help="Such as house-symbolic/1.")]


@app.command("list")
def list_() -> None:
    """List model releases, newest first."""
    table = Table("release", "state", "snapshot", "since")
    for row in Portal().get("releases"):
        table.add_row(row["id"], row["state"], row["snapshot"], row["created_at"][:10])
    Console().print(table)


@app.command()
def show(release: Release) -> None:
    """Show a release: its terms, its place in the log, and its files with sizes and hashes."""
    found = Portal().get(f"releases/{_checked(release)}")
    console = Console()
    console.print(f"{found['id']}, snapshot {found['snapshot']}, covenant {found['covenant']}", soft_wrap=True)
    console.print(f"entry {found['receipt']['index'] + 1} of the log, {found['created_at']}", highlight=False)
    table = Table("file", "bytes", "SHA-256")
    for file in found["files"]:
        size = "–" if file["bytes"] is None else f"{file['bytes']:,}"
        table.add_row(file["path"], size, file["sha256"])
    console.print(table)


@app.command()
def download(
    release: Release,
    to: Annotated[Path | None, typer.Option(help="Folder to make; else NAME-VERSION here.", show_default=False)] = None,
    license_id: Annotated[
        str | None, typer.Option("--license", help="The license to have it under; else one that allows it.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(help="Public keys of the licensor (JWKS); else those that the portal publishes.", exists=True),
    ] = None,
) -> None:
    """Bring the weights of a release.  Broken off, it goes on where it stopped; unverified, nothing is in its place."""
    from stemma.client.weights import bring

    portal = Portal()
    folder = to or Path(_checked(release).replace("/", "-"))

    def ask(paths: Any) -> Any:
        body = {"license": license_id, "files": list(paths) if paths else None}
        return portal.post(f"releases/{release}/downloads", body)

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(release, total=None)

        def told(path: str, done: int, total: int) -> None:
            bar.update(task, description=path, completed=done, total=total)

        statement = bring(release, folder, ask, _trusted(portal, keys), verify=_verifier(), progress=told)
    console = Console()
    console.print(f"{statement.id} lies in {folder}: {len(statement.files)} files, signed and unchanged.")
    console.print(f"Use it: stemma.models.load(Path({str(folder)!r}))", highlight=False)


def _checked(release: str) -> str:
    name, slash, version = release.partition("/")
    if not (slash and name and version.isdigit()) or "/" in version:
        raise InvalidError(f"{release} names no release.", remedy="Write NAME/VERSION; see `stemma model list`.")
    return release


def _trusted(portal: Portal, path: Path | None) -> Jwks:
    document = path.read_bytes() if path else portal.published("/.well-known/jwks.json")
    try:
        keys: Jwks = json.loads(document)
        _ = keys["keys"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(f"{path or 'What the portal publishes'} is no set of keys (JWKS).") from error
    return keys


def _verifier() -> Callable[[Path, Jwks], ReleaseStatement]:
    """With OpenSSF model-signing installed its signature is checked, too."""
    if find_spec("model_signing"):
        from stemma.training.release import verify

        return verify
    from stemma.provenance.release import verify as verify_statement

    return verify_statement
