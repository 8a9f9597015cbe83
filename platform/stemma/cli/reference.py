"""The reference of the command line, written from the commands themselves: `python -m stemma.cli.reference FILE`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from stemma.cli import COMMANDS, build

HEAD = """# The command line

Written by `make docs` from the commands themselves.  Every command answers `--help`; an error says
what is wrong and what to do, and leaves with a code other than 0.
"""


def reference() -> str:
    """All commands with their arguments and options, as Markdown."""
    group: Any = typer.main.get_command(build(COMMANDS))
    parts = [HEAD]
    panel = ""
    for name, entry in COMMANDS.items():
        if entry.panel != panel:
            panel = entry.panel
            parts.append(f"\n## {panel}\n")
        parts.extend(_command(group.commands[name], f"stemma {name}"))
    return "\n".join(parts).rstrip() + "\n"


def _command(command: Any, path: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        yield f"### `{path}`\n\n{_text(command.help)}\n"
        for name, below in inner.items():
            yield from _command(below, f"{path} {name}")
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = " ".join(_place(p) for p in arguments)
    yield f"### `{f'{path} {words}'.strip()}`\n\n{_text(command.help)}\n"
    rows = [(_names(p), _text(p.help).replace("\n", " ")) for p in command.params if p.name != "help"]
    if rows:
        yield "\n".join(f"- {names}: {text}" if text else f"- {names}" for names, text in rows) + "\n"


def _place(argument: Any) -> str:
    name = argument.name.upper() + ("…" if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference())
