"""`stemma ledger`: take in facts, look at balances, and find every number again."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from stemma.cli.money import money, say, table
from stemma.cli.portal_client import Portal
from stemma.errors import ProofError

app = typer.Typer()


@app.command("verify")
def verify() -> None:
    """Recompute the ledger from its postings and from the facts in the lake; exit 4 when something does not hold."""
    report = Portal().get("ledger/verify")
    rows = table("", "check", "compared", "looked at", right=("looked at",))
    for check in report["checks"]:
        mark = "[green]✓[/]" if check["holds"] else "[red]✗[/]"
        rows.add_row(mark, check["name"], check["about"], f"{check['looked_at']:,}")
    say(rows)
    broken = [check for check in report["checks"] if not check["holds"]]
    for check in broken:
        for fault in check["faults"]:
            say(f"[red]✗[/] [bold]{escape(check['name'])}[/]: {escape(fault)}")
    if broken:
        raise ProofError(
            f"The ledger does not hold: {len(broken)} of {len(report['checks'])} checks failed.",
            remedy="Stop payouts, keep the database and the lake as they are, and look at what changed.",
            code="ledger-broken",
        )
    say(f"[green]✓[/] The ledger holds: {len(report['checks'])} checks.")


@app.command("ingest")
def ingest() -> None:
    """Take in the facts that lie in the lake, now rather than within ten seconds."""
    found: dict[str, Any] = Portal().post("metering/ingest")
    say(
        f"{found['objects']} new objects: {found['taken']} facts taken, {found['repeated']} known, "
        f"{found['conflicts']} in conflict."
    )
    for key in found["quarantined"]:
        say(f"[yellow]![/] {escape(key)} could not be read and is set aside.")


@app.command("balance")
def balance(party: Annotated[str, typer.Argument(help="Identifier of the rights holder.")]) -> None:
    """What a rights holder is owed, and what the open period would add."""
    rows = table(
        "currency", "confirmed", "statements", "estimated", "in", right=("confirmed", "statements", "estimated")
    )
    for entry in Portal().get(f"parties/{party}/balance"):
        estimated = entry["estimated"] or {"amount": 0, "period": "–"}
        rows.add_row(
            entry["currency"],
            money(entry["confirmed"]),
            str(entry["statements"]),
            money(estimated["amount"]),
            estimated["period"],
        )
    say(rows)
