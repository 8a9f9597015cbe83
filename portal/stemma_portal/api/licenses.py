"""Organisations, licenses and their keys."""

from typing import Any
from uuid import UUID

from django.db.models import Prefetch, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from ninja import File, Router, Status, UploadedFile

from stemma.errors import InvalidError, NotFoundError
from stemma.ids import now
from stemma.rights.offline import Binding
from stemma.royalties.receipts import MAX_BYTES
from stemma_portal.accounts.access import is_staff, organisations_of, require_staff
from stemma_portal.accounts.models import Organisation
from stemma_portal.api.auth import caller, surely
from stemma_portal.api.description import file_of
from stemma_portal.api.schemas import (
    KeyIn,
    KeyMade,
    KeyOut,
    LicenseFileIn,
    LicenseFileOut,
    LicenseIn,
    LicenseOut,
    OrganisationOut,
    ReceiptsTaken,
    RotationIn,
    SeatIn,
    SeatOut,
)
from stemma_portal.core.fields import is_id
from stemma_portal.licensing.access import access_key, access_license, access_seat, licenses_visible
from stemma_portal.licensing.models import ApiKey, License, LicenseFile, Seat
from stemma_portal.licensing.offline import license_file_issue, receipts_take
from stemma_portal.licensing.seats import require_seat, seat_free, seat_give, seats_taken
from stemma_portal.licensing.selectors import (
    acceptance_file,
    entitlement_file,
    keys_of,
    keys_used,
    models_of,
    territories_of,
    tier_of,
)
from stemma_portal.licensing.services import (
    api_key_create,
    api_key_revoke,
    api_key_rotate,
    license_grant,
    license_revoke,
)
from stemma_portal.operations.models import ModelRelease

router = Router(tags=["licensing"])


@router.get("organisations", response=list[OrganisationOut])
def list_organisations(request: HttpRequest) -> list[OrganisationOut]:
    """The caller's organisations; staff see all."""
    user = caller(request)
    rows = Organisation.objects.all() if is_staff(user) else organisations_of(user)
    return [
        OrganisationOut(id=o.id, name=o.name, slug=o.slug, kind=o.kind, party=o.party_id, demo=o.demo) for o in rows
    ]


@router.post("licenses", response={201: LicenseOut})
def grant_license(request: HttpRequest, body: LicenseIn) -> Status[LicenseOut]:
    """License an organisation under the covenant in force.

    Refused with `bad-models` for what names no model releases, with 404 for releases that are not published, and
    with `models-not-in-tier` where the covenant lets the tier use none of them.
    """
    user = caller(request)
    require_staff(user, "grant licenses")
    named = {"id": body.organisation} if is_id(body.organisation) else {"slug": body.organisation}
    organisation = Organisation.objects.filter(**named).first()
    if organisation is None:
        raise NotFoundError(f"There is no organisation {body.organisation}.", remedy="List them: GET organisations.")
    for name in body.model_releases:
        _known_models(name)
    license_ = license_grant(
        organisation=organisation,
        tier=body.tier,
        months=body.months,
        identifier=str(body.id) if body.id else None,
        model_releases=body.model_releases,
        by=user,
    )
    return Status(201, license_out(license_))


@router.get("licenses", response=list[LicenseOut])
def list_licenses(request: HttpRequest) -> list[LicenseOut]:
    """Licenses that the caller may see, newest first."""
    rows = licenses_visible(caller(request)).prefetch_related(Prefetch("keys", keys_used(ApiKey.objects.all())))
    return [license_out(row) for row in rows[:1000]]


@router.get("licenses/{license_id}", response=LicenseOut)
def show_license(request: HttpRequest, license_id: UUID) -> LicenseOut:
    """One license."""
    return license_out(_with_keys(access_license(caller(request), str(license_id))))


