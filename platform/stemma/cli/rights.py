"""`stemma consent`, `stemma claim`, `stemma snapshot`, `stemma license`: rights, over the portal's API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stemma.cli import offline
from stemma.cli.portal_client import Portal
from stemma.errors import InvalidError
from stemma.ids import timestamp
from stemma.rights.consent import RELEASE_SCOPES

consent = typer.Typer()
claim = typer.Typer()
snapshot = typer.Typer()
license_app = typer.Typer()

Scopes = Annotated[list[str] | None, typer.Option("--scope", help="A use; may be repeated.")]
Territory = Annotated[str, typer.Option(help="WORLD or a country code.")]


@consent.command("grant")
def grant(
    party: Annotated[str, typer.Argument(help="Identifier of the rights holder.")],
    recording: Annotated[list[str] | None, typer.Option(help="A recording; may be repeated.  Else all.")] = None,
    release: Annotated[
        list[str] | None, typer.Option(help="A release, by name in the grant; alone: all of its tracks.")
    ] = None,
    scope: Scopes = None,
    territory: Territory = "WORLD",
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day it ends (UTC).")] = None,
) -> None:
    """Sign a grant in the name of a rights holder; it is logged and gives a receipt."""
    answer = Portal().post(
        "consents",
        {
            "party": party,
            "recordings": recording or ([] if release else "all"),
            "releases": release or [],
            "scopes": scope or list(RELEASE_SCOPES),
            "territory": territory,
            "valid_until": timestamp(until.replace(tzinfo=UTC)) if until else None,
        },
    )
    _tell(f"Consent {answer['id']} for {answer['recordings']} recordings: {', '.join(answer['scopes'])}.")
    _tell(f"Logged at position {answer['receipt']['index']}.")


@consent.command("withdraw")
def withdraw(
    identifier: Annotated[str, typer.Argument(help="The consent.")],
    recording: Annotated[str | None, typer.Option(help="Only for this recording.")] = None,
) -> None:
    """End a grant, for one recording or for all of it."""
    answer = Portal().post(f"consents/{identifier}/withdrawals", {"recording": recording})
    _tell(f"Withdrawn at {answer['at']}, logged at position {answer['receipt']['index']}.")


@consent.command("list")
def list_consents() -> None:
    """Grants, newest first."""
    table = _table("consent", "party", "recordings", "scopes", "granted")
    for row in Portal().items("consents"):
        table.add_row(
            row["id"], row["party_name"], str(row["recordings"]), ", ".join(row["scopes"]), row["granted_at"][:10]
        )
    Console().print(table)


@claim.command("open")
def open_claim(
    recording: Annotated[str, typer.Argument(help="The recording that is claimed.")],
    claimant: Annotated[str, typer.Option(help="Identifier of a rights holder, or a name.")],
    reason: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Hold a recording because somebody else says it is theirs."""
    answer = Portal().post("claims", {"recording": recording, "claimant": claimant, "reason": reason})
    _tell(f"Claim {answer['id']} by {answer['claimant']}: recording {answer['recording']} is held.")


@claim.command("resolve")
def resolve_claim(
    identifier: Annotated[str, typer.Argument(help="The claim.")],
    resolution: Annotated[str, typer.Option(help="How it ended.")],
) -> None:
    """Say how a claim ended; the recording is free again."""
    answer = Portal().post(f"claims/{identifier}/resolution", {"resolution": resolution})
    _tell(f"Claim {answer['id']} is {answer['state']}.")


@snapshot.command("create")
def create_snapshot(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    everything: Annotated[bool, typer.Option("--all", help="Also what the gate will refuse.")] = False,
    scope: Scopes = None,
    territory: Territory = "WORLD",
    family: Annotated[str, typer.Option(help="The kind of model: symbolic or latent.")] = "symbolic",
) -> None:
    """Freeze what every owner has granted."""
    answer = Portal().post(
        "snapshots",
        {
            "name": name,
            "include": "all" if everything else "eligible",
            "scopes": scope or list(RELEASE_SCOPES),
            "territory": territory,
            "family": family,
        },
    )
    _show_snapshot(answer)


@snapshot.command("show")
def show_snapshot(identifier: Annotated[str, typer.Argument(help="The snapshot.")]) -> None:
    """Tell of one snapshot."""
    _show_snapshot(Portal().get(f"snapshots/{identifier}"))


@snapshot.command("list")
def list_snapshots() -> None:
    """Snapshots, newest first."""
    table = _table("snapshot", "name", "holds", "recordings", "taken")
    for row in Portal().items("snapshots"):
        table.add_row(row["id"], row["name"], row["include"], str(row["recordings"]), row["created_at"][:19])
    Console().print(table)


