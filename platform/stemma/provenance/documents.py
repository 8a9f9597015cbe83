"""Receipts and proofs as files that anyone checks offline.

Of consents and withdrawals, of absence from a snapshot, of license terms that were accepted, and certificates.

Each file is JSON that carries what is proved, its proofs, and the public keys of who issued it; a PDF
carries the same file as an attachment.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stemma.errors import InvalidError, ProofError
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import Jwks, verify
from stemma.proof.log import Receipt, TreeHead, check_receipt
from stemma.provenance import certified
from stemma.provenance.verify import Report, Step, Verdict
from stemma.rights.absence import Absence, check_absence
from stemma.rights.consent import CONSENT, Grant, Withdrawn
from stemma.rights.covenant import Acceptance, read_covenant

ATTACHMENT = "stemma-proof.json"
"""Name of the file inside a PDF."""
MAX_BYTES = 64 * 1024 * 1024
JWS = b"eyJ"
"""How a signed certificate begins, as serving hands it out: it carries no keys and no place in the log."""


def parse(data: bytes) -> dict[str, Any]:
    """The document in a file, JSON or PDF.  Raises `InvalidError` for what is none."""
    if len(data) > MAX_BYTES:
        raise InvalidError(f"The file is larger than {MAX_BYTES >> 20} MiB.", remedy="Receipts are much smaller.")
    if data.startswith(JWS):
        return {"certificates": [data.decode("ascii", "replace").strip()]}
    text = _attached(data) if data.startswith(b"%PDF-") else data
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidError("The file is no receipt: it is not JSON.", remedy="Give the file as downloaded.") from error
    if not isinstance(found, dict):
        raise InvalidError("The file is no receipt.", remedy="Give the file as it was downloaded.")
    return found


def _attached(data: bytes) -> bytes:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        found = PdfReader(io.BytesIO(data)).attachments.get(ATTACHMENT)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidError("The PDF cannot be read.", remedy="Give the file as it was downloaded.") from error
    if not found:
        raise InvalidError(
            "The PDF carries no proof.", remedy="Give a receipt as it was downloaded, not printed or scanned anew."
        )
    return found[0]


def verify_document(data: bytes, keys: Jwks | None = None, *, output: Path | None = None) -> Report:
    """Check a receipt or proof.  `keys` are those of the installation you trust; else the file's own are used.

    `output` is compared with what a certificate is for.
    """
    report = Report()
    try:
        found = parse(data)
    except InvalidError as error:
        report.steps.append(Step("File", Verdict.UNREADABLE, str(error)))
        return report
    trusted = keys or found.get("keys")
    for field, name, check in _KINDS:
        if field in found:
            try:
                if not isinstance(trusted, dict):
                    raise InvalidError(
                        "The file carries no keys.", remedy="Give those of the installation with --keys."
                    )
                if output is not None and field != "certificates":
                    raise InvalidError(f"A {name.lower()} is for no output.", remedy="Leave --output out.")
                told = check(found, trusted, output) if field == "certificates" else check(found, trusted)
                for step in told:  # what held before something did not is told, too
                    report.steps.append(step)
            except ProofError as error:
                foreign = error.code == "foreign-key"
                report.steps.append(Step(name, Verdict.FOREIGN_KEY if foreign else Verdict.BROKEN, str(error)))
            except InvalidError as error:
                report.steps.append(Step(name, Verdict.UNREADABLE, str(error)))
            except (ValidationError, KeyError, TypeError, ValueError):
                report.steps.append(Step(name, Verdict.UNREADABLE, f"This is no {name.lower()} as we write them."))
            return report
    report.steps.append(Step("File", Verdict.UNREADABLE, "This is no receipt, proof or certificate."))
    return report


def _consent(found: dict[str, Any], keys: Jwks) -> list[Step]:
    document = str(found["document"])
    grant = Grant.model_validate(verify(document, keys, "rights", CONSENT))
    bound = {scope: f"{scope} ({', '.join(condition.told())})" for scope, condition in grant.conditions.items()}
    granted = ", ".join(bound.get(scope, scope) for scope in grant.scopes)
    steps = [
        _step(
            "Consent",
            f"{grant.party_name} granted {granted} for {len(grant.recordings):,} recordings{_released(grant)}"
            f" on {grant.granted_at[:10]}, signed by {grant.signed_by}.",
        )
    ]
    return [*steps, _logged(found, keys, "consent", grant.id, sha256(document.encode()))]


def _released(grant: Grant) -> str:
    """The releases that a grant names, and how many recordings it names besides."""
    if not grant.releases:
        return ""
    named = {recording for each in grant.releases for recording in each.recordings}
    besides = len(grant.recordings) - len(named)
    more = [f"and {besides:,} besides"] if besides else []
    return f" ({'; '.join([*(each.told() for each in grant.releases), *more])})"


def _withdrawal(found: dict[str, Any], keys: Jwks) -> list[Step]:
    fact = Withdrawn.model_validate(found["withdrawal"])
    what = f"recording {fact.recording}" if fact.recording else "the whole of it"
    steps = [_step("Withdrawal", f"Consent {fact.consent} was withdrawn on {fact.at[:10]} for {what}.")]
    return [*steps, _logged(found, keys, "withdrawal", fact.consent, digest(fact))]


def _absence(found: dict[str, Any], keys: Jwks) -> list[Step]:
    proof = Absence.model_validate(found["absence"])
    head = check_absence(proof, keys)
    return [
        _step("Snapshot", f"{head.name}, {head.size:,} recordings under root {head.root[:16]}…, in the log."),
        _step("Absence", f"Recording {proof.recording} is not among them: its neighbours stand side by side."),
    ]


def _acceptance(found: dict[str, Any], keys: Jwks) -> list[Step]:
    """That a licensee took later terms; with the terms themselves, that they are those."""
    fact = Acceptance.model_validate(found["acceptance"])
    steps = [
        _step(
            "Acceptance",
            f"The {fact.tier} license {fact.license} took terms {fact.covenant[:16]}… in place of "
            f"{fact.replaces[:16]}… on {fact.at[:10]}, accepted by {fact.accepted_by}.",
        ),
        _logged(found, keys, "acceptance", fact.license, digest(fact)),
    ]
    if "terms" in found:
        terms = read_covenant(found["terms"])
        if digest(terms) != fact.covenant:
            raise ProofError("The terms in the file are not those that were accepted.", code="other-document")
        steps.append(_step("Terms", f"{terms.title}, version {terms.version}: the hash is that of these terms."))
    return steps


def _logged(found: dict[str, Any], keys: Jwks, kind: str, subject: str, document: str) -> Step:
    receipt = Receipt.model_validate(found["receipt"])
    head: TreeHead = check_receipt(receipt, keys, digest=document)
    if (receipt.entry.kind, receipt.entry.subject) != (kind, subject):
        raise ProofError(f"The receipt is of another {receipt.entry.kind}.", code="other-document")
    return _step("Log", f"Entry {receipt.index} of {head.size}, logged {receipt.entry.at}.")


def _step(name: str, detail: str) -> Step:
    return Step(name, Verdict.VERIFIED, detail)


_KINDS: tuple[tuple[str, str, Callable[..., Iterable[Step]]], ...] = (
    ("document", "Consent", _consent),
    ("withdrawal", "Withdrawal", _withdrawal),
    ("absence", "Absence", _absence),
    ("certificates", "Certificate", certified.check),
    ("acceptance", "Acceptance", _acceptance),
)
