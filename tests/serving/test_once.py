"""Which generation an Idempotency-Key stands for, agreed upon through the real object storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from stemma.ids import new_id, now, timestamp
from stemma.models.protocol import GenerationRequest
from stemma.provenance.certificate import LicenseState
from stemma.storage import ONCE, ONCE_KEPT
from stemma_serving.once import First
from stemma_serving.problems import RefusedError
from stemma_serving.records import Order

pytestmark = pytest.mark.services


def order(seed: int, *, seeded: bool = True, **asked) -> Order:
    return Order(
        id=new_id(), at=timestamp(now()), request=GenerationRequest(seed=seed, **asked), format="flac",
        prompt_sha256="0" * 64, license="l", licensee="o", licensee_name="Studio", tier="community",
        indemnified=False, covenant="c", key="k", entitlement="e", entitlement_sha256="0" * 64, model_releases=("*",),
        license_state=LicenseState(not_before="2024", expires_at="2090", revocations_sequence=0, revocations_at=""),
        prompt_rules=None, seed_given=seeded,
    )  # fmt: skip


def test_of_many_at_once_one_is_first_and_all_others_follow_it(storage) -> None:
    def take(seed: int) -> tuple[str, int | None]:
        # The seed differs from call to call, since nobody asked for one.
        found = First(storage).take("license", "key", order(seed, seeded=False, bars=4))
        return found.id, found.request.seed

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(take, range(16)))) == 1
    other = order(99, seeded=False, bars=4)
    assert First(storage).take("other license", "key", other).id == other.id
    assert First(storage).finished(order(1)) is None


def test_keys_are_forgotten_after_their_time(storage) -> None:
    first, again = order(7, bars=4), order(7, bars=4)
    assert First(storage).take("forgetful", "key", first).id == first.id
    assert storage.expire(ONCE, ONCE_KEPT) == 0
    assert First(storage).take("forgetful", "key", again).id == first.id
    assert storage.expire(f"{ONCE}forgetful/", timedelta(0)) == 1
    assert First(storage).take("forgetful", "key", again).id == again.id


def test_a_key_stands_for_one_request(storage) -> None:
    first, asked = First(storage), order(7, bars=4)
    assert first.take("license", "key", asked).id == asked.id
    for other in (order(7, bars=5), order(8, bars=4), replace(order(7, bars=4), format="wav")):
        with pytest.raises(RefusedError) as refused:
            first.take("license", "key", other)
        assert refused.value.problem.code == "key-reused"
    for wrong in ("", "x" * 256, "line\n", "ü"):
        with pytest.raises(RefusedError) as refused:
            first.take("license", wrong, asked)
        assert refused.value.problem.code == "idempotency-key"