@license_app.command("grant")
def grant_license(
    organisation: Annotated[str, typer.Argument(help="Identifier or short name of the licensee.")],
    tier: Annotated[str, typer.Option(help="A tier of the covenant, such as professional.")],
    months: Annotated[int, typer.Option(help="How long it runs.")] = 12,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A model release that it covers, or NAME/* for those of a model; else all that the tier may use.",
        ),
    ] = None,
) -> None:
    """License an organisation under the covenant in force."""
    body = {"organisation": organisation, "tier": tier, "months": months, "model_releases": models or ["*"]}
    answer = Portal().post("licenses", body)
    _tell(f"License {answer['id']}: {answer['tier']} until {answer['expires_at'][:10]}.")


@license_app.command("list")
def list_licenses() -> None:
    """Licenses and how many keys each has."""
    portal = Portal()
    names = {row["id"]: row["name"] for row in portal.get("organisations")}
    table = _table("license", "licensee", "tier", "state", "until", "keys")
    for row in portal.get("licenses"):
        keys = sum(key["revoked_at"] is None for key in row["keys"])
        licensee = names.get(row["organisation"], row["organisation"])
        table.add_row(row["id"], licensee, row["tier"], row["state"], row["expires_at"][:10], str(keys))
    Console().print(table)


@license_app.command("revoke")
def revoke_license(identifier: Annotated[str, typer.Argument(help="The license.")]) -> None:
    """End a license; serving refuses it within a minute."""
    answer = Portal().post(f"licenses/{identifier}/revocation")
    _tell(f"License {answer['id']} is {answer['state']}.")


@license_app.command("key")
def create_key(
    identifier: Annotated[str, typer.Argument(help="The license.")],
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[list[str] | None, typer.Option(help="generate or read; may be repeated.  Else both.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day it ends (UTC).")] = None,
) -> None:
    """Make an API key; it is printed this once."""
    body: dict[str, Any] = {"name": name}
    if scope:
        body["scopes"] = scope
    if until:
        body["expires_at"] = timestamp(until.replace(tzinfo=UTC))
    typer.echo(Portal().post(f"licenses/{identifier}/keys", body)["key"])


@license_app.command("keys")
def list_keys(identifier: Annotated[str, typer.Argument(help="The license.")]) -> None:
    """The API keys of a license, and when each was last used; never their secrets."""
    table = _table("key", "name", "begins", "for", "until", "last used", "state")
    moment = timestamp(datetime.now(UTC))
    for row in Portal().get(f"licenses/{identifier}")["keys"]:
        ended = row["expires_at"] is not None and row["expires_at"] <= moment
        state = "revoked" if row["revoked_at"] else "expired" if ended else "active"
        until, used = ((row[name] or "–")[:16] for name in ("expires_at", "last_used"))
        table.add_row(row["id"], row["name"], f"{row['prefix']}…", ", ".join(row["scopes"]), until, used, state)
    Console().print(table)


@license_app.command("rotate-key")
def rotate_key(
    identifier: Annotated[str, typer.Argument(help="The license.")],
    key: Annotated[str, typer.Argument(help="Identifier, name or first characters of the key.")],
    overlap: Annotated[int, typer.Option(help="Hours for which both keys hold.")] = 24,
) -> None:
    """Make a key in the place of another; the new one is printed this once, the old one ends after the overlap."""
    portal = Portal()
    found = _find_key(portal, identifier, key)
    answer = portal.post(f"licenses/{identifier}/keys/{found['id']}/rotation", {"overlap_hours": overlap})
    typer.echo(answer["key"])


@license_app.command("revoke-key")
def revoke_key(
    identifier: Annotated[str, typer.Argument(help="The license.")],
    key: Annotated[str, typer.Argument(help="Identifier, name or first characters of the key.")],
) -> None:
    """End an API key; serving refuses it within a minute."""
    portal = Portal()
    found = _find_key(portal, identifier, key)
    answer = portal.post(f"licenses/{identifier}/keys/{found['id']}/revocation")
    _tell(f"Key {answer['name']} ({answer['prefix']}…) is revoked.")


def _find_key(portal: Portal, identifier: str, key: str) -> dict[str, Any]:
    keys = portal.get(f"licenses/{identifier}")["keys"]
    found = [k for k in keys if key in {k["id"], k["name"]} or key.startswith(k["prefix"])]
    # A key and those it was rotated from have one name: the one that holds is meant.
    found = [k for k in found if k["expires_at"] is None and k["revoked_at"] is None] or found
    if len(found) != 1:
        raise InvalidError(
            f"{len(found)} keys of this license are called {key!r}.",
            remedy=f"Its keys: {', '.join(k['name'] + ' ' + k['id'] for k in keys)}.",
        )
    return dict(found[0])


def _show_snapshot(row: dict[str, Any]) -> None:
    _tell(f"Snapshot {row['id']}: {row['name']}, {row['recordings']} recordings ({row['include']}).")
    _tell(f"For {', '.join(row['scopes'])} in {row['territory']}, {row['family'] or 'any'} models.")
    if unread := row["unreadable"]:
        _tell(f"{unread} more are granted for it, but have no score, from which {row['family']} models learn.")
    _tell(f"Root {row['root']}, logged at position {row['receipt']['index']}.")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _tell(line: str) -> None:
    Console().print(line, highlight=False, soft_wrap=True)


license_app.add_typer(offline.receipts, name="receipts", help="Receipts of use of machines without a connection.")
for name, command in offline.COMMANDS.items():
    license_app.command(name)(command)
license = license_app  # noqa: A001 - the noun by which the command line finds it
