"""`stemma license file|show|verify|machine|receipts`: licenses and receipts on machines without a connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from stemma.errors import InvalidError, NotFoundError, ProofError

if TYPE_CHECKING:
    from stemma.proof.keys import Jwks
    from stemma.rights.offline import Binding, OfflineLicense
    from stemma.royalties.receipts import ReceiptBook

receipts = typer.Typer(no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A license file.")]
Keys = Annotated[Path | None, typer.Option(help="Public keys (JWKS) of the licensor; else those of this installation.")]
KeyFolder = Annotated[Path, typer.Option(help="Folder of the private receipt key.")]
Journal = Annotated[Path, typer.Option(help="File in which this machine keeps its receipts.")]
RECEIPT_KEYS = Path("receipt-key")
JOURNAL = Path("receipts.jws")


def issue_file(
    identifier: Annotated[str, typer.Argument(help="The license.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the file.")],
    machine: Annotated[str | None, typer.Option(help="Bind to one machine: its hash.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Bind to one cluster: its hash.")] = None,
    receipt_key: Annotated[
        list[Path] | None, typer.Option(help="File with a machine's public receipt key; may be repeated.")
    ] = None,
) -> None:
    """Issue a license file for machines without a connection; it takes the place of the files before it."""
    from stemma.cli.portal_client import Portal

    if machine and cluster:
        raise InvalidError("A file is bound to a machine or to a cluster.", remedy="Give one of the two.")
    kind, bound = ("machine", machine) if machine else ("cluster", cluster)
    answer = Portal().post(
        f"licenses/{identifier}/files",
        {
            "binding": {"kind": kind, "sha256": bound} if bound else None,
            "receipt_keys": [_json(path) for path in receipt_key or ()],
        },
    )
    output.write_text(answer["text"])
    _tell(f"File {answer['sequence']} of license {identifier} is in {output}.")


def show(file: File) -> None:
    """Tell what a license file says, without checking who signed it."""
    from stemma.rights.offline import peek

    license_ = peek(_read(file))
    _describe(license_)
    _tell("Not checked: see `stemma license verify`.")


def verify_file(
    file: File,
    keys: Keys = None,
    release: Annotated[str | None, typer.Option(help="The model release that is to be used.")] = None,
    cluster: Annotated[str | None, typer.Option(help="The cluster's identifier, for a file bound to one.")] = None,
    revocations: Annotated[Path | None, typer.Option(help="A signed list of revocations that was brought.")] = None,
    seen: Annotated[Path | None, typer.Option(help="What this machine has seen; FILE.seen.json unless given.")] = None,
) -> None:
    """Check that a license file was signed by the licensor and holds on this machine now.  Needs no network.

    What was seen, the highest number of a file and the latest moment, is kept beside the file: a clock
    that was set back, and a file that was superseded, are refused afterwards.
    """
    from stemma.ids import now
    from stemma.rights.offline import check, machine_identifier, open_license, seen_read, seen_write

    known = _keys(keys)
    license_ = open_license(_read(file), known)
    identifiers: dict[Literal["machine", "cluster"], str] = {}
    if license_.binding is not None and license_.binding.kind == "machine":
        identifiers["machine"] = machine_identifier()
    elif cluster:
        identifiers["cluster"] = cluster
    place = seen or file.with_name(file.name + ".seen.json")
    after = check(
        license_,
        at=now(),
        seen=seen_read(place, license_.license),
        identifiers=identifiers,
        release=release,
        revocations=_read(revocations).strip() if revocations else None,
        keys=known,
    )
    seen_write(place, after)
    _describe(license_)
    _tell("The license holds here and now.")


def machine(
    license_id: Annotated[str, typer.Argument(metavar="LICENSE", help="The license.")],
    cluster: Annotated[
        str | None, typer.Option(help="uid of the namespace kube-system, to bind to a cluster instead.")
    ] = None,
) -> None:
    """Print the hash by which a license is bound to this machine, or to a cluster."""
    from stemma.rights.offline import binding_of, machine_identifier

    bound = (
        binding_of("cluster", cluster, license_id)
        if cluster
        else binding_of("machine", machine_identifier(), license_id)
    )
    typer.echo(bound)


@receipts.command("key")
def receipt_key(folder: KeyFolder = RECEIPT_KEYS) -> None:
    """Make this machine's receipt key unless there is one, and print its public part for the licensor."""
    from stemma.proof.keys import KeyRing

    ring = KeyRing(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / "receipt.json").exists():
        ring.rotate("receipt")
    typer.echo(json.dumps(ring.public("receipt")))


