"""Signing keys by role, and the signatures made with them: Ed25519 in JWS (RFC 7515, 8037, 9864).

A role is what a key may speak for.  A verifier asks for the role and for the type of the document,
so that a signature made for one purpose can never be shown for another.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel

from stemma.errors import NotFoundError, ProofError
from stemma.proof.canonical import canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Role = Literal["log", "rights", "license", "certificate", "release"]
ROLES: tuple[Role, ...] = get_args(Role)
Speaker = Role | Literal["receipt"]
"""Whoever signs: a role of the installation, or a licensee's machine that signs receipts of use."""
ALGORITHM = "Ed25519"
KEYS_KEY = "keys/jwks.json"
"""Where in object storage the public keys are published."""
MAX_TOKEN_BYTES = 64 * 1024 * 1024

Jwks = dict[str, list[dict[str, Any]]]
"""A JWK set (RFC 7517) whose keys also carry `stemma_role`."""


class KeyRing:
    """The private keys of one installation: one JSON file per role, the newest key signs.

    Older keys stay in the file so that what they signed remains verifiable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._signing: dict[Speaker, tuple[tuple[int, int, int], OKPKey]] = {}

    def create(self) -> None:
        """Make a key for every role that has none; existing keys are left alone."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for role in ROLES:
            if not self._path(role).exists():
                self.rotate(role)

    def rotate(self, role: Speaker) -> str:
        """Add a fresh key for the role, which signs from now on; returns its `kid`."""
        key = OKPKey.generate_key("Ed25519", parameters={"alg": ALGORITHM, "use": "sig"}, private=True)
        private = {**key.as_dict(private=True), "kid": key.thumbprint()}
        keys = [*self._read(role), private] if self._path(role).exists() else [private]
        part = self._path(role).with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"keys": keys}, file)
        part.replace(self._path(role))
        return cast("str", private["kid"])

    def sign(self, role: Speaker, typ: str, payload: dict[str, Any] | BaseModel) -> str:
        """A compact JWS over the canonical payload, with the role's newest key.

        What the library's `serialize_compact` writes, byte for byte.  That writes and checks the header anew for
        each signature, which is the same for all of a kind, and takes half as long as signing.
        """
        key = self._newest(role)
        signed = _header(str(key.kid), typ) + b"." + _base64url(canonical(payload))
        private = cast("Ed25519PrivateKey", key.get_op_key("sign"))
        return (signed + b"." + _base64url(private.sign(signed))).decode()

    def public(self, role: Speaker) -> dict[str, str]:
        """The public part of the key that signs now."""
        key = self._newest(role)
        return {**cast("dict[str, str]", key.as_dict(private=False)), "kid": str(key.kid)}

    def jwks(self) -> Jwks:
        """The public keys of all roles, for `/.well-known/jwks.json` and for bundles."""
        public = []
        for role in ROLES:
            if self._path(role).exists():
                for private in self._read(role):
                    key = OKPKey.import_key(private).as_dict(private=False)
                    public.append({**key, "stemma_role": role})
        return {"keys": public}

    def _newest(self, role: Speaker) -> OKPKey:
        """The signing key, read again only when its file was replaced: reading costs more than signing."""
        try:
            found = os.stat(f"{self.folder}/{role}.json")  # noqa: PTH116 - as text: a path object costs more than the call
        except FileNotFoundError:
            self._read(role)  # says what to do
            raise
        mark = found.st_ino, found.st_mtime_ns, found.st_size
        known = self._signing.get(role)
        if known is None or known[0] != mark:
            known = self._signing[role] = mark, OKPKey.import_key(self._read(role)[-1])
        return known[1]

    def _path(self, role: Speaker) -> Path:
        return self.folder / f"{role}.json"

    def _read(self, role: Speaker) -> list[dict[str, Any]]:
        try:
            return cast("list[dict[str, Any]]", json.loads(self._path(role).read_text())["keys"])
        except FileNotFoundError:
            raise NotFoundError(
                f"There is no signing key for {role} in {self.folder}.",
                remedy="Run `stemma keys create`, or set STEMMA_KEYS_DIR to the folder that has it.",
            ) from None


@lru_cache(maxsize=256)
def _header(kid: str, typ: str) -> bytes:
    """The header of a JWS as it is signed (RFC 7515, 3.1)."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": typ}
    return _base64url(json.dumps(header, separators=(",", ":")).encode())


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class _Registry(jws.JWSRegistry):
    """The library allows documents of 128,000 bytes; a grant over a whole catalog is larger."""

    max_payload_length = MAX_TOKEN_BYTES


def verify(token: str, keys: Jwks, role: Speaker, typ: str) -> dict[str, Any]:
    """The payload of a compact JWS that a key of this role signed as this type.

    Raises `ProofError` for any other token: wrong key, role, type or algorithm, changed bytes.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise ProofError(f"A {typ} of {len(token)} characters is too large to be one.", code="too-large")
    try:
        registry = _Registry(algorithms=[ALGORITHM])
        header = jws.extract_compact(token.encode(), registry=registry).headers()
        key = _find(keys["keys"], header.get("kid"), role, typ)
        signed = jws.deserialize_compact(token, OKPKey.import_key(key), registry=registry)
        payload = json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProofError(f"The signature of this {typ} does not hold.", code="bad-signature") from error
    if header.get("typ") != typ:
        raise ProofError(f"This is signed as {header.get('typ')!r}, not as {typ!r}.", code="wrong-type")
    if not isinstance(payload, dict):
        raise ProofError(f"The payload of this {typ} is not an object.", code="bad-signature")
    return payload


def _find(keys: Iterable[dict[str, Any]], kid: object, role: Speaker, typ: str) -> dict[str, Any]:
    for key in keys:
        if key.get("kid") == kid and key.get("stemma_role") == role:
            return {name: value for name, value in key.items() if name != "stemma_role"}
    raise ProofError(
        f"This {typ} is signed with a key ({kid}) that is not a known {role} key.",
        remedy="Check that you use the key set of the installation that issued it.",
        code="foreign-key",
    )
