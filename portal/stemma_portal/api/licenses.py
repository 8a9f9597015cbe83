"""Organisations, licenses and their keys."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status

from stemma.errors import InvalidError, NotFoundError
from stemma.ids import now
from stemma_portal.accounts.access import is_staff, organisations_of, require_staff
from stemma_portal.accounts.models import Organisation
from stemma_portal.api.auth import caller
from stemma_portal.api.schemas import KeyIn, KeyMade, KeyOut, LicenseIn, LicenseOut, OrganisationOut
from stemma_portal.core.fields import is_id
from stemma_portal.licensing.access import access_key, access_license, licenses_visible
from stemma_portal.licensing.models import ApiKey, License
from stemma_portal.licensing.services import api_key_create, api_key_revoke, license_grant, license_revoke

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
    """License an organisation under the covenant in force."""
    user = caller(request)
    require_staff(user, "grant licenses")
    named = {"id": body.organisation} if is_id(body.organisation) else {"slug": body.organisation}
    organisation = Organisation.objects.filter(**named).first()
    if organisation is None:
        raise NotFoundError(f"There is no organisation {body.organisation}.", remedy="List them: GET organisations.")
    license_ = license_grant(
        organisation=organisation,
        tier=body.tier,
        months=body.months,
        identifier=str(body.id) if body.id else None,
        by=user,
    )
    return Status(201, license_out(license_))


@router.get("licenses", response=list[LicenseOut])
def list_licenses(request: HttpRequest) -> list[LicenseOut]:
    """Licenses that the caller may see, newest first."""
    return [license_out(row) for row in licenses_visible(caller(request)).prefetch_related("keys")[:1000]]


@router.get("licenses/{license_id}", response=LicenseOut)
def show_license(request: HttpRequest, license_id: UUID) -> LicenseOut:
    """One license."""
    return license_out(access_license(caller(request), str(license_id)))


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
    user = caller(request)
    if body.expires_at is not None and body.expires_at <= now():
        raise InvalidError("The key would have expired already.", remedy="Let expires_at be in the future.")
    license_ = access_license(user, str(license_id), owner=True)
    key, secret = api_key_create(license_=license_, name=body.name, expires_at=body.expires_at, by=user)
    published = License.objects.values_list("published", flat=True).get(id=license_.id)
    return Status(201, KeyMade(id=key.id, key=secret, published=published))


@router.post("licenses/{license_id}/keys/{key_id}/revocation", response=KeyOut)
def revoke_key(request: HttpRequest, license_id: UUID, key_id: UUID) -> KeyOut:
    """End a key at once."""
    user = caller(request)
    return _key(api_key_revoke(key=access_key(user, str(license_id), str(key_id)), by=user))


def license_out(row: License) -> LicenseOut:
    """A license as answers show it."""
    return LicenseOut(
        id=row.id,
        organisation=row.organisation_id,
        tier=row.tier,
        covenant=row.covenant_id,
        not_before=row.not_before,
        expires_at=row.expires_at,
        state=row.state,
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
    )
