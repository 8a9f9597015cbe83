"""What is granted stays: publishing, accepting, and the pages of license terms."""

import io
import json
import threading
from datetime import timedelta
from itertools import count

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from portal.making import problem
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.proof.canonical import canonical, digest, sha256
from stemma.proof.keys import verify
from stemma.proof.log import Receipt, check_receipt
from stemma.provenance.documents import verify_document
from stemma.rights.covenant import Acceptance, house_covenant, house_covenant_1, house_covenant_2
from stemma.rights.covenant_history import Published, replay
from stemma.rights.entitlement import ENTITLEMENT, Entitlement, check_logged
from stemma.rights.ratchet import Verdict
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import AuditEvent, LogEntry
from stemma_portal.core.selectors import log_receipt
from stemma_portal.licensing.models import CovenantAcceptance, CovenantVersion, License
from stemma_portal.licensing.selectors import models_of, tier_of
from stemma_portal.licensing.services import (
    covenant_accept,
    covenant_begin,
    covenant_publish,
    license_grant,
    license_revoke,
)
from stemma_portal.royalties.settlement import subscriptions_due

pytestmark = [pytest.mark.services, pytest.mark.django_db]

HOUSE = house_covenant()
VERSION = count(1)


def terms(tier="professional", *, whole=None, **given):
    """The house's terms with a change in one tier, or elsewhere."""
    tiers = tuple(each.model_copy(update=given) if each.name == tier else each for each in HOUSE.tiers)
    whole = {"format": "stemma.covenant/3"} | (whole or {}) if "models" in given else whole or {}
    return HOUSE.model_copy(update={"version": f"3.0.{next(VERSION)}", "tiers": tiers, **whole})


def publish(covenant):
    return covenant_publish(covenant=covenant, by=None)


@pytest.fixture
def license_(covenant, cast) -> License:
    return license_grant(organisation=cast.studio, tier="professional", months=12, by=cast.rights)


@pytest.fixture
def studio(cast, license_, redis) -> Client:
    browser = Client()
    browser.force_login(cast.licensee)
    assert browser.post("/accounts/reauthenticate/", {"password": "correct horse"}).status_code == 302
    return browser


def accept(license_, version, by, replaces=None):
    return covenant_accept(license_=license_, covenant=version, replaces=replaces or license_.covenant_id, by=by)


def test_what_narrows_a_license_is_refused_and_each_loss_is_named(license_, covenant):
    dear = terms(monthly_fee=50_000_000, requests_per_minute=1)
    with pytest.raises(InvalidError, match="2 places") as refused:
        publish(dear)
    assert refused.value.code == "covenant-narrows"
    assert [each["field"] for each in refused.value.details] == [
        "tiers.professional.monthly_fee", "tiers.professional.requests_per_minute",
    ]  # fmt: skip
    assert refused.value.details[0] == {
        "field": "tiers.professional.monthly_fee",
        "rule": "narrower",
        "remedy": "professional: fee a month was USD 49.00 and would be USD 50.00 (held under version 3.0.0).",
    }
    assert CovenantVersion.objects.count() == LogEntry.objects.filter(kind="covenant").count() == 1


def test_what_nobody_holds_may_be_narrowed(license_):
    publish(terms("enterprise", monthly_fee=10**9))
    with pytest.raises(InvalidError):
        publish(terms(monthly_fee=10**9))


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_when_the_last_license_has_ended_it_may_be_narrowed(license_, cast, end):
    if end == "revoked":
        license_revoke(license_=license_, by=cast.rights)
    else:
        License.objects.filter(id=license_.id).update(expires_at=now() - timedelta(seconds=1))
    publish(terms(monthly_fee=10**9))


def test_models_are_taken_from_nobody_who_may_use_them(license_):
    publish(terms("enterprise", models=("house-latent/*",)))
    with pytest.raises(InvalidError) as refused:
        publish(terms(models=("house-symbolic/*",)))
    [loss] = refused.value.details
    assert loss == {
        "field": "tiers.professional.models",
        "rule": "narrower",
        "remedy": "professional: models was every model and would be every release of house-symbolic (held under "
        "version 3.0.0).",
    }


