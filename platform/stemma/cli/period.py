"""`stemma period`: open, close and read royalty periods."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from stemma.cli.money import money, say, table
from stemma.cli.portal_client import Portal
from stemma.ids import timestamp

app = typer.Typer()

Name = Annotated[str, typer.Argument(help="Name of the period, such as 2026-11.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day (UTC).")]


@app.command("open")
def open_period(period: Name, starts: Day = None, ends: Day = None) -> None:
    """Open a period; by default it begins where the last one ended and ends with its month."""
    body = {"id": period, "starts": _moment(starts), "ends": _moment(ends)}
    _tell(Portal().post("periods", {name: value for name, value in body.items() if value is not None}))


@app.command("close")
def close_period(
    period: Name,
    early: Annotated[bool, typer.Option("--early", help="End an unfinished period now.")] = False,
) -> None:
    """Settle a period: postings, statements and an entry in the log.  A repeat changes nothing."""
    closed = Portal().post(f"periods/{period}/close", {"early": early})
    _tell(closed)
    rows = table("", closed["currency"], right=(closed["currency"],))
    for name, about in (
        ("revenue", "Revenue"),
        ("platform", "  kept by the platform"),
        ("creators", "  for creators"),
        ("training", "    trained on"),
        ("attribution", "    shaped an output"),
        ("commons", "    commons"),
        ("reserve", "    no work yet"),
    ):
        rows.add_row(about, money(closed[name]))
    say(rows)
    say(f"{closed['generations']} generations, {closed['postings']} postings, {closed['statements']} statements.")
    for why, count in closed["waiting"].items():
        say(f"[yellow]![/] {count} generations wait for {escape(why)}; the next period settles them.")


@app.command("list")
def list_periods() -> None:
    """Periods, newest first."""
    rows = table("period", "from", "to", "state", "revenue", "creators", "statements", right=("revenue", "creators"))
    for found in Portal().get("periods"):
        rows.add_row(
            found["id"],
            found["starts"][:10],
            found["ends"][:10],
            found["state"],
            money(found["revenue"], found["currency"]),
            money(found["creators"], found["currency"]),
            str(found["statements"]),
        )
    say(rows)


@app.command("statements")
def statements(
    period: Name,
    to: Annotated[Path | None, typer.Option(help="Folder to save every statement into, as CSV and PDF.")] = None,
) -> None:
    """What each party earned in a period."""
    portal = Portal()
    rows = table("party", "opening", "earned", "corrected", "closing", "lines",
                 right=("opening", "earned", "corrected", "closing", "lines"))  # fmt: skip
    found = portal.get(f"periods/{period}/statements")
    for statement in found:
        amounts = [money(statement[name]) for name in ("opening", "earned", "corrected", "closing")]
        demo = " [dim](demo)[/]" if statement["demo"] else ""
        rows.add_row(escape(statement["party_name"]) + demo, *amounts, str(statement["lines"]))
    say(rows)
    if to is None:
        return
    to.mkdir(parents=True, exist_ok=True)
    for statement in found:
        for form in ("csv", "pdf"):
            path = to / f"{period}-{statement['party']}.{form}"
            path.write_bytes(portal.fetch(f"statements/{statement['id']}.{form}"))
    say(f"{2 * len(found)} files in {to}.")


def _moment(day: datetime | None) -> str | None:
    return timestamp(day.replace(tzinfo=UTC)) if day else None


def _tell(found: dict[str, Any]) -> None:
    say(f"Period [bold]{found['id']}[/] is {found['state']}: {found['starts']} – {found['ends']}, {found['currency']}.")
