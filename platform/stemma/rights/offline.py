"""Licenses as files, for open weights on machines of the licensee's own, which may never be online.

A file is text for people and a signed document (JWS) for machines.  What the text says is made from
the document and must agree with it: nobody is shown a license that was not signed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stemma.errors import InvalidError, ProofError
from stemma.ids import timestamp
from stemma.proof.canonical import sha256
from stemma.proof.keys import Jwks, KeyRing, verify
from stemma.proof.log import Receipt
from stemma.rights.covenant import TierName, Use
from stemma.rights.entitlement import REVOCATIONS, Grown, Revocations, Terms, check_logged
from stemma.rights.model_names import EVERY_MODEL, covers

LICENSE_FILE = "stemma-license-file+jws"
OFFLINE: Literal["stemma:offline"] = "stemma:offline"
"""Audience of license files: serving refuses them, and `open_license` refuses everything else."""
BEGIN, END = "-----BEGIN STEMMA LICENSE-----", "-----END STEMMA LICENSE-----"
WIDTH = 72
MAX_BYTES = 64 * 1024
SKEW = timedelta(minutes=5)
"""How far a clock may be behind what was seen before it counts as set back."""
MACHINE_ID = Path("/etc/machine-id")

BindingKind = Literal["machine", "cluster"]
Hex = Field(pattern=r"^[0-9a-f]{64}$")


class Binding(BaseModel):
    """The one machine or cluster on which a license holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: BindingKind
    sha256: str = Hex
    """See `binding_of`."""


class OfflineLicense(Grown):
    """What one license allows without a connection.  Signed by role `license` as type `LICENSE_FILE`."""

    LATER: ClassVar[frozenset[str]] = frozenset({"models", "territories"})

    format: Literal["stemma.license-file/1"] = "stemma.license-file/1"
    audience: Literal["stemma:offline"] = OFFLINE
    id: str
    license: str
    sequence: int = Field(ge=1)
    """Files of one license are numbered: a renewal has the next number and takes the place of those before."""
    supersedes: str | None = None
    """Identifier of the file before."""
    issued_at: str
    licensee: str
    licensee_name: str
    tier: TierName
    uses: tuple[Use, ...]
    covenant: str
    model_releases: tuple[str, ...] = EVERY_MODEL
    """Those that the file is for, as `covers` reads them: all that the license covers, or some of them."""
    models: tuple[str, ...] = EVERY_MODEL
    """Those that the license covers."""
    territories: tuple[str, ...] = ()
    """Where the covenant lets this tier use the music: countries (ISO 3166-1); none named: the whole world."""
    not_before: str
    expires_at: str
    indemnified: bool = False
    binding: Binding | None = None
    receipt_keys: tuple[dict[str, str], ...] = ()
    """Public keys (JWK) with which the licensee's machines sign receipts of use; each has a chain of its own."""
    receipt: Receipt | None = None
    """Proof that the log holds the license's terms."""

    @field_validator("receipt_keys")
    @classmethod
    def _public(cls, keys: tuple[dict[str, str], ...]) -> tuple[dict[str, str], ...]:
        return tuple(public_key(key) for key in keys)

    @model_validator(mode="after")
    def _within(self) -> OfflineLicense:
        if stray := [name for name in self.model_releases if not covers(self.models, name)]:
            raise ValueError(f"the license does not cover {', '.join(stray)}")
        return self

    def terms(self) -> Terms:
        """What the log holds of it."""
        return Terms.model_validate(self.model_dump(include=set(Terms.model_fields)))

    def chain_keys(self) -> Jwks:
        """The receipt keys as a key set: none of them may sign anything but receipts."""
        return {"keys": [{**key, "stemma_role": "receipt"} for key in self.receipt_keys]}


class Seen(BaseModel):
    """What a machine has seen of one license: kept beside it, so that neither time nor a renewal goes back."""

    model_config = ConfigDict(extra="forbid")

    license: str
    sequence: int = 0
    at: str = ""
    """The latest moment on this machine's clock, or signed by the licensor, whichever was later."""


