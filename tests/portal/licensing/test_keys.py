import json
import logging
from datetime import timedelta

import pytest

from portal.making import ident, later, problem
from stemma.errors import InvalidError, UnavailableError
from stemma.ids import new_id, now, timestamp
from stemma.proof.keys import verify
from stemma.rights.entitlement import (
    ENTITLEMENT,
    REVOCATIONS,
    REVOCATIONS_KEY,
    SERVING,
    Entitlement,
    Revocations,
    check_logged,
)
from stemma_portal.core.models import AuditEvent, LogEntry
from stemma_portal.licensing.models import ApiKey, License
from stemma_portal.licensing.selectors import keys_of, revocations
from stemma_portal.licensing.services import MAX_KEYS, api_key_create, api_key_revoke, api_key_rotate, license_grant
from stemma_portal.licensing.tasks import entitlement_publish, revocations_publish
from stemma_portal.metering.models import FactObject, Generation

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def license_(covenant, cast, committed) -> License:
    with committed():
        return license_grant(organisation=cast.studio, tier="professional", months=12, by=cast.rights)


def entitlement_of(license_, storage, keyring) -> Entitlement:
    token = storage.get(f"licenses/entitlements/{license_.id}.jws").decode()
    return Entitlement.model_validate(verify(token, keyring.jwks(), "license", ENTITLEMENT))


def test_a_license_is_in_the_log_and_its_entitlement_proves_it(license_, cast, storage, keyring, committed):
    [entry] = LogEntry.objects.filter(kind="license", subject=license_.id)
    found = entitlement_of(license_, storage, keyring)
    assert found.audience == SERVING
    assert check_logged(found.terms(), found.receipt, keyring.jwks()) == entry.position
    with committed():
        api_key_create(license_=license_, name="a", by=cast.licensee)
    later_ = entitlement_of(license_, storage, keyring)
    assert check_logged(later_.terms(), later_.receipt, keyring.jwks()) == entry.position


def test_a_key_has_the_scopes_it_was_made_with(license_, cast, storage, keyring, committed):
    with committed():
        api_key_create(license_=license_, name="reader", scopes=["read"], by=cast.licensee)
        api_key_create(license_=license_, name="both", by=cast.licensee)
    scopes = {key.scopes for key in entitlement_of(license_, storage, keyring).keys}
    assert scopes == {("read",), ("generate", "read")}
    for wrong in ([], ["admin"], ["read", "admin"]):
        with pytest.raises(InvalidError) as refused:
            api_key_create(license_=license_, name="x", scopes=wrong, by=cast.licensee)
        assert refused.value.code == "bad-scopes"


def test_a_rotated_key_holds_beside_the_new_one_for_a_while(license_, cast, storage, keyring, committed):
    key, secret = api_key_create(license_=license_, name="a", scopes=["read"], by=cast.licensee)
    with committed():
        fresh, other = api_key_rotate(key=key, by=cast.licensee, overlap_hours=2)
    key.refresh_from_db()
    assert other != secret
    assert (fresh.name, fresh.scopes, fresh.replaces_id, fresh.expires_at) == ("a", ["read"], key.id, None)
    assert timedelta(hours=1.9) < key.expires_at - now() < timedelta(hours=2.1)
    document = entitlement_of(license_, storage, keyring)
    ends = {k.id: k.expires_at for k in document.keys}
    assert ends == {key.id: timestamp(key.expires_at), fresh.id: None}
    with pytest.raises(InvalidError, match="rotated already"):
        api_key_rotate(key=key, by=cast.licensee)
    entitlement_publish(license_.id)
    assert entitlement_of(license_, storage, keyring).serial > document.serial > 0
    assert revocations().keys == ()
    ApiKey.objects.filter(id=key.id).update(expires_at=now())
    assert revocations().keys == (key.id,), "entitlements of before the rotation would revive it"
    trail = " ".join(str(event.detail) for event in AuditEvent.objects.all())
    assert secret not in trail
    assert other not in trail


def test_a_key_that_ends_sooner_is_not_made_to_hold_longer_by_rotation(license_, cast):
    soon = now() + timedelta(minutes=5)
    key, _ = api_key_create(license_=license_, name="a", expires_at=soon, by=cast.licensee)
    api_key_rotate(key=key, by=cast.licensee, overlap_hours=24)
    key.refresh_from_db()
    assert key.expires_at == soon
    for hours in (-1, 721):
        with pytest.raises(InvalidError, match="Both keys"):
            api_key_rotate(key=key, by=cast.licensee, overlap_hours=hours)


def test_a_key_that_has_ended_is_not_rotated(license_, cast):
    key, _ = api_key_create(license_=license_, name="a", by=cast.licensee)
    api_key_revoke(key=key, by=cast.licensee)
    with pytest.raises(InvalidError, match="ended"):
        api_key_rotate(key=key, by=cast.licensee)