def test_terms_that_are_accepted_bring_their_models_and_those_that_leave_none_are_refused(
    covenant, cast, storage, keyring, committed
):
    one = publish(terms(models=("house-symbolic/1",)))
    ask = {"organisation": cast.studio, "tier": "professional", "months": 12, "by": None}
    held = license_grant(**ask, covenant=one)
    named = license_grant(**ask, covenant=covenant, model_releases=["house-latent/*"])
    assert models_of(license_=held, tier=tier_of(license_=held)) == ("house-symbolic/1",)
    with pytest.raises(InvalidError) as refused:
        accept(named, one, cast.licensee)
    assert refused.value.code == "models-not-in-tier"
    assert refused.value.message == (
        f"Version {one.version} of the covenant lets the professional tier use house-symbolic/1, and none of "
        "house-latent/*."
    )
    license_revoke(license_=named, by=None)
    more = publish(terms(models=("house-latent/2", "house-symbolic/*")))
    with committed():
        accept(held, more, cast.licensee)
    token = storage.get(f"licenses/entitlements/{held.id}.jws").decode()
    told = Entitlement.model_validate(verify(token, keyring.jwks(), "license", ENTITLEMENT))
    assert told.model_releases == ("house-latent/2", "house-symbolic/*")
    assert check_logged(told.terms(), told.receipt, keyring.jwks()) is not None


def test_creators_who_have_consented_keep_their_part(granted):
    parts = HOUSE.creators.model_copy(update={"usage": 400_000})
    with pytest.raises(InvalidError) as refused:
        publish(terms(whole={"creators": parts, "training_ppm": 1}))
    assert [each["field"] for each in refused.value.details] == ["creators.usage", "training_ppm"]
    more = HOUSE.creators.model_copy(update={"usage": 600_000})
    publish(terms(whole={"creators": more}))


def test_the_second_form_takes_nothing_from_those_who_hold_the_first(cast, storage):
    first = publish(house_covenant_1())
    assert first.digest == "3f769656f098259d53b309815f9ef758b5a5a7f811fe7070145cfac31976d847"
    held = [
        license_grant(organisation=cast.studio, tier=tier.name, months=1, by=None) for tier in house_covenant_1().tiers
    ]
    with pytest.raises(InvalidError, match="takes something away"):
        publish(HOUSE)
    assert covenant_begin(by=None) == first, "an installation that has terms keeps them"
    publish(house_covenant_2())
    assert {License.objects.get(id=each.id).covenant_id for each in held} == {first.digest}
    assert sha256(storage.get(f"covenants/{first.digest}.json")) == digest(first.covenant()) == first.digest


def test_a_license_accepts_by_its_own_act(license_, covenant, cast, storage, keyring, committed):
    later = publish(terms(monthly_fee=40_000_000))
    assert License.objects.get(id=license_.id).covenant_id == covenant.digest
    with committed():
        accept(license_, later, cast.licensee)
    done = CovenantAcceptance.objects.get()
    document = Acceptance.model_validate(done.document)
    assert (document.covenant, document.replaces) == (later.digest, covenant.digest)
    check_receipt(Receipt.model_validate(done.receipt), keyring.jwks(), digest=digest(document))
    entry = AuditEvent.objects.get(action="license.accept")
    assert (entry.actor, entry.detail) == (cast.licensee.email, {"before": covenant.digest, "after": later.digest})
    token = storage.get(f"licenses/entitlements/{license_.id}.jws").decode()
    assert verify(token, keyring.jwks(), "license", ENTITLEMENT)["covenant"] == later.digest
    accept(license_, later, cast.licensee, replaces=covenant.digest)
    assert CovenantAcceptance.objects.count() == 1
    browser = Client()
    browser.force_login(cast.licensee)
    proof = browser.get(f"/license/{license_.id}/acceptances/{done.id}.json").json()
    report = verify_document(json.dumps(proof).encode(), keyring.jwks())
    assert (report.verdict.code, [step.name for step in report.steps]) == ("verified", ["Acceptance", "Log", "Terms"])
    for damage in ({"terms": proof["terms"] | {"title": "Other"}}, {"acceptance": proof["acceptance"] | {"at": "x"}}):
        assert verify_document(json.dumps(proof | damage).encode(), keyring.jwks()).verdict.code == "broken"


def test_an_acceptance_does_not_reprice_months_that_were_due(license_, covenant, cast):
    begin = now() - timedelta(days=95)
    License.objects.filter(id=license_.id).update(not_before=begin)
    later = publish(terms(monthly_fee=0))
    accept(license_, later, cast.licensee)
    due = subscriptions_due(currency="USD", starts=begin, ends=now() + timedelta(days=65))
    months = {each.covenant: each.months for each in due}
    assert months.keys() == {covenant.digest, later.digest}
    assert months[covenant.digest] >= 4
    assert months[later.digest] >= 2


