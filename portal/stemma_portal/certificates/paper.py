"""A certificate on one page of paper, with the file itself as an attachment and a way to the page that verifies it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import segno
from django.urls import reverse

from stemma.config import settings
from stemma.provenance.certified import filters_told, license_told
from stemma.provenance.disclosure import disclosure
from stemma_portal.certificates.selectors import proof, said, standing
from stemma_portal.design.typeset import typeset
from stemma_portal.metering.models import Certificate

TEMPLATE = Path(__file__).with_name("certificate.typ")
STATES = {
    "holds": "The indemnity holds",
    "conditional": "The indemnity holds on conditions",
    "lapsed": "The indemnity has lapsed",
    "none": "Without indemnity",
}
"""How an indemnity stands, in words."""


def address(certificate: Certificate) -> str:
    """Where anyone verifies it."""
    return settings().portal_url + reverse("certificates:public", args=[certificate.generation_id])


def qr(certificate: Certificate) -> str:
    """The way to that page, as a picture (SVG)."""
    picture = io.BytesIO()
    segno.make_qr(address(certificate), error="m").save(
        picture, kind="svg", border=0, xmldecl=False, omitsize=True, dark="#1c1a17", title="QR code to verify it"
    )
    return picture.getvalue().decode()


def certificate_pdf(certificate: Certificate) -> bytes:
    """One page that says what the attached file proves."""
    told, document = said(certificate), proof(certificate)
    found = standing(certificate)
    receipt = document["receipts"][-1]
    minutes, seconds = divmod(round(told.duration_ms / 1000), 60)
    page: dict[str, Any] = {
        "title": f"{told.style.replace('-', ' ').capitalize()}, {minutes}:{seconds:02}",
        "subtitle": f"Made {told.at[:10]} with {told.model_release}, for {told.licensee_name}",
        "state": STATES[found.state] if found else "The covenant is not at hand",
        "lapsed": bool(found and found.lapsed),
        "said": [found.said, *(reason.text for reason in found.depends)] if found else [],
        "paragraphs": [
            ("License.", license_told(told)),
            ("Filters.", filters_told(told)),
            ("To be told.", disclosure(told).sentence),
        ],
        "proof": [
            ("Generation", told.generation),
            ("Version", f"{told.version}, entry {receipt['index']} of the log"),
            ("Sound (samples)", told.pcm_sha256),
            ("Score", told.midi_sha256),
            ("Release", told.release_statement_sha256 or told.model_release),
            ("Snapshot root", told.snapshot_root),
            ("Covenant", f"{told.covenant_version} {told.covenant}".strip()),
        ],
        "address": address(certificate),
        "id": told.generation,
        "file": f"certificate-{told.generation}.pdf",
    }
    data = {
        "page": json.dumps(page, ensure_ascii=False),
        "proof": json.dumps(document, ensure_ascii=False),
        "qr": qr(certificate),
    }
    return typeset(TEMPLATE, data, at=certificate.at, name=f"Certificate {told.generation}")
