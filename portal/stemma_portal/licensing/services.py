"""The only writers of covenant versions, licenses and API keys."""

import calendar
from datetime import datetime

from django.db import transaction

from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma.proof.canonical import canonical, sha256
from stemma.rights.covenant import Covenant
from stemma.rights.entitlement import hash_api_key, new_api_key
from stemma.storage import storage
from stemma_portal.accounts.models import Organisation
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.publish import after_commit
from stemma_portal.core.services import Actor, audit, log_append
from stemma_portal.licensing.models import ApiKey, CovenantVersion, License
from stemma_portal.licensing.selectors import covenant_current
from stemma_portal.licensing.tasks import entitlement_publish, revocations_publish

MAX_MONTHS = 120
MAX_KEYS = 20


@transaction.atomic
def covenant_publish(*, covenant: Covenant, by: Actor | None) -> CovenantVersion:
    """Put license terms into object storage and into the log; the same terms again change nothing.

    Raises `ConflictError` when the version is published with other terms.
    """
    lock("covenant")
    document = canonical(covenant)
    digest = sha256(document)
    if known := CovenantVersion.objects.filter(digest=digest).first():
        return known
    if CovenantVersion.objects.filter(version=covenant.version).exists():
        raise ConflictError(
            f"Covenant {covenant.version} is published with other terms.", remedy="Give changed terms a new version."
        )
    storage().put(f"covenants/{digest}.json", document, "application/json")
    moment = now()
    receipt = log_append(kind="covenant", subject=covenant.version, document_digest=digest, at=moment)
    version = CovenantVersion.objects.create(
        digest=digest,
        version=covenant.version,
        document=covenant.model_dump(mode="json"),
        receipt=receipt.model_dump(mode="json"),
        published_at=moment,
    )
    audit(by=by, action="covenant.publish", subject=digest, version=covenant.version)
    return version


@transaction.atomic
def license_grant(
    *,
    organisation: Organisation,
    tier: str,
    months: int,
    by: Actor | None,
    not_before: datetime | None = None,
    identifier: str | None = None,
    covenant: CovenantVersion | None = None,
) -> License:
    """License an organisation for whole months, under the covenant in force unless one is given.

    Raises `InvalidError` for a tier that the covenant does not have, and `ConflictError` when the
    identifier names another license.
    """
    current = covenant or covenant_current()
    if current is None:
        raise InvalidError("No covenant is published yet.", remedy="Publish one first.", code="no-covenant")
    tiers = [t.name for t in current.covenant().tiers]
    if tier not in tiers:
        raise InvalidError(
            f"The covenant has no tier {tier!r}.", remedy=f"Choose one of {', '.join(tiers)}.", code="unknown-tier"
        )
    if not 1 <= months <= MAX_MONTHS:
        raise InvalidError(f"A license runs for 1 to {MAX_MONTHS} months, not {months}.")
    if identifier and (known := License.objects.filter(id=identifier).first()):
        if (known.organisation_id, known.tier) != (organisation.id, tier):
            raise ConflictError(f"License {identifier} is another one.", remedy="Take a new identifier.")
        return known
    start = not_before or now()
    license_ = License.objects.create(
        id=identifier or new_id(),
        organisation=organisation,
        tier=tier,
        covenant=current,
        not_before=start,
        expires_at=_months_later(start, months),
    )
    audit(by=by, action="license.grant", subject=license_.id, organisation=organisation.id, tier=tier, months=months)
    after_commit(entitlement_publish, license_.id)
    return license_


@transaction.atomic
def license_revoke(*, license_: License, by: Actor | None) -> License:
    """End a license at once; serving refuses it within a minute.  Doing it again changes nothing."""
    license_ = License.objects.select_for_update(of=("self",)).get(id=license_.id)
    if license_.state != License.State.REVOKED:
        license_.state, license_.revoked_at = License.State.REVOKED, now()
        license_.save(update_fields=["state", "revoked_at"])
        audit(by=by, action="license.revoke", subject=license_.id)
        after_commit(revocations_publish)
    return license_


@transaction.atomic
def api_key_create(
    *, license_: License, name: str, by: Actor | None, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A key of a license and its secret, which is shown this once.

    Raises `InvalidError` for a license that no longer holds or has too many keys.
    """
    license_ = License.objects.select_for_update(of=("self",)).get(id=license_.id)
    if license_.state != License.State.ACTIVE or license_.expires_at <= now():
        raise InvalidError(
            "This license is revoked or has expired.", remedy="Ask for a new license.", code="license-ended"
        )
    if license_.keys.filter(revoked_at=None).count() >= MAX_KEYS:
        raise InvalidError(
            f"This license has {MAX_KEYS} keys already.", remedy="Revoke one that is not used.", code="too-many-keys"
        )
    secret = new_api_key()
    key = ApiKey.objects.create(
        license=license_,
        name=name.strip() or "key",
        prefix=secret[:12],
        sha256=hash_api_key(secret),
        expires_at=expires_at,
    )
    License.objects.filter(id=license_.id).update(published=False)
    audit(by=by, action="key.create", subject=key.id, license=license_.id, name=key.name)
    after_commit(entitlement_publish, license_.id)
    return key, secret


@transaction.atomic
def api_key_revoke(*, key: ApiKey, by: Actor | None) -> ApiKey:
    """End a key at once; serving refuses it within a minute.  Doing it again changes nothing."""
    key = ApiKey.objects.select_for_update(of=("self",)).get(id=key.id)
    if key.revoked_at is None:
        key.revoked_at = now()
        key.save(update_fields=["revoked_at"])
        License.objects.filter(id=key.license_id).update(published=False)
        audit(by=by, action="key.revoke", subject=key.id, license=key.license_id)
        after_commit(revocations_publish)
        after_commit(entitlement_publish, key.license_id)
    return key


def _months_later(moment: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + year, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))