def test_only_what_is_ahead_and_fits_is_accepted(license_, covenant, cast):
    later, euro = publish(terms(monthly_fee=0)), terms(monthly_fee=0, whole={"currency": "EUR"})
    with pytest.raises(ConflictError, match="meanwhile"):
        accept(license_, later, cast.licensee, replaces="0" * 64)
    accept(license_, later, cast.licensee)
    with pytest.raises(InvalidError, match="cannot take the place"):
        accept(License.objects.get(id=license_.id), covenant, cast.licensee)
    license_revoke(license_=license_, by=None)
    for other in (euro, terms(whole={"tiers": HOUSE.tiers[:1]})):
        version = publish(other)
        fresh = License.objects.get(id=license_.id)
        with pytest.raises(InvalidError, match="revoked"):
            accept(fresh, version, cast.licensee)
        License.objects.filter(id=license_.id).update(state="active")
        with pytest.raises(InvalidError) as refused:
            accept(fresh, version, cast.licensee)
        assert refused.value.code == "not-ahead"
        License.objects.filter(id=license_.id).update(state="revoked")


@pytest.mark.django_db(transaction=True)
def test_of_two_versions_accepted_at_once_one_is_taken(license_, covenant, cast):
    versions = [publish(terms(monthly_fee=40_000_000)), publish(terms(monthly_fee=30_000_000))]
    ready, outcomes = threading.Barrier(2), []

    def act(version) -> None:
        try:
            ready.wait()
            accept(license_, version, cast.licensee, replaces=covenant.digest)
            outcomes.append(version.digest)
        except ConflictError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=[version]) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [taken] = [each for each in outcomes if each != "conflict"]
    assert sorted(outcomes) == sorted([taken, "conflict"])
    assert License.objects.get(id=license_.id).covenant_id == taken
    assert CovenantAcceptance.objects.get().covenant_id == taken
    assert LogEntry.objects.filter(kind="acceptance").count() == 1


def test_all_terms_are_replayed_from_the_log(covenant, keyring):
    publish(terms(monthly_fee=40_000_000))
    publish(terms(monthly_fee=45_000_000))

    def given(version, **changes):
        receipt = log_receipt(entry_id=version.receipt["entry"]["id"])
        return Published(version.digest, changes.get("document", version.document), receipt)

    rows = list(CovenantVersion.objects.all())
    steps = replay([given(row) for row in rows], keyring.jwks())
    assert [step.problems for step in steps] == [[], [], []]
    assert [step.comparison and step.comparison.verdict for step in steps] == [
        None, Verdict.WIDER, Verdict.NARROWER,
    ]  # fmt: skip
    forged = {**rows[0].document, "training_ppm": 1}
    steps = replay([given(rows[0], document=forged), given(rows[1])], keyring.jwks())
    assert [len(step.problems) for step in steps] == [0, 1]
    steps = replay([given(rows[0])], {"keys": []})
    assert steps[0].problems


def test_the_api_tells_compares_and_publishes(license_, covenant, api):
    anyone, staff = api(None), api("rights")
    wide, dear = terms(minute_fee=40_000), terms(minute_fee=60_000)
    made = staff.post("covenants", {"document": wide.model_dump(mode="json")})
    assert made.status_code == 201
    assert made.json()["digest"] == digest(wide)
    refused = staff.post("covenants", {"document": dear.model_dump(mode="json")})
    problem(refused, 422, "covenant-narrows")
    assert refused.json()["errors"][0]["field"] == "tiers.professional.minute_fee"
    unknown = staff.post("covenants", {"document": {**wide.model_dump(mode="json"), "more": 1}})
    problem(unknown, 422, "not-a-covenant")
    assert unknown.json()["errors"][0]["field"] == "more"
    problem(staff.post("covenants", {"document": house_covenant_1().model_dump(mode="json")}), 422, "old-form")
    problem(api("licensee").post("covenants", {"document": wide.model_dump(mode="json")}), 403)

    assert [row["version"] for row in anyone.get("covenants").json()] == [wide.version, "3.0.0"]
    shown = anyone.get(f"covenants/{covenant.digest}").json()
    assert digest(shown["document"]) == covenant.digest
    text = anyone.get(f"covenants/{covenant.digest}/text").json()
    assert text["clauses"][0]["number"] == "1.1"
    found = anyone.get(f"covenants/{covenant.digest}/comparison/{digest(wide)}").json()
    assert (found["verdict"], found["holders"]["professional"]) == ("wider", "wider")
    assert {step["field"] for step in found["steps"] if step["verdict"] != "equal"} == {"tiers.professional.minute_fee"}
    for address in ("0" * 64, "%00", "x", "0" * 63):
        problem(anyone.get(f"covenants/{address}"), 404)


