"""What a certificate says, and the file that proves it."""

from __future__ import annotations

from typing import Any

from stemma.proof.log import Receipt
from stemma.provenance import certificate as certificates
from stemma.provenance import lapse
from stemma.provenance.certificate import Certificate as Said
from stemma.provenance.certified import FORM
from stemma.provenance.lapse import Standing
from stemma_portal.core.keys import keyring
from stemma_portal.core.selectors import log_receipt
from stemma_portal.licensing.models import CovenantVersion
from stemma_portal.metering.models import Certificate
from stemma_portal.operations.models import ModelRelease


def said(certificate: Certificate) -> Said:
    """What it says."""
    return certificates.read(certificate.token, keyring().jwks())


def versions(certificate: Certificate) -> list[Certificate]:
    """All versions up to this one, the first first."""
    return list(
        Certificate.objects.filter(generation=certificate.generation_id, version__lte=certificate.version)
        .select_related("entry")
        .order_by("version")
    )


def receipt(certificate: Certificate) -> Receipt:
    """Its place in the log, under the newest head."""
    return log_receipt(entry_id=str(certificate.entry_id))


def standing(certificate: Certificate) -> Standing | None:
    """How its indemnity stands; None where the covenant is not published here."""
    told = said(certificate)
    terms = CovenantVersion.objects.filter(digest=told.covenant).first()
    return lapse.standing(told, terms.covenant()) if terms else None


def proof(certificate: Certificate) -> dict[str, Any]:
    """The file with which anyone verifies it offline: see `stemma.provenance.certified`."""
    told, rows = said(certificate), versions(certificate)
    document: dict[str, Any] = {
        "form": FORM,
        "certificates": [row.token for row in rows],
        "receipts": [receipt(row).model_dump(mode="json") for row in rows],
        "keys": keyring().jwks(),
    }
    if terms := CovenantVersion.objects.filter(digest=told.covenant).first():
        document["covenant"] = {"document": terms.document, "receipt": terms.receipt}
    if release := ModelRelease.objects.filter(id=told.model_release).first():
        document["release"] = {"statement": release.statement, "receipt": release.receipt}
    return document