@receipts.command("add")
def add_receipt(
    file: File,
    use: Annotated[Path, typer.Argument(help="What was made, as JSON; see docs/offline-licenses.md.")],
    folder: KeyFolder = RECEIPT_KEYS,
    journal: Journal = JOURNAL,
    keys: Keys = None,
) -> None:
    """Write down one use, before its output is used."""
    from pydantic import ValidationError

    from stemma.royalties.receipts import Use

    try:
        made = Use.model_validate_json(_read(use))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidError(f"{use} is malformed: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}.") from error
    line = _book(file, folder, journal, keys).append(made)
    _tell(f"Receipt {line.receipt.counter} is in {journal}.")


@receipts.command("export")
def export_receipts(
    file: File,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write them: the medium.")],
    after: Annotated[int, typer.Option(help="Number of the last receipt that the licensor has.")] = 0,
    folder: KeyFolder = RECEIPT_KEYS,
    journal: Journal = JOURNAL,
    keys: Keys = None,
) -> None:
    """Write this machine's receipts to a medium, with a signed end."""
    data = _book(file, folder, journal, keys).export(after=after)
    output.write_bytes(data)
    count = data.count(b"\n") - 1
    _tell(f"{count} receipts are in {output}." if count else f"There are no receipts after {after}.")


@receipts.command("import")
def import_receipts(
    identifier: Annotated[str, typer.Argument(help="The license.")],
    file: Annotated[Path, typer.Argument(help="What `export` wrote.")],
) -> None:
    """Hand the receipts on a medium to the portal; each is billed once."""
    from stemma.cli.portal_client import Portal

    if not file.is_file():
        raise NotFoundError(f"There is no file {file}.", remedy="Give its path.")
    answer = Portal().upload(f"licenses/{identifier}/receipts", {"file": (file.name, file.read_bytes())})
    _tell(f"Receipts {answer['first']} to {answer['last']} of {answer['machine']} are taken.")
    if answer["outside_term"]:
        _tell(f"{answer['outside_term']} uses are of before the license began or after it ended.")


def _book(file: Path, folder: Path, journal: Path, keys: Path | None) -> ReceiptBook:
    from stemma.proof.keys import KeyRing
    from stemma.rights.offline import open_license
    from stemma.royalties.receipts import ReceiptBook

    return ReceiptBook(journal, open_license(_read(file), _keys(keys)), KeyRing(folder))


def _describe(license_: OfflineLicense) -> None:
    from stemma.rights.offline import models_told

    for name, value in {
        "License": f"{license_.license}, file {license_.sequence} of {license_.issued_at[:10]}",
        "Licensee": license_.licensee_name,
        "Tier": license_.tier,
        "Uses": ", ".join(license_.uses),
        "Models": models_told(license_.model_releases),
        "Only in": ", ".join(license_.territories) or "everywhere",
        "Valid": f"{license_.not_before[:10]} to {license_.expires_at[:10]}",
        "Bound to": _bound(license_.binding),
        "Receipts": f"{len(license_.receipt_keys)} machines count their use" if license_.receipt_keys else "none",
        "Log proof": f"position {license_.receipt.index}" if license_.receipt else "none",
    }.items():
        _tell(f"{name + ':':10} {value}")


def _bound(binding: Binding | None) -> str:
    return f"{binding.kind} {binding.sha256[:16]}…" if binding else "any machine"


def _keys(path: Path | None) -> Jwks:
    from stemma.config import settings
    from stemma.proof.keys import KeyRing

    found: Jwks = _json(path) if path else KeyRing(settings().keys_path).jwks()
    if not isinstance(found, dict) or not found.get("keys"):
        raise ProofError(
            "There are no public keys of the licensor to check with.",
            remedy="Give them with --keys: the licensor publishes them at /.well-known/jwks.json.",
            code="no-keys",
        )
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise InvalidError(f"{path} is not JSON.") from error


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read ({error.strerror}).", remedy="Give its path.") from error
    except UnicodeDecodeError as error:
        raise InvalidError(f"{path} is no text.") from error


def _tell(line: str) -> None:
    Console().print(line, highlight=False, soft_wrap=True, markup=False)


COMMANDS: dict[str, Callable[..., None]] = {"file": issue_file, "show": show, "verify": verify_file, "machine": machine}
