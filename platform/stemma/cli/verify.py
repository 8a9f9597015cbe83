"""`stemma verify FILE`: from a sound back to the people it came from, offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stemma.errors import InvalidError, NotFoundError
from stemma.proof.keys import Jwks

if TYPE_CHECKING:
    from stemma.provenance.verify import Report


def verify(
    file: Annotated[
        Path,
        typer.Argument(
            help="A FLAC or WAV file made with Stemma; a receipt, proof or certificate (JSON, PDF); a dossier (ZIP)."
        ),
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="Proof bundle; FILE.proof.json beside the file unless given.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Public keys (JWKS) of the installation you trust; else the bundle's own.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A sound or a score to compare with the certificate that FILE is.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check a file's credentials, certificate, license, model, snapshot and consents.  Needs no network.

    Of a receipt (of a consent, a withdrawal or an acceptance of license terms) or a proof that a recording
    is not in a snapshot, check what it proves.  Of a certificate, check every version, its place in the log,
    the release, what the filters found, and whether the indemnity holds under the covenant.  Of the dossier
    of a claim (ZIP), walk every proof in it and say what each came to.

    Leaves with 0 when everything holds, else with the verdict's own code: 10 no credentials,
    11 changed, 12 foreign key, 13 withdrawn consent, 14 expired license, 15 revoked license,
    16 broken proof, 17 lapsed indemnity, 2 unreadable.
    """
    report = _report(file, bundle, json.loads(keys.read_text()) if keys else None, output)
    if as_json:
        steps = [{"link": s.name, "verdict": s.verdict.code, "detail": s.detail} for s in report.steps]
        typer.echo(json.dumps({"file": file.name, "verdict": report.verdict.code, "steps": steps}, indent=2))
        raise typer.Exit(report.verdict.exit_code)

    console = Console()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for step in report.steps:
        mark = "[green]✓[/]" if step.holds else "[red]✗[/]"
        table.add_row(mark, f"[bold]{step.name}[/]", escape(step.detail))
    console.print(table)
    colour = "green" if report.verdict.exit_code == 0 else "red"
    console.print(f"\n[{colour} bold]{report.verdict.code}[/]  {report.verdict.text}")
    if keys is None and report.verdict.exit_code == 0:
        console.print("[dim]Checked with the keys that came with it; give --keys to check who issued it.[/]")
    raise typer.Exit(report.verdict.exit_code)


def _report(file: Path, bundle: Path | None, keys: Jwks | None, output: Path | None) -> Report:
    from stemma.provenance import bundle as bundles
    from stemma.provenance.documents import JWS, verify_document
    from stemma.provenance.dossier import verify_dossier
    from stemma.provenance.verify import verify_file

    for named in (file, *([output] if output else [])):
        if not named.is_file():
            raise NotFoundError(f"There is no file {named}.", remedy="Give its path; see `stemma verify --help`.")
    with file.open("rb") as opened:
        head = opened.read(16)
    if bundle is None and head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return verify_dossier(file, keys)
    if bundle is None and (head.startswith((b"%PDF-", JWS)) or head.lstrip().startswith(b"{")):
        return verify_document(file.read_bytes(), keys, output=output)
    if output is not None:
        raise InvalidError(f"{file} is no certificate.", remedy="Give the certificate first, then --output FILE.")
    bundle = bundle or file.with_name(file.name + ".proof.json")
    if not bundle.is_file():
        raise NotFoundError(f"There is no proof bundle {bundle}.", remedy="Give its path; see `stemma verify --help`.")
    return verify_file(file, bundles.parse(bundle.read_bytes()), keys)
