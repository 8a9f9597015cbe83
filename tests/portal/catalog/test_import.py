import json
import math

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.making import ident, party, record, share
from stemma.errors import InvalidError
from stemma_portal.catalog.models import Party, Recording, Share, Work
from stemma_portal.catalog.services import recordings_import
from stemma_portal.core.models import AuditEvent

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_records_become_recordings_with_works_parties_and_shares():
    result = recordings_import(records=[record(n) for n in range(40)], by=None)
    assert (result.created, result.same, result.changed, result.rejected) == (40, 0, 0, [])
    assert (Recording.objects.count(), Work.objects.count(), Party.objects.count()) == (40, 40, 2)
    row = Recording.objects.select_related("work").get(isrc="QZSTM0000007")
    assert (row.title, row.work.title, row.duration_ms, row.instruments) == ("Tune 7", "Tune 7", 30_000, ["Violin"])
    assert row.audio_key.startswith("audio/")
    assert {(s.party.name, s.side, s.ppm) for s in row.shares.all()} == {
        ("Label", "master", 1_000_000),
        ("Artist", "publishing", 1_000_000),
    }


def test_the_same_records_again_change_nothing_and_cost_no_writes(django_assert_max_num_queries):
    records = [record(n) for n in range(30)]
    recordings_import(records=records, by=None)
    audits = AuditEvent.objects.count()
    with django_assert_max_num_queries(6):
        result = recordings_import(records=records, by=None)
    assert (result.created, result.same, result.changed) == (0, 30, 0)
    assert AuditEvent.objects.count() == audits


def test_the_number_of_queries_does_not_grow_with_the_records(django_assert_max_num_queries):
    with django_assert_max_num_queries(30):
        recordings_import(records=[record(n) for n in range(300)], by=None)


def test_a_changed_record_changes_its_recording_and_its_shares():
    recordings_import(records=[record(1), record(2)], by=None)
    shares = [share("Label", "master", 400_000), share("Other", "master", 600_000), share("Artist", "publishing")]
    result = recordings_import(records=[record(1, title="New name", shares=shares), record(2)], by=None)
    assert (result.created, result.same, result.changed) == (0, 1, 1)
    row = Recording.objects.get(id=record(1)["id"])
    assert row.title == "New name"
    assert sorted(s.ppm for s in row.shares.filter(side="master")) == [400_000, 600_000]