def test_the_api_accepts_for_the_licensee_alone(license_, covenant, api, cast):
    later = publish(terms(monthly_fee=0))
    body = {"covenant": later.digest, "replaces": covenant.digest}
    address = f"licenses/{license_.id}/covenant"
    problem(api("rights").post(address, body), 403)
    problem(api("stranger").post(address, body), 404)
    done = api("licensee").post(address, body)
    assert (done.status_code, done.json()["covenant"]) == (200, later.digest)
    newest = publish(terms(monthly_fee=0, minute_fee=0))
    late = api("licensee").post(address, {"covenant": newest.digest, "replaces": covenant.digest})
    problem(late, 409, "conflict")


def test_a_session_shows_again_who_it_is_before_it_accepts(license_, covenant, cast):
    later = publish(terms(monthly_fee=0))
    browser = Client()
    browser.force_login(cast.licensee)  # signed in long ago, for all that is known
    body = json.dumps({"covenant": later.digest, "replaces": covenant.digest})
    answer = browser.post(f"/api/v1/licenses/{license_.id}/covenant", body, content_type="application/json")
    problem(answer, 403, "show-again")
    asked = browser.get(f"/license/{license_.id}/covenant/")
    assert asked.status_code == 302
    assert "/accounts/reauthenticate/" in asked["Location"]


def test_the_licensee_sees_what_changes_and_accepts_it(license_, covenant, studio):
    address = f"/license/{license_.id}/covenant/"
    assert "Nothing to accept" in studio.get(address).content.decode()
    later = publish(terms(monthly_fee=40_000_000))
    assert address in studio.get(f"/license/{license_.id}/").content.decode()
    page = studio.get(address).content.decode()
    for words in ("USD 49.00", "USD 40.00", "Wider", "tiers.professional.monthly_fee"):
        assert words in page
    assert "Community" not in page
    body = {"covenant": later.digest, "replaces": covenant.digest}
    assert "Without your yes nothing changes" in studio.post(address, body).content.decode()
    assert not CovenantAcceptance.objects.exists()
    assert studio.post(address, {**body, "agree": "on"}).status_code == 302
    assert License.objects.get(id=license_.id).covenant == later
    page = studio.get(f"/license/{license_.id}/").content.decode()
    assert f"Version {later.version}" in page
    assert address not in page


def test_anyone_reads_the_terms(covenant):
    reader = Client()
    assert "There is one version" in reader.get("/covenants/compare/").content.decode()
    narrow = publish(terms(monthly_fee=10**9, uses=("api_outputs",), notice_on=()))
    page = reader.get("/covenants/").content.decode()
    assert f"/covenants/{covenant.digest}/" in page
    assert "Neither wider nor narrower" in page
    page = reader.get(f"/covenants/{covenant.digest}/").content.decode()
    for words in ("What do creators get?", 'id="c-1.1"', "tiers.community.uses", "An earlier version"):
        assert words in page
    page = reader.get("/covenants/compare/").content.decode()
    assert f"{narrow.version} beside 3.0.0" in page
    assert "takes something away" in page
    assert reader.get(f"/covenants/compare/?old={covenant.digest}&new={covenant.digest}").status_code == 200
    for wrong in ("/covenants/nothing/", "/covenants/%00/", "/covenants/compare/?old=x", f"/covenants/{'0' * 64}.pdf"):
        assert reader.get(wrong).status_code == 404


def test_the_models_of_a_tier_stand_in_its_text_its_summary_and_beside_the_other_tiers(covenant):
    reader, some = Client(), publish(terms("research", models=("house-latent/*", "house-symbolic/2")))
    words = "every release of house-latent, house-symbolic/2"
    page = reader.get(f"/covenants/{some.digest}/").content.decode()
    assert f"It holds for these models and for no others: {words}." in page
    assert "tiers.research.models" in page
    assert f"only with {words}." in page
    assert f"Only with {words}." in reader.get(reverse("licensing:tiers")).content.decode()
    page = reader.get(f"/covenants/compare/?old={covenant.digest}&new={some.digest}").content.decode()
    for told in ("every model", words, "Narrower", "tiers.research.models"):
        assert told in page
    paper = PdfReader(io.BytesIO(reader.get(f"/covenants/{some.digest}.pdf").content))
    text = " ".join(" ".join(page.extract_text() for page in paper.pages).split())
    assert f"only with {words}" in text
    assert f"for no others: {words}. tiers.research.models" in text


