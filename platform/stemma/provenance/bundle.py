"""Everything that `stemma verify` needs besides the file: keys, roots, signed documents, proofs.

A bundle speaks of one model release.  It is public: whoever holds an output may hold its bundle.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stemma.errors import InvalidError, NotFoundError
from stemma.ids import now, timestamp
from stemma.proof.keys import KEYS_KEY, Jwks
from stemma.proof.log import Receipt
from stemma.rights.consent import STATUS_KEY
from stemma.rights.entitlement import REVOCATIONS_KEY
from stemma.rights.snapshot import Manifest
from stemma.storage import Storage

MAX_BYTES = 256 * 1024 * 1024


class Bundle(BaseModel):
    """Object `proofs/<name>/<version>.json`, and the file beside an output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.bundle/1"] = "stemma.bundle/1"
    at: str
    """When it was collected: later withdrawals are not in it."""
    jwks: Jwks
    anchors: str
    """Root certificates of content credentials, PEM."""
    statement: str
    """The release statement, JWS."""
    release_receipt: Receipt
    manifest: Manifest
    snapshot_receipt: Receipt
    consent_receipts: dict[str, Receipt]
    status: str
    """The rights status, JWS."""
    revocations: str | None
    """Revoked licenses and keys, JWS."""


def key(release: str) -> str:
    """Name of the object that holds the bundle of a release."""
    return f"proofs/{release}.json"


def collect(storage: Storage, release: str, anchors: str) -> Bundle:
    """The bundle of a release as of now, from object storage alone."""
    folder = f"releases/{release}/"
    manifest = Manifest.model_validate(storage.get_json(folder + "manifest.json"))
    snapshot = f"snapshots/{manifest.id}/"
    try:
        revocations: str | None = storage.get(REVOCATIONS_KEY).decode()
    except NotFoundError:
        revocations = None
    receipts: dict[str, Any] = storage.get_json(snapshot + "consent_receipts.json")
    return Bundle(
        at=timestamp(now()),
        jwks=storage.get_json(KEYS_KEY),
        anchors=anchors,
        statement=storage.get(folder + "statement.jws").decode().strip(),
        release_receipt=Receipt.model_validate(storage.get_json(folder + "receipt.json")),
        manifest=manifest,
        snapshot_receipt=Receipt.model_validate(storage.get_json(snapshot + "receipt.json")),
        consent_receipts={consent: Receipt.model_validate(value) for consent, value in receipts.items()},
        status=storage.get(STATUS_KEY).decode(),
        revocations=revocations,
    )


def publish(storage: Storage, release: str, anchors: str) -> str:
    """Collect a release's bundle and put it where outputs point to; returns the object's name."""
    storage.put(key(release), collect(storage, release, anchors).model_dump_json().encode(), "application/json")
    return key(release)


def parse(data: bytes) -> Bundle:
    """A bundle from outside.  Raises `InvalidError` when it is not one."""
    if len(data) > MAX_BYTES:
        raise InvalidError(f"A bundle of {len(data)} bytes is too large to be one.")
    try:
        return Bundle.model_validate(json.loads(data))
    except (ValueError, RecursionError, ValidationError) as error:
        raise InvalidError(
            "The proof bundle cannot be read.",
            remedy="Download the bundle again; it is the JSON file beside an output.",
        ) from error
