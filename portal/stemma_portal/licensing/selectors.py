"""Reading licenses, and the documents that follow from them."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Cast

from stemma.errors import NotFoundError
from stemma.ids import new_id, now, timestamp
from stemma.proof.log import Receipt
from stemma.rights.covenant import AnyCovenant, AnyTier, Tier, Use
from stemma.rights.entitlement import ENTITLEMENTS_PREFIX, Entitlement, Revocations, Terms
from stemma.rights.entitlement import ApiKey as KeyDocument
from stemma.rights.model_names import EVERY_MODEL, common, covers
from stemma.rights.prices import UNITS
from stemma.rights.ratchet import Holder
from stemma.rights.wording import amount, priced
from stemma.storage import storage
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import User
from stemma_portal.consent.models import ConsentRecording
from stemma_portal.consent.selectors import running
from stemma_portal.core.keys import keyring
from stemma_portal.licensing.models import ApiKey, CovenantAcceptance, CovenantVersion, License

ENDED_LATELY = timedelta(days=30)
GENERATIONS = "generations"
"""Name by which a license knows what was made under it: rows of an app that this one does not know."""


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


def covenant_accepted(*, license_: License) -> bool:
    """Whether the licensee has accepted the terms that the license holds, by an act of its own."""
    return license_.acceptances.filter(covenant=license_.covenant_id).exists()


def covenants_ahead(*, license_: License) -> list[CovenantVersion]:
    """Versions that a license may accept, newest first: published later, with its tier, in its currency."""
    held = license_.covenant
    later = CovenantVersion.objects.filter(published_at__gt=held.published_at)
    terms = ((version, version.covenant()) for version in later)
    currency = held.covenant().currency
    return [v for v, t in terms if t.currency == currency and license_.tier in {tier.name for tier in t.tiers}]


def licenses_for(*, user: User, use: Use, release: str) -> list[License]:
    """Licenses of the user's own organisations that hold now and cover this use of a model release, newest first."""
    moment = now()
    rows = License.objects.filter(organisation__memberships__user=user, state=License.State.ACTIVE)
    rows = rows.filter(not_before__lte=moment, expires_at__gt=moment).select_related("organisation", "covenant")
    tiers = ((each, tier_of(license_=each)) for each in rows.distinct())
    return [each for each, tier in tiers if use in tier.uses and covers(models_of(license_=each, tier=tier), release)]


def tier_of(*, license_: License) -> AnyTier:
    """What the license's tier allows and costs, under its own covenant."""
    return license_.covenant.covenant().tier(license_.tier)


def territories_of(tier: AnyTier) -> tuple[str, ...]:
    """Countries in which a tier may use the music; none named: the whole world, as in all terms of form 1."""
    return tier.territories if isinstance(tier, Tier) else ()


def models_of(*, license_: License, tier: AnyTier) -> tuple[str, ...]:
    """Model releases that a license covers: of those that it was granted for, the ones that its tier allows."""
    return common(license_.model_releases, models_allowed(tier))


def models_allowed(tier: AnyTier) -> tuple[str, ...]:
    """Model releases that a tier covers; all where the terms name none, as in all of form 1."""
    return (tier.models if isinstance(tier, Tier) else ()) or EVERY_MODEL


def prices_told(covenant: AnyCovenant, tier: str) -> list[tuple[str, str]]:
    """What a tier costs: each unit and its price, in words."""
    schedule = covenant.schedule(tier)
    told = [(UNITS[price.unit], priced(price, covenant.currency)) for price in schedule.prices]
    return [*told, ("month at least", amount(schedule.minimum, covenant.currency))] if schedule.minimum else told


def acceptance_file(acceptance: CovenantAcceptance) -> dict[str, Any]:
    """That later terms were accepted, as it was logged, with the terms and the keys by which all of it verifies."""
    return {
        "acceptance": acceptance.document,
        "terms": acceptance.covenant.document,
        "receipt": acceptance.receipt,
        "keys": keyring().jwks(),
    }


