"""Who may call: signed entitlements and revocations, kept here so that no caller waits for the portal.

They are read from object storage every few seconds and written to disk, so that serving decides as
before when the portal and the storage are down, and after a restart.  What was the newest list of
revocations, and the newest entitlement of each license, is written down beside them: an older one is
never taken for it, and when no list comes any more, serving stops after the time that its configuration
gives.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError

from stemma.errors import ProofError
from stemma.ids import now, timestamp
from stemma.proof.canonical import sha256
from stemma.proof.keys import KEYS_KEY, Jwks, KeyRing, Role, verify
from stemma.rights.entitlement import (
    ENTITLEMENT,
    ENTITLEMENTS_PREFIX,
    REVOCATIONS,
    REVOCATIONS_KEY,
    SERVING,
    ApiKey,
    Entitlement,
    KeyScope,
    Revocations,
    hash_api_key,
)
from stemma.rights.model_names import covers
from stemma.rights.shares import WORLD
from stemma.storage import Storage
from stemma_serving.config import LicensesConfig
from stemma_serving.files import write_whole
from stemma_serving.problems import Problem, RefusedError

SKEW = timedelta(seconds=60)
"""How far this clock may be behind the portal's before a license that has just begun has not begun yet."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Grant:
    """A key that is known, with the license it belongs to."""

    entitlement: Entitlement
    token: str
    """The signed entitlement (JWS), which goes into every output."""
    sha256: str
    """Hash of `token`."""
    key: ApiKey


@dataclass(frozen=True)
class Book:
    """All that is known at one moment.  Replaced whole, never changed."""

    grants: dict[str, Grant] = field(default_factory=dict)
    """By SHA-256 of the API key."""
    revoked_licenses: frozenset[str] = frozenset()
    revoked_keys: frozenset[str] = frozenset()

    def decide(self, key: str | None, at: str, scope: KeyScope | None = None) -> Grant:
        """The grant behind an API key at a moment (RFC 3339), for a scope.  Raises `RefusedError`."""
        if not key:
            raise _refusal(401, "missing-key", "The request carries no API key.", _HOW_TO_SIGN_IN)
        grant = self.grants.get(hash_api_key(key))
        if grant is None:
            raise _refusal(401, "unknown-key", "This API key is not known.", _NEW_KEY)
        entitlement = grant.entitlement
        # First, because the list of revocations names keys that were rotated out and have expired, too.
        if grant.key.expires_at is not None and grant.key.expires_at <= at:
            raise _refusal(401, "expired-key", f"This API key expired {grant.key.expires_at}.", _NEW_KEY)
        if grant.key.id in self.revoked_keys:
            raise _refusal(401, "revoked-key", "This API key was revoked.", _NEW_KEY)
        if entitlement.license in self.revoked_licenses:
            raise _refusal(403, "revoked-license", "This license was revoked.", "Ask the licensor why; see the portal.")
        if at < entitlement.not_before and _later(at, SKEW) < entitlement.not_before:
            raise _refusal(403, "not-yet", f"This license begins {entitlement.not_before}.", "Come back then.")
        if entitlement.expires_at <= at:
            raise _refusal(
                402, "expired-license", f"This license ended {entitlement.expires_at}.", "Renew it in the portal."
            )
        if "api_outputs" not in entitlement.uses:
            raise _refusal(
                403,
                "use-not-licensed",
                f"The {entitlement.tier} license does not cover outputs of the API.",
                "Choose a tier in the portal that does.",
            )
        if scope is not None and scope not in grant.key.scopes:
            raise _refusal(
                403,
                "scope",
                f"This API key is for {' and '.join(grant.key.scopes) or 'nothing'}, not for {scope}.",
                "Use another key, or make one with this scope in the portal.",
            )
        return grant


def check_release(covered: Sequence[str], release: str) -> None:
    """Raise `RefusedError` when a license of these releases does not cover this one."""
    if not covers(covered, release):
        raise _refusal(
            403,
            "model-not-licensed",
            f"This license covers {', '.join(covered)}, not {release}.",
            "Ask for a license of this release in the portal.",
        )


def check_territory(covered: Sequence[str], release: str, territory: str) -> None:
    """Raise `RefusedError` when a license for these countries meets a release whose music is licensed elsewhere.

    No country named is the whole world, and so is the territory `WORLD`.
    """
    if covered and territory not in {WORLD, *covered}:
        raise _refusal(
            403,
            "territory-not-licensed",
            f"This license holds in {', '.join(covered)}; the music of {release} is licensed for {territory} alone.",
            "Ask for a license in that country, or for a release of wider music.",
        )


