"""Certificates reach the log once, are proved to anyone, found by a file, and say what people did."""

from __future__ import annotations

import base64
import io
import json

import pytest
import soundfile
import zxingcpp
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client
from pypdf import PdfReader
from pypdfium2 import PdfDocument

from portal.certificates.made import RATE, SCORE, Output, put, sound
from portal.making import problem
from stemma.config import settings
from stemma.music.audio import encode
from stemma.proof.canonical import canonical
from stemma.proof.keys import KeyRing
from stemma.provenance.documents import verify_document
from stemma_portal.certificates import views
from stemma_portal.core.models import LogEntry
from stemma_portal.licensing.services import license_grant
from stemma_portal.metering.models import Certificate, FactObject
from stemma_portal.metering.services import facts_ingest

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def studio(covenant, cast, storage):
    """The studio's license, with indemnity."""
    return license_grant(organisation=cast.studio, tier="enterprise", months=12, by=None)


@pytest.fixture
def made(studio, keyring, storage) -> Output:
    """One output of the studio, taken in."""
    output = Output(studio, keyring)
    put(storage, output.fact(), output.usage())
    facts_ingest(lake=storage)
    return output


def as_(user) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def test_certificates_enter_the_log_in_one_batch_and_once(studio, keyring, storage):
    before = LogEntry.objects.count()
    outputs = [Output(studio, keyring, seed=seed) for seed in (1, 2, 3)]
    put(storage, *(output.fact() for output in outputs))
    assert facts_ingest(lake=storage).taken == 3
    put(storage, outputs[1].fact())  # the same once more, as after a kill
    assert facts_ingest(lake=storage).repeated == 1
    logged = LogEntry.objects.filter(kind="certificate")
    assert LogEntry.objects.count() == before + 3
    assert {entry.subject for entry in logged} == {output.id for output in outputs}
    assert len({entry.at for entry in logged}) == 1, "one signed head for all of them"
    with pytest.raises(IntegrityError), transaction.atomic():
        Certificate.objects.update(version=9)


