"""A monthly cap is counted exactly, whoever asks at once, and outlasts what Redis forgets."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from serving.licensee import entitlement
from stemma.config import settings
from stemma.errors import UnavailableError
from stemma.ids import new_id
from stemma.models.protocol import GenerationRequest
from stemma.provenance.certificate import LicenseState
from stemma.quota import Quota
from stemma_serving.caps import Caps, asked_ms
from stemma_serving.config import GatewayConfig
from stemma_serving.problems import RefusedError
from stemma_serving.records import Order

MONTH = "2026-11"


@pytest.fixture
def quota(redis) -> Quota:
    return Quota(settings().redis_url.get_secret_value())


def take(quota, license_, ms, *, cap, piece=None, seconds=60):
    return quota.take(license_=license_, month=MONTH, cap=cap, piece=piece or new_id(), ms=ms, seconds=seconds)


@pytest.mark.services
def test_a_hundred_callers_at_once_get_exactly_what_there_is(quota):
    license_, at_once = new_id(), Barrier(100)

    def call(_: int) -> int:
        at_once.wait()
        piece = new_id()
        left = take(quota, license_, 1000, cap=37_500, piece=piece)
        if left >= 0:
            quota.settle(license_=license_, month=MONTH, piece=piece, ms=1000)
        return left

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(call, range(100)))
    assert sum(answer >= 0 for answer in answers) == 37
    assert quota.used(license_=license_, month=MONTH) == 37_000
    assert take(quota, license_, 501, cap=37_500) == -1 - 500, "half a second would fit"
    assert take(quota, license_, 500, cap=37_500) == 0


@pytest.mark.services
def test_what_is_held_counts_until_it_is_settled_or_its_maker_has_died(quota):
    license_, piece = new_id(), new_id()
    assert take(quota, license_, 6000, cap=10_000, piece=piece) == 4000
    assert take(quota, license_, 6000, cap=10_000) < 0
    quota.settle(license_=license_, month=MONTH, piece=piece, ms=2500)
    assert take(quota, license_, 6000, cap=10_000, seconds=1) == 1500
    assert take(quota, license_, 6000, cap=10_000) < 0
    time.sleep(2.1)
    assert take(quota, license_, 6000, cap=10_000) == 1500, "nobody has settled it: it is let go"


@pytest.mark.services
def test_facts_lift_a_counter_that_has_forgotten_and_never_lower_one(quota):
    license_ = new_id()
    quota.lift(license_=license_, month=MONTH, ms=9000)
    quota.lift(license_=license_, month=MONTH, ms=100)
    assert quota.used(license_=license_, month=MONTH) == 9000
    assert take(quota, license_, 1001, cap=10_000) == -1 - 1000


def order(**request) -> Order:
    return Order(
        id=new_id(), at=f"{MONTH}-28T10:00:00.000Z", request=GenerationRequest(seed=1, **request), format="flac",
        prompt_sha256="", license="", licensee="", licensee_name="", tier="enterprise", indemnified=False, covenant="",
        key="", entitlement="", entitlement_sha256="", model_releases=("*",),
        license_state=LicenseState(not_before="2024", expires_at="2090", revocations_sequence=0, revocations_at=""),
        prompt_rules=None, seed_given=True,
    )  # fmt: skip


async def made(caps, granted, seconds, lasts):
    async with caps.held(granted, order(seconds=seconds)) as counted:
        await asyncio.sleep(0.01)
        if lasts is None:
            raise ConnectionError
        counted(lasts)


@pytest.mark.services
def test_serving_stops_at_the_cap_and_counts_what_was_made(quota):
    caps, granted = Caps(quota, GatewayConfig()), entitlement("stm_x", monthly_ms=60_000)
    free = entitlement("stm_y")

    async def whole() -> list[object]:
        some = [made(caps, granted, 10, 9_000) for _ in range(100)]
        return await asyncio.gather(*some, made(caps, free, 100, 100_000), return_exceptions=True)

    answers = asyncio.run(whole())
    refused = [each for each in answers if isinstance(each, RefusedError)]
    assert len(refused) == 100 - 6, "six of ten seconds fit into a minute while none is settled"
    assert {each.problem.code for each in refused} == {"spending-cap"}
    assert quota.used(license_=granted.license, month=MONTH) == 54_000
    assert quota.used(license_=free.license, month=MONTH) == 0
    with pytest.raises(ConnectionError):
        asyncio.run(made(caps, granted, 6, None))
    assert quota.used(license_=granted.license, month=MONTH) == 54_000, "what fails costs nothing"
    with pytest.raises(RefusedError, match="leaves 6 s"):
        asyncio.run(made(caps, granted, 7, 7_000))


@pytest.mark.unit
@pytest.mark.parametrize("policy", ["refuse", "allow"])
def test_without_redis_a_license_with_a_cap_follows_the_policy_and_others_do_not_notice(policy):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    quota = Quota(f"redis://127.0.0.1:{port}/0")
    with pytest.raises(UnavailableError):
        quota.used(license_="a", month=MONTH)
    caps = Caps(quota, GatewayConfig(caps_when_away=policy))
    asyncio.run(made(caps, entitlement("stm_y"), 10, 9_000))
    capped = made(caps, entitlement("stm_x", monthly_ms=60_000), 10, 9_000)
    if policy == "allow":
        asyncio.run(capped)
    else:
        with pytest.raises(RefusedError) as caught:
            asyncio.run(capped)
        assert (caught.value.problem.status, caught.value.problem.code) == (503, "cap-unknown")


@pytest.mark.unit
def test_what_a_request_is_expected_to_last():
    assert asked_ms(GenerationRequest(seconds=2.5)) == 2500
    assert asked_ms(GenerationRequest(bars=8, tempo=120)) == 16_000
    assert asked_ms(GenerationRequest(bars=64, tempo=30)) == asked_ms(GenerationRequest()) == 180_000
