"""A released bundle as a folder: is it whole, unchanged, and signed?  Needs neither torch nor a network.

The statement (a JWS) names the SHA-256 of every other file.  The second signature, of OpenSSF model-signing,
is checked by `stemma.training.release` where that package is installed; its key is one of the stated files.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import Jwks
from stemma.proof.keys import verify as verify_jws
from stemma.proof.log import Receipt, check_receipt
from stemma.provenance.statement import RELEASE, ReleaseStatement
from stemma.rights.snapshot import Manifest

STATEMENT, SIGNATURE, RECEIPT, PUBLIC_KEY = "statement.jws", "model.sig", "receipt.json", "model-signing.pub"
UNSTATED = frozenset({STATEMENT, SIGNATURE, RECEIPT})
"""Files that the statement cannot name, since they are made from it."""


def verify(bundle: Path, keys: Jwks) -> ReleaseStatement:
    """The statement of a bundle that is whole, unchanged, and signed with a known release key.

    Raises `ProofError` with code `unsigned`, `altered`, or what `proof.keys.verify` says of a foreign
    or forged signature.
    """
    for name in (STATEMENT, SIGNATURE, PUBLIC_KEY):
        if not (bundle / name).is_file():
            raise ProofError(
                f"The release in {bundle} is not signed: it has no {name}.",
                remedy="Use a published release, or sign it with `stemma release build`.",
                code="unsigned",
            )
    statement = read_statement((bundle / STATEMENT).read_text(), keys)
    found = hashes(bundle)
    changed = sorted(
        name for name in found.keys() | statement.files.keys() if found.get(name) != statement.files.get(name)
    )
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ProofError(
            f"The release {statement.id} was altered after it was signed: {', '.join(changed[:3])}{more}.",
            remedy="Fetch it again.",
            code="altered",
        )
    _check_contents(bundle, statement, keys)
    return statement


def read_statement(token: str, keys: Jwks) -> ReleaseStatement:
    """What a signed statement says.  Raises `ProofError` when no release key signed it, or it is of something else."""
    payload = verify_jws(token.strip(), keys, "release", RELEASE)
    try:
        return ReleaseStatement.model_validate(payload)
    except ValidationError as error:
        raise ProofError("The statement is signed but not one of a release.", code="bad-statement") from error


def statement_digest(token: str) -> str:
    """SHA-256 of a statement as the log records it."""
    return sha256(token.strip().encode())


def hashes(bundle: Path) -> dict[str, str]:
    """SHA-256 of every file that a statement names."""
    found = {}
    for path in sorted(bundle.rglob("*")):
        if path.is_symlink():
            raise ProofError(f"The bundle holds a link, {path.name}; a release is whole files.", code="altered")
        name = path.relative_to(bundle).as_posix()
        if path.is_file() and name not in UNSTATED:
            found[name] = file_sha256(path)
    return found


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, which may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_about(bundle: Path) -> dict[str, Any]:
    """What a bundle says of itself in `stemma.json`."""
    path = bundle / "stemma.json"
    if not path.exists():
        raise NotFoundError(f"{bundle} holds no release.", remedy="Give the folder of a bundle.")
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise InvalidError(f"{path} is not JSON.", code="bad-bundle") from error
    if not isinstance(value, dict):
        raise InvalidError(f"{path} is not an object.", code="bad-bundle")
    return value


def _check_contents(bundle: Path, statement: ReleaseStatement, keys: Jwks) -> None:
    """What the files say must be what the statement says."""
    about = read_about(bundle)
    said = (statement.name, statement.version, statement.snapshot, statement.snapshot_root, statement.covenant)
    if tuple(about.get(k) for k in ("name", "version", "snapshot", "snapshot_root", "covenant")) != said:
        raise ProofError(f"The release calls itself other than its statement {statement.id}.", code="altered")
    manifest = Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
    manifest.check_root()
    if manifest.root != statement.snapshot_root:
        raise ProofError(f"The manifest is not the one that {statement.id} states.", code="manifest-tampered")
    receipt = Receipt.model_validate_json((bundle / "snapshot_receipt.json").read_bytes())
    check_receipt(receipt, keys, digest=digest(manifest))
    if (bundle / RECEIPT).exists():
        logged = Receipt.model_validate_json((bundle / RECEIPT).read_bytes())
        check_receipt(logged, keys, digest=statement_digest((bundle / STATEMENT).read_text()))
