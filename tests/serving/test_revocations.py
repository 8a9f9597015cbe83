"""Decisions from what lies on disk: lists of revocations, their age, clocks, audiences and scopes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from serving.licensee import entitlement
from stemma.config import Settings, settings
from stemma.ids import now, timestamp
from stemma.proof.keys import KeyRing
from stemma.rights.entitlement import ENTITLEMENT, REVOCATIONS, REVOCATIONS_KEY, ApiKey, Entitlement, Revocations
from stemma.rights.entitlement import hash_api_key as hashed
from stemma.royalties.facts import UsageFact
from stemma.storage import Storage
from stemma_serving import licenses as module
from stemma_serving.config import LicensesConfig, ServingConfig
from stemma_serving.gateway import Gateway
from stemma_serving.licenses import Licenses
from stemma_serving.problems import RefusedError
from stemma_serving.records import Made, Order, Status
from stemma_serving.spool import lines

pytestmark = pytest.mark.unit
SECRET = "stm_secret-of-the-test"
NO_KEYS = Path("/nonexistent")


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    made = KeyRing(tmp_path_factory.mktemp("keys"))
    made.create()
    return made


def away() -> Storage:
    return Storage(Settings(**{**settings().model_dump(), "s3_endpoint": "http://127.0.0.1:9"}))


class Disk:
    """What serving finds on disk when it starts."""

    def __init__(self, ring: KeyRing, folder: Path) -> None:
        self.ring, self.path = ring, folder / "licenses.json"
        self.documents: dict[str, Any] = {"jwks": ring.jwks(), "revocations": None, "entitlements": {}}

    def put(self, given: Entitlement, by: KeyRing | None = None) -> None:
        token = (by or self.ring).sign("license", ENTITLEMENT, given)
        self.documents["entitlements"][f"licenses/entitlements/{given.license}.jws"] = token

    def list(self, **said: Any) -> str:
        given = Revocations(**{"at": timestamp(now()), **said})
        self.documents["revocations"] = self.ring.sign("license", REVOCATIONS, given)
        return self.documents["revocations"]

    def start(self, **config: Any) -> Licenses:
        self.path.write_text(json.dumps(self.documents))
        return Licenses(away(), self.path, NO_KEYS, LicensesConfig(**config))


@pytest.fixture
def disk(ring: KeyRing, tmp_path: Path) -> Disk:
    made = Disk(ring, tmp_path)
    made.put(entitlement(SECRET, license="l", key_id="k"))
    return made


def hear(licenses: Licenses, token: str) -> None:
    licenses._take(REVOCATIONS_KEY, token)
    licenses._index()


def refused(licenses: Licenses, code: str, key: str = SECRET, scope: Any = "generate") -> None:
    with pytest.raises(RefusedError) as error:
        licenses.decide(key, scope)
    problem = error.value.problem
    assert problem.code == code
    assert problem.remedy
    assert key not in problem.body().decode()


def ago(**much: float) -> str:
    return timestamp(now() - timedelta(**much))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the wall clock, which says nothing about the time that passes."""
    real = time.time

    def set_(**by: float) -> None:
        shift = timedelta(**by)
        monkeypatch.setattr(module.time, "time", lambda: real() + shift.total_seconds())
        monkeypatch.setattr(module, "now", lambda: now() + shift)

    return set_


def test_a_list_of_a_lower_number_is_not_taken_whatever_its_date(disk: Disk) -> None:
    licenses = disk.start()
    hear(licenses, disk.list(sequence=7, at=ago(minutes=1), keys=("k",)))
    refused(licenses, "revoked-key")
    hear(licenses, disk.list(sequence=6))
    hear(licenses, disk.list())
    refused(licenses, "revoked-key")
    hear(licenses, disk.list(sequence=8, at=ago(minutes=2)))
    assert licenses.decide(SECRET), "the portal's clock was set back, its numbers go on"


def test_an_old_list_is_not_taken_after_a_restart_either(disk: Disk) -> None:
    licenses = disk.start()
    old = disk.list(sequence=1)
    hear(licenses, disk.list(sequence=2, keys=("k",)))
    disk.documents["revocations"] = old
    again = disk.start()
    refused(again, "stale-revocations")
    hear(again, disk.list(sequence=3, keys=("k",)))
    refused(again, "revoked-key")


