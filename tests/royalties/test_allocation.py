"""Allocation conserves to the micro-unit, and equals a slow implementation by nested loops."""

import random
from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from royalties.making import (
    COVENANT,
    TERMS,
    attribution,
    expected_lines,
    manifest,
    recording,
    subscription,
    usage,
)
from stemma.errors import InvalidError
from stemma.rights.shares import split
from stemma.royalties.allocation import Allocation, allocate
from stemma.royalties.facts import PPB, attribution_table, usage_table
from stemma.royalties.lake import Facts, unique

pytestmark = pytest.mark.unit

STARTS, ENDS = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


@st.composite
def divisions(draw, whole: int):
    """Positive parts that sum to the whole."""
    weights = draw(st.lists(st.integers(1, 1000), min_size=1, max_size=4))
    return [part for part in split(whole, weights) if part]


@st.composite
def worlds(draw):
    """Two snapshots, some licenses with money, usage with and without attribution."""
    manifests = {}
    for name in ("s1", "s2"):
        recordings = []
        for i in range(draw(st.integers(1, 5))):
            shares = [
                (f"p{j}", side, ppm)
                for side in ("master", "publishing")
                for j, ppm in enumerate(draw(divisions(1_000_000)))
            ]
            recordings.append(recording(f"r{i}", f"w{draw(st.integers(0, 2))}", shares))
        manifests[name] = manifest(name, recordings)
    licenses = [f"l{i}" for i in range(draw(st.integers(1, 3)))]
    subscriptions = [
        subscription(name, months=draw(st.integers(0, 2)), tier=draw(st.sampled_from(["professional"])))
        for name in licenses
        if draw(st.booleans())
    ]
    facts, attributions = [], []
    for i in range(draw(st.integers(0, 6))):
        snapshot = draw(st.sampled_from(["s1", "s2"]))
        ms = draw(st.sampled_from([0, 1, 999, 30_000, 61_234, 10**9]))
        facts.append(usage(f"g{i}", draw(st.sampled_from(licenses)), ms, snapshot=snapshot))
        if draw(st.booleans()):
            names = [r.recording for r in manifests[snapshot].recordings]
            shares: Counter[str] = Counter()
            for ppb in draw(divisions(draw(st.integers(1, PPB)))):
                shares[draw(st.sampled_from(names))] += ppb
            attributions.append(attribution(f"g{i}", dict(shares), snapshot=snapshot))
    return facts, attributions, subscriptions, manifests


def run(facts, attributions, subscriptions, manifests, *, current: str = "s1") -> Allocation:
    found = unique(usage_table(facts), attribution_table(attributions), starts=STARTS, ends=ENDS)
    return allocate(
        facts=found, subscriptions=subscriptions, covenants={TERMS: COVENANT}, manifests=manifests, current=current
    )


@settings(max_examples=25)
@given(worlds(), st.randoms(use_true_random=False))
def test_properties(world, rng: random.Random):
    facts, attributions, subscriptions, manifests = world
    allocation = run(*world)

    # Every micro-unit that belongs to creators arrives, and no line is negative.
    assert sum(p.creators for p in allocation.pools) == sum(allocation.lines["amount"].to_pylist())
    assert all(amount > 0 for amount in allocation.lines["amount"].to_pylist())
    assert sum(allocation.party_totals().values()) == sum(p.revenue - p.platform for p in allocation.pools)

    # The second implementation agrees on every line.
    columns = ("license", "recording", "party", "side", "kind")
    lines = {tuple(row[c] for c in columns): row["amount"] for row in allocation.lines.to_pylist()}
    assert lines == dict(expected_lines(facts, attributions, subscriptions, manifests, "s1"))

    # Facts told twice and in another order change nothing.
    twice = [facts + facts, attributions + attributions, list(subscriptions)]
    for rows in twice:
        rng.shuffle(rows)
    assert run(*twice, manifests).lines.equals(allocation.lines)


def house(n: int = 4):
    names = [f"r{i}" for i in range(n)]
    return manifest(
        "s1", [recording(r, f"w-{r}", [(f"o-{r}", "master", 10**6), (f"o-{r}", "publishing", 10**6)]) for r in names]
    )


def test_own_money_goes_to_the_works_behind_own_generations():
    facts = [usage("g1", "rich", 60_000), usage("g2", "poor", 10**9)]
    attributions = [attribution("g1", {"r0": PPB}), attribution("g2", {"r1": PPB})]
    allocation = run(facts, attributions, [subscription("rich"), subscription("poor", months=0)], {"s1": house()})
    by_work = {(line["license"], line["kind"], line["recording"]) for line in allocation.lines.to_pylist()}
    assert ("rich", "attribution", "r0") in by_work
    assert ("rich", "attribution", "r1") not in by_work


def test_money_without_generations_goes_to_all_works_equally():
    allocation = run([], [], [subscription("quiet")], {"s1": house()})
    totals = allocation.party_totals()
    assert sum(totals.values()) == 49_000_000 * COVENANT.creators_ppm // 1_000_000
    assert max(totals.values()) - min(totals.values()) <= 2
    assert {row["kind"] for row in allocation.lines.to_pylist()} == {"training", "commons"}