def public_key(jwk: Mapping[str, Any]) -> dict[str, str]:
    """An Ed25519 public key, reduced to what names it.  Raises `ValueError` for another or a private one."""
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519" or "d" in jwk:
        raise ValueError("a receipt key is an Ed25519 public key (JWK with kty OKP and x, without d)")
    try:
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": str(jwk.get("x"))})
    except (JoseError, ValueError, TypeError) as error:
        raise ValueError("x of this receipt key is no Ed25519 key") from error
    return {"kty": "OKP", "crv": "Ed25519", "x": str(key.as_dict(private=False)["x"]), "kid": key.thumbprint()}


def binding_of(kind: BindingKind, identifier: str, license_id: str) -> str:
    """The hash by which a license names a machine or cluster.

    SHA-256 of four lines: `stemma-binding/1`, the kind, the license, the identifier (of a machine the
    content of `/etc/machine-id`, of a cluster the `uid` of its namespace `kube-system`).  The license is
    in it so that two licensors cannot find out that they serve the same machine.
    """
    identifier = identifier.strip().lower()
    if not re.fullmatch(r"[0-9a-f-]{16,64}", identifier):
        raise InvalidError(
            f"This is no identifier of a {kind}.",
            remedy="Use the content of /etc/machine-id, or the uid of the namespace kube-system.",
            code="bad-identifier",
        )
    return sha256(f"stemma-binding/1\n{kind}\n{license_id}\n{identifier}".encode())


def machine_identifier(path: Path = MACHINE_ID) -> str:
    """The identifier of this machine."""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise InvalidError(
            f"This machine has no {path}.",
            remedy="Make one with `systemd-machine-id-setup`, or bind the license to the cluster.",
            code="no-machine-id",
        ) from error


def issue(license_: OfflineLicense, keys: KeyRing) -> str:
    """The license as the text of a file."""
    return armour(license_, keys.sign("license", LICENSE_FILE, license_))


def armour(license_: OfflineLicense, token: str) -> str:
    """The text around a signed license."""
    body = "\n".join(token[start : start + WIDTH] for start in range(0, len(token), WIDTH))
    return "\n".join([BEGIN, *_headers(license_), "", body, END, ""])


def models_told(models: Sequence[str]) -> str:
    """The model releases that a license names, in words."""
    return ", ".join("all releases" if name == "*" else name for name in models)


def _headers(license_: OfflineLicense) -> list[str]:
    bound = f"{license_.binding.kind} {license_.binding.sha256[:16]}" if license_.binding else "any machine"
    said = {
        "License": f"{license_.license}, file {license_.sequence}",
        "Licensee": license_.licensee_name,
        "Tier": license_.tier,
        "Uses": ", ".join(license_.uses),
        "Models": models_told(license_.model_releases),
        **({"Only in": ", ".join(license_.territories)} if license_.territories else {}),
        "Valid": f"{license_.not_before} to {license_.expires_at}",
        "Bound to": bound,
    }
    # A name with a line break in it must not look like a header of its own.
    return [f"{name}: {' '.join(value.split())}" for name, value in said.items()]


def token_of(text: str) -> str:
    """The signed document in the text of a file, unchecked.  Raises `InvalidError`."""
    return _parts(text)[1]


def _parts(text: str) -> tuple[list[str], str]:
    broken = InvalidError(
        "This is no license file, or not all of one.",
        remedy=f"Copy it whole, from {BEGIN} to {END}.",
        code="no-license-file",
    )
    if len(text) > MAX_BYTES:
        raise broken
    lines = [line.rstrip() for line in text.removeprefix("\ufeff").strip().splitlines()]
    if len(lines) < 3 or lines[0] != BEGIN or lines[-1] != END or "" not in lines:
        raise broken
    gap = lines.index("")
    token = "".join(lines[gap + 1 : -1])
    if not re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", token):
        raise broken
    return lines[1:gap], token


def peek(text: str) -> OfflineLicense:
    """What a file says, without asking who signed it: to be shown, never to be relied on."""
    try:
        return OfflineLicense.model_validate_json(extract_compact(token_of(text).encode()).payload)
    except (ValidationError, JoseError, ValueError) as error:
        raise InvalidError("This license file cannot be read.", code="no-license-file") from error


