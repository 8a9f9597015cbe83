"""The only writers of covenant versions, licenses and API keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from stemma.errors import InvalidError
from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import canonical, digest, sha256
from stemma.rights.covenant import MAX_MODELS, Acceptance, AnyCovenant, house_covenant
from stemma.rights.entitlement import KEY_SCOPES, KeyScope, hash_api_key, new_api_key
from stemma.rights.model_names import EVERY_MODEL, common, is_models
from stemma.rights.months import months_later
from stemma.rights.offline import models_told
from stemma.rights.ratchet import losses
from stemma.storage import storage
from stemma_portal.accounts.models import Organisation
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.publish import after_commit
from stemma_portal.core.services import Actor, audit, log_append
from stemma_portal.licensing.models import ApiKey, CovenantAcceptance, CovenantVersion, License
from stemma_portal.licensing.selectors import (
    covenant_accepted,
    covenant_current,
    covenants_ahead,
    grants_in_force,
    models_allowed,
    terms,
)
from stemma_portal.licensing.tasks import entitlement_publish, revocations_publish

MAX_MONTHS = 120
MAX_KEYS = 20
OVERLAP_HOURS = 24
MAX_OVERLAP_HOURS = 30 * 24


@transaction.atomic
def covenant_publish(*, covenant: AnyCovenant, by: Actor | None) -> CovenantVersion:
    """Put license terms into object storage and into the log; the same terms again change nothing.

    Raises `ConflictError` when the version is published with other terms, and `InvalidError` that names each
    loss when somebody who holds a license or has consented could lose something.
    """
    lock("covenant")
    document = canonical(covenant)
    hashed = sha256(document)
    if known := CovenantVersion.objects.filter(digest=hashed).first():
        return known
    if CovenantVersion.objects.filter(version=covenant.version).exists():
        raise ConflictError(
            f"Covenant {covenant.version} is published with other terms.", remedy="Give changed terms a new version."
        )
    _refuse_losses(covenant)
    storage().put(f"covenants/{hashed}.json", document, "application/json")
    moment = now()
    receipt = log_append(kind="covenant", subject=covenant.version, document_digest=hashed, at=moment)
    version = CovenantVersion.objects.create(
        digest=hashed,
        version=covenant.version,
        document=covenant.model_dump(mode="json"),
        receipt=receipt.model_dump(mode="json"),
        published_at=moment,
    )
    audit(by=by, action="covenant.publish", subject=hashed, version=covenant.version)
    return version


@transaction.atomic
def covenant_begin(*, by: Actor | None) -> CovenantVersion:
    """The newest terms; the house's own where none were ever published.

    An installation that has terms keeps them: what Stemma brings today may promise less to those who hold them.
    """
    lock("covenant")
    newest = CovenantVersion.objects.order_by("-published_at").first()
    return newest or covenant_publish(covenant=house_covenant(), by=by)


def _refuse_losses(covenant: AnyCovenant) -> None:
    """Raise `InvalidError` when these terms take something from somebody who holds a grant now."""
    found = losses(covenant, grants_in_force())
    if not found:
        return
    raise InvalidError(
        f"Covenant {covenant.version} takes something away from those who hold earlier terms, in {len(found)} "
        f"place{'s' if len(found) > 1 else ''}.",
        remedy="Publish terms that are as wide for them, or wait until their licenses and consents have ended.",
        code="covenant-narrows",
        details=[
            {
                "field": step.field,
                "rule": step.verdict.value,
                "remedy": f"{step.sentence()} (held under version {under}).",
            }
            for under, step in found
        ],
    )


@transaction.atomic
def covenant_accept(*, license_: License, covenant: CovenantVersion, replaces: str, by: Actor) -> License:
    """Let a license take a later version of the terms; accepting the same again changes nothing.

    `replaces` is the hash of the terms that whoever accepts believes to hold: of two who accept different
    versions at once, the second is refused with `ConflictError`.  Whoever names the version held in both places
    accepts the terms under which the license was granted.  Raises `InvalidError` for a license that no longer
    holds, for terms that are not ahead of its own, and for those that allow none of its models.
    """
    # Not joined with its terms: whoever waits here for another acceptance would find the row gone from the join.
    license_ = License.objects.select_for_update(of=("self",)).get(id=license_.id)
    held = license_.covenant
    if held == covenant and (held.digest != replaces or covenant_accepted(license_=license_)):
        return license_
    if held.digest != replaces:
        raise ConflictError(
            f"This license holds version {held.version} meanwhile.", remedy="Compare with that one, and decide again."
        )
    _still_holds(license_)
    if covenant != held and covenant not in covenants_ahead(license_=license_):
        raise InvalidError(
            f"Version {covenant.version} cannot take the place of {held.version} for this license.",
            remedy="Accept one that is published later, has its tier and the same currency; or ask for a new license.",
            code="not-ahead",
        )
    _refuse_no_models(covenant, license_.tier, license_.model_releases)
    moment, identifier = now(), new_id()
    document = Acceptance(
        id=identifier,
        license=license_.id,
        tier=license_.tier,
        covenant=covenant.digest,
        replaces=held.digest,
        accepted_by=by.email,
        at=timestamp(moment),
    )
    receipt = log_append(kind="acceptance", subject=license_.id, document_digest=digest(document), at=moment)
    CovenantAcceptance.objects.create(
        id=identifier,
        license=license_,
        covenant=covenant,
        replaces=held,
        at=moment,
        accepted_by=by.email,
        document=document.model_dump(mode="json"),
        receipt=receipt.model_dump(mode="json"),
    )
    audit(by=by, action="license.accept", subject=license_.id, before=held.digest, after=covenant.digest)
    if covenant != held:
        license_.covenant, license_.published = covenant, False
        license_.receipt = _logged(license_)
        license_.save(update_fields=["covenant", "published", "receipt"])
        after_commit(entitlement_publish, license_.id)
    return license_


def _logged(license_: License) -> dict[str, Any]:
    """The log's receipt for what the license allows: an entitlement carries it as proof."""
    receipt = log_append(kind="license", subject=license_.id, document_digest=digest(terms(license_=license_)))
    return receipt.model_dump(mode="json")


