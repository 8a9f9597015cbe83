"""Likely duplicates are looked at and decided by a program."""

import pytest

from portal.making import ident, problem
from stemma_portal.catalog.models import Cluster, Likeness, Recording
from stemma_portal.consent.services import consent_withdraw

pytestmark = [pytest.mark.services, pytest.mark.django_db]
KEY = "5b0c8a5e-0f5c-4c3a-9d64-52ff2a1d0e6c"


def alike(one, other, kind="score", score=0.8, **detail) -> Likeness:
    one, other = sorted((one, other), key=lambda each: each.id)
    return Likeness.objects.create(one=one, other=other, kind=kind, score=score, detail=detail, found_at=one.created_at)


@pytest.fixture
def pair(cast, recordings):
    """Two recordings of the label for two reasons; the stronger one."""
    for row in recordings[:2]:
        row.organisation = cast.label
        row.save()
    alike(*recordings[:2], shared=0.8, limit=0.7)
    return alike(*recordings[:2], kind="audio", score=1.0)


def decide(caller, row, decision, **more):
    headers = more.pop("headers", {})
    return caller.post(f"duplicates/{row.id}/decision", {"decision": decision, **more}, **headers)


def test_why_two_recordings_are_alike(pair, api, recordings):
    owner = api("owner")
    listed = owner.get("duplicates").json()["items"]
    assert {row["kind"] for row in listed} == {"audio", "score"}
    shown = owner.get(f"duplicates/{pair.id}").json()
    assert {shown["one"]["id"], shown["other"]["id"]} == {each.id for each in recordings[:2]}
    assert [(each["kind"], each["score"]) for each in shown["reasons"]] == [("audio", 1.0), ("score", 0.8)]
    assert shown["reasons"][1]["detail"] == {"shared": 0.8, "limit": 0.7}
    assert "byte for byte" in shown["why"]
    assert shown["consent"] == {each.id: "unconsented" for each in recordings[:2]}
    assert (shown["state"], shown["canonical"], shown["may_decide"]) == ("open", None, True)
    assert api("teammate").get(f"duplicates/{pair.id}").json()["may_decide"] is False


def test_they_are_merged_and_the_one_named_stands_for_both(pair, api, recordings):
    owner = api("owner")
    merged = decide(owner, pair, "merge", canonical=recordings[1].id)
    assert merged.status_code == 200, merged.content
    assert (merged.json()["state"], merged.json()["canonical"]) == ("merged", recordings[1].id)
    assert owner.get("duplicates").json()["items"] == []
    assert len(owner.get("duplicates", state="merged").json()["items"]) == 2
    problem(decide(owner, pair, "merge", canonical=ident("none")), 422)


def test_the_one_with_consent_stands_for_both_where_nobody_is_named(pair, granted, api, cast, recordings):
    consent_withdraw(consent=granted["Label"], recording_id=recordings[0].id, by=cast.owner)
    assert decide(api("owner"), pair, "merge").json()["canonical"] == recordings[1].id


def test_they_are_separated_for_good_and_opened_again(pair, api):
    owner = api("owner")
    assert decide(owner, pair, "separate").json()["state"] == "separate"
    problem(decide(owner, pair, "merge"), 409, "conflict")
    assert decide(owner, pair, "reopen").json()["state"] == "open"


def test_a_decision_sent_twice_is_made_once(pair, api):
    owner, headers = api("owner"), {"idempotency_key": KEY}
    first = decide(owner, pair, "merge", headers=headers)
    again = decide(owner, pair, "merge", headers=headers)
    assert first.content == again.content
    assert again["Idempotent-Replayed"] == "true"
    problem(decide(owner, pair, "separate", headers=headers), 422, "idempotency-key-reused")
    assert Cluster.objects.count() == 1


def test_decisions_and_lists_that_are_none_are_refused(pair, api):
    owner = api("owner")
    problem(decide(owner, pair, "perhaps"), 422, "invalid")
    problem(decide(owner, pair, "merge", canonical="x"), 422, "invalid")
    problem(owner.get("duplicates", state="perhaps"), 422, "invalid")
    for cursor in ("x", "", "7", "a" * 4000):
        problem(owner.get("duplicates", cursor=cursor), 422, "cursor")


def test_whose_they_are_not_sees_and_decides_nothing(pair, api, recordings, cast):
    problem(api("stranger").get(f"duplicates/{pair.id}"), 404)
    problem(decide(api("stranger"), pair, "merge"), 404)
    problem(decide(api("teammate"), pair, "merge"), 403)
    Recording.objects.filter(id=recordings[3].id).update(organisation=cast.other)
    between = alike(recordings[0], recordings[3])
    problem(api("owner").get(f"duplicates/{between.id}"), 404)
    assert decide(api("rights"), between, "separate").status_code == 200
    problem(api("owner").get(f"duplicates/{ident('none')}"), 404)