def open_license(text: str, keys: Jwks) -> OfflineLicense:
    """The license in a file, signed by a license key of these, with text that says the same.

    Raises `InvalidError` for what is no license file, `ProofError` for one that was not signed so.
    """
    headers, token = _parts(text)
    try:
        license_ = OfflineLicense.model_validate(verify(token, keys, "license", LICENSE_FILE))
    except ValidationError as error:
        raise ProofError("What was signed is no license of this form.", code="other-document") from error
    if headers != _headers(license_):
        raise ProofError(
            "The text of this license file is not what was signed.",
            remedy="Ask for the file again; somebody changed it.",
            code="changed-text",
        )
    check_logged(license_.terms(), license_.receipt, keys)
    return license_


def check(
    license_: OfflineLicense,
    *,
    at: datetime,
    seen: Seen,
    identifiers: Mapping[BindingKind, str] | None = None,
    release: str | None = None,
    revocations: str | None = None,
    keys: Jwks | None = None,
) -> Seen:
    """Whether a license holds here and now; what has been seen afterwards.

    `identifiers` are this machine's own, `revocations` a signed list that somebody brought, checked
    with `keys`.  Raises `ProofError` that says what does not hold and what to do.
    """
    if seen.license != license_.license:
        raise InvalidError("What was seen belongs to another license.", code="other-license")
    if license_.sequence < seen.sequence:
        raise ProofError(
            f"File {license_.sequence} of this license was superseded by file {seen.sequence}.",
            remedy="Use the newest file.",
            code="superseded",
        )
    # Time never goes back: what has expired once stays so, whatever the clock is set to.
    floor = max(seen.at, license_.issued_at)
    if revocations is not None:
        given = Revocations.model_validate(verify(revocations, keys or {"keys": []}, "license", REVOCATIONS))
        floor = max(floor, given.at)
        if license_.license in given.licenses:
            raise ProofError(f"This license was revoked as of {given.at}.", code="revoked")
    if timestamp(at + SKEW) < floor:
        raise ProofError(
            f"The clock says {timestamp(at)}, but it was {floor} already.",
            remedy="Set the clock of this machine right.",
            code="clock-set-back",
        )
    moment = max(timestamp(at), floor)
    if moment < license_.not_before:
        raise ProofError(f"This license begins {license_.not_before}.", remedy="Come back then.", code="not-yet")
    if license_.expires_at <= moment:
        raise ProofError(
            f"This license ended {license_.expires_at}.", remedy="Renew it and bring the new file.", code="expired"
        )
    if license_.binding is not None:
        own = (identifiers or {}).get(license_.binding.kind)
        if own is None or binding_of(license_.binding.kind, own, license_.license) != license_.binding.sha256:
            raise ProofError(
                f"This license holds on another {license_.binding.kind}.",
                remedy=f"Ask for one that is bound to this {license_.binding.kind}.",
                code="other-machine",
            )
    if release is not None and not covers(license_.model_releases, release):
        covered = ", ".join(license_.model_releases)
        raise ProofError(f"This license covers {covered}, not {release}.", code="model-not-licensed")
    if "open_weights" not in license_.uses:
        raise ProofError(f"The {license_.tier} license does not cover open weights.", code="use-not-licensed")
    return Seen(license=license_.license, sequence=license_.sequence, at=moment)


def seen_read(path: Path, license_id: str) -> Seen:
    """What was seen of a license; nothing where there is no file.  Raises `InvalidError` for a broken one."""
    if not path.exists():
        return Seen(license=license_id)
    try:
        return Seen.model_validate_json(path.read_text())
    except ValueError as error:
        raise InvalidError(
            f"{path} cannot be read.",
            remedy="It keeps clocks and renewals from going back.  Ask the licensor before you remove it.",
            code="seen-broken",
        ) from error


def seen_write(path: Path, seen: Seen) -> None:
    """Keep what was seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(seen.model_dump()))
    part.replace(path)
