"""Who owns what is read, stated and answered by a program."""

from datetime import timedelta

import pytest

from portal.making import ident, problem
from stemma.ids import now
from stemma_portal.catalog.models import Party, ShareQuestion
from stemma_portal.consent.models import Claim

pytestmark = [pytest.mark.services, pytest.mark.django_db]
KEY = "a3f6d7a0-2f46-4a55-8c93-93c4cb6b2f43"
ONE = 1_000_000


@pytest.fixture
def song(cast, recordings):
    """A recording that the label brought."""
    song = recordings[0]
    song.organisation = cast.label
    song.save()
    return song


@pytest.fixture
def sheet(song, catalog):
    """Half the master for the other label, from today on."""

    def making(**changes):
        shares = [
            {"side": "master", "ppm": 500_000, "party": catalog["Label"].id},
            {"side": "master", "ppm": 500_000, "party": catalog["Other"].id},
            {"side": "publishing", "ppm": ONE, "party": catalog["Artist"].id},
        ]
        return {"shares": shares, **changes}

    return making


def state(caller, song, body, **headers):
    return caller.send("PUT", f"catalog/recordings/{song.id}/shares", body, **headers)


def held(answer) -> dict[str, int]:
    return {f"{row['party_name']} {row['side']} {row['territory']}": row["ppm"] for row in answer["shares"]}


def test_a_sheet_is_read_stated_and_kept(song, sheet, api, catalog, cast):
    owner = api("owner")
    before = owner.get(f"catalog/recordings/{song.id}/shares").json()
    assert held(before) == {"Label master WORLD": ONE, "Artist publishing WORLD": ONE}
    assert (before["revision"], before["valid_until"]) == (1, None)
    stated = state(owner, song, sheet(why="Contract 17"))
    assert stated.status_code == 200, stated.content
    assert held(stated.json()) == {
        "Label master WORLD": 500_000,
        "Other master WORLD": 500_000,
        "Artist publishing WORLD": ONE,
    }
    assert stated.json() == owner.get(f"catalog/recordings/{song.id}/shares").json()
    newest, first = owner.get(f"catalog/recordings/{song.id}/shares/history").json()["items"]
    assert (newest["revision"], newest["cause"], newest["by"]) == (2, "editor: Contract 17", cast.owner.email)
    changes = {each["party_name"]: (each["before"], each["after"]) for each in newest["changes"]}
    assert changes == {"Label": (ONE, 500_000), "Other": (0, 500_000)}
    assert [(each["party_name"], each["answer"]) for each in newest["answers"]] == [("Other", None)]
    assert held(first) == held(before)
    again = state(owner, song, sheet(why="Contract 17"))
    assert again.json()["revision"] == 2


def test_a_planned_statement_says_until_when_the_present_one_holds(song, sheet, api):
    owner, day = api("owner"), now().date() + timedelta(days=30)
    planned = state(owner, song, sheet(valid_from=day.isoformat())).json()
    assert held(planned) == {"Label master WORLD": ONE, "Artist publishing WORLD": ONE}
    assert (planned["revision"], planned["valid_until"]) == (1, day.isoformat())
    [newest, _] = owner.get(f"catalog/recordings/{song.id}/shares/history").json()["items"]
    assert newest["valid_from"] == day.isoformat()
    # What is stated later holds from its own day on, also instead of what was planned before.
    state(owner, song, sheet())
    assert owner.get(f"catalog/recordings/{song.id}/shares").json()["valid_until"] is None


def test_history_comes_in_pages_that_know_what_came_before(song, sheet, api, catalog):
    owner = api("owner")
    state(owner, song, sheet())
    first = owner.get(f"catalog/recordings/{song.id}/shares/history", limit=1).json()
    assert len(first["items"][0]["changes"]) == 2
    rest = owner.get(f"catalog/recordings/{song.id}/shares/history", limit=1, cursor=first["next"]).json()
    assert [each["revision"] for each in rest["items"]] == [1]
    assert rest["next"] is None
    for cursor in ("x", "-1", ident("none"), "9" * 400):
        problem(owner.get(f"catalog/recordings/{song.id}/shares/history", cursor=cursor), 422, "cursor")


def test_names_introduce_rights_holders_once(song, api, cast):
    owner = api("owner")
    shares = [
        {"side": "master", "ppm": ONE, "name": "label"},
        {"side": "publishing", "ppm": 333_333, "name": "Erika Example", "email": "erika@example.com"},
        {"side": "publishing", "ppm": 666_667, "name": "Artist"},
    ]
    stated = state(owner, song, {"shares": shares})
    assert stated.status_code == 200, stated.content
    assert held(stated.json())["Erika Example publishing WORLD"] == 333_333
    erika = Party.objects.get(name="Erika Example")
    assert erika.introduced_by == cast.label
    assert ShareQuestion.objects.get(party=erika).email == "erika@example.com"
    assert state(owner, song, {"shares": shares}).status_code == 200
    assert Party.objects.filter(name__iexact="erika example").count() == 1