BAD = {
    "unknown field": ({"colour": "blue"}, "colour", "extra_forbidden"),
    "no title": ({"title": ""}, "title", "string_too_short"),
    "wrong check digit": ({"iswc": "T0000000000"}, "iswc", "iswc"),
    "isrc": ({"isrc": "nonsense"}, "isrc", "isrc"),
    "identifier": ({"id": "7"}, "id", "uuid"),
    "upper case identifier": ({"id": ident("x").upper()}, "id", "uuid"),
    "work": ({"work_id": ""}, "work_id", "uuid"),
    "hash": ({"audio_sha256": "A" * 64}, "audio_sha256", "string_pattern_mismatch"),
    "loudness": ({"loudness_lufs": math.nan}, "loudness_lufs", "finite"),
    "silence": ({"loudness_lufs": -math.inf}, "loudness_lufs", "finite"),
    "tempo": ({"tempo": math.nan}, "tempo", "less_than"),
    "duration": ({"duration_ms": 10**12}, "duration_ms", "range"),
    "no duration": ({"duration_ms": 0}, "duration_ms", "greater_than"),
    "year": ({"year": 10**9}, "year", "range"),
    "peaks": ({"peaks": [300]}, "peaks", "range"),
    "many peaks": ({"peaks": [1] * 1001}, "peaks", "too_long"),
    "NUL": ({"title": "a\x00b"}, "title", "text"),
    "surrogate": ({"composer": "\ud800"}, "composer", "text"),
    "nobody": ({"shares": []}, "shares", "shares-missing"),
    "half": ({"shares": [share("L", "master", 500_000), share("A", "publishing")]}, "shares", "shares-sum"),
    "too much": (
        {"shares": [share("L", "master"), share("M", "master", 1), share("A", "publishing")]},
        "shares",
        "shares-sum",
    ),
    "twice": (
        {"shares": [share("L", "master", 500_000), share("L", "master", 500_000), share("A", "publishing")]},
        "shares",
        "share-twice",
    ),
    "territory": (
        {"shares": [{**share("L", "master"), "territory": "World"}, share("A", "publishing")]},
        "shares",
        "territory",
    ),
    "ipi": (
        {"shares": [{**share("L", "master"), "party": {**party("L"), "ipi": "12345678901"}}, share("A", "publishing")]},
        "shares.0.party.ipi",
        "ipi",
    ),
    "fraction of a share": (
        {"shares": [{**share("L", "master"), "ppm": 0.5}, share("A", "publishing")]},
        "shares.0.ppm",
        "int_type",
    ),
    "a mile of text": ({"region": "x" * 101}, "region", "string_too_long"),
    "instruments": ({"instruments": ["x" * 101]}, "instruments", "too-long"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_rejected_with_field_and_rule_and_takes_no_good_one_along(name):
    changes, field, rule = BAD[name]
    result = recordings_import(records=[record(1), record(2, **changes), record(3)], by=None)
    assert (result.created, len(result.rejected)) == (2, 1)
    bad = result.rejected[0]
    assert (bad.row, bad.field, bad.rule) == (1, field, rule)
    assert bad.remedy
    assert set(Recording.objects.values_list("isrc", flat=True)) == {"QZSTM0000001", "QZSTM0000003"}


@pytest.mark.parametrize("nonsense", [None, 7, "text", [], {}, [[]], {"id": None}])
def test_what_is_no_record_at_all_is_rejected_too(nonsense):
    result = recordings_import(records=[nonsense, record(1)], by=None)
    assert (result.created, [r.row for r in result.rejected]) == (1, [0])


def test_what_only_the_database_refuses_is_still_lost_alone():
    """A trigger stands for whatever we did not think of."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse_13() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.title = 'Tune 13' THEN"
            " RAISE EXCEPTION 'thirteen'; END IF; RETURN NEW; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse_13 BEFORE INSERT ON catalog_recording FOR EACH ROW EXECUTE FUNCTION refuse_13()"
        )
    result = recordings_import(records=[record(n) for n in range(20)], by=None)
    assert (result.created, [(r.row, r.rule, r.remedy) for r in result.rejected]) == (
        19,
        [(13, "database", "thirteen")],
    )
    assert Share.objects.count() == 38


def test_an_isrc_belongs_to_one_recording():
    recordings_import(records=[record(1)], by=None)
    other = record(2, isrc="QZSTM0000001")
    third = record(3, isrc="QZ-STM-00-00004")
    fourth = record(4)
    result = recordings_import(records=[other, third, fourth], by=None)
    assert result.created == 1
    assert [(r.row, r.field, r.rule) for r in result.rejected] == [(0, "isrc", "taken"), (2, "isrc", "taken")]


def test_one_identifier_twice_in_one_import():
    result = recordings_import(records=[record(1), record(1), record(1, title="Else")], by=None)
    assert (result.created, result.same) == (1, 1)
    assert [(r.row, r.rule) for r in result.rejected] == [(2, "twice")]


def test_an_import_turns_nobody_into_a_demonstration():
    recordings_import(
        records=[record(1, shares=[share("L", s, demo=False) for s in ("master", "publishing")])], by=None
    )
    recordings_import(records=[record(2, shares=[share("L", s, demo=True) for s in ("master", "publishing")])], by=None)
    assert Party.objects.get().demo is False


def test_too_many_records_are_refused():
    with pytest.raises(InvalidError, match="too many"):
        recordings_import(records=[record(1)] * 501, by=None)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(sorted(record(0))),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_whatever_stands_in_a_field_the_neighbours_come_in(field, value):
    result = recordings_import(records=[record(1), record(2, **{field: value}), record(3)], by=None)
    assert result.created + result.same + result.changed + len(result.rejected) == 3
    assert all(r.row == 1 or r.rule in {"taken", "twice"} for r in result.rejected)
    json.dumps([r.model_dump() for r in result.rejected])


def test_every_import_that_changes_something_leaves_a_version_and_other_shares_a_statement():
    recordings_import(records=[record(1), record(2)], by=None)
    recordings_import(records=[record(1, title="New name"), record(2)], by=None)
    shares = [share("Label", "master", 400_000), share("Other", "master", 600_000), share("Artist", "publishing")]
    recordings_import(records=[record(1, title="New name", shares=shares)], by=None)
    row = Recording.objects.get(id=record(1)["id"])
    assert row.version == 3
    assert [(v.number, v.record["title"]) for v in row.versions.all()] == [
        (3, "New name"),
        (2, "New name"),
        (1, "Tune 1"),
    ]
    assert [(r.number, len(r.shares)) for r in row.share_revisions.all()] == [(2, 3), (1, 2)]
    assert Recording.objects.get(id=record(2)["id"]).versions.count() == 1
