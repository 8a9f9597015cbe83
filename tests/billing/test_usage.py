"""Lines from usage facts: each fact once, whatever the order, and the hash finds them again."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.billing.usage import facts_digest, invoice_lines
from stemma.errors import InvalidError
from stemma.rights.covenant import house_covenant
from stemma.rights.prices import Price, Schedule, Step

pytestmark = pytest.mark.unit
STARTS, ENDS = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
STEPPED = Schedule(
    currency="USD",
    prices=(Price(unit="minute", title="Music", steps=(Step(up_to=1, price=50_000), Step(price=33_333))),),
)
SCHEDULES = {("c", "professional"): house_covenant().schedule("professional"), ("c", "stepped"): STEPPED}
facts = st.lists(
    st.tuples(
        st.sampled_from(["l1", "l2"]), st.sampled_from(["professional", "stepped"]), st.integers(0, 10**7),
        st.integers(-2, 32),
    ),
    max_size=30,
)  # fmt: skip


def table(rows):
    return pa.table({
        "id": [f"g{n:04}" for n, *_ in rows],
        "at": pa.array([STARTS + timedelta(days=day) for *_, day in rows], pa.timestamp("ms", tz="UTC")),
        "license": [r[1] for r in rows], "covenant": ["c"] * len(rows), "tier": [r[2] for r in rows],
        "model_release": ["m"] * len(rows), "billable_ms": pa.array([r[3] for r in rows], pa.int64()),
    })  # fmt: skip


@settings(max_examples=20)  # it starts an engine each time
@given(facts, st.randoms())
def test_lines_are_what_loops_over_the_facts_give(given_, shuffle: random.Random):
    rows = [(n, *fact) for n, fact in enumerate(given_)]
    shipped = rows + rows[::3]
    shuffle.shuffle(shipped)
    found = invoice_lines(table(shipped), starts=STARTS, ends=ENDS, schedules=SCHEDULES)
    expected = defaultdict(list)
    for n, license_, tier, ms, day in rows:
        if STARTS <= STARTS + timedelta(days=day) < ENDS:
            expected[license_, tier].append((f"g{n:04}", ms))
    assert {(u.license, u.tier) for u, _ in found} == expected.keys()
    for used, lines in found:
        own = expected[used.license, used.tier]
        assert (used.facts, used.ms) == (len(own), sum(ms for _, ms in own))
        assert used.digest == facts_digest(own)
        price = SCHEDULES["c", used.tier].price("minute")
        assert sum(line.amount for line in lines) == price.amount(used.ms)


def test_two_facts_with_one_identifier_are_refused():
    rows = [(1, "l1", "professional", 5, 1), (1, "l1", "professional", 6, 1)]
    with pytest.raises(InvalidError, match="one identifier"):
        invoice_lines(table(rows), starts=STARTS, ends=ENDS, schedules=SCHEDULES)


def test_terms_that_are_not_known_are_refused():
    with pytest.raises(InvalidError, match="not known"):
        invoice_lines(table([(1, "l1", "gold", 5, 1)]), starts=STARTS, ends=ENDS, schedules=SCHEDULES)
