"""The ratchet is a partial order, and what it lets through takes nothing away."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rights.terms import covenants, near, prices, wider
from stemma.rights.covenant import Cover, house_covenant, house_covenant_1, house_covenant_2, lift
from stemma.rights.prices import Price, Step, curve, no_dearer
from stemma.rights.ratchet import FREE, HOLDERS, NOTHING, Verdict, combine, compare, losses, values

pytestmark = pytest.mark.unit

EQUAL, WIDER, NARROWER, INCOMPARABLE = Verdict
BACKWARDS = {EQUAL: EQUAL, WIDER: NARROWER, NARROWER: WIDER, INCOMPARABLE: INCOMPARABLE}
UP = {EQUAL, WIDER}
HOUSE = house_covenant()
some = settings(max_examples=25, suppress_health_check=list(HealthCheck))

chains = (
    covenants()
    .flatmap(lambda a: st.tuples(st.just(a), near(a)))
    .flatmap(lambda two: st.tuples(st.just(two[0]), st.just(two[1]), near(two[1])))
)
climbs = (
    covenants()
    .flatmap(lambda a: st.tuples(st.just(a), wider(a)))
    .flatmap(lambda two: st.tuples(st.just(two[0]), st.just(two[1]), wider(two[1])))
)


@some
@given(covenants())
def test_terms_equal_themselves(terms):
    found = compare(terms, terms)
    assert found.verdict == EQUAL
    assert {step.verdict for step in found.steps} == {EQUAL}


@some
@given(chains)
def test_looking_back_turns_every_verdict_around(chain):
    """Antisymmetry: both ways at least as wide means equal, in each dimension and for each holder."""
    a, b, _ = chain
    forth, back = compare(a, b), compare(b, a)
    assert [BACKWARDS[step.verdict] for step in forth.steps] == [step.verdict for step in back.steps]
    for holder in HOLDERS:
        assert back.of(holder) == BACKWARDS[forth.of(holder)]
    if forth.verdict in UP and back.verdict in UP:
        assert forth.verdict == EQUAL
        ranks = [{d: v.rank for d, v in values(terms).items()} for terms in (a, b)]
        assert ranks[0] == ranks[1]


@some
@given(st.one_of(chains, climbs))
def test_what_is_wider_than_the_wider_is_wider(chain):
    """Transitivity, for each holder and for all together."""
    a, b, c = chain
    first, second, both = compare(a, b), compare(b, c), compare(a, c)
    for holder in HOLDERS:
        ways = {first.of(holder), second.of(holder)}
        if ways <= UP:
            assert both.of(holder) == (EQUAL if ways == {EQUAL} else WIDER)
        if ways <= {EQUAL, NARROWER}:
            assert both.of(holder) == (EQUAL if ways == {EQUAL} else NARROWER)


@some
@given(climbs)
def test_widening_dimensions_together_widens_the_whole(chain):
    """Monotone composition: dimension by dimension at least as wide, so are all of them."""
    a, b, c = chain
    for old, new in ((a, b), (b, c), (a, c)):
        found = compare(old, new)
        assert found.verdict in UP, found.losses()
        assert not found.losses()


@given(st.lists(st.sampled_from(Verdict), max_size=6), st.lists(st.sampled_from(Verdict), max_size=6))
def test_verdicts_combine_in_any_order_and_grouping(left, right):
    assert combine([*left, *right]) == combine([combine(left), combine(right)]) == combine([*right, *left])
    assert combine([]) == EQUAL
    assert (combine([*left, NARROWER])) in {NARROWER, INCOMPARABLE}


@some
@given(st.data())
def test_no_sequence_of_accepted_publications_narrows_a_grant(data):
    """Whoever was granted something finds it in every version that was published while the grant was held."""
    granted, published = [], []
    terms = data.draw(covenants())
    for _ in range(5):
        if not losses(terms, granted):
            published.append(terms)
            for seen, holder in granted:
                assert compare(seen, terms).of(holder) in UP
            holders = ["creators", "owners", *(tier.name for tier in terms.tiers)]
            granted += [(terms, holder) for holder in data.draw(st.sets(st.sampled_from(holders)))]
        terms = data.draw(st.one_of(near(published[-1]), wider(published[-1]), covenants()))
    for seen, holder in granted:
        for later in published[published.index(seen) :]:
            assert compare(seen, later).of(holder) in UP


def changed(tier="professional", **given):
    tiers = tuple(each.model_copy(update=given) if each.name == tier else each for each in HOUSE.tiers)
    return HOUSE.model_copy(update={"format": "stemma.covenant/3", "tiers": tiers})


def minutes(*steps, way="graduated", package=1):
    made = tuple(Step(up_to=end, price=price) for end, price in steps)
    return Price(unit="minute", title="Music", way=way, steps=made, package=package)


USES = HOUSE.tier("professional").uses
MORE = tuple(sorted((*HOUSE.tier("enterprise").indemnity[0].exclusions, "notice_removed")))


@pytest.mark.parametrize(
    ("new", "holder", "field", "verdict"),
    [
        (changed(monthly_fee=50_000_000), "professional", "tiers.professional.monthly_fee", NARROWER),
        (changed(monthly_fee=0), "professional", "tiers.professional.monthly_fee", WIDER),
        (changed(minute_fee=49_999), "professional", "tiers.professional.minute_fee", WIDER),
        (changed(minimum=1), "professional", "tiers.professional.minimum", NARROWER),
        (
            changed(minute_fee=0, prices=(minutes((100, 50_000), (None, 40_000)),)),
            "professional", "tiers.professional.minute_fee", WIDER,
        ),
        (
            changed(minute_fee=0, prices=(minutes((100, 40_000), (None, 51_000)),)),
            "professional", "tiers.professional.minute_fee", INCOMPARABLE,
        ),
        (
            changed(minute_fee=0, prices=(minutes((10, 51_000), (None, 40_000), way="volume"),)),
            "professional", "tiers.professional.minute_fee", INCOMPARABLE,
        ),
        (
            changed(minute_fee=0, prices=(minutes((7, 50_000), (None, 50_000), way="volume"),)),
            "professional", "tiers.professional.minute_fee", EQUAL,
        ),
        (
            changed(minute_fee=0, prices=(minutes((None, 1), way="package", package=60),)),
            "professional", "tiers.professional.minute_fee", INCOMPARABLE,
        ),
        (changed(revenue_limit=None), "professional", "growth.grace_days", WIDER),
        (changed(revenue_limit=19_999_999), "professional", "tiers.professional.revenue_limit", NARROWER),
        (changed("enterprise", revenue_limit=10**12), "enterprise", "tiers.enterprise.revenue_limit", NARROWER),
        (changed(uses=USES[:-1], notice_on=USES[:-1]), "professional", "tiers.professional.uses.broadcast", NARROWER),
        (changed(notice_on=USES[1:]), "professional", "tiers.professional.uses.api_outputs", WIDER),
        (changed(territories=("DE",)), "professional", "tiers.professional.territories", NARROWER),
        (changed(models=("a/*",)), "professional", "tiers.professional.models", NARROWER),
        (changed(requests_per_minute=1), "professional", "tiers.professional.requests_per_minute", NARROWER),
        (changed("enterprise", indemnity=()), "enterprise", "tiers.enterprise.indemnity.api_outputs.cap", NARROWER),
        (
            changed("enterprise", indemnity=(Cover(use="api_outputs", exclusions=MORE),)),
            "enterprise", "tiers.enterprise.indemnity.api_outputs.exclusions", NARROWER,
        ),
        (HOUSE.model_copy(update={"notice": "Other."}), "community", "notice", INCOMPARABLE),
        (HOUSE.model_copy(update={"training_ppm": 1}), "creators", "training_ppm", INCOMPARABLE),
        (HOUSE.model_copy(update={"master_ppm": 1}), "owners", "master_ppm", INCOMPARABLE),
        (
            HOUSE.model_copy(update={"creators": HOUSE.creators.model_copy(update={"usage": 499_999})}),
            "creators", "creators.usage", NARROWER,
        ),
        (
            HOUSE.model_copy(update={"revenue": HOUSE.revenue.model_copy(update={"of": "group"})}),
            "community", "revenue", NARROWER,
        ),
        (
            HOUSE.model_copy(update={"revenue": HOUSE.revenue.model_copy(update={"currency": "EUR"})}),
            "community", "tiers.community.revenue_limit", INCOMPARABLE,
        ),
        (HOUSE.model_copy(update={"currency": "EUR"}), "professional", "tiers.professional.minute_fee", INCOMPARABLE),
        (HOUSE.model_copy(update={"currency": "EUR"}), "community", "tiers.community.minute_fee", EQUAL),
        (HOUSE.model_copy(update={"tiers": HOUSE.tiers[:-1]}), "evaluation", "tiers.evaluation.name", NARROWER),
        (
            HOUSE.model_copy(update={"withdrawal": HOUSE.withdrawal.model_copy(update={"prompting_days": 1})}),
            "owners", "withdrawal.prompting_days", NARROWER,
        ),
        (
            HOUSE.model_copy(update={"growth": HOUSE.growth.model_copy(update={"outputs": "end"})}),
            "community", "growth.outputs", NARROWER,
        ),
    ],
)  # fmt: skip
def test_each_change_is_found_where_it_is(new, holder, field, verdict):
    [step] = [step for step in compare(HOUSE, new).steps if (step.holder, step.field) == (holder, field)]
    assert step.verdict == verdict, step


@settings(max_examples=80)
@given(prices("seat"), prices("seat"))
def test_no_dearer_is_said_where_no_quantity_costs_more(new, old):
    """Against the cost of each quantity; of packages it may say no where it is not sure."""
    said = no_dearer(curve(new), curve(old))
    if "package" in (new.way, old.way):
        assert not said or all(new.amount(quantity) <= old.amount(quantity) for quantity in range(60))
    else:
        assert said == all(_quarters(new, quarters) <= _quarters(old, quarters) for quarters in range(240))


def _quarters(price, quarters):
    """What a quantity in quarters of a unit costs, in quarters of a micro-unit, step by step."""
    if price.way == "volume":
        at = next(step for step in price.steps if step.up_to is None or quarters <= 4 * step.up_to)
        return at.price * quarters
    total, below = 0, 0
    for step in price.steps:
        end = quarters if step.up_to is None else min(quarters, 4 * step.up_to)
        total += step.price * max(0, end - below)
        below = max(below, end)
    return total


def test_who_has_no_threshold_does_not_mind_how_revenue_is_counted():
    new = HOUSE.model_copy(update={"revenue": HOUSE.revenue.model_copy(update={"of": "group"})})
    found = compare(HOUSE, new).holders()
    assert (found["community"], found["enterprise"]) == (NARROWER, EQUAL)


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ((), (), EQUAL),
        ((), ("a/*", "b/*"), NARROWER),
        (("a/1",), (), WIDER),
        (("a/1",), ("a/*",), WIDER),
        (("a/*",), ("a/1", "a/2"), NARROWER),
        (("a/*",), ("a/*", "b/2"), WIDER),
        (("a/1",), ("b/1",), INCOMPARABLE),
        (("a/*",), ("a/1", "b/1"), INCOMPARABLE),
    ],
)
def test_fewer_models_are_less_for_who_may_use_them_and_nothing_else_for_creators(old, new, verdict):
    found = compare(changed(models=old), changed(models=new))
    assert {holder: said for holder, said in found.holders().items() if said != EQUAL} == (
        {} if verdict == EQUAL else {"professional": verdict}
    )
    assert [step.field for step in found.steps if step.verdict != EQUAL] == (
        [] if verdict == EQUAL else ["tiers.professional.models"]
    )


def test_a_loss_of_models_is_told_in_words():
    [loss] = losses(changed(models=("a/*", "b/2")), [(HOUSE, "professional")])
    assert loss.step.sentence() == "professional: models was every model and would be every release of a, b/2"


def test_form_1_is_compared_by_what_it_says_in_form_2():
    first = house_covenant_1()
    assert compare(first, lift(first)).verdict == EQUAL
    found = compare(first, house_covenant_2())
    assert found.verdict == WIDER
    assert found.of("creators") == found.of("owners") == EQUAL
    [grace] = [s for s in found.steps if (s.holder, s.field) == ("community", "growth.grace_days")]
    assert (grace.old, grace.new, grace.verdict) == ("none", "90 days", WIDER)
    assert compare(house_covenant_2(), first).verdict == NARROWER


def test_the_house_terms_would_take_days_and_cover_from_who_holds_those_of_before():
    narrower = [step for step in compare(house_covenant_2(), HOUSE).steps if step.verdict != EQUAL]
    assert [(step.holder, step.field, step.verdict) for step in narrower] == [
        ("community", "growth.grace_days", NARROWER),
        ("professional", "growth.grace_days", NARROWER),
        ("enterprise", "tiers.enterprise.indemnity.api_outputs.exclusions", NARROWER),
    ]
    assert {(step.old, step.new) for step in narrower[:2]} == {("90 days", "30 days")}


def test_a_loss_names_the_version_that_is_held():
    dear = changed(monthly_fee=50_000_000)
    found = losses(dear, [(HOUSE, "professional"), (HOUSE, "professional"), (HOUSE, "community"), (dear, "community")])
    [loss] = found
    assert (loss.under, loss.step.field) == ("3.0.0", "tiers.professional.monthly_fee")
    assert loss.step.sentence() == "professional: fee a month was USD 49.00 and would be USD 50.00"


def test_nothing_is_below_and_free_above_everything():
    found = {value.rank for terms in (HOUSE, house_covenant_1()) for value in values(terms).values()}
    assert NOTHING.rank not in found
    assert FREE.rank in found
