import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from joserfc.jws import extract_compact

from portal.making import later
from stemma.errors import InvalidError, ProofError, UnavailableError
from stemma.ids import new_id, now
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import verify
from stemma.proof.log import Receipt, check_receipt
from stemma.rights.covenant import Covenant, house_covenant
from stemma.rights.entitlement import (
    ENTITLEMENT,
    REVOCATIONS,
    REVOCATIONS_KEY,
    Entitlement,
    Revocations,
    check_logged,
    hash_api_key,
)
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import LogEntry
from stemma_portal.licensing.models import ApiKey, CovenantVersion, License
from stemma_portal.licensing.offline import license_file_issue
from stemma_portal.licensing.selectors import terms as terms_of
from stemma_portal.licensing.services import (
    MAX_KEYS,
    api_key_create,
    api_key_revoke,
    covenant_publish,
    license_grant,
    license_revoke,
)
from stemma_portal.licensing.tasks import entitlement_publish, revocations_publish

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def entitlement_of(license_, storage, keyring) -> Entitlement:
    token = storage.get(f"licenses/entitlements/{license_.id}.jws").decode()
    return Entitlement.model_validate(verify(token, keyring.jwks(), "license", ENTITLEMENT))


def payload(token: str) -> dict:
    return json.loads(extract_compact(token.encode()).payload)


def revocations_of(storage, keyring) -> Revocations:
    token = storage.get(REVOCATIONS_KEY).decode()
    return Revocations.model_validate(verify(token, keyring.jwks(), "license", REVOCATIONS))


@pytest.fixture
def license_(covenant, cast, committed) -> License:
    with committed():
        return license_grant(organisation=cast.studio, tier="professional", months=12, by=cast.rights)


def test_terms_are_published_by_their_hash_and_logged(covenant, storage, keyring):
    document = storage.get(f"covenants/{covenant.digest}.json")
    assert sha256(document) == covenant.digest
    assert Covenant.model_validate_json(document) == house_covenant() == covenant.covenant()
    check_receipt(Receipt.model_validate(covenant.receipt), keyring.jwks(), digest=covenant.digest)


def test_the_same_terms_again_change_nothing_and_a_version_means_one_text(covenant):
    assert covenant_publish(covenant=house_covenant(), by=None) == covenant
    assert LogEntry.objects.filter(kind="covenant").count() == 1
    with pytest.raises(ConflictError, match="other terms"):
        covenant_publish(covenant=house_covenant().model_copy(update={"training_ppm": 1}), by=None)


def test_terms_that_cannot_be_stored_are_not_published(db, storage, s3_away):
    with s3_away(), pytest.raises(UnavailableError), transaction.atomic():
        covenant_publish(covenant=house_covenant(), by=None)
    assert CovenantVersion.objects.count() == 0
    assert LogEntry.objects.count() == 0


def test_serving_finds_a_signed_entitlement(license_, covenant, cast, storage, keyring):
    found = entitlement_of(license_, storage, keyring)
    assert (found.license, found.licensee, found.licensee_name) == (license_.id, cast.studio.id, "Studio")
    assert (found.tier, found.requests_per_minute, found.covenant) == ("professional", 600, covenant.digest)
    assert found.keys == ()
    license_.refresh_from_db()
    assert license_.published


