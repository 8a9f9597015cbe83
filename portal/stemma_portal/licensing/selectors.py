"""Reading licenses, and the documents that follow from them."""

from datetime import datetime

from django.db.models import QuerySet

from stemma.ids import new_id, now, timestamp
from stemma.rights.covenant import AnyCovenant, AnyTier
from stemma.rights.entitlement import ApiKey as KeyDocument
from stemma.rights.entitlement import Entitlement, Revocations
from stemma.rights.ratchet import Holder
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import User
from stemma_portal.consent.models import ConsentRecording
from stemma_portal.consent.selectors import running
from stemma_portal.licensing.models import ApiKey, CovenantVersion, License


def licenses_visible(user: User) -> QuerySet[License]:
    """Staff see every license, members those of their organisations."""
    found = License.objects.select_related("organisation", "covenant")
    return found if is_staff(user) else found.filter(organisation__memberships__user=user).distinct()


def covenant_current() -> CovenantVersion | None:
    """The terms in force: the version published last."""
    return CovenantVersion.objects.first()


def grants_in_force() -> list[tuple[AnyCovenant, Holder]]:
    """Who holds a promise now, and under which terms: licensees of each tier, and those who have consented."""
    active = License.objects.filter(state=License.State.ACTIVE, expires_at__gt=now())
    held = set(active.order_by().values_list("covenant", "tier").distinct())
    consented = running(ConsentRecording.objects.all()).order_by().values_list("consent__covenant", flat=True)
    held |= {(digest, holder) for digest in consented.distinct() for holder in ("creators", "owners")}
    versions = CovenantVersion.objects.in_bulk({digest for digest, _ in held})
    return [(versions[digest].covenant(), holder) for digest, holder in sorted(held) if digest in versions]


def covenant_at(*, license_: License, moment: datetime) -> str:
    """SHA-256 of the terms that held for a license then: what it accepts later does not change what was."""
    later = (each for each in license_.acceptances.all() if each.at > moment)
    first = next(iter(sorted(later, key=lambda each: (each.at, each.id))), None)
    return str(first.replaces_id if first else license_.covenant_id)


def covenants_ahead(*, license_: License) -> list[CovenantVersion]:
    """Versions that a license may accept, newest first: published later, with its tier, in its currency."""
    held = license_.covenant
    later = CovenantVersion.objects.filter(published_at__gt=held.published_at)
    terms = ((version, version.covenant()) for version in later)
    currency = held.covenant().currency
    return [v for v, t in terms if t.currency == currency and license_.tier in {tier.name for tier in t.tiers}]


def tier_of(*, license_: License) -> AnyTier:
    """What the license's tier allows and costs, under its own covenant."""
    return license_.covenant.covenant().tier(license_.tier)


def entitlement(*, license_: License) -> Entitlement:
    """What serving may trust about a license as of now."""
    tier = tier_of(license_=license_)
    keys = ApiKey.objects.filter(license=license_, revoked_at=None).order_by("id")
    return Entitlement(
        id=new_id(),
        license=license_.id,
        licensee=license_.organisation_id,
        licensee_name=license_.organisation.name,
        tier=tier.name,
        uses=tier.uses,
        covenant=license_.covenant_id,
        requests_per_minute=tier.requests_per_minute,
        not_before=timestamp(license_.not_before),
        expires_at=timestamp(license_.expires_at),
        keys=tuple(
            KeyDocument(id=k.id, sha256=k.sha256, expires_at=timestamp(k.expires_at) if k.expires_at else None)
            for k in keys
        ),
        indemnified=tier.indemnified,
    )


def revocations() -> Revocations:
    """All licenses and keys that were ended before their time."""
    licenses = License.objects.filter(state=License.State.REVOKED).order_by("id").values_list("id", flat=True)
    keys = ApiKey.objects.exclude(revoked_at=None).order_by("id").values_list("id", flat=True)
    return Revocations(at=timestamp(now()), licenses=tuple(licenses), keys=tuple(keys))