def test_the_terms_are_taken_away_as_document_and_on_paper(covenant):
    reader = Client()
    assert reader.get(f"/covenants/{covenant.digest}.json").content == canonical(HOUSE)
    paper = reader.get(f"/covenants/{covenant.digest}.pdf")
    assert paper.content.startswith(b"%PDF-")
    assert b"pdfuaid" in paper.content
    assert "immutable" in paper["Cache-Control"]


def test_terms_of_the_first_form_have_their_pages_too(db, storage):
    first = publish(house_covenant_1())
    reader = Client()
    page = reader.get(f"/covenants/{first.digest}/").content.decode()
    assert house_covenant_1().on_withdrawal in page
    assert reader.get(f"/covenants/{first.digest}.pdf").status_code == 200
    assert sha256(reader.get(f"/covenants/{first.digest}.json").content) == first.digest


@pytest.fixture
def stemma(api, keyring, monkeypatch, tmp_path):
    """The command line as a member of the cast, with this portal behind it."""
    from typer.testing import CliRunner

    from stemma.cli import covenant as module
    from stemma.cli.portal_client import _refusal

    class Here:
        def __init__(self, who) -> None:
            self.api, self.url = api(who), ""

        def get(self, path):
            return self._read(self.api.get(path))

        def post(self, path, body=None):
            return self._read(self.api.post(path, body))

        def keys(self):
            return keyring.jwks()

        def _read(self, answer):
            if answer.status_code >= 400:
                raise _refusal(answer.status_code, answer.json())
            return answer.json()

    def run(*words, who="rights"):
        monkeypatch.setattr(module, "Portal", lambda anyone=False: Here(None if anyone else who))
        return CliRunner().invoke(module.app, list(words), env={"COLUMNS": "200"})

    return run


def test_the_command_line_shows_replays_publishes_and_accepts(license_, covenant, stemma, tmp_path):
    shown = stemma("show")
    assert digest(json.loads(shown.stdout)) == covenant.digest
    assert "1.1. This is the Stemma Covenant" in stemma("text", covenant.digest[:10]).stdout
    assert stemma("text", "3.0.0", "--summary").stdout.startswith("Who may use it")

    wide, dear = terms(monthly_fee=40_000_000), terms(monthly_fee=50_000_000)
    for name, value in (("wide", wide), ("dear", dear)):
        (tmp_path / f"{name}.json").write_text(value.model_dump_json())
    assert stemma("compare", "3.0.0", str(tmp_path / "wide.json")).exit_code == 0
    narrow = stemma("compare", covenant.digest, str(tmp_path / "dear.json"), "--json")
    assert (narrow.exit_code, json.loads(narrow.stdout)["holders"]["professional"]) == (3, "narrower")
    assert stemma("publish", str(tmp_path / "wide.json")).exit_code == 0
    refused = stemma("publish", str(tmp_path / "dear.json")).exception
    assert isinstance(refused, InvalidError)
    assert "fee a month was USD 49.00 and would be USD 50.00" in refused.message

    done = stemma("history")
    assert (done.exit_code, done.stdout.count("✓")) == (0, 2)
    assert [row["verdict"] for row in json.loads(stemma("history", "--json").stdout)] == [None, "wider"]
    publish(terms("enterprise", monthly_fee=10**9))
    assert stemma("history").exit_code == 3
    (tmp_path / "other.json").write_text('{"keys": []}')
    assert stemma("history", "--keys", str(tmp_path / "other.json")).exit_code == 4

    accepted = stemma("accept", license_.id, wide.version, "--yes", who="licensee")
    assert accepted.exit_code == 0, accepted.exception
    assert "USD 49.00 → USD 40.00" in accepted.stdout
    assert License.objects.get(id=license_.id).covenant_id == digest(wide)
    assert "no covenant 9.9" in str(stemma("show", "9.9").exception)


def test_terms_are_read_compared_and_replayed_without_a_token(covenant, stemma):
    publish(terms(monthly_fee=40_000_000))
    for words in (["show"], ["text"], ["compare", "3.0.0", covenant.digest], ["history"]):
        done = stemma(*words, who="nobody")
        assert done.exit_code == 0, done.exception