def test_a_list_taken_away_from_the_disk_is_missed(disk: Disk) -> None:
    hear(disk.start(), disk.list(sequence=2, licenses=("l",)))
    disk.documents["revocations"] = None
    refused(disk.start(), "stale-revocations")


def test_an_older_entitlement_is_not_taken_wherever_it_is_put(disk: Disk, tmp_path: Path) -> None:
    def put(serial: int, secret: str, cap: int | None, name: str = "l") -> None:
        given = entitlement(secret, license="l", serial=serial, monthly_ms=cap)
        licenses._take(f"licenses/entitlements/{name}.jws", disk.ring.sign("license", ENTITLEMENT, given))
        licenses._index()

    def grant(of: Licenses) -> tuple[int, int | None]:
        refused(of, "unknown-key")  # the key that was rotated out
        given = of.decide("stm_new").entitlement
        return given.serial, given.monthly_ms

    licenses = disk.start()
    assert licenses.decide(SECRET), "one of before there were serials"
    put(7, "stm_new", 1000)
    assert grant(licenses) == (7, 1000)
    put(6, SECRET, None)
    put(0, SECRET, None)
    put(6, SECRET, None, name="another")
    assert grant(licenses) == (7, 1000), "the newer one stays"
    disk.documents["entitlements"]["licenses/entitlements/l.jws"] = disk.ring.sign(
        "license", ENTITLEMENT, entitlement("stm_new", license="l", serial=6)
    )
    refused(disk.start(), "unknown-key", "stm_new")
    put(8, "stm_new", 2000)
    assert grant(licenses) == (8, 2000)


def test_a_list_that_somebody_else_signed_changes_nothing(disk: Disk, tmp_path: Path) -> None:
    licenses = disk.start()
    foreign = KeyRing(tmp_path / "foreign")
    foreign.create()
    hear(licenses, foreign.sign("license", REVOCATIONS, Revocations(at=ago(), sequence=9, keys=("k",))))
    hear(licenses, disk.ring.sign("certificate", REVOCATIONS, Revocations(at=ago(), sequence=9, keys=("k",))))
    assert licenses.decide(SECRET)


def test_a_damaged_mark_is_made_anew(disk: Disk) -> None:
    licenses = disk.start()
    hear(licenses, disk.list(sequence=2))
    licenses._seen_path.write_text("{")
    assert disk.start().decide(SECRET)


@pytest.mark.parametrize(
    ("config", "age", "answered"),
    [
        ({}, {"minutes": 20}, True),
        ({}, {"hours": 71}, True),
        ({}, {"hours": 73}, False),
        ({"allow_seconds": 3600}, {"minutes": 59}, True),
        ({"allow_seconds": 3600}, {"minutes": 61}, False),
        ({"when_stale": "refuse"}, {"minutes": 14}, True),
        ({"when_stale": "refuse"}, {"minutes": 16}, False),
        ({"when_stale": "refuse", "stale_seconds": 60}, {"seconds": 61}, False),
    ],
)
def test_a_stale_list_is_gone_by_for_as_long_as_configured(
    disk: Disk, config: dict[str, Any], age: dict[str, float], answered: bool
) -> None:
    disk.list(sequence=1, at=ago(**age))
    licenses = disk.start(**config)
    if answered:
        assert licenses.decide(SECRET)
    else:
        refused(licenses, "stale-revocations")
        hear(licenses, disk.list(sequence=2))
        assert licenses.decide(SECRET), "a fresh list mends it"


def test_where_no_list_ever_came_time_counts_from_the_first_start(disk: Disk, clock: Callable[..., None]) -> None:
    assert disk.start(when_stale="refuse").decide(SECRET)
    clock(minutes=16)
    refused(disk.start(when_stale="refuse"), "stale-revocations")


