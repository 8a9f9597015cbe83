"""The command line `stemma`: one module per noun, loaded only when it is called."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Container
from importlib import import_module
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from stemma import __version__
from stemma.errors import StemmaError

CRASHED = 70
"""Exit code of a mistake of ours (EX_SOFTWARE)."""


class Entry(NamedTuple):
    """Where a command is: `module:attribute` below this package, a function or a Typer; and its line of help."""

    place: str
    help: str
    panel: str


STACK, MUSIC, RIGHTS, MONEY = "The local stack", "Music", "Rights", "Money"

COMMANDS = {
    "up": Entry("up:up", "Start everything and show the whole way of the music once.", STACK),
    "start": Entry("up:start", "Start the local stack.", STACK),
    "down": Entry("down:down", "End every process of the local stack.", STACK),
    "stop": Entry("down:down", "The same as down.", STACK),
    "restart": Entry("down:restart", "Start one process of the stack anew.", STACK),
    "status": Entry("status:status", "Tell how each process fares.", STACK),
    "doctor": Entry("doctor:doctor", "Tell what is missing and what to do.", STACK),
    "logs": Entry("logs:logs", "Show the log of a process.", STACK),
    "cluster": Entry("cluster:app", "What the chart's jobs do in a pod.", STACK),
    "open": Entry("status:open_portal", "Open the portal in the browser.", STACK),
    "catalog": Entry("catalog:app", "Works and recordings.", MUSIC),
    "train": Entry("train:train", "Train a model on a snapshot, past the gate.", MUSIC),
    "release": Entry("release:app", "Build, sign and publish model releases.", MUSIC),
    "model": Entry("model:app", "Released models: what there is, and their weights.", MUSIC),
    "generate": Entry("generate:generate", "Make music through the API.", MUSIC),
    "attribution": Entry("attribution:app", "Trace outputs back to the recordings that shaped them.", MUSIC),
    "verify": Entry("verify:verify", "Check a file from its sound back to its consents, offline.", MUSIC),
    "consent": Entry("rights:consent", "Grants of rights holders, and withdrawals.", RIGHTS),
    "claim": Entry("rights:claim", "Disputes about who owns a recording.", RIGHTS),
    "snapshot": Entry("rights:snapshot", "Frozen, provable sets of consented recordings.", RIGHTS),
    "license": Entry("rights:license", "Licenses and API keys.", RIGHTS),
    "covenant": Entry("covenant:app", "License terms: what they say, and what a version changes.", RIGHTS),
    "log": Entry("log:app", "The transparency log: whether it is whole, and only grew.", RIGHTS),
    "keys": Entry("keys:app", "Signing keys of this installation.", RIGHTS),
    "ledger": Entry("ledger:app", "Accounts and postings.", MONEY),
    "period": Entry("period:app", "Royalty periods and statements.", MONEY),
    "billing": Entry("billing:app", "Quotes, orders, invoices, declarations and prepaid credit.", MONEY),
}


def build(load: Container[str]) -> typer.Typer:
    """The application, in which only the named commands are loaded; of the others it knows name and help."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
    app.callback()(_root)
    for name, entry in COMMANDS.items():
        found: object = _resolve(entry.place) if name in load else _unloaded
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=entry.help, rich_help_panel=entry.panel, no_args_is_help=True)
        else:
            help_text = entry.help if found is _unloaded else None
            app.command(name, help=help_text, rich_help_panel=entry.panel)(_function(found))
    return app


def main() -> None:
    """Run the command line.  Users see messages and remedies, never a traceback."""
    try:
        build(COMMANDS if "_STEMMA_COMPLETE" in os.environ else sys.argv[1:])()
    except StemmaError as error:
        _say(error)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        missing = StemmaError(f"The package {error.name} is not installed.", remedy="Run `make install`.")
        _say(missing)
        sys.exit(missing.exit_code)
    except Exception as error:  # noqa: BLE001 - the last resort: a mistake of ours
        path = _keep_traceback()
        _say(
            StemmaError(
                f"This is a mistake in Stemma: {type(error).__name__}: {error}",
                remedy=f"Please report it with {path}." if path else "",
            )
        )
        sys.exit(CRASHED)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"stemma {__version__}")
        raise typer.Exit


def _root(
    home: Annotated[
        Path | None, typer.Option(envvar="STEMMA_HOME", help="Folder of the installation.", show_default=".stemma")
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback has done everything
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """License music to machines and pay the musicians."""
    if home is not None:
        os.environ["STEMMA_HOME"] = str(home)


def _resolve(place: str) -> object:
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"stemma.cli.{module}"), attribute)


def _function(found: object) -> Callable[..., object]:
    if not callable(found):
        raise TypeError(f"{found!r} is neither a command nor a group of commands")
    return found


def _unloaded() -> None:
    """Stands for a command that is not called this time."""


def _say(error: StemmaError) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    console.print(Text.assemble(("✗ ", "bold red"), error.message))
    if error.remedy:
        console.print(Text.assemble(("→ ", "bold cyan"), error.remedy))


def _keep_traceback() -> Path | None:
    """Write the traceback of the current exception into the home folder; where it lies, if that was possible."""
    folder = Path(os.environ.get("STEMMA_HOME", ".stemma")) / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "last-mistake.txt"
        path.write_text(traceback.format_exc())
    except OSError:
        return None
    return path
