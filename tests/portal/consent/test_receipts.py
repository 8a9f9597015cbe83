"""What a signer takes away verifies offline, and so does the proof that what was withdrawn is in no later snapshot."""

import json

import pytest
from django.test import Client
from typer.testing import CliRunner

from portal.making import SCOPES
from stemma.cli import build
from stemma.provenance.documents import ATTACHMENT, verify_document
from stemma_portal.consent.receipts import consent_pdf, consent_proof, withdrawal_pdf, withdrawal_proof
from stemma_portal.consent.services import consent_withdraw
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.services import snapshot_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def verdict(data: bytes, keys=None) -> str:
    return verify_document(data, keys).verdict.code


def snapshot(name: str) -> Snapshot:
    return snapshot_create(name=name, include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)


def test_a_receipt_of_a_consent_verifies_as_json_and_as_pdf(granted, keyring, tmp_path):
    consent = granted["Label"]
    text = json.dumps(consent_proof(consent)).encode()
    paper = consent_pdf(consent, recordings=3)
    assert verdict(text) == verdict(paper) == "verified"
    assert verdict(text, keyring.jwks()) == "verified"
    for name, body in (("receipt.json", text), ("receipt.pdf", paper)):
        (tmp_path / name).write_bytes(body)
        done = CliRunner().invoke(build(["verify"]), ["verify", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert "Label granted" in done.output


def test_a_receipt_that_was_changed_or_is_anothers_does_not_verify(granted, keyring, tmp_path):
    mine, other = (consent_proof(granted[name]) for name in ("Label", "Other"))
    assert verdict(json.dumps({**mine, "receipt": other["receipt"]}).encode()) == "broken"
    assert verdict(json.dumps({**mine, "document": mine["document"][:-4] + "AAAA"}).encode()) != "verified"
    from stemma.proof.keys import KeyRing

    foreign = KeyRing(tmp_path / "keys")
    foreign.create()
    assert verdict(json.dumps(mine).encode(), foreign.jwks()) == "foreign-key"
    for nothing in (
        b"",
        b"{}",
        b"[]",
        b"%PDF-1.7\nnothing",
        b"{" * 100_000,
        b"\xff\xfe",
        json.dumps({"absence": 1}).encode(),
    ):
        assert verdict(nothing) == "unreadable"


def test_after_a_withdrawal_the_next_snapshot_is_proved_to_be_without_it(granted, cast, recordings, tmp_path):
    before = snapshot("before")
    gone = recordings[1]
    withdrawal = consent_withdraw(consent=granted["Label"], recording_id=gone.id, by=cast.owner)
    for body in (json.dumps(withdrawal_proof(withdrawal)).encode(), withdrawal_pdf(withdrawal)):
        report = verify_document(body)
        assert report.verdict.code == "verified"
        assert gone.id in report.steps[0].detail
    after = snapshot("after")
    owner = Client()
    owner.force_login(cast.owner)
    page = owner.get(f"/catalog/{gone.id}/carried/").content.decode()
    assert f"/catalog/{gone.id}/absence/{after.id}.json" in page
    assert f"/catalog/{gone.id}/absence/{before.id}.json" not in page
    assert "leaves every later snapshot" in page
    proof = owner.get(f"/catalog/{gone.id}/absence/{after.id}.json").content
    report = verify_document(proof)
    assert report.verdict.code == "verified", report
    assert "is not among them" in report.steps[1].detail
    claimed = json.loads(proof)
    claimed["absence"]["recording"] = recordings[0].id
    assert verdict(json.dumps(claimed).encode()) == "broken"
    there = owner.get(f"/catalog/{recordings[0].id}/absence/{after.id}.json")
    assert there.status_code >= 400
    stranger = Client()
    stranger.force_login(cast.stranger)
    assert stranger.get(f"/catalog/{gone.id}/absence/{after.id}.json").status_code == 404
    assert stranger.get(f"/catalog/{gone.id}/carried/").status_code == 404


def test_receipts_come_over_the_pages_to_their_owners_alone(granted, cast, recordings):
    consent = granted["Label"]
    withdrawal = consent_withdraw(consent=consent, recording_id=recordings[0].id, by=cast.owner)
    owner, stranger = Client(), Client()
    owner.force_login(cast.owner)
    stranger.force_login(cast.stranger)
    for address in (
        f"/consent/{consent.id}/receipt.json",
        f"/consent/{consent.id}/receipt.pdf",
        f"/consent/{consent.id}/withdrawal/{withdrawal.id}.json",
        f"/consent/{consent.id}/withdrawal/{withdrawal.id}.pdf",
    ):
        answer = owner.get(address)
        assert answer.status_code == 200
        assert verdict(answer.content) == "verified"
        assert stranger.get(address).status_code == 404
    assert ATTACHMENT.encode() in owner.get(f"/consent/{consent.id}/receipt.pdf").content
