"""`stemma covenant`: license terms, what they say, and whether a version takes something away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stemma.cli.portal_client import Portal
from stemma.errors import NotFoundError, ProofError
from stemma.proof.canonical import digest as digest_of

if TYPE_CHECKING:
    from stemma.rights.covenant import Covenant, Covenant1

app = typer.Typer()
NARROWER, UNPROVED = 3, 4
COLOURS = {"wider": "green", "equal": "dim", "narrower": "red", "incomparable": "yellow"}
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Which = Annotated[str, typer.Argument(help="A file, a hash or a version; else the one in force.")]


@app.command()
def show(which: Which = "") -> None:
    """Print terms as the document that is hashed."""
    document = _document(which)
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    Console(stderr=True).print(f"SHA-256 {digest_of(document)}", highlight=False)


@app.command()
def text(
    which: Which = "",
    brief: Annotated[bool, typer.Option("--summary", help="Only what people want to know.")] = False,
) -> None:
    """Print terms in words: each clause with its number and the field that it says."""
    from stemma.rights.covenant_text import markdown, summary

    document = _document(which)
    terms = _terms(document)
    if not brief:
        typer.echo(markdown(terms, digest_of(document)))
        return
    for point in summary(terms):
        typer.echo(point.question)
        for answer in point.answers:
            typer.echo(f"  {answer}")


@app.command()
def compare(
    old: Annotated[str, typer.Argument(help="The earlier terms: a file, a hash or a version.")],
    new: Annotated[str, typer.Argument(help="The later terms.")],
    as_json: AsJson = False,
) -> None:
    """Tell in every dimension what NEW is beside OLD, for each kind of licensee, creators and owners.

    Leaves with 0 when NEW is wider or equal for everybody, and with 3 when somebody could lose something.
    """
    from stemma.rights import ratchet

    found = ratchet.compare(_terms(_document(old)), _terms(_document(new)))
    if as_json:
        steps = [{**step._asdict(), "verdict": step.verdict.value} for step in found.steps]
        holders = {holder: verdict.value for holder, verdict in found.holders().items()}
        typer.echo(json.dumps({"verdict": found.verdict, "holders": holders, "steps": steps}, ensure_ascii=False))
    else:
        table = _table("for", "what", "old", "new", "is")
        for step in found.steps:
            cells = (step.holder, step.title, step.old, step.new)
            table.add_row(*map(escape, cells), _coloured(step.verdict.value))
        console = Console()
        console.print(table)
        for holder, verdict in found.holders().items():
            console.print(f"{holder}: {_coloured(verdict.value)}", highlight=False)
    raise typer.Exit(NARROWER if found.verdict.takes_away else 0)


@app.command()
def history(
    keys: Annotated[
        Path | None, typer.Option(help="Public keys (JWKS) of the installation you trust; else what it gives out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay every version from the transparency log, and check each step.

    Of each version: its document has its hash, the log holds it under a signed head, and what it is beside
    the one before.  Leaves with 0 when all of it holds and no version took something away, with 3 when one
    did (nobody held what it took), and with 4 when a proof does not hold.
    """
    from stemma.proof.log import Receipt
    from stemma.rights.covenant_history import Published, replay

    portal = Portal(anyone=True)  # terms and log are open to all: nobody needs us to replay them
    published = []
    for row in portal.get("covenants"):
        given = portal.get(f"covenants/{row['digest']}")
        # The newest head of the log, under which all of them must be.
        receipt = portal.get(f"log/entries/{given['receipt']['entry']['id']}/receipt")
        published.append(Published(row["digest"], given["document"], Receipt.model_validate(receipt)))
    steps = replay(published, json.loads(keys.read_text()) if keys else portal.keys())
    verdicts = [step.comparison.verdict.value if step.comparison else "" for step in steps]
    if as_json:
        told = [
            {
                "version": step.version,
                "digest": step.digest,
                "at": step.at,
                "index": step.index,
                "verdict": verdict or None,
                "losses": [loss.sentence() for loss in step.comparison.losses()] if step.comparison else [],
                "problems": step.problems,
            }
            for step, verdict in zip(steps, verdicts, strict=True)
        ]
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        console = Console()
        table = _table("version", "logged", "position", "hash", "proof", "beside the one before")
        for step, verdict in zip(steps, verdicts, strict=True):
            proof = "[red]✗[/]" if step.problems else "[green]✓[/]"
            name, at = escape(step.version), step.at[:19]
            table.add_row(name, at, str(step.index), step.digest[:16], proof, _coloured(verdict) if verdict else "–")
        console.print(table)
        for step in steps:
            for problem in step.problems:
                console.print(f"[red]{escape(step.version)}[/]: {escape(problem)}", highlight=False)
            for loss in step.comparison.losses() if step.comparison else []:
                console.print(f"[yellow]{escape(step.version)}[/]: {escape(loss.sentence())}", highlight=False)
    if any(step.problems for step in steps):
        raise typer.Exit(UNPROVED)
    raise typer.Exit(NARROWER if {"narrower", "incomparable"} & set(verdicts) else 0)


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(help="Terms of form 2 or 3, as JSON.", exists=True, dir_okay=False)],
) -> None:
    """Publish terms; refused where somebody who holds a grant could lose something."""
    document = _document(str(file))
    _terms(document)
    answer = Portal().post("covenants", {"document": document})
    Console().print(f"Covenant {answer['version']} is published: {answer['digest']}.", highlight=False, soft_wrap=True)