@router.post("licenses/{license_id}/revocation", response=LicenseOut)
def revoke_license(request: HttpRequest, license_id: UUID) -> LicenseOut:
    """End a license at once."""
    user = caller(request)
    found = access_license(user, str(license_id))
    require_staff(user, "revoke licenses")
    return license_out(license_revoke(license_=found, by=user))


@router.post("licenses/{license_id}/keys", response={201: KeyMade})
def create_key(request: HttpRequest, license_id: UUID, body: KeyIn) -> Status[KeyMade]:
    """Make a key; its secret is in this answer and nowhere else."""
    user = surely(request)
    if body.expires_at is not None and body.expires_at <= now():
        raise InvalidError("The key would have expired already.", remedy="Let expires_at be in the future.")
    license_ = access_license(user, str(license_id), owner=True)
    require_seat(user, license_)
    key, secret = api_key_create(
        license_=license_, name=body.name, expires_at=body.expires_at, scopes=body.scopes, by=user
    )
    return _made(key, secret)


@router.post("licenses/{license_id}/keys/{key_id}/rotation", response={201: KeyMade})
def rotate_key(request: HttpRequest, license_id: UUID, key_id: UUID, body: RotationIn) -> Status[KeyMade]:
    """Make a key in the place of another, with the same name and scopes; the old one ends after the overlap.

    The new secret is in this answer and nowhere else.
    """
    user = surely(request)
    key = access_key(user, str(license_id), str(key_id))
    return _made(*api_key_rotate(key=key, overlap_hours=body.overlap_hours, by=user))


@router.post("licenses/{license_id}/keys/{key_id}/revocation", response=KeyOut)
def revoke_key(request: HttpRequest, license_id: UUID, key_id: UUID) -> KeyOut:
    """End a key at once."""
    user = caller(request)
    return _key(api_key_revoke(key=access_key(user, str(license_id), str(key_id)), by=user))


@router.get("licenses/{license_id}/files", response=list[LicenseFileOut])
def list_files(request: HttpRequest, license_id: UUID) -> list[LicenseFileOut]:
    """The files of a license, for machines without a connection, newest first."""
    return [_file(row) for row in access_license(caller(request), str(license_id)).files.all()]


@router.post("licenses/{license_id}/files", response={201: LicenseFileOut})
def issue_file(request: HttpRequest, license_id: UUID, body: LicenseFileIn) -> Status[LicenseFileOut]:
    """Issue a license file; where it is used, it takes the place of the files before it."""
    user = surely(request)
    license_ = access_license(user, str(license_id), owner=True)
    file = license_file_issue(
        license_=license_,
        binding=Binding.model_validate(body.binding.model_dump()) if body.binding else None,
        keys=[key.model_dump() for key in body.receipt_keys],
        model_releases=body.model_releases,
        by=user,
    )
    return Status(201, _file(file))


@router.post("licenses/{license_id}/receipts", response=ReceiptsTaken)
def bring_receipts(request: HttpRequest, license_id: UUID, file: File[UploadedFile]) -> ReceiptsTaken:
    """Bring the receipts of a machine without a connection, as `stemma license receipts export` wrote them.

    It is sent as a form (`multipart/form-data`).  Each receipt becomes a usage fact once; what was taken
    before, follows a gap, or belongs to another chain than the one known is refused whole.
    """
    user = caller(request)
    license_ = access_license(user, str(license_id), owner=True)
    if (file.size or 0) > MAX_BYTES:
        raise InvalidError("These are too many receipts for one file.", remedy="Export fewer at a time.")
    taken = receipts_take(license_=license_, data=file.read(), by=user)
    return ReceiptsTaken(
        machine=taken.kid,
        first=taken.first,
        last=taken.last,
        repeated=taken.repeated,
        billable_ms=taken.billable_ms,
        outside_term=taken.outside_term,
    )


@router.get("licenses/{license_id}/seats", response=list[SeatOut])
def list_seats(request: HttpRequest, license_id: UUID) -> list[SeatOut]:
    """Who works under a license that counts its people, the longest first."""
    return [_seat(row) for row in seats_taken(access_license(caller(request), str(license_id))).order_by("given_at")]


