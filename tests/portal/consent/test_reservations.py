"""Reservations of websites and files beside consents: read, flagged, settled."""

import io
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import c2pa
import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from music.sounds import tune, write
from portal.audio.conftest import label, send  # noqa: F401 - fixtures
from portal.intake.conftest import bring, labels  # noqa: F401 - fixtures
from portal.making import SCOPES, problem
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.provenance.authority import Authority
from stemma.rights.reservations import Rule, assertion, parse
from stemma_portal.accounts.models import Domain
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.consent import tasks
from stemma_portal.consent.models import DomainReading, Reservation, Settlement
from stemma_portal.consent.reservations import domain_read, reservation_settle, reservation_state
from stemma_portal.consent.reserved import conflicts, sites, tdmrep_of
from stemma_portal.consent.selectors import recording_states
from stemma_portal.consent.services import consent_grant, consent_withdraw
from stemma_portal.core.models import AuditEvent
from stemma_portal.notices.models import Notice
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.selectors import eligibility, snapshot_offences
from stemma_portal.operations.services import snapshot_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]

POLICY = "https://provider.com/policies/policy.json"


def take(*scopes: str) -> Snapshot:
    return snapshot_create(name="Test", include=Snapshot.Include.ELIGIBLE, scopes=scopes or SCOPES, by=None)


def members(snapshot: Snapshot) -> set[str]:
    return {row.isrc[-1] for row in snapshot.members.all()}


def current() -> list[Reservation]:
    return list(Reservation.objects.current().order_by("source"))


# --- Websites ---------------------------------------------------------------------------------------


class Site(BaseHTTPRequestHandler):
    """Answers what it is told to."""

    def do_GET(self):
        status, headers, body = self.server.pages.get(self.path, (404, {}, b""))
        self.server.asked.append(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(settings_changed):
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.pages, server.asked, server.name = {"/": (200, {}, b"")}, [], f"localhost:{server.server_port}"
        settings_changed(sign_on_private_hosts=f"localhost,{server.name}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def tdmrep(*rules: dict) -> tuple:
    return 200, {"Content-Type": "application/json"}, json.dumps(rules).encode()


@pytest.fixture
def domain(cast, catalog, site):
    return Domain.objects.create(organisation=cast.label, name=site.name, token="t", proved_at=now())


def test_what_a_domain_says_is_kept_with_its_evidence(domain, site, cast):
    site.pages["/.well-known/tdmrep.json"] = tdmrep(
        {"location": "/audio/", "tdm-reservation": 1, "tdm-policy": POLICY}, {"location": "/", "tdm-reservation": 0}
    )
    reading = domain_read(domain=domain, by=cast.owner)
    assert reading.told == ""
    (fact,) = current()
    assert (fact.source, fact.organisation, fact.place, fact.read_by) == (
        "tdmrep", cast.label, site.name, "owner@stemma.test",
    )  # fmt: skip
    assert fact.refused == ["ai_generative_training", "ai_training", "data_mining"]
    assert (fact.policy, fact.constraint) == (POLICY, "On /audio/")
    assert json.loads(fact.text)[0]["location"] == "/audio/"
    assert len(fact.sha256) == 64
    assert AuditEvent.objects.filter(action="reservation.note", actor="owner@stemma.test").count() == 1


def test_the_same_again_is_no_new_fact_and_a_change_supersedes(domain, site):
    site.pages["/.well-known/tdmrep.json"] = tdmrep({"location": "/", "tdm-reservation": 1})
    domain_read(domain=domain)
    domain_read(domain=domain)
    assert Reservation.objects.count() == 1
    del site.pages["/.well-known/tdmrep.json"]
    domain_read(domain=domain)
    old, new = Reservation.objects.order_by("read_at", "id")
    assert (new.supersedes, new.uses, new.refused) == (old, {}, [])
    domain_read(domain=domain)
    assert Reservation.objects.count() == 2
    assert not Reservation.objects.unsettled().exists()


def test_headers_and_html_of_the_first_page_are_read(domain, site):
    site.pages["/"] = (200, {"tdm-reservation": "1", "tdm-policy": POLICY}, b"")
    domain_read(domain=domain)
    (fact,) = current()
    assert (fact.source, fact.policy, len(fact.refused)) == ("header", POLICY, 3)
    page = b'<html><head><meta name="tdm-reservation" content="0"></head></html>'
    site.pages["/"] = (200, {"tdm-reservation": "1", "Content-Type": "text/html"}, page)
    domain_read(domain=domain)
    (fact,) = current()
    assert (fact.uses["data_mining"], fact.refused) == ("allowed", [])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, {}, b""), "answers 500"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "no https address"),
        ((200, {}, b"[1]"), "Entry 1"),
        ((200, {}, b" " * (512 * 1024 + 1)), "more than 524,288 bytes"),
    ],
)
def test_what_cannot_be_read_is_told_and_changes_nothing(domain, site, answer, told):
    site.pages["/.well-known/tdmrep.json"] = tdmrep({"location": "/", "tdm-reservation": 1})
    domain_read(domain=domain)
    site.pages["/.well-known/tdmrep.json"] = answer
    assert told in domain_read(domain=domain).told
    assert Reservation.objects.unsettled().count() == 1


