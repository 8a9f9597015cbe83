"""License terms: for everyone to read and compare, for staff to publish, for licensees to accept."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Path, Router, Status

from stemma.errors import InvalidError
from stemma.rights.covenant import Covenant, read_covenant
from stemma.rights.covenant_text import markdown, sections, summary
from stemma.rights.ratchet import compare
from stemma_portal.accounts.access import require_staff
from stemma_portal.api.auth import caller, surely
from stemma_portal.api.licenses import license_out
from stemma_portal.api.schemas import (
    AcceptIn,
    ClauseOut,
    ComparisonOut,
    CovenantIn,
    CovenantOut,
    CovenantRow,
    CovenantText,
    LicenseOut,
    PointOut,
    StepOut,
)
from stemma_portal.licensing.access import access_acceptance, access_covenant
from stemma_portal.licensing.models import CovenantVersion
from stemma_portal.licensing.services import covenant_accept, covenant_publish

router = Router(tags=["licensing"])
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the terms")]


@router.get("covenants", response=list[CovenantRow], auth=None)
def list_covenants(request: HttpRequest) -> list[CovenantRow]:  # noqa: ARG001 - ninja's signature
    """Every version of the terms, newest first."""
    return [_row(version) for version in CovenantVersion.objects.all()]


@router.post("covenants", response={201: CovenantOut})
def publish_covenant(request: HttpRequest, body: CovenantIn) -> Status[CovenantOut]:
    """Publish terms of form 2 or 3.

    Refused with `covenant-narrows`, and each loss in `errors`, where somebody who holds a license or has
    consented could lose something.
    """
    user = caller(request)
    require_staff(user, "publish license terms")
    terms = read_covenant(body.document)
    if not isinstance(terms, Covenant):
        raise InvalidError(
            "Terms of form 1 are read, and published no more.", remedy="Say them in form 2 or 3.", code="old-form"
        )
    return Status(201, _out(covenant_publish(covenant=terms, by=user)))


@router.get("covenants/{digest}", response=CovenantOut, auth=None)
def show_covenant(request: HttpRequest, digest: Digest) -> CovenantOut:  # noqa: ARG001
    """One version, with its document and its receipt."""
    return _out(access_covenant(digest))


@router.get("covenants/{digest}/text", response=CovenantText, auth=None)
def covenant_text(request: HttpRequest, digest: Digest) -> CovenantText:  # noqa: ARG001
    """The terms in words: each clause with its number and the field that it says, and in short."""
    version = access_covenant(digest)
    terms = version.covenant()
    clauses = [(section.title, clause) for section in sections(terms) for clause in section.clauses]
    return CovenantText(
        clauses=[ClauseOut(section=title, **clause._asdict()) for title, clause in clauses],
        summary=[PointOut(question=point.question, answers=list(point.answers)) for point in summary(terms)],
        markdown=markdown(terms, version.digest),
    )


@router.get("covenants/{digest}/comparison/{other}", response=ComparisonOut, auth=None)
def compare_covenants(request: HttpRequest, digest: Digest, other: Digest) -> ComparisonOut:  # noqa: ARG001
    """What `other` is beside `digest`: wider, equal, narrower or incomparable, in every dimension."""
    found = compare(access_covenant(digest).covenant(), access_covenant(other).covenant())
    return ComparisonOut(
        verdict=found.verdict,
        holders={str(holder): verdict.value for holder, verdict in found.holders().items()},
        steps=[StepOut(**step._asdict()) for step in found.steps],
    )


@router.post("licenses/{license_id}/covenant", response=LicenseOut)
def accept_covenant(request: HttpRequest, license_id: UUID, body: AcceptIn) -> LicenseOut:
    """Take a later version of the terms in place of the one that the license holds."""
    user = surely(request)
    license_ = access_acceptance(user, str(license_id))
    version = access_covenant(body.covenant)
    return license_out(covenant_accept(license_=license_, covenant=version, replaces=body.replaces, by=user))


def _row(version: CovenantVersion) -> CovenantRow:
    return CovenantRow(**_head(version))


def _out(version: CovenantVersion) -> CovenantOut:
    return CovenantOut(**_head(version), document=version.document, receipt=version.receipt)


def _head(version: CovenantVersion) -> dict[str, Any]:
    return {
        "digest": version.digest,
        "version": version.version,
        "title": version.document["title"],
        "format": version.document["format"],
        "published_at": version.published_at,
    }