def test_the_entitlement_names_models_and_countries_where_the_license_does(
    license_, covenant, cast, storage, keyring, committed
):
    """The log proves the models; what says nothing of either is, byte for byte, what it was before."""
    token = storage.get(f"licenses/entitlements/{license_.id}.jws").decode()
    assert not {"territories", "models"} & payload(token).keys()
    assert digest(terms_of(license_=license_)) == License.objects.get(id=license_.id).receipt["entry"]["digest"]
    assert "models" not in terms_of(license_=license_).model_dump()

    base = house_covenant()
    tiers = tuple(t.model_copy(update={"territories": ("CH", "DE")}) if t.name == "research" else t for t in base.tiers)
    narrow = covenant_publish(covenant=base.model_copy(update={"version": "4", "tiers": tiers}), by=None)
    with committed():
        some = license_grant(
            organisation=cast.studio, tier="research", months=1, covenant=narrow, by=None,
            model_releases=["house-symbolic/2", "house-latent/*"],
        )  # fmt: skip
    found = entitlement_of(some, storage, keyring)
    assert (found.model_releases, found.territories) == (("house-latent/*", "house-symbolic/2"), ("CH", "DE"))
    assert check_logged(found.terms(), found.receipt, keyring.jwks()) is not None
    wider = found.model_copy(update={"model_releases": ("*",)})
    with pytest.raises(ProofError, match="another license document"):
        check_logged(wider.terms(), wider.receipt, keyring.jwks())

    file = license_file_issue(license_=some, by=None).offline()
    assert (file.model_releases, file.models, file.territories) == (
        found.model_releases, found.model_releases, ("CH", "DE"),
    )  # fmt: skip
    part = license_file_issue(license_=some, by=None, model_releases=["house-latent/7"]).offline()
    assert check_logged(part.terms(), part.receipt, keyring.jwks()) is not None
    for stray in ("house-symbolic/3", "*", "house-symbolic/*"):
        with pytest.raises(InvalidError) as refused:
            license_file_issue(license_=some, by=None, model_releases=[stray])
        assert refused.value.code == "model-not-licensed"


def test_a_license_covers_of_the_models_that_staff_name_those_that_its_tier_may_use(
    covenant, cast, storage, keyring, committed, api
):
    base, allowed = house_covenant(), ("house-latent/*", "house-symbolic/2")
    tiers = tuple(t.model_copy(update={"models": allowed}) if t.name == "research" else t for t in base.tiers)
    covenant_publish(
        covenant=base.model_copy(update={"format": "stemma.covenant/3", "version": "4", "tiers": tiers}), by=None
    )
    ask = {"organisation": cast.studio, "tier": "research", "months": 1, "by": None}
    for named, covered in (
        (["*"], allowed),
        (["house-symbolic/*"], ("house-symbolic/2",)),
        (["house-latent/7", "house-symbolic/1"], ("house-latent/7",)),
    ):
        with committed():
            some = license_grant(**ask, model_releases=named)
        found = entitlement_of(some, storage, keyring)
        assert found.model_releases == covered
        assert check_logged(found.terms(), found.receipt, keyring.jwks()) is not None
        file = license_file_issue(license_=some, by=None).offline()
        assert (file.model_releases, file.models) == (covered, covered)
        assert api("licensee").get(f"licenses/{some.id}").json()["model_releases"] == list(covered)
    with pytest.raises(InvalidError) as refused:
        license_file_issue(license_=some, by=None, model_releases=["house-symbolic/2"])
    assert refused.value.code == "model-not-licensed"
    with pytest.raises(InvalidError) as refused:
        license_grant(**ask, model_releases=["house-symbolic/1"])
    assert (refused.value.code, refused.value.remedy) == (
        "models-not-in-tier", "Name model releases that the tier may use, or none for all of those.",
    )  # fmt: skip


@pytest.mark.parametrize("names", [[], ["house"], ["House/1"], ["*/1"], ["a/b"], ["a/1", ""], ["a/1/2"], ["a/1"] * 51])
def test_what_names_no_models_is_refused(covenant, cast, names):
    names = [f"a/{n}" for n in range(51)] if len(names) > 50 else names
    with pytest.raises(InvalidError) as refused:
        license_grant(organisation=cast.studio, tier="community", months=1, by=None, model_releases=names)
    assert refused.value.code == "bad-models"


def test_a_key_is_shown_once_and_kept_as_its_hash(license_, cast, storage, keyring, committed):
    with committed():
        key, secret = api_key_create(license_=license_, name="studio", by=cast.licensee)
    assert secret.startswith(key.prefix)
    assert secret not in str(vars(ApiKey.objects.get(id=key.id)))
    [document] = entitlement_of(license_, storage, keyring).keys
    assert (document.id, document.sha256, document.expires_at) == (key.id, hash_api_key(secret), None)


