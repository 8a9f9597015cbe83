"""`stemma logs NAME`: what a process said."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from stemma.errors import NotFoundError
from stemma.stack.local import Stack


def logs(
    name: Annotated[str, typer.Argument(help="Which process; see `stemma status`.  Also `supervisord`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 100,
) -> None:
    """Show the end of a process's log."""
    stack = Stack()
    path = stack.log(name)
    if not path.exists():
        raise NotFoundError(f"{name} has said nothing yet.", remedy="Start the stack with `stemma start`.")
    typer.echo(stack.last_words(name, lines))
    if follow:
        _follow(path)


def _follow(path: Path) -> None:
    """Print what is added to a file.  A rotated log is followed into its successor."""
    file = path.open(errors="replace")
    file.seek(0, 2)
    try:
        while True:
            if text := file.read():
                typer.echo(text, nl=False)
            elif path.exists() and path.stat().st_ino != _inode(file.fileno()):
                file.close()
                file = path.open(errors="replace")
            else:
                time.sleep(0.2)
    except KeyboardInterrupt:
        return
    finally:
        file.close()


def _inode(descriptor: int) -> int:
    import os

    return os.fstat(descriptor).st_ino