def test_another_certificate_for_the_same_output_is_a_conflict_and_a_forged_one_is_set_aside(
    made, studio, keyring, storage, tmp_path
):
    stands = Certificate.objects.get()
    other = Output(studio, keyring, generation=made.id, at=made.said.at, seed=9)
    put(storage, other.fact())
    assert facts_ingest(lake=storage).conflicts == 1
    assert Certificate.objects.get().token == stands.token
    foreign = KeyRing(tmp_path / "keys")
    foreign.create()
    fresh = Output(studio, keyring)
    head, body, mark = fresh.token.split(".")
    none = base64.urlsafe_b64encode(canonical({"alg": "none", "typ": "stemma-certificate+jws"})).decode().rstrip("=")
    forged = (
        Output(studio, foreign).fact(),
        fresh.fact(certificate=f"{none}.{body}."),
        fresh.fact(certificate=fresh.token[: len(fresh.token) // 2]),
        fresh.fact(certificate=".".join((head, body, mark[:-8] + "AAAAAAAA"))),
        fresh.fact(id=made.id),
        Output(studio, keyring, version=2).fact(),
    )
    for fact in forged:
        put(storage, fact)
    assert len(facts_ingest(lake=storage).quarantined) == len(forged)
    assert Certificate.objects.count() == 1
    assert "cannot be taken" in FactObject.objects.filter(state="quarantined").first().reason


def test_the_proof_comes_by_api_page_and_paper_and_verifies_offline(made, api, cast, redis):
    studio, browser = api("licensee"), as_(cast.licensee)
    shown = studio.get(f"certificates/{made.id}").json()
    assert shown["certificate"] == made.token
    assert shown["standing"]["state"] == "conditional"
    for body in (
        json.dumps(studio.get(f"certificates/{made.id}/proof").json()).encode(),
        studio.get(f"certificates/{made.id}/proof.pdf").content,
        browser.get(f"/certificates/{made.id}.json").content,
        browser.get(f"/certificates/{made.id}.pdf").content,
        Client().get(f"/certificate/{made.id}.json").content,
    ):
        report = verify_document(body)
        assert report.verdict.code == "verified", report
        assert [s.name for s in report.steps] == ["Certificate", "License", "Log", "Filters", "Indemnity"]
    paper = PdfReader(io.BytesIO(studio.get(f"certificates/{made.id}/proof.pdf").content))
    text = " ".join(page.extract_text() for page in paper.pages)
    assert len(paper.pages) == 1
    assert f"/certificate/{made.id}/" in text
    assert "The indemnity holds on conditions" in text
    page = browser.get(f"/certificates/{made.id}/").content.decode()
    assert "9 notes, 32 allowed" in page
    assert "<svg" in page


@pytest.mark.parametrize(("dots", "turned"), [(72, 0), (150, 90), (300, 180)])
def test_the_code_on_paper_leads_to_the_page_that_verifies_it(made, api, redis, dots, turned):
    """Read from the printed page, at the resolution of a poor printer too, and followed by somebody unknown to us."""
    paper = PdfDocument(api("licensee").get(f"certificates/{made.id}/proof.pdf").content)
    printed = [page.render(scale=dots / 72, rotation=turned).to_pil() for page in paper]
    [code] = [code for picture in printed for code in zxingcpp.read_barcodes(picture)]
    assert (code.format, code.valid) == (zxingcpp.BarcodeFormat.QRCode, True)
    assert code.text.startswith(f"{settings().portal_url}/")
    answer = Client().get(code.text.removeprefix(settings().portal_url))
    assert answer.status_code == 200
    assert f"certificate-{made.id}.json" in answer.content.decode()
    text = " ".join(page.get_textpage().get_text_bounded() for page in paper)
    assert code.text in "".join(text.split()), "for those without a telephone it is also written out"


@pytest.mark.parametrize(
    ("tier", "changes", "state", "said"),
    [
        ("enterprise", {}, "The indemnity holds on conditions", "It holds without limit, on the conditions named"),
        ("community", {}, "Without indemnity", "community tier comes without indemnity"),
    ],
)
def test_anyone_verifies_a_certificate_on_its_page(covenant, cast, keyring, storage, redis, tier, changes, state, said):
    license_ = license_grant(organisation=cast.studio, tier=tier, months=12, by=None)
    output = Output(license_, keyring, **changes)
    put(storage, output.fact())
    facts_ingest(lake=storage)
    answer = Client().get(f"/certificate/{output.id}/")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "noindex" in answer["X-Robots-Tag"]
    assert state in text
    assert said in text
    assert "Entry " in text, "its place in the log"
    unknown = Client().get(f"/certificate/{license_.id}/")
    assert unknown.status_code == 404
    assert "There is no such certificate" in unknown.content.decode()


def test_the_public_page_is_not_for_those_who_ask_without_end(made, redis, monkeypatch):
    monkeypatch.setattr(views, "PUBLIC_RATE", "3/m/ip")
    browser, other = Client(REMOTE_ADDR="203.0.113.7"), Client(REMOTE_ADDR="203.0.113.8")
    answers = [browser.get(f"/certificate/{made.id}.json") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert "Too many requests" in answers[-1].content.decode()
    assert other.get(f"/certificate/{made.id}.json").status_code == 200


def test_a_file_finds_its_certificate_among_ones_own_alone(made, studio, keyring, cast, storage, tmp_path):
    put(storage, Output(studio, keyring, seed=2).fact())
    facts_ingest(lake=storage)
    browser, there = as_(cast.licensee), f"/certificates/{made.id}/"
    wav = io.BytesIO()
    soundfile.write(wav, made.samples, RATE, format="WAV", subtype="PCM_16")
    quieter = encode((made.samples * 0.8).astype("int16"), RATE, "flac")
    for name, body, how in (
        ("a.flac", made.flac, "byte for byte"),
        ("a.wav", wav.getvalue(), "sample by sample"),
        ("a.flac", quieter, "sounds the same"),
        ("a.mid", SCORE, "byte for byte"),
    ):
        answer = browser.post("/certificates/", {"file": SimpleUploadedFile(name, body)}, follow=True)
        if name != "a.mid":  # all outputs here have one score
            assert answer.redirect_chain[-1][0] == there, (name, how)
        assert how in answer.content.decode()
    for mark in (made.said.pcm_sha256, made.usage().audio_sha256):
        assert browser.get("/certificates/", {"hash": mark})["Location"] == there
    assert "No certificate of yours" in browser.get("/certificates/", {"hash": "f" * 64}).content.decode()
    stranger = encode(sound(50), RATE, "flac")
    assert (
        "No certificate of yours"
        in browser.post("/certificates/", {"file": SimpleUploadedFile("b.flac", stranger)}).content.decode()
    )
    other = as_(cast.owner)
    answer = other.post("/certificates/", {"file": SimpleUploadedFile("a.flac", made.flac)})
    assert "No certificate of yours" in answer.content.decode()
    assert other.get(there).status_code == 404


def test_what_people_did_is_signed_into_a_version_that_names_the_one_before(made, api, cast, redis):
    studio, first = api("licensee"), Certificate.objects.get()
    told = studio.get(f"certificates/{made.id}/disclosure").json()
    assert (told["contains_ai"], told["contributors"][0]["ai_contribution"]) == ("All", "All")
    body = {
        "contributions": [{"name": "Ada Example", "deed": "played", "what": "the fiddle"}],
        "replaces": first.sha256,
    }
    stated = studio.post(f"certificates/{made.id}/authorship", body)
    assert stated.status_code == 201, stated.content
    assert (stated.json()["version"], stated.json()["generation"]) == (2, made.id)
    problem(studio.post(f"certificates/{made.id}/authorship", body), 409)
    problem(api("rights").post(f"certificates/{made.id}/authorship", body), 403)
    problem(api("owner").post(f"certificates/{made.id}/authorship", body), 404)
    report = verify_document(json.dumps(studio.get(f"certificates/{made.id}/proof").json()).encode())
    assert report.verdict.code == "verified", report
    assert "Ada Example played the fiddle" in next(s.detail for s in report.steps if s.name == "People")
    told = studio.get(f"certificates/{made.id}/disclosure").json()
    assert told["contains_ai"] == "Partly"
    assert told["contributors"][-1] == {"name": "Ada Example", "role": "Musician", "ai_contribution": "None"}
    browser = as_(cast.licensee)
    form = {"form-TOTAL_FORMS": 6, "form-INITIAL_FORMS": 0, "form-0-name": "Bo Sample", "form-0-deed": "",
            "replaces": Certificate.objects.first().sha256}  # fmt: skip
    address = f"/certificates/{made.id}/statement/"
    assert browser.post(address, form).status_code == 422
    assert browser.post(address, form | {"form-0-deed": "arranged"}).status_code == 302
    assert Certificate.objects.get(pk=first.pk).token == made.token
    assert [c.version for c in Certificate.objects.order_by("version")] == [1, 2, 3]
    assert "Bo Sample arranged" in Client().get(f"/certificate/{made.id}/").content.decode()
