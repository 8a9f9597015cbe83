"""A licensee for tests: signed entitlements in the bucket, as the portal publishes them."""

from __future__ import annotations

from typing import Any

from stemma.ids import new_id, now, timestamp
from stemma.proof.keys import KeyRing
from stemma.rights.entitlement import (
    ENTITLEMENT,
    ENTITLEMENTS_PREFIX,
    REVOCATIONS,
    REVOCATIONS_KEY,
    ApiKey,
    Entitlement,
    Revocations,
    hash_api_key,
    new_api_key,
)
from stemma.storage import Storage


def entitlement(secret: str, **changes: Any) -> Entitlement:
    """An enterprise license with one key, unless changed."""
    license_id = changes.pop("license", new_id())
    key = ApiKey(
        id=changes.pop("key_id", new_id()), sha256=hash_api_key(secret), expires_at=changes.pop("key_expires_at", None)
    )
    fields: dict[str, Any] = {
        "id": new_id(),
        "license": license_id,
        "licensee": new_id(),
        "licensee_name": "Test Licensee",
        "tier": "enterprise",
        "uses": ("api_outputs",),
        "covenant": "ab" * 32,
        "requests_per_minute": 60_000,
        "not_before": "2024-01-01T00:00:00.000Z",
        "expires_at": "2090-01-01T00:00:00.000Z",
        "keys": (key,),
        "indemnified": True,
    }
    return Entitlement(**{**fields, **changes})


def publish(storage: Storage, ring: KeyRing, **changes: Any) -> tuple[str, Entitlement]:
    """Put a licensee into the bucket; gives its API key and its entitlement."""
    secret = new_api_key()
    given = entitlement(secret, **changes)
    storage.put_json("keys/jwks.json", ring.jwks())
    storage.put(f"{ENTITLEMENTS_PREFIX}{given.license}.jws", ring.sign("license", ENTITLEMENT, given).encode())
    return secret, given


def revoke(storage: Storage, ring: KeyRing, *, licenses: tuple[str, ...] = (), key_ids: tuple[str, ...] = ()) -> None:
    """Put a list of revocations into the bucket."""
    given = Revocations(at=timestamp(now()), licenses=licenses, keys=key_ids)
    storage.put(REVOCATIONS_KEY, ring.sign("license", REVOCATIONS, given).encode())
