"""Terms are closed data with one hash; form 1 stays what it was."""

import json

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from rights.terms import covenants
from stemma.errors import InvalidError
from stemma.proof.canonical import canonical, digest
from stemma.rights.consent import Purpose
from stemma.rights.covenant import (
    USES,
    Covenant,
    Covenant1,
    Cover,
    Tier,
    house_covenant,
    house_covenant_1,
    house_covenant_2,
    lift,
    read_covenant,
)
from stemma.rights.covenant_text import markdown, sections, summary
from stemma.rights.prices import Price, Step

pytestmark = pytest.mark.unit

HOUSE, FIRST = house_covenant(), house_covenant_1()


def test_the_first_terms_keep_their_hash():
    """Licenses name it: 3f769656… must be found for ever."""
    document = canonical(FIRST)
    assert digest(FIRST) == "3f769656f098259d53b309815f9ef758b5a5a7f811fe7070145cfac31976d847"
    read = read_covenant(document)
    assert isinstance(read, Covenant1)
    assert canonical(read) == document


def test_terms_of_form_2_keep_their_hash_beside_form_3():
    assert digest(house_covenant_2()) == "aaddd5c4c89cd6d9dc9007cf47b035e57f2b2c31cbec0e601192f59f7b850ab2"
    assert digest(HOUSE) == "b5236a26283f6041bdaf670e1a0858c8a7a0f421cc7224533c1aa43cf231f207"
    assert b"prices" not in canonical(HOUSE)
    assert canonical(read_covenant(canonical(HOUSE))) == canonical(HOUSE)


def stepped(**changes):
    """The house terms with schedules: form 3."""
    prices = (
        Price(unit="minute", title="Music", steps=(Step(up_to=1000, price=40_000), Step(price=30_000))),
        Price(unit="release", title="Model", steps=(Step(price=5_000_000),)),
        Price(
            unit="seat", title="Seat", way="volume", steps=(Step(up_to=10, price=20_000_000), Step(price=15_000_000))
        ),
    )
    tier = HOUSE.tier("enterprise").model_copy(
        update={"minute_fee": 0, "minimum": 2_000_000_000, "prices": prices, **changes}
    )
    tiers = tuple(tier if each.name == "enterprise" else each for each in HOUSE.tiers)
    return HOUSE.model_copy(update={"format": "stemma.covenant/3", "version": "3.1.0", "tiers": tiers})


def test_form_3_says_prices_with_steps_and_a_minimum():
    terms = read_covenant(canonical(stepped()))
    assert terms == stepped()
    schedule = terms.schedule("enterprise")
    assert [price.unit for price in schedule.prices] == ["flat", "seat", "minute", "release"]
    due = [*schedule.fees(months=2, seats=11), *schedule.use(ms=1001 * 60_000, releases=2)]
    assert [line.amount for line in due] == [1_980_000_000, 2 * 11 * 15_000_000, 40_030_000, 10_000_000]
    assert [line.amount for line in schedule.fill(due, months=2)] == [4_000_000_000 - 2_360_030_000]
    told = markdown(terms, "0" * 64)
    for words in ("USD 0.04 up to 1,000, USD 0.03 beyond", "each for the whole quantity", "USD 2,000.00 at least"):
        assert words in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "stemma.covenant/2"},
        {"tiers": [stepped().tier("enterprise").model_dump() | {"minute_fee": 1}]},
        {"tiers": [stepped().tier("enterprise").model_dump() | {"prices": stepped().tier("enterprise").prices[::-1]}]},
        {"tiers": [stepped().tier("enterprise").model_dump() | {"minimum": -1}]},
    ],
)
def test_schedules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidError):
        read_covenant(stepped().model_dump() | wrong)


def with_models(*models):
    """The house terms with a community that has these models alone."""
    tiers = (HOUSE.tiers[0].model_copy(update={"models": models}), *HOUSE.tiers[1:])
    return HOUSE.model_copy(update={"format": "stemma.covenant/3", "version": "3.2.0", "tiers": tiers})