def test_a_file_that_has_moved_is_read_where_it_is(domain, site):
    site.pages["/.well-known/tdmrep.json"] = (301, {"Location": "/moved.json"}, b"")
    site.pages["/moved.json"] = tdmrep({"location": "/", "tdm-reservation": 1})
    assert domain_read(domain=domain).told == ""
    assert Reservation.objects.unsettled().count() == 1


def test_private_addresses_are_not_asked(domain, site, settings_changed):
    settings_changed(sign_on_private_hosts=site.name)  # the host itself is not allowed any more
    assert "not on the public internet" in domain_read(domain=domain).told
    assert site.asked == []


def test_only_proved_domains_are_read_and_each_once_a_week(domain, site, cast, monkeypatch):
    monkeypatch.setattr(tasks.domain_read, "delay", tasks.domain_read)
    other = Domain.objects.create(organisation=cast.label, name="x.example", token="t")
    with pytest.raises(InvalidError, match="Nobody has proved"):
        domain_read(domain=other)
    tasks.domains_due()
    assert site.asked.count("/") == 1
    tasks.domains_due()
    assert site.asked.count("/") == 1
    DomainReading.objects.update(at=now() - timedelta(days=8))
    tasks.domains_due()
    assert site.asked.count("/") == 2


def test_a_domain_is_flagged_beside_consents_and_holds_nothing(granted, domain, site, cast):
    site.pages["/.well-known/tdmrep.json"] = tdmrep({"location": "/", "tdm-reservation": 1})
    domain_read(domain=domain)
    ((found),) = sites(cast.label)
    ((fact, count),) = found.open
    assert count == 3
    assert members(take()) == {"0", "1", "2", "3", "4"}
    reservation_settle(reservation=fact, party=cast.label.party, reason="It is for the open web.", by=cast.owner)
    assert sites(cast.label)[0].open == []


def test_our_own_file_is_no_conflict(granted, domain, site, cast):
    body = tdmrep_of(cast.label.party)
    ((rule),) = parse(body)
    assert (rule.location, rule.reserved) == ("/", True)
    site.pages["/.well-known/tdmrep.json"] = (200, {}, body)
    domain_read(domain=domain)
    (fact,) = current()
    assert (fact.uses["data_mining"], fact.refused) == ("constrained", [])


def test_who_has_granted_nothing_offers_no_license(cast, catalog):
    assert parse(tdmrep_of(catalog["Label"])) == [Rule("/", True)]
    assert parse(tdmrep_of(None)) == [Rule("/", True)]


# --- Conflicts --------------------------------------------------------------------------------------


@pytest.fixture
def mark(granted, cast, recordings):
    return reservation_state(
        recording=recordings[0],
        party=cast.label.party,
        refused=["ai_generative_training"],
        reason="Not for machines.",
        by=cast.owner,
    )


def test_a_conflict_keeps_a_recording_out_until_it_is_settled(mark, cast, recordings, storage):
    earlier_or_all = {"1", "2", "3", "4"}
    assert members(take()) == earlier_or_all
    assert [row.id for row in conflicts(organisation=cast.label)] == [mark.id]
    assert not conflicts(organisation=cast.other)
    assert recording_states([recordings[0].id])[recordings[0].id].state == "reserved"
    ((offence),) = eligibility(scopes=tuple(SCOPES), territory="WORLD")[recordings[0].id]
    assert (offence.rule, "ai_generative_training" in offence.reason) == ("reserved", True)
    fact = reservation_settle(reservation=mark, party=cast.label.party, reason="The mark is older.", by=cast.owner)
    assert (fact.signed_by, fact.reason) == ("owner@stemma.test", "The mark is older.")
    assert AuditEvent.objects.get(action="reservation.settle").detail["reason"] == "The mark is older."
    assert members(take()) == earlier_or_all | {"0"}
    assert not conflicts(organisation=cast.label)
    assert recording_states([recordings[0].id])[recordings[0].id].state == "consented"


