"""Claims as a program handles them: opened, answered, evidenced, decided."""

import pytest

from portal.making import problem
from stemma_portal.consent import cases
from stemma_portal.consent.models import Claim

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_a_claim_from_its_opening_to_its_end(api, cast, catalog, recordings):
    claimant, owner, staff = api("stranger"), api("owner"), api("rights")
    opening = {"recording": recordings[0].id, "claimant": catalog["Other"].id, "reason": "Ours."}
    made = claimant.post("claims", opening).json()
    assert (made["state"], made["due_side"], made["kind"]) == ("open", "owners", "authorship")
    place = f"claims/{made['id']}"
    problem(claimant.post(f"{place}/messages", {"text": "Well?", "answer": True}), 409)
    assert owner.post(f"{place}/messages", {"text": "It is not.", "answer": True}).json()["state"] == "answered"
    assert claimant.post(f"{place}/evidence", {"title": "Bill", "link": "https://example.org/1"}).status_code == 201
    problem(claimant.post(f"{place}/evidence", {"title": "Bill", "link": "javascript:1"}), 422)
    assert staff.post(f"{place}/deadline", {"reason": "Holidays.", "days": 5}).json()["due_at"] > made["due_at"]
    problem(owner.post(f"{place}/resolution", {"resolution": "Ours."}), 403)
    shares = [
        {"party": catalog["Other"].id, "side": "master", "ppm": 1_000_000},
        {"party": catalog["Artist"].id, "side": "publishing", "ppm": 900_000},
    ]
    decided = {"resolution": "Theirs.", "outcome": "shares", "shares": shares}
    problem(staff.post(f"{place}/resolution", decided), 422)
    shares[1]["ppm"] = 1_000_000
    done = staff.post(f"{place}/resolution", decided).json()
    assert (done["state"], done["outcome"], done["due_at"]) == ("resolved", "shares", None)
    said = owner.get(f"{place}/events").json()
    assert [event["kind"] for event in said] == ["opened", "answer", "evidence", "extended", "resolved"]
    assert [piece["link"] for piece in owner.get(f"{place}/evidence").json()] == ["https://example.org/1"]
    assert [row["id"] for row in owner.get("claims", state="resolved").json()["items"]] == [made["id"]]
    assert owner.get("claims", state="open").json()["items"] == []
    problem(api("licensee").get(f"{place}/events"), 404)
    assert recordings[0].shares.get(side="master").party_id == catalog["Other"].id


def test_a_claim_is_withdrawn_by_the_claimant_alone(api, cast, catalog, recordings):
    claimant, owner = api("stranger"), api("owner")
    opening = {"recording": recordings[0].id, "claimant": catalog["Other"].id, "reason": "Ours."}
    place = f"claims/{claimant.post('claims', opening).json()['id']}"
    problem(owner.post(f"{place}/withdrawal", {"reason": "It is ours."}), 422)
    assert claimant.post(f"{place}/withdrawal", {"reason": "A mistake."}).json()["state"] == "withdrawn"


def test_a_claim_on_a_share_says_how_much_passes_the_whole(api, cast, catalog, recordings):
    opening = {"kind": "share", "recording": recordings[0].id, "claimant": catalog["Other"].id, "reason": "A quarter."}
    for part in ({"side": "master"}, {"ppm": 250_000}):
        problem(api("stranger").post("claims", opening | part), 422, "share")
    made = api("stranger").post("claims", opening | {"side": "master", "ppm": 250_000})
    assert (made.status_code, made.json()["kind"]) == (201, "over-claim")
    claim = Claim.objects.get()
    assert claim.detail["sums"] == {"master in World": 1_250_000}
    assert claim.claimant_organisation == cast.other


def test_a_claim_on_an_identifier_names_both_recordings(api, cast, catalog, recordings):
    opening = {
        "kind": "same-identifier", "recording": recordings[0].id, "claimant": catalog["Other"].id, "reason": "One code."
    }  # fmt: skip
    problem(api("stranger").post("claims", opening), 422, "claim-other")
    made = api("stranger").post("claims", opening | {"other": recordings[3].id}).json()
    assert (made["kind"], made["other"]) == ("same-identifier", recordings[3].id)
    problem(api("stranger").post("claims", opening | {"other": recordings[0].id}), 422)


def test_programs_claim_no_more_than_people_may(monkeypatch, api, cast, catalog, recordings):
    """The limits count for an organisation, whoever opens its claims."""
    monkeypatch.setattr(cases, "MOST_PENDING", 1)
    owner, opening = api("stranger"), {"claimant": catalog["Other"].id, "reason": "Ours."}
    made = owner.post("claims", opening | {"recording": recordings[0].id}).json()
    problem(owner.post("claims", opening | {"recording": recordings[1].id}), 409, "claims-many")
    api("rights").post(f"claims/{made['id']}/resolution", {"resolution": "It is not."})
    problem(owner.post("claims", opening | {"recording": recordings[0].id}), 409, "claim-again")
    assert owner.post("claims", opening | {"recording": recordings[1].id}).status_code == 201
    assert api("rights").post("claims", opening | {"recording": recordings[0].id}).status_code == 201, "staff may"