def test_a_list_of_tomorrow_is_not_fresh_for_longer(disk: Disk, clock: Callable[..., None]) -> None:
    licenses = disk.start(when_stale="refuse")
    hear(licenses, disk.list(sequence=1, at=ago(minutes=-5)))
    assert licenses.decide(SECRET)
    clock(minutes=16)
    refused(licenses, "stale-revocations")


@pytest.mark.parametrize("start_again", [False, True])
def test_a_clock_set_back_brings_back_nothing_that_has_expired(
    disk: Disk, clock: Callable[..., None], start_again: bool
) -> None:
    disk.put(entitlement(SECRET, license="l", key_expires_at=ago(hours=1)))
    licenses = disk.start()
    hear(licenses, disk.list(sequence=1))
    refused(licenses, "expired-key")
    clock(days=-2)
    refused(disk.start() if start_again else licenses, "expired-key")


def test_time_goes_on_under_a_clock_that_stands_still(
    disk: Disk, clock: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put(entitlement(SECRET, license="l", expires_at=ago(hours=-2)))
    licenses = disk.start()
    hear(licenses, disk.list(sequence=1))
    assert licenses.decide(SECRET)
    steady = time.monotonic() + 3 * 3600
    monkeypatch.setattr(module.time, "monotonic", lambda: steady)
    clock(days=-10)
    refused(licenses, "expired-license")


def test_a_license_that_has_just_begun_holds_under_a_clock_a_little_behind(disk: Disk) -> None:
    disk.put(entitlement(SECRET, license="l", not_before=ago(seconds=-30)))
    assert disk.start().decide(SECRET)
    disk.put(entitlement(SECRET, license="l", not_before=ago(seconds=-90)))
    refused(disk.start(), "not-yet")


def test_an_entitlement_for_somebody_else_is_not_there(disk: Disk) -> None:
    disk.put(entitlement(SECRET, license="l", audience="stemma:offline"))
    refused(disk.start(), "unknown-key")


def test_forged_cut_and_foreign_entitlements_are_not_there(disk: Disk, tmp_path: Path) -> None:
    name, token = next(iter(disk.documents["entitlements"].items()))
    header, payload, signature = token.split(".")
    foreign = KeyRing(tmp_path / "foreign")
    foreign.create()
    given = entitlement(SECRET, license="l")
    for forged in (
        token[:-10],
        f"{header}.{payload}.",
        f"{header}.{payload[:-4]}AAAA.{signature}",
        foreign.sign("license", ENTITLEMENT, given),
        disk.ring.sign("certificate", ENTITLEMENT, given),
        disk.ring.sign("license", REVOCATIONS, given),
        disk.ring.sign("license", ENTITLEMENT, {**given.model_dump(mode="json"), "more": 1}),
        "",
    ):
        disk.documents["entitlements"] = {name: forged}
        refused(disk.start(), "unknown-key")


def test_a_key_does_what_it_is_for(disk: Disk) -> None:
    keys = (ApiKey(id="g", sha256=hashed("stm_g"), scopes=("generate",)),)
    keys += (
        ApiKey(id="r", sha256=hashed("stm_r"), scopes=("read",)),
        ApiKey(id="n", sha256=hashed("stm_n"), scopes=()),
    )
    disk.put(entitlement(SECRET, license="l", keys=keys))
    licenses = disk.start()
    assert licenses.decide("stm_g", "generate")
    assert licenses.decide("stm_r", "read")
    assert licenses.decide("stm_r"), "what can be asked for is no secret to any key"
    refused(licenses, "scope", "stm_g", "read")
    refused(licenses, "scope", "stm_r", "generate")
    refused(licenses, "scope", "stm_n", "generate")


def test_both_keys_of_a_rotation_are_taken_until_the_old_one_ends(disk: Disk, clock: Callable[..., None]) -> None:
    keys = (ApiKey(id="a", sha256=hashed("stm_a"), expires_at=ago(hours=-1)), ApiKey(id="b", sha256=hashed("stm_b")))
    disk.put(entitlement(SECRET, license="l", keys=keys))
    licenses = disk.start()
    assert {licenses.decide(key).key.id for key in ("stm_a", "stm_b")} == {"a", "b"}
    clock(hours=2)
    refused(licenses, "expired-key", "stm_a")
    assert licenses.decide("stm_b")


class Instant:
    """A generator that answers at once."""

    def __init__(self, territory: str = "WORLD") -> None:
        self.territory = territory

    async def status(self) -> Status:
        return Status("house-symbolic/1", ("fiddle",), territory=self.territory)

    async def make(self, order: Order, deadline: float) -> Made:  # noqa: ARG002 - never late
        await asyncio.sleep(0)
        usage = UsageFact(
            id=order.id, at=order.at, license=order.license, licensee=order.licensee, key=order.key, tier=order.tier,
            covenant=order.covenant, model_release="house-symbolic/1", snapshot="none", style="fiddle",
            prompt_sha256=order.prompt_sha256, seed=0, billable_ms=16_000, audio_sha256="0" * 64, midi_sha256="0" * 64,
        )  # fmt: skip
        return Made(usage, b"{}", (), "a.b.c")


def request(key: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"bars": 4}', "more_body": False}

    headers = [(b"authorization", f"Bearer {key}".encode())]
    return Request({"type": "http", "method": "POST", "path": "/v1/generations", "headers": headers}, receive)


def test_of_a_hundred_callers_at_once_exactly_as_many_come_in_as_are_allowed(
    disk: Disk, settings_changed: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And no fact too many or too few; and nobody's key in a log."""
    caplog.set_level(logging.DEBUG)
    settings_changed(spool_dir=str(tmp_path / "spool"), s3_endpoint="http://127.0.0.1:9", keys_dir=str(NO_KEYS))
    disk.path = tmp_path / "spool" / "licenses.json"
    disk.path.parent.mkdir()
    disk.put(entitlement(SECRET, license="l", requests_per_minute=60))
    disk.start()

    async def ask() -> Counter[int]:
        gateway = Gateway(ServingConfig.model_validate({"gateway": {"autoscaling": {"max_replicas": 1}}}), Instant())
        await gateway._look()
        asked = [gateway.generate(request(SECRET)) for _ in range(100)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        foreign = await asyncio.gather(gateway.generate(request("stm_foreign-secret")), return_exceptions=True)
        assert isinstance(foreign[0], RefusedError)
        gateway.stop()
        return Counter(a.problem.status if isinstance(a, RefusedError) else a.status_code for a in answers)

    assert asyncio.run(ask()) == {201: 60, 429: 40}
    assert sum(len(lines(path)) for path in (tmp_path / "spool" / "usage").iterdir()) == 60
    said = caplog.text + "".join(path.read_text() for path in (tmp_path / "spool").glob("*.json"))
    assert SECRET not in said
    assert "foreign-secret" not in said


def test_a_moment_has_the_spelling_of_all_moments(disk: Disk) -> None:
    moment = disk.start().moment()
    assert timestamp(datetime.fromisoformat(moment)) == moment
    assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"territories": ("CH", "DE"), "model_releases": ("house-symbolic/*",)}, None),
        ({"territories": ("CH", "FR")}, "territory-not-licensed"),
        ({"model_releases": ("house-latent/*", "house-symbolic/2")}, "model-not-licensed"),
    ],
)
def test_nothing_is_made_with_a_release_outside_the_license(
    disk: Disk, settings_changed: Any, tmp_path: Path, changes: dict[str, Any], code: str | None
) -> None:
    """Its music is licensed for Germany; the signed entitlement alone decides."""
    settings_changed(spool_dir=str(tmp_path / "spool"), s3_endpoint="http://127.0.0.1:9", keys_dir=str(NO_KEYS))
    disk.path = tmp_path / "spool" / "licenses.json"
    disk.path.parent.mkdir()
    disk.put(entitlement(SECRET, license="l", **changes))
    disk.start()

    async def ask() -> str | None:
        gateway = Gateway(ServingConfig(), Instant("DE"))
        await gateway._look()
        try:
            await gateway.generate(request(SECRET))
        except RefusedError as error:
            return error.problem.code
        finally:
            gateway.stop()
        return None

    assert asyncio.run(ask()) == code
