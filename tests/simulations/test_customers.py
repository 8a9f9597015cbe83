"""Customers who ask for one owner's works, or who are that owner: what comes back of what they pay.

No model takes part: attribution is given them as they would have it, wholly theirs, and the money goes
through the real allocation.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from royalties.making import COVENANT, TERMS, attribution, manifest, recording, subscription, usage
from stemma.royalties.allocation import Allocation, allocate
from stemma.royalties.facts import PPB, attribution_table, usage_table
from stemma.royalties.lake import unique

pytestmark = pytest.mark.unit

OWNERS, HONEST, MS = 8, 5, 60_000
TARGET = 1.05
ATTACKER, FRIEND = "o0", "friend"
WORKS = [f"r{n}" for n in range(OWNERS)]
STARTS, ENDS = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
EVEN = dict.fromkeys(WORKS, PPB // OWNERS)


def month(
    asked: dict[str, dict[str, int]], *, pieces: int = 50, ms: int = MS, tier: str = "professional"
) -> Allocation:
    """One month: five customers whose pieces everybody shaped, and others with the shares they bring about."""
    customers = {**{f"c{n}": EVEN for n in range(HONEST)}, **asked}
    tiers = {name: tier if name in asked else "professional" for name in customers}
    facts, shares = [], []
    for name, own in customers.items():
        for number in range(pieces):
            fact = usage(f"{name}-{number}", name, ms if name in asked else MS)
            facts.append(fact.model_copy(update={"tier": tiers[name]}))
            shares.append(attribution(f"{name}-{number}", own))
    rows = [recording(n, f"w-{n}", [(f"o{n[1:]}", s, 10**6) for s in ("master", "publishing")]) for n in WORKS]
    return allocate(
        facts=unique(usage_table(facts), attribution_table(shares), starts=STARTS, ends=ENDS),
        subscriptions=[subscription(name, tier=tiers[name]) for name in customers],
        covenants={TERMS: COVENANT},
        manifests={"s1": manifest("s1", rows)},
        current="s1",
    )


def income(of: Allocation, *, apart: str = "") -> int:
    """The attacker's, in micro-units, from all licenses but one."""
    return sum(line.amount for line in of.party_lines(ATTACKER) if line.license != apart)


def paid(of: Allocation) -> int:
    return sum(pool.revenue for pool in of.pools if pool.license == FRIEND)


@pytest.mark.parametrize(("pieces", "ms"), [(1, MS), (50, MS), (50, 100 * MS)])
def test_who_asks_for_their_own_works_gets_back_less_than_they_pay(pieces, ms):
    honest, attack = month({}, pieces=pieces), month({FRIEND: {"r0": PPB}}, pieces=pieces, ms=ms)
    back, out = income(attack) - income(attack, apart=FRIEND), paid(attack)
    assert 0 < back <= out * COVENANT.creators_ppm // 1_000_000
    gain = (income(attack) - out) / income(honest)
    print(f"| own works asked for, {pieces} pieces of {ms // MS} min | {gain:.2f} | back {back / out:.3f} |")
    assert gain <= TARGET
    # Whatever is asked for, and however much of it, nobody else's money moves.
    assert income(attack, apart=FRIEND) == income(honest)


def test_without_own_pools_asking_for_ones_own_works_would_pay():
    """Why each customer's money is their own: from one pot by minutes, heavy use takes others' money."""
    honest, attack = month({}), month({FRIEND: {"r0": PPB}}, ms=20 * MS, tier="community")
    creators = sum(pool.creators for pool in attack.pools)
    output = creators - creators * COVENANT.training_ppm // 1_000_000
    minutes, own = HONEST * 50, 20 * 50  # the free tier costs nothing, however much is made
    from_one_pot = output * (own + minutes / OWNERS) / (own + minutes) + (creators - output) / OWNERS
    print(f"one pot {(from_one_pot - paid(attack)) / income(honest):.2f}")
    assert (from_one_pot - paid(attack)) / income(honest) > TARGET
    assert (income(attack) - paid(attack)) / income(honest) <= TARGET


def test_a_customer_and_an_owner_together_only_move_that_customers_own_money():
    """A customer who would have paid anyway and now asks for one owner alone: both together get back less."""
    apart, together = month({FRIEND: EVEN}), month({FRIEND: {"r0": PPB}})
    out = paid(together)
    assert paid(apart) == out
    assert income(together, apart=FRIEND) == income(apart, apart=FRIEND)
    back = income(together) - income(together, apart=FRIEND)
    # What they do not get back is the platform's and, by the training part, everybody's.
    training = sum(pool.training for pool in together.pools if pool.license == FRIEND)
    creators = sum(pool.creators for pool in together.pools if pool.license == FRIEND)
    assert back == pytest.approx(creators - training + training / OWNERS, abs=4)
    print(f"| together | pays {out} | back {back} = {back / out:.3f} | owner {income(together) / income(apart):.2f} |")
    assert (income(together) - out) / income(month({})) <= TARGET
