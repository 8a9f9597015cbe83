"""`stemma down` and `stemma restart`: end the processes of this installation, and no others."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from stemma.cli.up import watching
from stemma.stack.local import Stack


def down() -> None:
    """End every process of the local stack and nothing else.  What it keeps stays in its folder."""
    console = Console()
    stack = Stack()
    with watching(stack, console) as watch:
        stack.stop(watch)
    console.print("The local stack is down.")


def restart(name: Annotated[str, typer.Argument(help="Which process; see `stemma status`.")]) -> None:
    """Stop one process of the stack and start it again, with its preparations."""
    console = Console()
    stack = Stack()
    stack.service(name)
    with watching(stack, console) as watch:
        stack.restart(name, watch)
