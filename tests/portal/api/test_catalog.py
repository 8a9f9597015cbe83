"""Recordings are found through the search of the pages; releases come with their recordings."""

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.making import ident, problem
from stemma_portal.catalog.models import Recording, Release
from stemma_portal.consent.services import claim_open

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def titles(caller, **wanted) -> list[str]:
    answer = caller.get("catalog/recordings", **wanted)
    assert answer.status_code == 200, answer.content
    return [item["title"] for item in answer.json()["items"]]


@pytest.fixture
def brought(cast, recordings):
    """The first three were brought by the label, two of them on one release."""
    album = Release.objects.create(title="Evening", artist="Quartet", upc="0602445790128", organisation=cast.label)
    for number, row in enumerate(recordings[:3]):
        row.organisation = cast.label
        if number < 2:
            row.release, row.track = album, 2 - number
        row.save()
    return album


def test_recordings_are_found_by_words_and_by_what_they_have(brought, api, cast, recordings):
    owner, ops = api("owner"), api("operator")
    assert titles(owner, q="tune 1") == ["Tune 1"]
    assert titles(owner, q=recordings[2].isrc) == ["Tune 2"]
    assert titles(owner, q="quartet") == ["Tune 0", "Tune 1"]
    assert titles(owner, release=brought.id) == ["Tune 0", "Tune 1"]
    assert titles(owner, style="fiddle") == ["Tune 0", "Tune 1", "Tune 2", "Tune 5"]
    assert titles(ops, source="not-free") == ["Tune 5"]
    assert titles(ops, organisation=cast.label.id) == ["Tune 0", "Tune 1", "Tune 2"]
    Recording.objects.filter(id=recordings[0].id).update(taken_down_at=recordings[0].created_at)
    claim_open(recording=recordings[1], claimant="Somebody", reason="Mine.", by=cast.rights)
    assert titles(owner, state="down") == ["Tune 0"]
    assert titles(owner, state="held") == ["Tune 1"]
    assert titles(owner, state="up", sound="yes") == ["Tune 1", "Tune 2", "Tune 5"]
    assert titles(owner, sound="no") == []
    assert titles(api("stranger"), q="tune") == ["Tune 3", "Tune 4"]


def test_filters_that_are_none_are_refused(api, cast):
    ops = api("operator")
    for wrong in (
        {"state": "gone"},
        {"source": "x"},
        {"sound": "1"},
        {"release": "x"},
        {"organisation": "label"},
        {"q": "a\x00b"},
        {"q": "x" * 201},
    ):
        assert problem(ops.get("catalog/recordings", **wrong), 422, "invalid")["errors"]
    assert titles(ops, q="' | ! & :* ()") == []


def test_a_page_goes_on_after_the_recording_that_its_cursor_names(brought, api, recordings):
    owner = api("owner")
    first = owner.get("catalog/recordings", limit=2).json()
    assert [item["title"] for item in first["items"]] == ["Tune 0", "Tune 1"]
    assert first["next"] == first["items"][-1]["id"]
    assert titles(owner, limit=2, cursor=first["next"]) == ["Tune 2", "Tune 5"]
    assert titles(owner, cursor=recordings[0].id) == ["Tune 1", "Tune 2", "Tune 5"]


@pytest.mark.parametrize("cursor", ["", "x", ident("none"), "0" * 5000, "'; DROP TABLE x", "٣"])
def test_a_cursor_that_no_page_gave_is_refused(brought, api, cursor):
    problem(api("owner").get("catalog/recordings", cursor=cursor), 422, "cursor")
    if cursor != ident("none"):  # identifiers that are gone are places all the same
        problem(api("owner").get("catalog/releases", cursor=cursor), 422, "cursor")


def test_a_cursor_of_anothers_recording_tells_nothing_of_it(brought, api, recordings):
    problem(api("owner").get("catalog/recordings", cursor=recordings[4].id), 422, "cursor")


def test_a_list_is_taken_from_the_index_that_knows_whose_each_is(brought, api):
    """A small label pays nothing for the recordings of others."""
    owner = api("owner")
    titles(owner)
    with CaptureQueriesContext(connection) as asked:
        assert titles(owner) == ["Tune 0", "Tune 1", "Tune 2", "Tune 5"]
    assert any("search @@" in each["sql"] for each in asked)
    assert not any("catalog_recording" in each["sql"] and "IN (" not in each["sql"] for each in asked)


def test_releases_come_with_their_recordings(brought, api, cast):
    owner = api("owner")
    Release.objects.filter(id=brought.id).update(released_on=date(2026, 5, 1))
    other = Release.objects.create(title="Morning", organisation=cast.label)
    listed = owner.get("catalog/releases").json()["items"]
    assert {row["id"]: row["tracks"] for row in listed} == {brought.id: 2, other.id: 0}
    [found] = owner.get("catalog/releases", q="evening quartet").json()["items"]
    assert (found["id"], found["upc"], found["released_on"]) == (brought.id, "0602445790128", "2026-05-01")
    first = owner.get("catalog/releases", limit=1).json()
    assert owner.get("catalog/releases", limit=1, cursor=first["next"]).json()["next"] is None
    whole = owner.get(f"catalog/releases/{brought.id}").json()
    assert [(row["title"], row["track"]) for row in whole["recordings"]] == [("Tune 1", 1), ("Tune 0", 2)]
    assert whole["tracks"] == 2
    problem(api("stranger").get(f"catalog/releases/{brought.id}"), 404)
    assert api("stranger").get("catalog/releases").json() == {"items": [], "next": None}


def test_a_release_shows_only_recordings_that_one_may_see(brought, api, recordings):
    """The other label has a recording on the album, and sees that one."""
    recordings[3].release = brought
    recordings[3].save()
    whole = api("stranger").get(f"catalog/releases/{brought.id}").json()
    assert [row["title"] for row in whole["recordings"]] == ["Tune 3"]
    assert whole["tracks"] == 3
