"""`stemma doctor`: what is missing on this machine, and what to do about it."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stemma.stack.diagnosis import diagnose

SIGNS = {"well": ("✓", "green"), "note": ("!", "yellow"), "wrong": ("✗", "bold red")}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Check Python, packages, programs, ports, disk, memory, SoundFont, secrets and the stack itself.

    Leaves with 0 when nothing is wrong, else with 1.
    """
    findings = diagnose()
    if as_json:
        typer.echo(json.dumps([finding.model_dump() for finding in findings], indent=1, ensure_ascii=False))
    else:
        table = Table(box=None, show_header=False, padding=(0, 1))
        for finding in findings:
            text = Text(finding.found)
            if finding.remedy and finding.verdict != "well":
                text.append(f"\n→ {finding.remedy}", "cyan")
            table.add_row(Text(*SIGNS[finding.verdict]), Text(finding.subject, "bold"), text)
        Console().print(table)
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(1)