def test_a_tier_names_its_models_in_the_data_and_in_the_text_and_says_nothing_where_it_has_all():
    terms = read_covenant(canonical(with_models("house-latent/*", "house-symbolic/2")))
    assert terms.tier("community").models == ("house-latent/*", "house-symbolic/2")
    assert canonical(terms).count(b'"models"') == 1
    assert b'"models"' not in canonical(HOUSE)
    clause = "It holds for these models and for no others: every release of house-latent, house-symbolic/2."
    found = {c.field: c.text for section in sections(terms) for c in section.clauses}
    assert found["tiers.community.models"] == clause
    assert {field for field in found if field.endswith(".models")} == {"tiers.community.models"}
    in_short = summary(terms)[0].answers
    assert in_short[0].endswith("; only with every release of house-latent, house-symbolic/2.")
    assert in_short[1:] == summary(HOUSE)[0].answers[1:]
    with pytest.raises(InvalidError) as refused:
        read_covenant(terms.model_dump() | {"format": "stemma.covenant/2"})
    assert "models of a tier is said in form 3" in refused.value.details[0]["remedy"]


def test_terms_inside_another_document_keep_their_form():
    for terms in (FIRST, HOUSE):
        purpose = Purpose(covenant=digest(terms), terms=terms)
        again = Purpose.model_validate_json(purpose.model_dump_json())
        assert type(again.terms) is type(terms)
        assert digest(again.terms) == digest(terms)


@settings(max_examples=40)
@given(covenants())
def test_terms_are_read_as_they_were_written(terms):
    document = canonical(terms)
    assert read_covenant(document) == terms
    assert canonical(read_covenant(json.loads(document))) == document
    assert lift(terms) is terms


def places(value, path=()):
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def test_an_unknown_key_is_refused_anywhere():
    whole = HOUSE.model_dump(mode="json")
    found = list(places(whole))
    assert len(found) > 12
    for path in found:
        document = json.loads(json.dumps(whole))
        inner = document
        for step in path:
            inner = inner[step]
        inner["surprise"] = 1
        with pytest.raises(InvalidError) as refused:
            read_covenant(document)
        assert refused.value.code == "not-a-covenant"
        assert refused.value.details[0]["field"] == ".".join(map(str, (*path, "surprise")))


@pytest.mark.parametrize("document", ["", "[]", "null", '{"format": "stemma.covenant/3"}', "{}", b"\xff", 7, '"x"'])
def test_what_is_no_covenant_is_refused(document):
    with pytest.raises(InvalidError, match="not a covenant"):
        read_covenant(document)


@pytest.mark.parametrize(
    "wrong",
    [
        {"monthly_fee": 49.0},
        {"monthly_fee": "49"},
        {"monthly_fee": -1},
        {"monthly_fee": True},
        {"minute_fee": 2**53},
        {"uses": ()},
        {"uses": ("api_outputs", "api_outputs")},
        {"notice_on": ("broadcast",), "uses": ("api_outputs",)},
        {"territories": ("FR", "DE")},
        {"territories": ("Germany",)},
        {"territories": ("de",)},
        {"models": ("*",)},
        {"models": ("house-symbolic",)},
        {"models": ("House/1",)},
        {"models": ("b/1", "a/1")},
        {"models": ("a/1", "a/1")},
        {"models": ("a/*", "a/1")},
        {"models": tuple(f"a/{n}" for n in range(100, 151))},
        {"requests_per_minute": 0},
        {"revenue_limit": 1.5},
        {"indemnity": (Cover(use="broadcast"),), "uses": ("api_outputs",)},
        {"indemnity": (Cover(use="broadcast"), Cover(use="broadcast", cap=1))},
    ],
)
def test_a_tier_that_says_no_sense_is_refused(wrong):
    sound = {
        "name": "research",
        "title": "R",
        "uses": USES,
        "monthly_fee": 0,
        "minute_fee": 0,
        "requests_per_minute": 1,
    }
    Tier(**sound)
    with pytest.raises(ValidationError):
        Tier(**{**sound, **wrong})