def _still_holds(license_: License) -> None:
    if license_.state != License.State.ACTIVE or license_.expires_at <= now():
        raise InvalidError(
            "This license is revoked or has expired.", remedy="Ask for a new license.", code="license-ended"
        )


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
    seats: int = 0,
    model_releases: Sequence[str] = EVERY_MODEL,
) -> License:
    """License an organisation for whole months, under the covenant in force unless one is given.

    `seats` are those that are paid for; 0 where the tier does not count them.  `model_releases` are those that
    it covers, as far as the covenant allows its tier to have them.  Raises `InvalidError` for a tier that the
    covenant does not have, for what names no models, and where the tier may have none of them; and
    `ConflictError` when the identifier names another license.
    """
    covered = _models(model_releases)
    lock("covenant")  # nobody publishes narrower terms between the look at what is held and this grant
    current = covenant or covenant_current()
    if current is None:
        raise InvalidError("No covenant is published yet.", remedy="Publish one first.", code="no-covenant")
    tiers = [t.name for t in current.covenant().tiers]
    if tier not in tiers:
        raise InvalidError(
            f"The covenant has no tier {tier!r}.", remedy=f"Choose one of {', '.join(tiers)}.", code="unknown-tier"
        )
    _refuse_no_models(current, tier, covered)
    if not 1 <= months <= MAX_MONTHS:
        raise InvalidError(f"A license runs for 1 to {MAX_MONTHS} months, not {months}.")
    if identifier and (known := License.objects.filter(id=identifier).first()):
        if (known.organisation_id, known.tier, known.model_releases) != (organisation.id, tier, covered):
            raise ConflictError(f"License {identifier} is another one.", remedy="Take a new identifier.")
        return known
    start = not_before or now()
    license_ = License.objects.create(
        id=identifier or new_id(),
        organisation=organisation,
        tier=tier,
        covenant=current,
        not_before=start,
        expires_at=months_later(start, months),
        seats=seats,
        model_releases=covered,
    )
    license_.receipt = _logged(license_)
    license_.save(update_fields=["receipt"])
    told = {"organisation": organisation.id, "tier": tier, "months": months, "models": covered}
    audit(by=by, action="license.grant", subject=license_.id, **told)
    after_commit(entitlement_publish, license_.id)
    return license_


def _models(names: Sequence[str]) -> list[str]:
    """What a license covers, in one order.  Raises `InvalidError`."""
    found = sorted(set(names))
    if not found or len(found) > MAX_MODELS or not all(is_models(name) for name in found):
        raise InvalidError(
            f"A license covers all model releases, or those of 1 to {MAX_MODELS} names.",
            remedy="Write * for all, house-symbolic/* for those of a model, house-symbolic/2 for one.",
            code="bad-models",
        )
    return ["*"] if "*" in found else found