def terms(*, license_: License) -> Terms:
    """What the log holds of a license: what was granted to whom, and until when."""
    return Terms(
        license=license_.id,
        licensee=license_.organisation_id,
        tier=license_.tier,
        covenant=license_.covenant_id,
        not_before=timestamp(license_.not_before),
        expires_at=timestamp(license_.expires_at),
        models=models_of(license_=license_, tier=tier_of(license_=license_)),
    )


def keys_of(*, license_: License) -> QuerySet[ApiKey]:
    """The keys of a license, each with `last_used`: when the latest piece was made with it."""
    return keys_used(ApiKey.objects.filter(license=license_))


def keys_used(keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    """Keys with `last_used`, which the facts tell: nothing is written when a key is used."""
    made = License._meta.get_field(GENERATIONS).related_model.objects  # noqa: SLF001 - Django's way to it
    latest = made.filter(key=Cast(OuterRef("id"), models.CharField())).order_by("-at").values("at")[:1]
    return keys.annotate(last_used=Subquery(latest))


def entitlement(*, license_: License, after: int = 0) -> Entitlement:
    """What serving may trust about a license as of now, as the entitlement that follows the one of serial `after`."""
    tier = tier_of(license_=license_)
    # Whoever calls with a key that has ended lately is told so; older ones would only make the document long.
    keys = ApiKey.objects.filter(license=license_, revoked_at=None).order_by("id")
    keys = keys.exclude(expires_at__lte=now() - ENDED_LATELY)
    return Entitlement(
        id=new_id(),
        license=license_.id,
        licensee=license_.organisation_id,
        licensee_name=license_.organisation.name,
        tier=tier.name,
        uses=tier.uses,
        covenant=license_.covenant_id,
        model_releases=models_of(license_=license_, tier=tier),
        territories=territories_of(tier),
        requests_per_minute=tier.requests_per_minute,
        not_before=timestamp(license_.not_before),
        expires_at=timestamp(license_.expires_at),
        keys=tuple(
            KeyDocument(
                id=k.id,
                sha256=k.sha256,
                expires_at=timestamp(k.expires_at) if k.expires_at else None,
                scopes=tuple(k.scopes),
            )
            for k in keys
        ),
        indemnified=tier.indemnified,
        monthly_ms=license_.monthly_ms,
        receipt=Receipt.model_validate(license_.receipt) if license_.receipt else None,
        serial=_following(after, now()),
    )


def entitlement_file(*, license_: License) -> bytes:
    """The newest entitlement of a license as serving reads it (JWS).  Raises `NotFoundError` before there is one."""
    try:
        return storage().get(f"{ENTITLEMENTS_PREFIX}{license_.pk}.jws")
    except NotFoundError:
        raise NotFoundError(
            f"The entitlement of license {license_.pk} is not published yet.", remedy="Try again in a minute."
        ) from None


def revocations(*, after: int = 0) -> Revocations:
    """All licenses and keys that were ended before their time, as the list that follows list number `after`.

    A key that was rotated out is among them from its last moment on: entitlements of before the rotation do not
    know of it.
    """
    licenses = License.objects.filter(state=License.State.REVOKED).order_by("id").values_list("id", flat=True)
    moment = now()
    rotated = Q(replaced_by__isnull=False, expires_at__lte=moment)
    keys = ApiKey.objects.filter(Q(revoked_at__isnull=False) | rotated).order_by("id").values_list("id", flat=True)
    return Revocations(
        at=timestamp(moment),
        licenses=tuple(licenses),
        keys=tuple(keys),
        sequence=_following(after, moment),
    )


def _following(after: int, moment: datetime) -> int:
    """The number that follows another.

    Milliseconds where the clock allows, so that numbers go on growing when the last document was lost, and
    when the clock was set back.
    """
    return max(after + 1, int(moment.timestamp() * 1000))