def test_a_tier_is_there_once_and_exclusions_are_in_order():
    with pytest.raises(ValidationError, match="twice"):
        Covenant(**{**dict(HOUSE), "tiers": (HOUSE.tiers[0], HOUSE.tiers[0])})
    with pytest.raises(ValidationError, match="alphabet"):
        Cover(use="broadcast", exclusions=("prompted_likeness", "altered_after"))


def test_both_forms_answer_to_the_names_that_settlement_asks_for():
    for terms in (FIRST, HOUSE):
        assert (terms.creators_ppm, terms.training_ppm, terms.master_ppm) == (500_000, 300_000, 500_000)
        assert terms.part_of("usage") == terms.part_of("subscription") == 500_000
        assert [t.indemnified for t in terms.tiers] == [False, False, True, False, False]
        assert terms.tier("professional").monthly_fee == 49_000_000
        assert terms.on_withdrawal.startswith("The recording leaves every later snapshot")
    parts = HOUSE.creators.model_copy(update={"other": 1})
    assert HOUSE.model_copy(update={"creators": parts}).creators_ppm == 1


def test_odd_terms_of_form_1_are_lifted_too():
    odd = FIRST.tiers[0].model_copy(update={"uses": ("broadcast", "broadcast"), "title": "", "revenue_limit": -5})
    empty = FIRST.tiers[1].model_copy(update={"uses": ()})
    lifted = lift(FIRST.model_copy(update={"tiers": (odd, empty, odd), "notice": "", "title": ""}))
    [tier] = lifted.tiers
    assert (tier.uses, tier.revenue_limit, tier.notice_on) == (("broadcast",), 0, ("broadcast",))


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from leaves(inner, f"{path}.{inner.get('name') or inner['use']}")
    else:
        yield path


def test_every_field_is_said_by_a_clause_and_every_clause_by_its_number():
    found = sections(HOUSE)
    clauses = [clause for section in found for clause in section.clauses]
    assert [c.number for c in clauses] == [f"{s.number}.{n}" for s in found for n in range(1, len(s.clauses) + 1)]
    said = {clause.field for clause in clauses}
    for leaf in leaves(HOUSE.model_dump(mode="json")):
        if leaf.endswith((".name", ".title")):
            continue
        assert any(leaf == field or leaf.startswith(f"{field}.") for field in said), leaf


@settings(max_examples=40)
@given(covenants())
def test_other_terms_have_another_text(terms):
    text = markdown(terms, "0" * 64)
    assert "None" not in text
    assert markdown(read_covenant(canonical(terms)), "0" * 64) == text
    assert all(point.answers for point in summary(terms))


def test_the_text_says_what_the_data_says():
    text = markdown(HOUSE, digest(HOUSE))
    for words in (
        digest(HOUSE),
        "The fee is USD 49.00 a month.",
        "Each generated minute costs USD 0.05.",
        "50 % of every revenue goes to creators.",
        "yearly revenue of up to USD 1,000,000.",
        "keeps it for 30 days more",
        "The licensee may not pass the weights on, build the model into products or broadcast outputs.",
        "up to USD 1,000,000 a year, except for what was altered after it was handed over",
    ):
        assert words in text
    assert "2.6. The fee" not in text
    parts = HOUSE.creators.model_copy(update={"usage": 512_345})
    text = markdown(HOUSE.model_copy(update={"creators": parts}), "")
    assert "50 % of monthly fees, 51.2345 % of fees for generated minutes" in text


def test_no_promise_is_put_into_the_mouth_of_form_1():
    text = markdown(FIRST, digest(FIRST))
    assert FIRST.on_withdrawal in text
    for word in ("grows past", "put it right", "whole world"):
        assert word not in text
        assert word in markdown(HOUSE, "")


def test_the_summary_fits_one_screen():
    points = summary(HOUSE)
    assert sum(len(point.answers) for point in points) <= 16
    assert points[0].answers[1] == (
        "Professional up to USD 20,000,000 of revenue: everything, USD 49.00 a month and USD 0.05 a minute."
    )
