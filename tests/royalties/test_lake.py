"""Facts are read once, of the period, whatever lies in the lake."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from royalties.making import attribution, usage
from stemma.config import settings
from stemma.errors import InvalidError, UnavailableError
from stemma.proof.canonical import digest
from stemma.royalties.facts import (
    COMMONS,
    PPB,
    USAGE_SCHEMA,
    AttributionFact,
    attribution_facts,
    attribution_table,
    from_parquet,
    to_parquet,
    usage_facts,
    usage_table,
)
from stemma.royalties.lake import Folder, put_attribution, put_usage, read, unique
from stemma.storage import Storage

NOVEMBER = {"starts": datetime(2026, 11, 1, tzinfo=UTC), "ends": datetime(2026, 12, 1, tzinfo=UTC)}


def test_facts_survive_parquet():
    facts = [usage("g1", "l", 1), usage("g2", "l", 2)]
    table = from_parquet(to_parquet(usage_table(facts)), USAGE_SCHEMA, "x")
    assert usage_facts(table) == facts
    shares = [attribution("g1", {"r1": 7, "r2": 8}), attribution("g2", {})]
    assert attribution_facts(attribution_table(shares)) == shares


def test_each_fact_once_however_often_it_was_shipped(tmp_path):
    lake = Folder(tmp_path)
    facts = [usage("g1", "l", 1), usage("g2", "l", 2, at="2026-11-11T00:00:00.000Z")]
    keys = put_usage(lake, facts)
    assert [key.split("/")[1] for key in keys] == ["day=2026-11-10", "day=2026-11-11"]
    assert put_usage(lake, facts) == keys
    put_usage(lake, facts[:1])
    put_usage(lake, list(reversed(facts)))
    put_attribution(lake, [attribution("g1", {"r": 1}), attribution("other", {"r": 1})])
    found = read(lake, **NOVEMBER)
    assert usage_facts(found.usage) == facts
    assert found.attribution["generation"].to_pylist() == ["g1", "g1"]


def test_an_empty_lake(tmp_path):
    found = read(Folder(tmp_path), **NOVEMBER)
    assert found.usage.num_rows == found.attribution.num_rows == 0


def test_a_period_is_half_open_and_knows_time_zones(tmp_path):
    lake = Folder(tmp_path)
    at = [
        "2026-10-31T23:59:59.999Z",
        "2026-11-01T00:00:00.000Z",
        "2026-11-30T23:59:59.999Z",
        "2026-12-01T00:00:00.000Z",
    ]
    put_usage(lake, [usage(f"g{i}", "l", 1, at=moment) for i, moment in enumerate(at)])
    assert read(lake, **NOVEMBER).usage["id"].to_pylist() == ["g1", "g2"]
    east = timezone(timedelta(hours=1))
    moved = {"starts": datetime(2026, 11, 1, tzinfo=east), "ends": datetime(2026, 12, 1, tzinfo=east)}
    assert read(lake, **moved).usage["id"].to_pylist() == ["g0", "g1"]
    with pytest.raises(InvalidError):
        read(lake, starts=NOVEMBER["ends"], ends=NOVEMBER["starts"])


def test_the_first_attribution_of_a_generation_counts():
    old, new = (
        attribution("g", {"r1": 5}, name="a2"),
        attribution("g", {"r2": 6}, name="a1", at="2026-12-05T00:00:00.000Z"),
    )
    for facts in ([old, new], [new, old]):
        found = unique(usage_table([usage("g", "l", 1)]), attribution_table(facts), **NOVEMBER)
        assert attribution_facts(found.attribution)[0].shares == {"r1": 5, COMMONS: PPB - 5}


def stated(generation, shares, **fields):
    return AttributionFact.model_validate({**attribution(generation, shares).model_dump(), **fields})


def test_facts_of_both_versions_are_read(tmp_path):
    """Those with intervals beside those that were written before there were any, which keep their bytes."""
    old = attribution("g1", {"r1": 7})
    new = stated("g2", {"r1": 7}, version=2, checkpoints=3, intervals={"r1": (0, 9), COMMONS: (PPB - 9, PPB)})
    alone = stated("g3", {"r1": 7}, version=2, checkpoints=1)
    assert not {"version", "intervals"} & old.model_dump().keys()
    assert AttributionFact.model_validate_json(new.model_dump_json()) == new
    before = attribution_table([old]).drop_columns(["version", "low", "high"])
    lake = Folder(tmp_path)
    lake.put("attribution/day=2026-11-10/before.parquet", to_parquet(before))
    put_attribution(lake, [old, new, alone])
    put_usage(lake, [usage(name, "l", 1) for name in ("g1", "g2", "g3")])
    found = read(lake, **NOVEMBER).attribution
    assert {fact.generation: fact for fact in attribution_facts(found)} == {"g1": old, "g2": new, "g3": alone}
    assert digest(attribution_facts(attribution_table([old]))[0]) == digest(old)


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 2, "checkpoints": 3},
        {"version": 2, "checkpoints": 3, "intervals": {"r1": (0, 9)}},
        {"version": 2, "checkpoints": 3, "intervals": {"r1": (8, 9), COMMONS: (0, PPB)}},
        {"version": 2, "checkpoints": 3, "intervals": {"r1": (0, 9), COMMONS: (0, PPB + 1)}},
        {"version": 2, "checkpoints": 1, "intervals": {"r1": (0, 9), COMMONS: (0, PPB)}},
        {"version": 1, "checkpoints": 3, "intervals": {"r1": (0, 9), COMMONS: (0, PPB)}},
    ],
)
def test_an_interval_that_does_not_hold_its_share_makes_no_fact(fields):
    with pytest.raises(ValidationError, match="interval"):
        stated("g", {"r1": 7}, **fields)


@pytest.mark.parametrize("shares", [{}, {"r1": 7}, {"r1": -7, COMMONS: PPB + 7}, {COMMONS: PPB + 1}])
def test_shares_that_do_not_sum_make_no_fact(shares):
    with pytest.raises(ValidationError, match="sum to 1000000000 ppb"):
        AttributionFact.model_validate({**attribution("g", {"r1": 7}).model_dump(), "shares": shares})


@pytest.mark.parametrize(
    ("usages", "attributions"),
    [
        ([usage("g", "l", 1), usage("g", "l", 2)], []),
        ([usage("g", "l", 1)], [attribution("g", {"r1": 5}), attribution("g", {"r2": 5})]),
        ([usage("g", "l", 1)], [attribution("g", {}).model_copy(update={"shares": {"r1": 5}})]),
        ([usage("g", "l", 1)], [attribution("g", {}).model_copy(update={"shares": {"r1": -5, COMMONS: PPB + 5}})]),
    ],
)
def test_what_contradicts_or_does_not_add_up_is_refused(usages, attributions):
    with pytest.raises(InvalidError) as error:
        unique(usage_table(usages), attribution_table(attributions), **NOVEMBER)
    assert error.value.code == "conflicting-facts"


@pytest.mark.parametrize("body", [b"", b"PAR1 but not really", to_parquet(usage_table([]).drop_columns(["seed"]))])
def test_an_unreadable_object_is_named(tmp_path, body):
    Folder(tmp_path).put("usage/day=2026-11-10/broken.parquet", body)
    with pytest.raises(InvalidError, match=r"broken\.parquet") as error:
        read(Folder(tmp_path), **NOVEMBER)
    assert error.value.code == "bad-facts"


def test_an_object_under_no_day_is_named(tmp_path):
    Folder(tmp_path).put("usage/stray.parquet", to_parquet(usage_table([])))
    with pytest.raises(InvalidError, match="stray"):
        read(Folder(tmp_path), **NOVEMBER)


@pytest.mark.services
def test_the_same_from_object_storage_as_from_a_folder(tmp_path, storage):
    facts = [usage(f"g{i}", "l", i, at=f"2026-11-{i + 1:02}T10:00:00.000Z") for i in range(12)]
    for lake in (Folder(tmp_path), storage):
        for fact in facts:
            put_usage(lake, [fact])
            put_attribution(lake, [attribution(fact.id, {"r": 7})])
        put_usage(lake, facts)
    ours, theirs = read(storage, **NOVEMBER), read(Folder(tmp_path), **NOVEMBER)
    assert ours.usage.equals(theirs.usage)
    assert ours.attribution.equals(theirs.attribution)
    assert ours.usage.num_rows == 12


@pytest.mark.services
def test_storage_that_does_not_answer_is_told(settings_changed):
    settings_changed(s3_endpoint="http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="does not answer"):
        read(Storage(settings()), **NOVEMBER)