@app.command()
def accept(
    license_id: Annotated[str, typer.Argument(metavar="LICENSE", help="The license.")],
    which: Annotated[str, typer.Argument(metavar="COVENANT", help="Hash or version of the terms.")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept without being asked.")] = False,
) -> None:
    """Take a later version of the terms for a license, after seeing what it changes; or accept its own version."""
    from stemma.rights import ratchet

    portal = Portal()
    given = portal.get(f"licenses/{license_id}")
    held = portal.get(f"covenants/{given['covenant']}")["document"]
    wanted = _document(which)
    found = ratchet.compare(_terms(held), _terms(wanted))
    console = Console()
    for step in found.steps:
        if step.holder == given["tier"] and step.verdict != ratchet.Verdict.EQUAL:
            told = f"{step.title}: {step.old} → {step.new}"
            console.print(f"{_coloured(step.verdict.value)}  {escape(told)}", highlight=False)
    if not yes:
        typer.confirm("Accept it for this license? This cannot be undone.", abort=True)
    body = {"covenant": digest_of(wanted), "replaces": given["covenant"]}
    answer = portal.post(f"licenses/{license_id}/covenant", body)
    console.print(f"License {answer['id']} holds covenant {answer['covenant']}.", highlight=False, soft_wrap=True)


def _document(which: str) -> Any:
    """The JSON value of a file, or of a version that the portal has published."""
    path = Path(which)
    if which and path.is_file():
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise _unreadable(which) from error
    portal = Portal(anyone=True)
    rows = portal.get("covenants")
    fits = [row for row in rows if which in {row["digest"], row["version"]}] or [
        row for row in rows if len(which) >= 6 and row["digest"].startswith(which)
    ]
    found = rows[:1] if not which else fits
    if len(found) != 1:
        raise NotFoundError(
            f"There is no file and no covenant {which}." if which else "No covenant is published yet.",
            remedy=f"Published: {', '.join(row['version'] for row in rows) or 'none'}.",
        )
    document = portal.get(f"covenants/{found[0]['digest']}")["document"]
    if digest_of(document) != found[0]["digest"]:
        raise ProofError(
            f"The portal gives out another document than {found[0]['digest']}.",
            remedy="Do not rely on it; tell its operators.",
            code="other-document",
        )
    return document


def _unreadable(which: str) -> Exception:
    from stemma.errors import InvalidError

    return InvalidError(f"{which} is not JSON.", remedy="`stemma covenant show` prints what a covenant looks like.")


def _terms(document: Any) -> Covenant1 | Covenant:
    from stemma.rights.covenant import read_covenant

    return read_covenant(document)


def _coloured(verdict: str) -> str:
    return f"[{COLOURS[verdict]}]{verdict}[/]"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
