"""Prices, credit, tax and invoices: what must hold for every quantity."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stemma.billing.invoice import bill
from stemma.billing.money import MICRO, half_up, parse, payable, rounded, smallest, written
from stemma.billing.prices import Credit, credit_use, tier_revenue_limit
from stemma.billing.tax import Treatment, tax_table_read, treatment, vat_number
from stemma.errors import InvalidError
from stemma.rights.covenant import house_covenant
from stemma.rights.prices import PARTS, Line, Price, Schedule, Step

pytestmark = pytest.mark.unit
UNITS = st.sampled_from(sorted(PARTS))
STEPPED = st.sampled_from(sorted(set(PARTS) - {"flat"}))
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])


@st.composite
def prices(draw, way="graduated"):
    edges = sorted(draw(st.sets(st.integers(1, 10_000), max_size=4)))
    steps = [Step(up_to=edge, price=draw(st.integers(0, 10**9))) for edge in [*edges, None]]
    return Price(unit=draw(STEPPED), title="Thing", way=way, steps=tuple(steps))


lines = st.lists(
    st.builds(Line, unit=UNITS, title=st.just("Thing"), quantity=st.integers(0, 10**6), amount=st.integers(0, 10**12)),
    min_size=1,
    max_size=12,
)
treatments = st.builds(Treatment, st.just("S"), st.just("DE"), st.integers(0, 300_000))


def test_a_graduated_price_by_hand():
    steps = (Step(up_to=100, price=50_000), Step(up_to=1000, price=40_000), Step(price=30_000))
    price = Price(unit="minute", title="Minutes", steps=steps)
    assert price.amount(0) == 0
    assert price.amount(100 * 60_000) == 5 * MICRO
    assert price.amount(101 * 60_000) == 5_040_000
    assert price.amount(1500 * 60_000) == 5 * MICRO + 36 * MICRO + 15 * MICRO
    assert price.amount(1) == 0, "less than a micro-unit is not charged"


@given(prices(), st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_graduated_price_is_monotone_and_has_no_jump(price, quantity, more):
    dearest = max(step.price for step in price.steps)
    less, then = price.amount(quantity), price.amount(quantity + more)
    assert 0 <= then - less <= -(-dearest * more // PARTS[price.unit]) + 1


@given(prices(), st.data())
def test_a_graduated_price_is_continuous_at_its_edges(price, data):
    edges = [step.up_to for step in price.steps if step.up_to]
    if not edges:
        return
    edge = data.draw(st.sampled_from(edges)) * PARTS[price.unit]
    below, at, above = (price.amount(edge + by) for by in (-1, 0, 1))
    dearest = -(-max(step.price for step in price.steps) // PARTS[price.unit])
    assert below <= at <= above
    assert max(at - below, above - at) <= dearest + 1


@given(prices(), st.integers(0, 10**9))
def test_a_graduated_price_is_what_its_parts_cost_one_by_one(price, quantity):
    parts, total, below = PARTS[price.unit], Fraction(), 0
    for step in price.steps:
        end = quantity if step.up_to is None else min(quantity, step.up_to * parts)
        total += Fraction(step.price * max(0, end - below), parts)
        below = max(below, end)
    assert price.amount(quantity) == total.numerator // total.denominator


@given(prices("volume"), st.integers(0, 10**9))
def test_a_volume_price_is_one_price_for_all(price, quantity):
    assert price.amount(quantity) == price.step_of(quantity).price * quantity // PARTS[price.unit]


@given(STEPPED, st.integers(1, 1000), st.integers(0, 10**9), st.integers(0, 10**9))
def test_whole_packages_are_sold(unit, size, cost, quantity):
    price = Price(unit=unit, title="Packs", way="package", steps=(Step(price=cost),), package=size)
    count, rest = divmod(price.amount(quantity), cost) if cost else (0, 0)
    assert rest == 0
    assert (
        not cost or (count - 1) * size * PARTS[unit] < quantity <= count * size * PARTS[unit] or quantity == count == 0
    )


@pytest.mark.parametrize(
    "steps",
    [[(10, 1)], [(None, 1), (None, 2)], [(20, 1), (10, 2), (None, 3)], [(10, 1), (10, 2), (None, 3)], []],
)
def test_steps_that_cannot_be_are_refused(steps):
    with pytest.raises(ValidationError):
        Price(unit="seat", title="Seats", steps=tuple(Step(up_to=end, price=cost) for end, cost in steps))


@given(lines, CURRENCIES, treatments)
def test_an_invoice_is_the_sum_of_its_lines(some, currency, how):
    made = bill(some, currency=currency, treatment=how)
    assert made.net == sum(each.line.amount for each in made.lines)
    assert made.total == made.net + made.rounding + made.tax
    assert 2 * abs(made.rounding) <= smallest(currency)
    assert made.total % smallest(currency) == 0
    assert sum(each.net for each in made.lines) == made.net + made.rounding == payable(made.net, currency)


@given(lines, CURRENCIES, treatments)
def test_tax_by_line_is_the_tax_of_the_whole(some, currency, how):
    made = bill(some, currency=currency, treatment=how)
    unit = smallest(currency)
    assert made.tax == sum(each.tax for each in made.lines)
    assert made.tax == half_up(Fraction((made.net + made.rounding) * how.ppm, MICRO * unit)) * unit
    for each in made.lines:
        assert abs(each.tax - Fraction(each.net * how.ppm, MICRO)) < unit, "no line is off by a cent"


@given(lines, st.lists(st.integers(0, 10**12), max_size=5), treatments)
def test_credit_is_never_negative_and_nothing_is_lost(some, amounts, how):
    before = [Credit(str(n), amount) for n, amount in enumerate(amounts)]
    billed, after = credit_use(some, before)
    due, owed = sum(line.amount for line in some), sum(line.amount for line in billed)
    assert all(credit.left >= 0 for credit in after)
    assert owed >= 0
    assert due - owed == sum(c.left for c in before) - sum(c.left for c in after)
    assert owed == 0 or all(credit.left == 0 for credit in after)
    made = bill(billed, currency="EUR", treatment=how)
    assert made.net == owed
    for each in made.lines:
        assert abs(each.net - each.line.amount) < smallest("EUR")


@given(st.lists(st.fractions(min_value=-(10**9), max_value=10**9), max_size=20))
def test_rounding_keeps_the_sum(values):
    parts = rounded(values)
    assert sum(parts) == half_up(sum(values, Fraction()))
    assert all(abs(part - value) <= 1 for part, value in zip(parts, values, strict=True))


@given(st.integers(0, 10**12), st.integers(0, 10**9), st.integers(0, 10**8))
def test_the_commitment_is_filled_up(minimum, monthly, ms):
    schedule = Schedule(
        currency="USD",
        minimum=minimum,
        prices=(
            Price(unit="flat", title="Fee", steps=(Step(price=monthly),)),
            Price(unit="minute", title="Minutes", steps=(Step(price=50_000),)),
        ),
    )
    due = [*schedule.fees(months=2), *schedule.use(ms=ms)]
    total = sum(line.amount for line in [*due, *schedule.fill(due, months=2)])
    assert total == max(2 * minimum, 2 * monthly + 50_000 * ms // 60_000)


def test_the_terms_prices_are_those_that_royalties_are_counted_by():
    terms = house_covenant()
    for tier in terms.tiers:
        schedule = terms.schedule(tier.name)
        total = sum(line.amount for line in [*schedule.fees(months=3), *schedule.use(ms=1_234_567)])
        assert total == 3 * tier.monthly_fee + tier.minute_fee * 1_234_567 // 60_000
    assert tier_revenue_limit(terms, "community") == 10**6 * MICRO
    assert tier_revenue_limit(terms, "enterprise") is None


@given(st.integers(0, 10**15))
def test_amounts_are_written_and_read(amount):
    assert parse(written(amount)) == amount


@pytest.mark.parametrize("text", ["", "-1", "1,5", "1e3", "0.1234567", "١", "nan", "1."])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InvalidError):
        parse(text)


TABLE = (
    "country,percent,from\nDE,19,2007-01-01\nDE,16,2020-07-01\nDE,19,2021-01-01\nFI,25.5,2024-09-01\nUS,0,2000-01-01\n"
)


@pytest.mark.parametrize(
    ("buyer", "number", "category", "ppm"),
    [
        ("DE", "DE136695976", "S", 190_000),
        ("FI", "", "S", 255_000),
        ("FI", "FI20774740", "AE", 0),
        ("US", "", "O", 0),
        ("CH", "", "O", 0),
    ],
)
def test_whose_tax_it_is(buyer, number, category, ppm):
    how = treatment(table=tax_table_read(TABLE), seller="DE", buyer=buyer, number=number, on=date(2026, 11, 28))
    assert (how.category, how.ppm) == (category, ppm)
    assert bool(how.reason) == (category != "S")


def test_rates_have_their_day():
    table = tax_table_read(TABLE)
    assert table.rate("DE", date(2020, 8, 1)) == 160_000
    assert table.rate("DE", date(2021, 1, 1)) == 190_000
    for country, day in (("DE", date(2000, 1, 1)), ("FR", date(2026, 1, 1))):
        with pytest.raises(InvalidError, match="No rate of tax"):
            table.rate(country, day)


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "country,percent,from\nDE,-1,2020-01-01\n", "country,percent,from\nDE,19,soon\n",
     "country,percent,from\nDE,19,2020-01-01\nDE,16,2020-01-01\n", "country,percent,from\nDE\n"],
)  # fmt: skip
def test_tables_of_tax_that_cannot_be_are_refused(text):
    with pytest.raises(InvalidError):
        tax_table_read(text)


def test_tax_numbers_are_checked_and_belong_to_their_country():
    assert vat_number("de 136 695 976", "DE") == "DE136695976"
    assert vat_number("094259216", "GR") == "EL094259216"
    for number, country in (
        ("DE136695977", "DE"),
        ("DE136695976", "FR"),
        ("", "DE"),
        ("1", "US"),
        ("FI20774740", "DE"),
    ):
        with pytest.raises(InvalidError):
            vat_number(number, country)


@given(st.one_of(prices(), prices("volume")), st.integers(0, 10**12))
def test_within_an_amount_nothing_costs_more_and_the_next_part_does(price, amount):
    reach = price.within(amount)
    edges = [step.up_to * PARTS[price.unit] for step in price.steps if step.up_to]
    if reach is None:
        assert price.amount(10**13) <= amount
        return
    assert price.amount(reach + 1) > amount
    for quantity in (0, reach // 2, reach, *(edge + by for edge in edges for by in (0, 1) if edge + by <= reach)):
        assert price.amount(quantity) <= amount