def test_keys_that_ended_leave_room_and_leave_the_entitlement(license_, cast, storage, keyring, committed):
    for n in range(MAX_KEYS):
        api_key_create(license_=license_, name=str(n), by=cast.licensee)
    ApiKey.objects.update(expires_at=now() - timedelta(days=31))
    with committed():
        key, _ = api_key_create(license_=license_, name="more", by=cast.licensee)
    assert [k.id for k in entitlement_of(license_, storage, keyring).keys] == [key.id]


def generation(license_, key, at):
    source, _ = FactObject.objects.get_or_create(key="x", defaults={"kind": "usage", "state": "taken"})
    Generation.objects.create(
        id=new_id(), at=at, license=license_, licensee=license_.organisation, key=key.id, tier="professional",
        covenant="c", model_release="m/1", snapshot="s", style="fiddle", prompt_sha256="0", seed=1, billable_ms=1,
        audio_sha256="0", midi_sha256="0", source=source, digest="0",
    )  # fmt: skip


def test_when_a_key_was_last_used_is_told_by_the_facts(license_, cast, api):
    used, _ = api_key_create(license_=license_, name="used", by=cast.licensee)
    unused, _ = api_key_create(license_=license_, name="unused", by=cast.licensee)
    latest = now() - timedelta(hours=1)
    for days in (3, 1, 2):
        generation(license_, used, latest - timedelta(days=days - 1))
    known = {key.id: key.last_used for key in keys_of(license_=license_)}
    assert known == {used.id: latest, unused.id: None}
    for answer in (api("licensee").get(f"licenses/{license_.id}").json(), api("licensee").get("licenses").json()[0]):
        shown = {key["name"]: key["last_used"] for key in answer["keys"]}
        assert shown["unused"] is None
        assert shown["used"].startswith(latest.isoformat()[:19])


def test_secrets_are_in_no_log_and_no_trail(license_, cast, api, storage, caplog):
    caplog.set_level(logging.DEBUG)
    made = api("licensee").post(f"licenses/{license_.id}/keys", {"name": "k"}).json()
    address = f"licenses/{license_.id}/keys/{made['id']}"
    other = api("licensee").post(f"{address}/rotation", {}).json()
    api("licensee").post(f"{address}/revocation", {})
    api("licensee").post(f"licenses/{license_.id}/keys", {"name": "k", "scopes": [made["key"]]})
    trail = json.dumps(list(AuditEvent.objects.values_list("detail", flat=True)))
    kept = "".join(storage.get(key).decode() for key in storage.keys("licenses/"))
    for secret in (made["key"], other["key"]):
        assert secret.startswith("stm_")
        assert not [where for where in (caplog.text, trail, kept) if secret in where]


def test_rotation_through_the_api(license_, cast, api):
    made = api("licensee").post(f"licenses/{license_.id}/keys", {"name": "a", "scopes": ["generate"]}).json()
    rotated = api("licensee").post(f"licenses/{license_.id}/keys/{made['id']}/rotation", {"overlap_hours": 1})
    assert rotated.status_code == 201
    assert rotated.json()["key"].startswith("stm_")
    keys = api("licensee").get(f"licenses/{license_.id}").json()["keys"]
    assert [(key["scopes"], key["replaces"]) for key in keys] == [(["generate"], None), (["generate"], made["id"])]
    assert all("key" not in key and "sha256" not in key for key in keys)
    problem(api("licensee").post(f"licenses/{license_.id}/keys/{made['id']}/rotation", {}), 422, "key-rotated")
    problem(api("licensee").post(f"licenses/{license_.id}/keys/{ident('none')}/rotation", {}), 404)
    problem(api("licensee").post(f"licenses/{license_.id}/keys", {"name": "a", "scopes": ["admin"]}), 422)


def list_of(storage, keyring) -> Revocations:
    token = storage.get(REVOCATIONS_KEY).decode()
    return Revocations.model_validate(verify(token, keyring.jwks(), "license", REVOCATIONS))


def test_numbers_of_lists_grow_whatever_the_clock_says(license_, storage, keyring, monkeypatch):
    revocations_publish()
    first = list_of(storage, keyring)
    monkeypatch.setattr("stemma_portal.licensing.selectors.now", lambda: now() - timedelta(days=3))
    revocations_publish()
    second = list_of(storage, keyring)
    assert second.at < first.at
    assert second.sequence == first.sequence + 1
    monkeypatch.undo()
    storage.put(REVOCATIONS_KEY, b"forged.by.somebody")
    revocations_publish()
    assert list_of(storage, keyring).sequence > second.sequence, "without a list to go on from, by the clock"
    assert revocations(after=10**15).sequence == 10**15 + 1


def test_a_list_is_published_again_when_storage_is_back(license_, storage, keyring, s3_away, monkeypatch):
    later(monkeypatch, revocations_publish)
    with s3_away(), pytest.raises(UnavailableError):
        revocations_publish()
    revocations_publish()
    assert list_of(storage, keyring).sequence > 0
