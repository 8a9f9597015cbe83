"""The signed documents from which serving decides alone: entitlements and revocations."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from stemma.errors import ProofError
from stemma.proof.canonical import digest
from stemma.proof.keys import Jwks
from stemma.proof.log import Receipt, check_receipt
from stemma.rights.covenant import TierName, Use
from stemma.rights.model_names import EVERY_MODEL

ENTITLEMENT = "stemma-entitlement+jws"
REVOCATIONS = "stemma-revocations+jws"
ENTITLEMENTS_PREFIX = "licenses/entitlements/"
"""Object `licenses/entitlements/<license>.jws` holds the newest entitlement of a license."""
REVOCATIONS_KEY = "licenses/revocations.jws"
KEY_PREFIX = "stm_"
SERVING = "stemma:serving"
"""Audience of entitlements: serving takes no document that is for somebody else."""

KeyScope = Literal["generate", "read"]
"""What an API key is for: to make music, or to fetch what was made and who shaped it."""
KEY_SCOPES: tuple[KeyScope, ...] = ("generate", "read")


class Grown(BaseModel):
    """A document that was given fields later.

    Where they say nothing they are left out: documents of before keep their hash, and readers of before
    read what says no more than they know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    LATER: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _short(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        silent = {name for name in self.LATER if getattr(self, name) == type(self).model_fields[name].default}
        return {name: value for name, value in write(self).items() if name not in silent}


class Terms(Grown):
    """What was granted to whom, as the log holds it: a license's later documents are proved by it."""

    LATER: ClassVar[frozenset[str]] = frozenset({"models"})

    license: str
    licensee: str
    tier: TierName
    covenant: str
    not_before: str
    expires_at: str
    models: tuple[str, ...] = EVERY_MODEL
    """Model releases that it covers, as `covers` reads them."""


class ApiKey(BaseModel):
    """An API key as an entitlement names it: never the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    expires_at: str | None = None
    scopes: tuple[KeyScope, ...] = KEY_SCOPES


class Entitlement(Grown):
    """What one license allows.  Signed with a key of role `license` as type `ENTITLEMENT`.

    What has a default came later: entitlements signed before are read as they were meant.
    """

    LATER: ClassVar[frozenset[str]] = frozenset({"territories"})

    id: str
    license: str
    licensee: str
    """Identifier of the licensee's organisation."""
    licensee_name: str
    tier: TierName
    uses: tuple[Use, ...]
    covenant: str
    """SHA-256 of the covenant the license was granted under."""
    model_releases: tuple[str, ...] = EVERY_MODEL
    """As `covers` reads them."""
    territories: tuple[str, ...] = ()
    """Where the covenant lets this tier use the music: countries (ISO 3166-1); none named: the whole world."""
    requests_per_minute: int = Field(gt=0)
    not_before: str
    expires_at: str
    keys: tuple[ApiKey, ...]
    indemnified: bool = False
    audience: str = SERVING
    monthly_ms: int | None = Field(default=None, ge=0)
    """Generated milliseconds of a calendar month (UTC) at which serving stops; None: no cap."""
    receipt: Receipt | None = None
    """Proof that the log holds the license's `Terms`."""
    serial: int = Field(default=0, ge=0)
    """Grows with every entitlement of the license, whatever the clocks say; 0 in those of before there was one."""

    def terms(self) -> Terms:
        """What the log holds of it."""
        told = self.model_dump(include=set(Terms.model_fields))
        return Terms.model_validate({**told, "models": self.model_releases})


class Revocations(BaseModel):
    """Licenses and keys that no longer hold.  Signed with a key of role `license`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str
    licenses: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    sequence: int = Field(default=0, ge=0)
    """Grows with every list, whatever the clocks say; 0 in lists of before there was one."""

    @property
    def order(self) -> tuple[int, str]:
        """Of two lists, the one with the larger order is the newer."""
        return self.sequence, self.at


def check_logged(terms: Terms, receipt: Receipt | None, keys: Jwks) -> int | None:
    """The position in the log that proves the terms; None for a license of before licenses were logged.

    Raises `ProofError` when the proof is for other terms, or does not hold.
    """
    if receipt is None:
        return None
    if receipt.entry.kind != "license" or receipt.entry.subject != terms.license:
        raise ProofError("The log proof of this license is about something else.", code="other-document")
    check_receipt(receipt, keys, digest=digest(terms))
    return receipt.index


def new_api_key() -> str:
    """A fresh key: `stm_` and 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_api_key(key: str) -> str:
    """The form in which a key is kept.  A 256-bit random key needs no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()