def test_money_without_works_stays_apart():
    world = ([usage("g", "busy", 60_000)], [], [subscription("quiet"), subscription("busy")], {"s1": house()})
    allocation = run(*world, current=None)
    assert allocation.unallocated == {("quiet", "USD"): 24_500_000}
    assert {row["license"] for row in allocation.lines.to_pylist()} == {"busy"}


def test_lines_tell_from_how_many_generations_they_come():
    facts = [usage(f"g{i}", "l", 1000 * i) for i in range(4)]
    attributions = [attribution("g1", {"r0": PPB}), attribution("g2", {"r0": 10**8, "r1": 10**8})]
    tiers = [subscription("l"), subscription("l", tier="enterprise")]
    lines = run(facts, attributions, tiers, {"s1": house()}).lines.to_pylist()
    uses = {(line["recording"], line["kind"]): line["uses"] for line in lines}
    assert uses["r0", "attribution"] == 2
    assert uses["r1", "attribution"] == 1
    assert uses["r3", "commons"] == 2  # g2 and g3; g0 is billed for nothing and g1 explained in full
    assert uses["r3", "training"] == 3


def test_a_free_tier_pays_nothing():
    allocation = run([], [], [subscription("free", tier="community")], {"s1": house()})
    assert allocation.lines.num_rows == 0
    assert [p.revenue for p in allocation.pools] == [0]


def test_a_change_of_tier_within_the_period():
    subscriptions = [subscription("l", tier="professional"), subscription("l", tier="enterprise")]
    allocation = run([usage("g", "l", 60_000)], [attribution("g", {"r2": PPB})], subscriptions, {"s1": house()})
    assert [(p.tier, p.generations) for p in allocation.pools] == [("enterprise", 0), ("professional", 1)]
    # Both fees follow the license's generations.
    assert {line["recording"] for line in allocation.lines.to_pylist() if line["kind"] == "attribution"} == {"r2"}


def test_shares_of_the_territory_come_before_those_of_the_world():
    own = recording("r", "w", [("world", "master", 10**6), ("world", "publishing", 10**6)])
    local = [s.model_copy(update={"territory": "DE", "party": "german"}) for s in own.shares]
    de = manifest("s1", [own.model_copy(update={"shares": (*own.shares, *local)})], territory="DE")
    assert {party for party, _ in run([], [], [subscription("l")], {"s1": de}).party_totals()} == {"german"}


def test_lines_of_one_party():
    allocation = run([usage("g", "l", 60_000)], [attribution("g", {"r2": PPB})], [subscription("l")], {"s1": house()})
    lines = allocation.party_lines("o-r2")
    assert sum(line.amount for line in lines) == allocation.party_totals()["o-r2", "USD"]
    assert {line.kind for line in lines} == {"training", "attribution"}
    assert allocation.party_lines("nobody") == []


@pytest.mark.parametrize(
    ("facts", "attributions", "code"),
    [
        ([usage("g", "l", 1, snapshot="gone")], [], "unknown-snapshot"),
        ([usage("g", "l", 1)], [attribution("g", {"stranger": 5})], "unknown-recording"),
        ([usage("g", "l", 1).model_copy(update={"tier": "golden"})], [], "unknown-terms"),
        ([usage("g", "l", 1).model_copy(update={"covenant": "other"})], [], "unknown-terms"),
    ],
)
def test_facts_that_fit_nothing_are_refused(facts, attributions, code):
    with pytest.raises(InvalidError) as error:
        run(facts, attributions, [subscription("l")], {"s1": house()})
    assert error.value.code == code
    assert error.value.remedy


def test_what_passes_128_bits_is_refused_and_never_wrong():
    terms = COVENANT.tier("professional").model_copy(update={"minute_fee": 10**14})
    covenant = COVENANT.model_copy(update={"tiers": (terms,)})
    facts = usage_table([usage(f"g{i}", "l", 10**9) for i in range(2)])
    shares = attribution_table([attribution(f"g{i}", {"r0": 7 + i}) for i in range(2)])
    world = {"subscriptions": [], "manifests": {"s1": house()}, "current": None}
    found = Facts(facts, shares)
    large = allocate(facts=found, covenants={TERMS: covenant}, **world)
    assert sum(large.lines["amount"].to_pylist()) == sum(p.creators for p in large.pools) > 10**18
    vast = usage_table([usage("g0", "l", 4 * 10**18), usage("g1", "l", 1)])
    with pytest.raises(InvalidError) as error:
        allocate(facts=Facts(vast, shares), covenants={TERMS: COVENANT}, **world)
    assert error.value.code == "too-large"


def test_a_check_that_can_fail():
    allocation = run([], [], [subscription("l")], {"s1": house()})
    lost = Allocation(pools=allocation.pools, lines=allocation.lines.slice(1), unallocated={})
    with pytest.raises(InvalidError, match="does not conserve"):
        lost.check()
    assert isinstance(allocation.lines, pa.Table)