def test_a_revoked_key_is_gone_from_the_entitlement_and_on_the_list(license_, cast, storage, keyring, committed):
    with committed():
        key, _ = api_key_create(license_=license_, name="a", by=cast.licensee)
        kept, _ = api_key_create(license_=license_, name="b", by=cast.licensee)
    with committed():
        api_key_revoke(key=key, by=cast.licensee)
    assert [k.id for k in entitlement_of(license_, storage, keyring).keys] == [kept.id]
    assert revocations_of(storage, keyring).keys == (key.id,)
    first = ApiKey.objects.get(id=key.id).revoked_at
    assert api_key_revoke(key=key, by=cast.licensee).revoked_at == first


def test_a_revoked_license_is_on_the_list_and_gives_no_more_keys(license_, cast, storage, keyring, committed):
    with committed():
        license_revoke(license_=license_, by=cast.rights)
    assert revocations_of(storage, keyring).licenses == (license_.id,)
    with pytest.raises(InvalidError, match="revoked"):
        api_key_create(license_=license_, name="late", by=cast.licensee)


def test_a_revocation_while_storage_is_away_is_published_when_it_is_back(
    license_, cast, storage, keyring, committed, s3_away, monkeypatch
):
    waiting = later(monkeypatch, revocations_publish, entitlement_publish)
    key, _ = api_key_create(license_=license_, name="a", by=cast.licensee)
    with s3_away(), committed():
        api_key_revoke(key=key, by=cast.licensee)
    assert len(waiting) == 2
    assert not License.objects.get(id=license_.id).published
    revocations_publish()  # as the clock does
    assert revocations_of(storage, keyring).keys == (key.id,)
    assert entitlement_of(license_, storage, keyring).keys == ()
    assert License.objects.get(id=license_.id).published


def test_a_license_needs_terms_a_known_tier_and_a_sane_length(cast, db, storage):
    ask = {"organisation": cast.studio, "by": cast.rights}
    with pytest.raises(InvalidError, match="No covenant"):
        license_grant(tier="professional", months=1, **ask)
    covenant_publish(covenant=house_covenant(), by=None)
    with pytest.raises(InvalidError, match="no tier 'gold'") as refused:
        license_grant(tier="gold", months=1, **ask)
    assert "professional" in refused.value.remedy
    for months in (0, -1, 121):
        with pytest.raises(InvalidError, match="months"):
            license_grant(tier="community", months=months, **ask)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2026-11-30", 3, "2027-02-28"),
        ("2026-05-05", 12, "2027-05-05"),
    ],
)
def test_months_end_on_days_that_exist(covenant, cast, start, months, end):
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    made = license_grant(organisation=cast.studio, tier="community", months=months, not_before=begin, by=cast.rights)
    assert made.expires_at.date().isoformat() == end


def test_a_license_with_a_known_identifier_is_not_granted_twice(covenant, cast):
    ask = {"tier": "community", "months": 1, "identifier": new_id(), "by": cast.rights}
    first = license_grant(organisation=cast.studio, **ask)
    assert license_grant(organisation=cast.studio, **ask) == first
    with pytest.raises(ConflictError):
        license_grant(organisation=cast.other, **ask)


def test_keys_are_limited_in_number(license_, cast):
    for n in range(MAX_KEYS):
        api_key_create(license_=license_, name=str(n), by=cast.licensee)
    with pytest.raises(InvalidError, match="keys already"):
        api_key_create(license_=license_, name="more", by=cast.licensee)


def test_an_expired_license_gives_no_keys(license_, cast):
    License.objects.filter(id=license_.id).update(expires_at=now() - timedelta(seconds=1))
    with pytest.raises(InvalidError, match="expired"):
        api_key_create(license_=license_, name="late", by=cast.licensee)
