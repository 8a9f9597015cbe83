"""`stemma log`: the transparency log, audited by anyone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from stemma.cli.portal_client import Portal
from stemma.errors import NotFoundError, ProofError

if TYPE_CHECKING:
    from stemma.proof.log import Listed
    from stemma.proof.monitor import Audit

app = typer.Typer()
UNPROVED = 4


@app.command()
def audit(
    since: Annotated[
        Path | None, typer.Option(help="A signed head kept from before: only what came after it is read.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Where to keep the signed head, if it holds.")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Public keys (JWKS) of the installation you trust; else what it gives out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Read the entries of the log, and recompute from them the root that it signed.

    Without --since all entries are read. With it, those after that head, and the log must prove that the
    tree of that head begins the present one: a log that lost or changed anything cannot. Needs no account.
    Leaves with 0 when everything holds, and with 4 when something does not.
    """
    from stemma.proof import monitor

    portal = Portal(anyone=True)
    trusted = json.loads(keys.read_text()) if keys else portal.keys()
    token = portal.get("log/head")["head"]
    head = monitor.read_head(token, trusted)
    before = monitor.read_head(_kept(since), trusted) if since else None
    path: list[bytes] = []
    if before is not None and 0 < before.size < head.size:
        # Asked for after the head, it may reach beyond it: the newer of the two is audited.
        proof = portal.get("log/consistency", first=before.size)
        token, path = proof["head"], [bytes.fromhex(node) for node in proof["path"]]
        head = monitor.read_head(token, trusted)
    start = before.size if before is not None else 0
    found = monitor.audit(head, _entries(portal, start, head.size), since=before, path=path)
    if found.holds and keep is not None:
        keep.write_text(token + "\n")
    if as_json:
        typer.echo(json.dumps(_plain(found), indent=2))
    else:
        _say(found)
    raise typer.Exit(0 if found.holds else UNPROVED)


def _kept(file: Path) -> str:
    if not file.is_file():
        raise NotFoundError(f"There is no file {file}.", remedy="Keep a head with `stemma log audit --keep FILE`.")
    return file.read_text().strip()


def _entries(portal: Portal, start: int, size: int) -> Iterator[Listed]:
    """The entries from `start` to the head's size, page after page."""
    from pydantic import ValidationError

    from stemma.proof.log import Listed

    while start < size:
        page = portal.get("log/entries", start=start, end=size - 1)["entries"]
        if not page:
            return
        for row in page:
            try:
                yield Listed.model_validate(row)
            except ValidationError as error:
                raise ProofError(
                    f"Entry {start} of the log cannot be read: {error.errors()[0]['msg']}.",
                    remedy="Use the version of stemma that the installation has; else tell its operators.",
                ) from error
            start += 1


def _plain(found: Audit) -> dict[str, object]:
    """What was found, for programs."""
    return {
        "holds": found.holds,
        "log": found.head.log,
        "size": found.head.size,
        "root": found.head.root,
        "at": found.head.at,
        "since": found.since.size if found.since else None,
        "read": found.kinds.total(),
        "kinds": dict(sorted(found.kinds.items())),
        "withheld": found.withheld,
        "problems": found.problems,
        "more_problems": found.more,
    }


def _say(found: Audit) -> None:
    console = Console()
    head, since = found.head, found.since
    console.print(f"Log {escape(head.log)}: {head.size} entries, signed at {escape(head.at)}", highlight=False)
    console.print(f"Root {head.root}", highlight=False, soft_wrap=True)
    told = f"after the head over {since.size} of {escape(since.at)}" if since else "from the first on"
    console.print(f"Read {found.kinds.total()} entries {told}", highlight=False)
    for kind, count in sorted(found.kinds.items()):
        console.print(f"  {kind} {count}", highlight=False)
    if found.withheld:
        console.print(f"Of {found.withheld} only the leaf hash is told.", highlight=False)
    if found.first_at:
        console.print(f"Logged between {escape(found.first_at)} and {escape(found.last_at)}", highlight=False)
    for problem in found.problems:
        console.print(f"[red]✗[/] {escape(problem)}", highlight=False)
    if found.more:
        console.print(f"[red]✗[/] and {found.more} more", highlight=False)
    if found.holds:
        grew = ", and the log only grew since that head" if since else ""
        console.print(f"[green]✓[/] The entries lead to the signed root{grew}.", highlight=False)
