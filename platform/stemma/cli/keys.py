"""`stemma keys`: the signing keys of this installation."""

from __future__ import annotations

from typing import Annotated

import typer

from stemma.errors import InvalidError

app = typer.Typer()


@app.command()
def create() -> None:
    """Make the keys and the certificate that are missing; those that are there stay."""
    from stemma.config import settings
    from stemma.proof.keys import KeyRing
    from stemma.provenance.authority import Authority

    folder = settings().keys_path
    KeyRing(folder).create()
    Authority(folder).create()
    typer.echo(f"Keys are in {folder}.")


@app.command()
def rotate(role: Annotated[str, typer.Argument(help="log, rights, license, certificate or release.")]) -> None:
    """Add a fresh key, which signs from now on; what the old one signed stays verifiable.

    The public keys are put where serving and verifiers look for them.
    """
    from stemma.config import settings
    from stemma.proof.keys import KEYS_KEY, ROLES, KeyRing
    from stemma.storage import storage

    for known in ROLES:
        if role == known:
            ring = KeyRing(settings().keys_path)
            typer.echo(f"The new {role} key is {ring.rotate(known)}.")
            storage().put_json(KEYS_KEY, ring.jwks())
            return
    raise InvalidError(f"There are no keys for {role!r}.", remedy=f"Choose among {', '.join(ROLES)}.")


@app.command()
def show() -> None:
    """Print the public keys as a JWK set (RFC 7517), for those who verify."""
    import json

    from stemma.config import settings
    from stemma.proof.keys import KeyRing

    typer.echo(json.dumps(KeyRing(settings().keys_path).jwks(), indent=1))
