"""Certificates of outputs: with their place in the log, what to tell, and what people did."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from stemma.provenance.certificate import Contribution
from stemma.provenance.disclosure import Disclosure, disclosure
from stemma_portal.api.auth import caller
from stemma_portal.api.description import file_of
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import (
    AuthorshipIn,
    CertificateOut,
    Certificates,
    CertificateShown,
    LapseOut,
    StandingOut,
)
from stemma_portal.certificates.access import access_certificate, certificates_visible
from stemma_portal.certificates.finding import by_hash
from stemma_portal.certificates.paper import certificate_pdf
from stemma_portal.certificates.selectors import proof, receipt, said, standing
from stemma_portal.certificates.services import authorship_state
from stemma_portal.metering.models import Certificate

router = Router(tags=["certificates"])


@router.get("certificates", response=Certificates)
def list_certificates(
    request: HttpRequest,
    sha256: str | None = Query(None, pattern="^[0-9a-f]{64}$"),
    cursor: str | None = None,
    limit: int = Query(50, ge=1, le=MAX_LIMIT),
) -> Certificates:
    """The newest version of each certificate.

    With `sha256` the one that names a FLAC file, a score, the samples of a sound, or itself by this hash.
    """
    rows = certificates_visible(caller(request))
    if sha256 is not None:
        found = by_hash(rows, sha256)
        return Certificates(items=[_out(found)] if found else [], next=None)
    some, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Certificates(items=[_out(row) for row in some], next=following)


@router.get("certificates/{generation}", response=CertificateShown)
def show_certificate(request: HttpRequest, generation: UUID) -> CertificateShown:
    """One certificate, with its inclusion proof under the newest head of the log."""
    return _shown(access_certificate(caller(request), str(generation)))


@router.get("certificates/{generation}/proof", response=dict[str, Any])
def certificate_proof(request: HttpRequest, generation: UUID) -> dict[str, Any]:
    """The file with which `stemma verify` checks every version offline."""
    return proof(access_certificate(caller(request), str(generation)))


@router.get("certificates/{generation}/proof.pdf", openapi_extra=file_of("application/pdf"))
def certificate_paper(request: HttpRequest, generation: UUID) -> HttpResponse:
    """The same on one page, with the file attached."""
    body = certificate_pdf(access_certificate(caller(request), str(generation)))
    headers = {"Content-Disposition": f'attachment; filename="certificate-{generation}.pdf"'}
    return HttpResponse(body, content_type="application/pdf", headers=headers)


@router.get("certificates/{generation}/disclosure", response=Disclosure)
def certificate_disclosure(request: HttpRequest, generation: UUID) -> Disclosure:
    """What to tell of the output: DDEX `ContainsAI` and `AiContribution`, and the digital source type."""
    return disclosure(said(access_certificate(caller(request), str(generation))))


@router.post("certificates/{generation}/authorship", response={201: CertificateShown})
def state_authorship(request: HttpRequest, generation: UUID, body: AuthorshipIn) -> Status[CertificateShown]:
    """State what people wrote, played or arranged: it is signed into a new version, and the old ones stay."""
    user = caller(request)
    made = authorship_state(
        certificate=access_certificate(user, str(generation), owner=True),
        contributions=[Contribution.model_validate(each.model_dump()) for each in body.contributions],
        replaces=body.replaces,
        by=user,
    )
    return Status(201, _shown(made))


def _fields(row: Certificate) -> dict[str, Any]:
    return {
        "generation": row.generation_id,
        "version": row.version,
        "at": row.at,
        "licensee": row.licensee_id,
        "license": row.license_id,
        "sha256": row.sha256,
        "pcm_sha256": row.pcm_sha256,
        "midi_sha256": row.midi_sha256,
        "certificate": row.token,
    }


def _out(row: Certificate) -> CertificateOut:
    return CertificateOut(**_fields(row))


def _shown(row: Certificate) -> CertificateShown:
    found = standing(row)
    told = found and StandingOut(
        state=found.state,
        said=found.said,
        lapsed=[LapseOut(**reason._asdict()) for reason in found.lapsed],
        depends=[LapseOut(**reason._asdict()) for reason in found.depends],
    )
    return CertificateShown(**_fields(row), receipt=receipt(row), standing=told)