_HOW_TO_SIGN_IN = "Send it as `Authorization: Bearer stm_…`; make one in the portal under Licenses."
_NEW_KEY = "Make a new key in the portal under Licenses, and check for missing characters."


def _refusal(status: int, code: str, detail: str, remedy: str) -> RefusedError:
    return RefusedError(Problem(status, code, detail, remedy))


def _later(at: str, by: timedelta) -> str:
    return timestamp(datetime.fromisoformat(at) + by)


class Seen(BaseModel):
    """The newest documents that ever came here: what is older is not taken, after a restart either."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sequence: int = 0
    """Number of the list of revocations."""
    at: str = ""
    """When it was signed; empty while none has come."""
    since: str
    """From when its age counts: when it was signed or, if that is earlier, taken."""
    serials: dict[str, int] = {}
    """Serial of the newest entitlement of each license."""

    @property
    def order(self) -> tuple[int, str]:
        """As `Revocations.order`."""
        return self.sequence, self.at


class _Documents(TypedDict):
    jwks: Jwks
    revocations: str | None
    entitlements: dict[str, str]


class Licenses:
    """The current book, its copy on disk, and its source."""

    def __init__(self, storage: Storage, cache: Path, keys_path: Path, config: LicensesConfig | None = None) -> None:
        """`keys_path` is the folder of this installation's signing keys, which may hold none."""
        self.book = Book()
        self.read_at: float | None = None
        self._trust = timedelta(seconds=(config or LicensesConfig()).trust_seconds)
        self._storage, self._cache, self._ring = storage, cache, KeyRing(keys_path)
        self._etags: dict[str, str] = {}
        self._documents: _Documents = {"jwks": {"keys": []}, "revocations": None, "entitlements": {}}
        self._offered: str | None = None
        self._seen_path = cache.with_name(f"{cache.stem}-seen.json")
        self._seen = self._read_seen()
        self._heard = self._seen.at == ""
        self._steady = 0.0
        self._until = ""
        self._trust_again()
        self._lock = threading.Lock()
        if cache.exists():
            try:
                self._documents = json.loads(cache.read_text())
                self._index()
            except (ValueError, KeyError, TypeError) as error:
                log.warning("The copy of the licenses in %s cannot be read (%s); it is read anew.", cache, error)

    def decide(self, key: str | None, scope: KeyScope | None = None) -> Grant:
        """The grant behind an API key now, for a scope.  Raises `RefusedError`."""
        at = self.moment()
        if at >= self._until:
            raise RefusedError(
                Problem(
                    503,
                    "stale-revocations",
                    f"Serving does not know which keys were revoked: the last list counts from {self._seen.since}.",
                    "Try again later; the operator must see to it that the portal and object storage answer.",
                    retry_after=30,
                )
            )
        return self.book.decide(key, at, scope)

    def moment(self) -> str:
        """Now, and never earlier than the newest list and the time that has passed since it came.

        A clock that is behind the portal's, or set back, so brings back nothing that has expired.
        """
        wall = time.time()
        steady = self._steady + time.monotonic()
        return timestamp(datetime.fromtimestamp(max(wall, steady), UTC))

    @property
    def listed(self) -> tuple[int, str]:
        """Number of the newest list of revocations, and when it was signed; 0 and nothing before there is one."""
        return self._seen.order

    def trusted(self, role: Role) -> Jwks:
        """The public keys for a role: our own where we have them, so that storage cannot put others in their place."""
        own = self._ring.jwks()
        return own if any(key["stemma_role"] == role for key in own["keys"]) else self._documents["jwks"]

    def refresh(self) -> bool:
        """Read what has changed in object storage; whether anything had.  Raises `UnavailableError`."""
        with self._lock:
            seen = dict(self._storage.entries("licenses/")) | dict(self._storage.entries(KEYS_KEY))
            changed = {key for key, etag in seen.items() if self._etags.get(key) != etag}
            gone = {key for key in self._etags if key not in seen}
            if not changed and not gone:
                return False
            for key in sorted(changed, key=lambda each: each != KEYS_KEY):  # the keys first: what follows is checked
                self._take(key, self._storage.get(key).decode())
            for key in gone:
                self._documents["entitlements"].pop(key, None)
            self._index()
            self._etags = seen
            write_whole(self._cache, json.dumps(self._documents).encode())
            return True

    def _take(self, key: str, text: str) -> None:
        if key == KEYS_KEY:
            self._documents["jwks"] = json.loads(text)
        elif key == REVOCATIONS_KEY:
            self._offered = text
        elif key.startswith(ENTITLEMENTS_PREFIX):
            given = self._read(key, text, self.trusted("license"))
            if given is None or not self._older(given):  # the newer one in hand stays where an older one is put back
                self._documents["entitlements"][key] = text

    def _index(self) -> None:
        """Check every signature and put up a new book.  A forged document counts as not there."""
        keys = self.trusted("license")
        offered = [
            (entitlement, token)
            for name, token in self._documents["entitlements"].items()
            if (entitlement := self._read(name, token, keys)) is not None
        ]
        self._mark([entitlement for entitlement, _ in offered])
        grants: dict[str, Grant] = {}
        for entitlement, token in offered:
            if self._older(entitlement):
                continue
            digest = sha256(token.encode())
            grants |= {key.sha256: Grant(entitlement, token, digest, key) for key in entitlement.keys}
        given = self._newest_list(keys)
        if given is None:
            self.book = Book(grants, self.book.revoked_licenses, self.book.revoked_keys)
        else:
            self.book = Book(grants, frozenset(given.licenses), frozenset(given.keys))

    def _read(self, name: str, token: str, keys: Jwks) -> Entitlement | None:
        """The entitlement in an object; None for one that is forged, or for somebody else."""
        try:
            given = Entitlement.model_validate(verify(token, keys, "license", ENTITLEMENT))
        except (ProofError, ValidationError) as error:
            log.warning("%s is left out: %s", name, error)
            return None
        if given.audience != SERVING:
            log.warning("%s is left out: it is for %s", name, given.audience)
            return None
        return given

    def _older(self, given: Entitlement) -> bool:
        newest = self._seen.serials.get(given.license, 0)
        if given.serial < newest:
            log.warning("Entitlement %d of license %s is not taken for %d.", given.serial, given.license, newest)
        return given.serial < newest

    def _mark(self, given: Sequence[Entitlement]) -> None:
        """Write down which entitlement of each license is the newest that ever came here."""
        serials = dict(self._seen.serials)
        for each in given:
            if each.serial:  # those of before there were serials hold until one with a serial comes
                serials[each.license] = max(each.serial, serials.get(each.license, 0))
        if serials != self._seen.serials:
            self._seen = self._seen.model_copy(update={"serials": serials})
            write_whole(self._seen_path, self._seen.model_dump_json().encode())

    def _newest_list(self, keys: Jwks) -> Revocations | None:
        """The list of revocations, when it is not older than any that came before."""
        token = self._offered or self._documents["revocations"]
        if token is None:
            return None
        try:
            given = Revocations.model_validate(verify(token, keys, "license", REVOCATIONS))
        except (ProofError, ValidationError) as error:
            log.warning("The revocations are left as they were: %s", error)
            return None
        if given.order < self._seen.order:
            log.warning("An older list of revocations, of %s, is not taken for the newest.", given.at)
            return None
        self._documents["revocations"] = token
        if given.order > self._seen.order:
            since = min(given.at, timestamp(now()))
            self._seen = self._seen.model_copy(update={"sequence": given.sequence, "at": given.at, "since": since})
            write_whole(self._seen_path, self._seen.model_dump_json().encode())
        self._heard = True
        self._trust_again()
        return given

    def _trust_again(self) -> None:
        """Go by the list in hand until it is too old.  Where one is known of and none is in hand, by none."""
        self._until = _later(self._seen.since, self._trust) if self._heard else ""
        if self._seen.at:
            self._steady = datetime.fromisoformat(self._seen.at).timestamp() - time.monotonic()

    def _read_seen(self) -> Seen:
        try:
            return Seen.model_validate_json(self._seen_path.read_text())
        except FileNotFoundError:
            pass
        except ValueError as error:
            log.warning("%s cannot be read (%s); the next list of revocations counts.", self._seen_path, error)
        seen = Seen(since=timestamp(now()))
        write_whole(self._seen_path, seen.model_dump_json().encode())
        return seen
