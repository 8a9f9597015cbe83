"""A claim as people and programs handle it: sent, watched, decided, paid."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from portal.indemnity.desk import LETTER, MICRO, tick
from portal.making import later, problem
from stemma_portal.indemnity.models import OutputClaim
from stemma_portal.indemnity.tasks import examine

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def browse(cast):
    def browser(who):
        client = Client()
        client.force_login(who)
        return client

    return browser


def test_a_licensee_sends_a_claim_and_the_desk_decides(desk, browse, monkeypatch, committed):
    waiting = later(monkeypatch, examine)
    licensee, staff, second = browse(desk.cast.licensee), browse(desk.cast.rights), browse(desk.second)
    assert "Nobody has claimed an output of yours" in licensee.get("/indemnity/").content.decode()
    form = {
        "organisation": desk.cast.studio.pk, "claimant": "Acme Songs", "use": "api_outputs", "story": "A letter came.",
        "letter_due": "2035-01-31", "sound": SimpleUploadedFile("a.wav", tick(1)),
    }  # fmt: skip
    lacking = licensee.post("/indemnity/new/", form)
    assert lacking.status_code == 422
    form |= {"sound": SimpleUploadedFile("a.wav", tick(1)), "letter": SimpleUploadedFile("l.txt", LETTER)}
    with committed():
        sent = licensee.post("/indemnity/new/", form, follow=True).content.decode()
    assert "Your claim is with us." in sent
    assert waiting == ["stemma_portal.indemnity.tasks.examine"]
    assert "<progress" in sent
    claim = desk.ready(5)
    place = f"/indemnity/{claim.pk}/"
    queue = staff.get("/indemnity/").content.decode()
    assert queue.count("Acknowledge it") == 2
    assert "0 d" in queue

    def act(client, where, **data):
        answer = client.post(f"{place}{where}", data, follow=True)
        return answer.status_code, answer.content.decode()

    assert act(staff, "desk/", action="accept", amount="500", reason="Ours.")[0] == 422
    judged = {"exclusion": "prompted_likeness", "applies": "no", "reason": "No name in the prompt."}
    assert "the next dossier says so" in act(staff, "desk/", action="judge", **judged)[1]
    assert "The licensee is asked." in act(staff, "desk/", action="ask", reason="Which game?")[1]
    assert act(licensee, "desk/", action="accept", amount="500", reason="Yes!")[0] == 403
    assert "Sent." in act(licensee, "message/", text="This one.")[1]
    assert (
        "Accepted, and set aside." in act(staff, "desk/", action="accept", amount="500", reason="We stand for it.")[1]
    )
    asked = act(staff, "reserve/", kind="settle", amount="500", reason="As agreed.")[1]
    assert "Waits for a colleague" in asked
    move = claim.moves.get(kind="settle")
    for colleague, told in ((staff, "does not approve it"), (second, "Decided.")):
        asked = colleague.post(f"{place}reserve/{move.pk}/", {"approve": "yes"})
        assert "reauthenticate" in asked["Location"]
        move.refresh_from_db()
        assert move.waiting, "money leaves only once it is known who says so"
        colleague.post("/accounts/reauthenticate/", {"password": "correct horse"})
        assert told in act(colleague, f"reserve/{move.pk}/", approve="yes")[1]
    assert "Settled." in act(staff, "desk/", action="settle", reason="Paid.")[1]
    seen = licensee.get(place).content.decode()
    assert "As agreed." not in seen, "money of the house is for staff"
    assert "Settled" in seen
    ledger = staff.get("/royalties/").content.decode()
    assert "For claims against outputs" in ledger
    assert "$500.000000" in ledger


def test_a_claim_over_the_api(desk, api, monkeypatch):
    later(monkeypatch, examine)
    studio, staff = api("licensee"), api("rights")
    said = {"organisation": desk.cast.studio.pk, "claimant": "Acme", "story": "A letter came."}
    files = {"sound": ("a.wav", tick(1)), "letter": ("l.txt", LETTER)}
    made = studio.form("indemnity-claims", said, files)
    assert made.status_code == 201, made.content
    again = studio.form("indemnity-claims", said, files)
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert [due["what"] for due in made.json()["due"]] == ["acknowledge", "dossier"]
    problem(studio.form("indemnity-claims", said, {**files, "sound": ("a.wav", b"<html>")}), 422, "no-music")
    problem(studio.form("indemnity-claims", said, {"sound": files["sound"]}), 422)
    place = f"indemnity-claims/{desk.ready(5).pk}"
    judged = {"decision": "judge", "exclusion": "prompted_likeness", "applies": False, "reason": "No name."}
    problem(staff.post(f"{place}/decision", {"decision": "accept", "amount": 1, "reason": "x"}), 409, "not-covered")
    assert staff.post(f"{place}/decision", judged).json()["coverage"]["verdict"] == "covered"
    accept = {"decision": "accept", "amount": 5 * MICRO, "reason": "Ours."}
    assert staff.post(f"{place}/decision", accept).json()["state"] == "accepted"
    move = staff.post(f"{place}/reserve", {"kind": "relieve", "amount": 5 * MICRO, "reason": "x"}).json()
    problem(staff.post(f"{place}/reserve/{move['id']}/approval", {"approve": True}), 403, "two-people")
    assert [each["approved"] for each in staff.get(f"{place}/reserve").json()] == [True, None]
    kinds = [event["kind"] for event in studio.get(f"{place}/events").json()]
    assert "reserve" not in kinds
    assert kinds[-1] == "accepted"
    assert OutputClaim.objects.count() == 2