def test_what_it_does_not_refuse_goes_on(mark):
    assert members(take("open_weights_release")) == {"0", "1", "2", "3", "4"}


def test_a_snapshot_taken_before_stays_as_it_is(granted, cast, recordings):
    snapshot = take()
    reservation_state(
        recording=recordings[0],
        party=cast.label.party,
        refused=["ai_generative_training"],
        reason="Now.",
        by=cast.owner,
    )
    assert snapshot_offences(snapshot) == []


def test_a_withdrawal_ends_a_conflict_too(mark, granted, cast, recordings):
    for name in ("Label", "Artist"):
        consent_withdraw(consent=granted[name], recording_id=recordings[0].id, by=cast.owner)
    assert not conflicts(recording=recordings[0])
    assert "0" not in members(take())


def test_a_mark_beside_no_consent_for_it_is_no_conflict(granted, cast, recordings):
    reservation_state(
        recording=recordings[0], party=cast.label.party, refused=["data_mining"], reason="No.", by=cast.owner
    )
    assert not conflicts(recording=recordings[0])
    assert recording_states([recordings[0].id])[recordings[0].id].state == "consented"


def test_settling_twice_changes_nothing_and_a_new_mark_asks_again(mark, cast, recordings):
    party = cast.label.party
    first = reservation_settle(reservation=mark, party=party, reason="Older.", by=cast.owner)
    assert reservation_settle(reservation=mark, party=party, reason="Again.", by=cast.owner) == first
    newer = reservation_state(
        recording=recordings[0], party=cast.label.party, refused=SCOPES, reason="Really not.", by=cast.owner
    )
    assert newer.supersedes == mark
    assert [row.id for row in conflicts(organisation=cast.label)] == [newer.id]
    taken_back = reservation_state(
        recording=recordings[0], party=cast.label.party, refused=[], reason="", by=cast.owner
    )
    assert not conflicts(organisation=cast.label)
    for gone in (newer, taken_back):
        with pytest.raises(InvalidError, match="does not count"):
            reservation_settle(reservation=gone, party=party, reason="x", by=cast.owner)


def test_only_owners_settle_and_with_a_reason(mark, cast):
    with pytest.raises(InvalidError, match="may not settle"):
        reservation_settle(reservation=mark, party=cast.other.party, reason="x", by=cast.stranger)
    with pytest.raises(InvalidError, match="reason"):
        reservation_settle(reservation=mark, party=cast.label.party, reason="  ", by=cast.owner)


def test_each_owner_speaks_for_itself(granted, cast, catalog, recordings):
    artist, one = catalog["Artist"], recordings[0]
    said = reservation_state(recording=one, party=artist, refused=SCOPES, reason="Not mine.", by=cast.owner)
    with pytest.raises(InvalidError, match="may not settle"):
        reservation_settle(reservation=said, party=cast.label.party, reason="x", by=cast.owner)
    reservation_state(recording=one, party=cast.label.party, refused=SCOPES, reason="Nor ours.", by=cast.owner)
    reservation_state(recording=one, party=cast.label.party, refused=[], reason="", by=cast.owner)
    assert [row.id for row in conflicts(recording=one)] == [said.id]
    with pytest.raises(InvalidError, match="no share"):
        reservation_state(recording=recordings[3], party=artist, refused=SCOPES, reason="x", by=cast.owner)


def test_facts_are_never_changed(mark, cast):
    fact = reservation_settle(reservation=mark, party=cast.label.party, reason="Older.", by=cast.owner)
    for rows in (Reservation.objects.filter(id=mark.id), Settlement.objects.filter(id=fact.id)):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows.update(id=mark.id)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows._raw_delete("default")


def test_the_cost_does_not_grow_with_the_number_of_marks(granted, cast, recordings):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            list(conflicts(organisation=cast.label))
            eligibility(scopes=tuple(SCOPES), territory="WORLD")
        return len(seen)

    before = queries()
    for recording in recordings[:3]:
        reservation_state(recording=recording, party=cast.label.party, refused=SCOPES, reason="No.", by=cast.owner)
    assert queries() == before


# --- Files ------------------------------------------------------------------------------------------