@router.post("licenses/{license_id}/seats", response={201: SeatOut})
def give_seat(request: HttpRequest, license_id: UUID, body: SeatIn) -> Status[SeatOut]:
    """Give a member of the licensee a seat; who has one keeps it."""
    user = caller(request)
    license_ = access_license(user, str(license_id), owner=True)
    member = license_.organisation.memberships.filter(user__email__iexact=body.email).select_related("user").first()
    if member is None:
        raise InvalidError("Only members of the licensee have seats.", remedy="Invite them first.", code="stranger")
    return Status(201, _seat(seat_give(license_=license_, user=member.user, by=user)))


@router.delete("licenses/{license_id}/seats/{seat}", response={204: None})
def free_seat(request: HttpRequest, license_id: UUID, seat: UUID) -> Status[None]:
    """Free a seat for somebody else; twice is once."""
    user = caller(request)
    seat_free(seat=access_seat(user, str(license_id), str(seat)), by=user)
    return Status(204, None)


@router.get("licenses/{license_id}/acceptances", response=list[dict[str, Any]])
def list_acceptances(request: HttpRequest, license_id: UUID) -> list[dict[str, Any]]:
    """Later terms that a license took, the oldest first: each as a file that `stemma verify` reads."""
    rows = access_license(caller(request), str(license_id)).acceptances.select_related("covenant")
    return [acceptance_file(row) for row in rows]


@router.get("licenses/{license_id}/entitlement.jws", openapi_extra=file_of("application/jose"))
def fetch_entitlement(request: HttpRequest, license_id: UUID) -> HttpResponse:
    """The newest signed entitlement, as serving reads it; keys are in it by their hashes alone."""
    row = access_license(caller(request), str(license_id))
    return HttpResponse(entitlement_file(license_=row), content_type="application/jose")


def _known_models(name: str) -> None:
    """Raise `NotFoundError` for releases that nobody has published: a slip would shut the licensee out."""
    model, _, version = name.partition("/")
    known = ModelRelease.objects.all() if name == "*" else ModelRelease.objects.filter(name=model)
    if name != "*" and not (known if version == "*" else known.filter(version=version)).exists():
        raise NotFoundError(f"There is no model release {name}.", remedy="List them: GET releases.")


def _seat(row: Seat) -> SeatOut:
    return SeatOut(id=row.id, email=row.user.email, given_at=row.given_at, given_by=row.given_by)


def _made(key: ApiKey, secret: str) -> Status[KeyMade]:
    published = License.objects.values_list("published", flat=True).get(id=key.license_id)
    return Status(201, KeyMade(id=key.id, key=secret, published=published))


def _file(row: LicenseFile) -> LicenseFileOut:
    said = row.offline()
    return LicenseFileOut(
        id=row.id,
        sequence=row.sequence,
        created_at=row.created_at,
        bound_to=said.binding.kind if said.binding else "",
        machines=[key["kid"] for key in said.receipt_keys],
        text=row.text,
    )


def _with_keys(row: License) -> License:
    prefetch_related_objects([row], Prefetch("keys", keys_of(license_=row)))
    return row


def license_out(row: License) -> LicenseOut:
    """A license as answers show it."""
    tier = tier_of(license_=row)
    return LicenseOut(
        id=row.id,
        organisation=row.organisation_id,
        tier=row.tier,
        covenant=row.covenant_id,
        not_before=row.not_before,
        expires_at=row.expires_at,
        state=row.state,
        model_releases=list(models_of(license_=row, tier=tier)),
        territories=list(territories_of(tier)),
        keys=[_key(key) for key in row.keys.all()],
    )


def _key(row: ApiKey) -> KeyOut:
    return KeyOut(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        scopes=row.scopes,
        replaces=row.replaces_id,
        last_used=getattr(row, "last_used", None),
    )
