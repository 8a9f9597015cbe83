from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.licensee import entitlement, publish, revoke
from stemma.config import Settings, settings
from stemma.errors import UnavailableError
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing
from stemma.rights.entitlement import ApiKey, hash_api_key
from stemma.storage import Storage
from stemma_serving.licenses import Book, Grant, Licenses, check_release, check_territory
from stemma_serving.problems import RefusedError

NO_KEYS = Path("/nonexistent")
NOW = "2026-06-01T00:00:00.000Z"


def book(secret: str, *, revoked_keys: tuple[str, ...] = (), revoked: tuple[str, ...] = (), **changes: object) -> Book:
    given = entitlement(secret, **changes)
    grants = {key.sha256: Grant(given, "token", sha256(b"token"), key) for key in given.keys}
    return Book(grants, frozenset(revoked), frozenset(revoked_keys))


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"key_expires_at": "2026-05-31T00:00:00.000Z"}, 401, "expired-key"),
        ({"key_id": "k", "revoked_keys": ("k",)}, 401, "revoked-key"),
        ({"license": "l", "revoked": ("l",)}, 403, "revoked-license"),
        ({"not_before": "2026-06-02T00:00:00.000Z"}, 403, "not-yet"),
        ({"expires_at": NOW}, 402, "expired-license"),
        ({"uses": ("open_weights",)}, 403, "use-not-licensed"),
    ],
)
def test_each_refusal_has_its_status_and_says_what_to_do(changes: dict[str, object], status: int, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        book("stm_secret", **changes).decide("stm_secret", NOW)
    problem = refused.value.problem
    assert (problem.status, problem.code) == (status, code)
    assert problem.detail
    assert problem.remedy


def test_a_key_that_holds_is_granted() -> None:
    assert book("stm_secret").decide("stm_secret", NOW).entitlement.licensee_name == "Test Licensee"


@pytest.mark.parametrize(("key", "code"), [(None, "missing-key"), ("", "missing-key"), ("stm_other", "unknown-key")])
def test_no_key_and_a_foreign_one_are_told_apart(key: str | None, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        book("stm_secret").decide(key, NOW)
    assert refused.value.problem.code == code
    assert "Bearer" in refused.value.problem.headers()["WWW-Authenticate"]


def test_a_license_of_one_release_covers_no_other() -> None:
    check_release(("*",), "house-symbolic/2")
    check_release(("house-symbolic/2",), "house-symbolic/2")
    check_release(("house-latent/1", "house-symbolic/*"), "house-symbolic/2")
    for covered in (("house-symbolic/1",), ("house-latent/*",), ("house-symbolic-2/*",), ()):
        with pytest.raises(RefusedError, match="house-symbolic/2") as refused:
            check_release(covered, "house-symbolic/2")
        assert refused.value.problem.code == "model-not-licensed"


@pytest.mark.parametrize(
    ("covered", "territory", "holds"),
    [((), "WORLD", True), ((), "DE", True), (("CH", "DE"), "WORLD", True), (("CH", "DE"), "DE", True),
     (("CH",), "DE", False)],
)  # fmt: skip
def test_a_license_for_some_countries_meets_no_release_of_another(covered, territory, holds) -> None:
    if holds:
        check_territory(covered, "house-symbolic/2", territory)
        return
    with pytest.raises(RefusedError, match="holds in CH; the music of house-symbolic/2 is licensed for DE") as refused:
        check_territory(covered, "house-symbolic/2", territory)
    assert (refused.value.problem.status, refused.value.problem.code) == (403, "territory-not-licensed")


def test_licenses_are_read_once_and_again_when_they_change(storage: Storage, keyring: KeyRing, tmp_path: Path) -> None:
    secret, given = publish(storage, keyring)
    licenses = Licenses(storage, tmp_path / "licenses.json", NO_KEYS)
    assert licenses.refresh()
    assert licenses.decide(secret).entitlement == given
    assert not licenses.refresh()
    revoke(storage, keyring, licenses=(given.license,))
    assert licenses.refresh()
    with pytest.raises(RefusedError, match="revoked"):
        licenses.decide(secret)


def test_an_older_list_of_revocations_brings_nothing_back(storage: Storage, keyring: KeyRing, tmp_path: Path) -> None:
    secret, given = publish(storage, keyring)
    revoke(storage, keyring)
    old = storage.get("licenses/revocations.jws")
    revoke(storage, keyring, licenses=(given.license,))
    licenses = Licenses(storage, tmp_path / "licenses.json", NO_KEYS)
    licenses.refresh()
    storage.put("licenses/revocations.jws", old)
    licenses.refresh()
    with pytest.raises(RefusedError, match="revoked"):
        licenses.decide(secret)


def test_a_license_that_is_taken_away_ends(storage: Storage, keyring: KeyRing, tmp_path: Path) -> None:
    secret, given = publish(storage, keyring)
    licenses = Licenses(storage, tmp_path / "licenses.json", NO_KEYS)
    licenses.refresh()
    storage.delete(f"licenses/entitlements/{given.license}.jws")
    licenses.refresh()
    with pytest.raises(RefusedError, match="not known"):
        licenses.decide(secret)


def test_forged_entitlements_count_as_not_there(storage: Storage, keyring: KeyRing, tmp_path: Path) -> None:
    foreign = KeyRing(tmp_path / "foreign")
    foreign.create()
    secret, _ = publish(storage, foreign)
    storage.put_json("keys/jwks.json", keyring.jwks())
    licenses = Licenses(storage, tmp_path / "licenses.json", NO_KEYS)
    licenses.refresh()
    with pytest.raises(RefusedError, match="not known"):
        licenses.decide(secret)


def test_keys_of_ones_own_are_believed_before_those_in_storage(
    storage: Storage, keyring: KeyRing, tmp_path: Path
) -> None:
    foreign = KeyRing(tmp_path / "foreign")
    foreign.create()
    secret, _ = publish(storage, foreign)  # and with it the foreign keys as the public ones
    licenses = Licenses(storage, tmp_path / "licenses.json", keyring.folder)
    licenses.refresh()
    with pytest.raises(RefusedError, match="not known"):
        licenses.decide(secret)


def test_a_restart_without_storage_decides_as_before(storage: Storage, keyring: KeyRing, tmp_path: Path) -> None:
    secret, _ = publish(storage, keyring)
    revoked_secret, revoked = publish(storage, keyring)
    revoke(storage, keyring, licenses=(revoked.license,))
    Licenses(storage, tmp_path / "licenses.json", NO_KEYS).refresh()

    down = Storage(Settings(**{**settings().model_dump(), "s3_endpoint": "http://127.0.0.1:9"}))
    licenses = Licenses(down, tmp_path / "licenses.json", NO_KEYS)
    with pytest.raises(UnavailableError):
        licenses.refresh()
    assert licenses.decide(secret)
    with pytest.raises(RefusedError, match="revoked"):
        licenses.decide(revoked_secret)


def test_a_copy_that_was_tampered_with_grants_nothing(storage: Storage, keyring: KeyRing, tmp_path: Path) -> None:
    secret, _ = publish(storage, keyring)
    cache = tmp_path / "licenses.json"
    Licenses(storage, cache, NO_KEYS).refresh()
    content = json.loads(cache.read_text())
    name, token = next(iter(content["entitlements"].items()))
    content["entitlements"][name] = token[:-4] + "AAAA"
    cache.write_text(json.dumps(content))
    with pytest.raises(RefusedError, match="not known"):
        Licenses(storage, cache, NO_KEYS).decide(secret)
    cache.write_text("{")
    assert Licenses(storage, cache, NO_KEYS).book == Book()


def test_a_license_may_have_several_keys(storage: Storage, keyring: KeyRing, tmp_path: Path) -> None:
    keys = tuple(ApiKey(id=name, sha256=hash_api_key(name)) for name in ("one", "two"))
    publish(storage, keyring, keys=keys)
    licenses = Licenses(storage, tmp_path / "licenses.json", NO_KEYS)
    licenses.refresh()
    assert {licenses.decide(name).key.id for name in ("one", "two")} == {"one", "two"}