@pytest.fixture
def marked(tmp_path):
    """`marked(name, uses)`: a sound whose content credentials say this, signed by somebody unknown."""
    authority = Authority(tmp_path / "keys")
    authority.create()
    info = c2pa.C2paSignerInfo(
        alg=b"es256", sign_cert=authority.chain(), private_key=authority.private_key(), ta_url=None
    )
    signer = c2pa.Signer.from_info(info)

    def make(name: str, uses: dict, *, seed: int = 1):
        path = write(tmp_path / name, tune(10, seed=seed))
        kind = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
        created = {"actions": [{"action": "c2pa.created", "digitalSourceType": kind}]}
        manifest = {
            "title": name,
            "format": "audio/wav",
            "assertions": [
                {"label": "c2pa.actions.v2", "data": created},
                {"label": "cawg.training-mining", "data": assertion(uses, "Ask us")},
            ],
        }
        output = io.BytesIO()
        c2pa.Builder(json.dumps(manifest)).sign(signer, "audio/wav", io.BytesIO(path.read_bytes()), output)
        path.write_bytes(output.getvalue())
        return path

    return make


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A worker that takes each upload and import when it is committed."""
    from stemma_portal.audio import tasks as audio
    from stemma_portal.intake import tasks as imports

    for task in (audio.upload_take, imports.import_stage, imports.import_run, imports.search_refresh):
        monkeypatch.setattr(task, "delay", task)


def test_what_a_sound_says_of_itself_is_kept_for_its_recording(send, label, marked, covenant):  # noqa: F811
    upload = send(marked("QZSTM2600001.wav", {"ai_generative_training": "notAllowed", "data_mining": "constrained"}))
    assert upload.state == "taken"
    assert "reserved" in [finding[0] for finding in upload.findings]
    (fact,) = current()
    recording = Recording.objects.get(isrc="QZSTM2600001")
    assert (fact.source, fact.recording, fact.place) == ("cawg", recording, "QZSTM2600001.wav")
    assert fact.refused == ["ai_generative_training", "data_mining"]
    assert fact.constraint == "Ask us"
    assert "cawg.ai_generative_training" in fact.text
    party = Party.objects.get(id=label.label.party_id)
    consent_grant(party=party, recordings="all", scopes=SCOPES, by=label.owner)
    assert [row.id for row in conflicts(organisation=label.label)] == [fact.id]
    page = Client()
    page.force_login(label.owner)
    assert b"A mark refuses" in page.get(reverse("dashboards:recording", args=[recording.id])).content


def test_a_plain_sound_leaves_nothing(send, tmp_path):  # noqa: F811
    upload = send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    assert upload.state == "taken"
    assert Reservation.objects.count() == 0


def test_broken_credentials_are_a_finding(send, marked):  # noqa: F811
    path = marked("QZSTM2600001.wav", {"ai_training": "notAllowed"})
    body = path.read_bytes()
    at = body.index(b"jumb")
    path.write_bytes(body[: at + 4] + b"\xff" * 60 + body[at + 64 :])
    upload = send(path)
    assert upload.state == "taken"
    assert [finding[0] for finding in upload.findings if finding[0] == "credentials"] == ["credentials"]
    assert Reservation.objects.count() == 0


def test_another_sound_takes_the_mark_of_the_first_away(send, label, marked, tmp_path):  # noqa: F811
    from stemma_portal.audio import services

    send(marked("QZSTM2600001.wav", {"ai_training": "notAllowed"}))
    upload = send(write(tmp_path / "QZ-STM-26-00001.wav", tune(10, seed=4)))
    assert upload.state == "waiting"
    services.upload_accept(upload=upload, by=label.owner)
    assert not Reservation.objects.unsettled().exists()
    assert Reservation.objects.count() == 2


# --- Pages ------------------------------------------------------------------------------------------


@pytest.fixture
def owner(cast):
    browser = Client()
    browser.login(email=cast.owner.email, password="correct horse")
    return browser


def test_the_page_shows_conflicts_domains_and_the_file(mark, domain, owner, cast, site, committed, monkeypatch):
    monkeypatch.setattr(tasks.domain_read, "delay", tasks.domain_read)
    site.pages["/.well-known/tdmrep.json"] = tdmrep({"location": "/", "tdm-reservation": 1})
    assert b"Not read yet" in owner.get("/reservations/").content
    with committed():
        assert owner.post(f"/reservations/domains/{domain.id}/read/").status_code == 302
    page = owner.get("/reservations/").content.decode()
    assert "Tune 0" in page
    assert "3 recordings granted" in page
    assert "add_header tdm-reservation 1 always" in page
    answer = owner.get("/reservations/tdmrep.json")
    assert parse(answer.content)[0].reserved
    assert "attachment" in answer["Content-Disposition"]


def test_an_owner_settles_after_the_password_was_typed_again(mark, redis, cast):
    address = f"/reservations/{mark.id}/settle/"
    browser = Client()
    browser.force_login(cast.owner)
    assert "reauthenticate" in browser.get(address)["Location"]
    browser.post("/accounts/reauthenticate/", {"password": "correct horse"})
    assert b"Not for machines." in browser.get(address).content
    assert b"Say why" in browser.post(address, {"agree": "on"}).content
    assert Settlement.objects.count() == 0
    assert browser.post(address, {"reason": "The mark is older.", "agree": "on"}).status_code == 302
    assert Settlement.objects.get().signed_by == "owner@stemma.test"
    assert b"The mark is older." in browser.get(address).content


def test_a_program_reserves_and_settles_and_owners_are_told(granted, cast, recordings, api):
    owner, address = api("owner"), f"catalog/recordings/{recordings[0].id}/reservation"
    said = {"party": cast.label.party_id, "refused": ["ai_generative_training"], "reason": "Not yet."}
    made = api("rights").send("PUT", address, json.dumps(said)).json()
    told = Notice.objects.get(user=cast.owner, title__startswith="A reservation does not agree")
    assert told.href == f"/reservations/{made['id']}/settle/"
    assert [row["id"] for row in owner.get("reservations", conflicting=True).json()["items"]] == [made["id"]]
    assert api("stranger").get("reservations").json()["items"] == []
    yes = {"party": cast.label.party_id, "reason": "It is older."}
    settled = owner.post(f"reservations/{made['id']}/settlement", yes).json()
    assert settled["settlement"]["reason"] == "It is older."
    assert owner.get("reservations", conflicting=True).json()["items"] == []
    assert owner.get(f"reservations/{made['id']}").json() == settled


def test_an_owner_reserves_on_the_recordings_page(granted, redis, cast, recordings):
    browser = Client()
    browser.force_login(cast.owner)
    browser.post("/accounts/reauthenticate/", {"password": "correct horse"})
    assert b"Reserve uses of it" in browser.get(f"/catalog/{recordings[0].id}/").content
    address = f"/catalog/{recordings[0].id}/reservation/"
    sent = {"refused": ["ai_generative_training"], "reason": "Not yet."}
    assert browser.post(address, sent).status_code == 302
    assert "0" not in members(take())
    assert b"Not yet." in browser.get(address).content
    assert browser.post(address, {"reason": ""}).status_code == 302
    assert "0" in members(take())
    browser.force_login(cast.stranger)
    browser.post("/accounts/reauthenticate/", {"password": "correct horse"})
    assert browser.post(address, sent).status_code in {403, 404}


def test_a_stranger_finds_nothing(mark, redis, domain, cast):
    browser = Client()
    browser.force_login(cast.stranger)
    browser.post("/accounts/reauthenticate/", {"password": "correct horse"})
    assert browser.get(f"/reservations/{mark.id}/settle/").status_code == 404
    assert browser.post(f"/reservations/domains/{domain.id}/read/").status_code == 404
    assert b"Tune 0" not in browser.get("/reservations/").content


def test_a_program_has_a_site_read_and_takes_the_file_for_it(monkeypatch, redis, api, domain, site, cast, catalog):
    monkeypatch.setattr(tasks.domain_read, "delay", tasks.domain_read)  # a worker that takes it at once
    site.pages["/.well-known/tdmrep.json"] = tdmrep({"location": "/", "tdm-reservation": 1})
    assert api("owner").post(f"domains/{domain.id}/reading").status_code == 202
    assert [row["place"] for row in api("owner").get("reservations").json()["items"]] == [site.name]
    party = catalog["Label"]
    taken = api("owner").get(f"parties/{party.id}/tdmrep.json")
    assert (taken.content, taken["Content-Type"]) == (tdmrep_of(party), "application/json")
    problem(api("teammate").post(f"domains/{domain.id}/reading"), 403)
    for method, address in (("POST", f"domains/{domain.id}/reading"), ("GET", f"parties/{party.id}/tdmrep.json")):
        problem(api("stranger").send(method, address), 404)
    Domain.objects.update(proved_at=None)
    problem(api("owner").post(f"domains/{domain.id}/reading"), 404)