def _refuse_no_models(covenant: CovenantVersion, tier: str, named: Sequence[str]) -> None:
    """Raise `InvalidError` where terms allow a tier none of the models that are named."""
    allowed = models_allowed(covenant.covenant().tier(tier))
    if not common(named, allowed):
        raise InvalidError(
            f"Version {covenant.version} of the covenant lets the {tier} tier use {models_told(allowed)}, and none of "
            f"{models_told(named)}.",
            remedy="Name model releases that the tier may use, or none for all of those.",
            code="models-not-in-tier",
        )


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
def license_cap_set(*, license_: License, monthly_ms: int | None, by: Actor | None) -> License:
    """Let serving stop at so much generated time a month, or at none; it reaches serving within seconds."""
    license_ = License.objects.select_for_update(of=("self",)).get(id=license_.id)
    if license_.monthly_ms != monthly_ms:
        before, license_.monthly_ms, license_.published = license_.monthly_ms, monthly_ms, False
        license_.save(update_fields=["monthly_ms", "published"])
        audit(by=by, action="license.cap", subject=license_.id, before=before, after=monthly_ms)
        after_commit(entitlement_publish, license_.id)
    return license_


@transaction.atomic
def api_key_create(
    *,
    license_: License,
    name: str,
    by: Actor | None,
    expires_at: datetime | None = None,
    scopes: Sequence[KeyScope] = KEY_SCOPES,
) -> tuple[ApiKey, str]:
    """A key of a license and its secret, which is shown this once.

    Raises `InvalidError` for a license that no longer holds or has too many keys, and for no scope.
    """
    return _key_create(license_=license_, name=name, by=by, expires_at=expires_at, scopes=scopes)


@transaction.atomic
def api_key_rotate(*, key: ApiKey, by: Actor | None, overlap_hours: int = OVERLAP_HOURS) -> tuple[ApiKey, str]:
    """A key in the place of another, with its name and scopes, and its secret; the old one ends after the overlap.

    Raises `InvalidError` for a key that has ended or was rotated already, and for a senseless overlap.
    """
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise InvalidError(
            f"Both keys can hold for 0 to {MAX_OVERLAP_HOURS} hours, not for {overlap_hours}.",
            remedy=f"Choose a number of hours up to {MAX_OVERLAP_HOURS}.",
            code="bad-overlap",
        )
    # The license first, as whoever makes a key does.
    license_ = License.objects.select_for_update(of=("self",)).get(id=key.license_id)
    key = ApiKey.objects.select_for_update(of=("self",)).get(id=key.id)
    moment = now()
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= moment):
        raise InvalidError("This key has ended.", remedy="Make a new one.", code="key-ended")
    if ApiKey.objects.filter(replaces=key).exists():
        raise InvalidError("This key was rotated already.", remedy="Rotate the newer one.", code="key-rotated")
    fresh, secret = _key_create(
        license_=license_, name=key.name, by=by, expires_at=None, scopes=key.scopes, replaces=key
    )
    end = moment + timedelta(hours=overlap_hours)
    key.expires_at = min(key.expires_at, end) if key.expires_at else end
    key.save(update_fields=["expires_at"])
    audit(by=by, action="key.rotate", subject=key.id, license=license_.id, replaced_by=fresh.id, hours=overlap_hours)
    return fresh, secret


def _key_create(
    *,
    license_: License,
    name: str,
    by: Actor | None,
    expires_at: datetime | None,
    scopes: Sequence[KeyScope],
    replaces: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    known = [scope for scope in KEY_SCOPES if scope in scopes]
    if not known or len(known) != len(set(scopes)):
        raise InvalidError(
            "A key is for one of these at least, and for nothing else.",
            remedy=f"Choose among {', '.join(KEY_SCOPES)}.",
            code="bad-scopes",
        )
    license_ = License.objects.select_for_update(of=("self",)).get(id=license_.id)
    _still_holds(license_)
    if license_.keys.filter(revoked_at=None).exclude(expires_at__lte=now()).count() >= MAX_KEYS:
        raise InvalidError(
            f"This license has {MAX_KEYS} keys already.", remedy="Revoke one that is not used.", code="too-many-keys"
        )
    secret = new_api_key()
    key = ApiKey.objects.create(
        license=license_,
        name=name.strip() or "key",
        prefix=secret[:12],
        sha256=hash_api_key(secret),
        scopes=known,
        replaces=replaces,
        expires_at=expires_at,
    )
    License.objects.filter(id=license_.id).update(published=False)
    audit(by=by, action="key.create", subject=key.id, license=license_.id, name=key.name, scopes=known)
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