def test_a_refusal_names_the_right_the_territory_and_the_sum(song, sheet, api, catalog):
    owner = api("owner")
    wrong = sheet()
    wrong["shares"][0] |= {"ppm": 499_999}
    told = problem(state(owner, song, wrong), 422, "shares-sum")
    assert "master shares in WORLD sum to 999999 ppm: 1 ppm unassigned" in told["detail"]
    assert told["remedy"] == "Make the master shares sum to 1000000 ppm."
    wrong["shares"][0] |= {"ppm": 500_000}
    wrong["shares"].append({"side": "publishing", "ppm": 2, "territory": "DE", "name": "New"})
    told = problem(state(owner, song, wrong), 422, "shares-sum")
    assert "DE" in told["detail"]
    assert not Party.objects.filter(name="New").exists()
    twice = sheet()
    twice["shares"][1]["party"] = catalog["Label"].id
    problem(state(owner, song, twice), 422, "share-twice")
    past = (now().date() - timedelta(days=1)).isoformat()
    problem(state(owner, song, sheet(valid_from=past)), 422, "past")
    unknown = sheet()
    unknown["shares"][0]["party"] = ident("nobody")
    problem(state(owner, song, unknown), 422, "party")
    assert song.share_revisions.count() == 1


@pytest.mark.parametrize(
    "line",
    [
        {"side": "master", "ppm": 0.5, "name": "x"},
        {"side": "master", "ppm": 1000000.0, "name": "x"},
        {"side": "master", "ppm": "1000000", "name": "x"},
        {"side": "master", "ppm": 0, "name": "x"},
        {"side": "master", "ppm": -1, "name": "x"},
        {"side": "master", "ppm": 1_000_001, "name": "x"},
        {"side": "sync", "ppm": ONE, "name": "x"},
        {"side": "master", "ppm": ONE, "name": "x", "territory": "world"},
        {"side": "master", "ppm": ONE, "name": "x" * 201},
        {"side": "master", "ppm": ONE, "name": "a\x00b"},
        {"side": "master", "ppm": ONE, "name": "a\nb"},
        {"side": "master", "ppm": ONE, "name": " "},
        {"side": "master", "ppm": ONE},
        {"side": "master", "ppm": ONE, "party": "x"},
        {"side": "master", "ppm": ONE, "name": "x", "email": "x"},
        {"side": "master", "ppm": ONE, "name": "x", "percent": 100},
    ],
)
def test_lines_that_are_none_are_refused(song, api, line):
    told = problem(state(api("owner"), song, {"shares": [line]}), 422)
    assert told.get("errors") or told["remedy"]
    assert song.share_revisions.count() == 1


def test_a_statement_sent_twice_with_one_key_is_made_once(song, sheet, api):
    owner = api("owner")
    first = state(owner, song, sheet(), idempotency_key=KEY)
    again = state(owner, song, sheet(), idempotency_key=KEY)
    assert first.content == again.content
    assert again["Idempotent-Replayed"] == "true"
    problem(state(owner, song, sheet(why="other"), idempotency_key=KEY), 422, "idempotency-key-reused")
    assert song.share_revisions.count() == 2


def test_only_owners_of_who_brought_it_and_staff_state_shares(song, sheet, api):
    problem(state(api("stranger"), song, sheet()), 404)
    problem(state(api("teammate"), song, sheet()), 403)
    problem(state(api("licensee"), song, sheet()), 403)
    problem(api("stranger").get(f"catalog/recordings/{song.id}/shares"), 404)
    problem(api("stranger").get(f"catalog/recordings/{song.id}/shares/history"), 404)
    assert song.share_revisions.count() == 1
    assert state(api("rights"), song, sheet()).status_code == 200


def test_who_is_asked_says_yes(song, sheet, api, catalog):
    state(api("owner"), song, sheet())
    other = api("stranger")
    [question] = other.get("share-questions").json()["items"]
    assert (question["recording"], question["party_name"], question["stated_by"]) == (song.id, "Other", "Label")
    assert question["changes"] == [{"side": "master", "territory": "WORLD", "before": 0, "after": 500_000}]
    assert api("owner").get("share-questions").json()["items"] == []
    problem(api("owner").post(f"share-questions/{question['id']}/answer", {"answer": "confirmed"}), 404)
    problem(other.get("share-questions", cursor="x"), 422, "cursor")
    said = other.post(f"share-questions/{question['id']}/answer", {"answer": "confirmed"}, idempotency_key=KEY)
    assert said.status_code == 201
    again = other.post(f"share-questions/{question['id']}/answer", {"answer": "confirmed"}, idempotency_key=KEY)
    assert again.content == said.content
    assert other.get("share-questions").json()["items"] == []
    disputed = {"answer": "disputed", "note": "No."}
    problem(other.post(f"share-questions/{question['id']}/answer", disputed), 409, "conflict")
    newest = api("owner").get(f"catalog/recordings/{song.id}/shares/history").json()["items"][0]
    assert newest["answers"][0]["answer"] == "confirmed"


def test_a_no_needs_a_reason_and_opens_a_case(song, sheet, api):
    state(api("owner"), song, sheet())
    other = api("stranger")
    [question] = other.get("share-questions").json()["items"]
    address = f"share-questions/{question['id']}/answer"
    problem(other.post(address, {"answer": "disputed"}), 422, "reason")
    problem(other.post(address, {"answer": "perhaps"}), 422, "invalid")
    problem(other.post(f"share-questions/{ident('none')}/answer", {"answer": "confirmed"}), 404)
    said = other.post(address, {"answer": "disputed", "note": "All of it is ours."}).json()
    assert (said["answer"], said["note"]) == ("disputed", "All of it is ours.")
    assert Claim.objects.get().recording_id == song.id
