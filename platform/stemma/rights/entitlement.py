"""The signed documents from which serving decides alone: entitlements and revocations."""

from __future__ import annotations

import hashlib
import secrets

from pydantic import BaseModel, ConfigDict, Field

from stemma.rights.covenant import TierName, Use

ENTITLEMENT = "stemma-entitlement+jws"
REVOCATIONS = "stemma-revocations+jws"
ENTITLEMENTS_PREFIX = "licenses/entitlements/"
"""Object `licenses/entitlements/<license>.jws` holds the newest entitlement of a license."""
REVOCATIONS_KEY = "licenses/revocations.jws"
KEY_PREFIX = "stm_"


class ApiKey(BaseModel):
    """An API key as an entitlement names it: never the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    expires_at: str | None = None


class Entitlement(BaseModel):
    """What one license allows.  Signed with a key of role `license` as type `ENTITLEMENT`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    license: str
    licensee: str
    """Identifier of the licensee's organisation."""
    licensee_name: str
    tier: TierName
    uses: tuple[Use, ...]
    covenant: str
    """SHA-256 of the covenant the license was granted under."""
    model_releases: tuple[str, ...] = ("*",)
    requests_per_minute: int = Field(gt=0)
    not_before: str
    expires_at: str
    keys: tuple[ApiKey, ...]
    indemnified: bool = False


class Revocations(BaseModel):
    """Licenses and keys that no longer hold.  Signed with a key of role `license`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str
    licenses: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def new_api_key() -> str:
    """A fresh key: `stm_` and 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_api_key(key: str) -> str:
    """The form in which a key is kept.  A 256-bit random key needs no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()
