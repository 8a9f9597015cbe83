"""From a letter to a sealed dossier: how an output is found, and what its evidence goes through."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from portal.certificates.made import FILTERS, Output, put
from portal.indemnity.desk import LETTER, RATE, altered, melody, tick, told, wav
from stemma.errors import InvalidError, UnavailableError
from stemma.music import audio
from stemma.provenance import credentials
from stemma.provenance.authority import Authority
from stemma.provenance.certificate import Filters
from stemma.provenance.credentials import Marker
from stemma.provenance.dossier import verify_dossier
from stemma.provenance.verify import Verdict
from stemma_portal.core.errors import ConflictError
from stemma_portal.indemnity import examining
from stemma_portal.indemnity.models import OutputClaim
from stemma_portal.indemnity.search import prints_take
from stemma_portal.indemnity.selectors import coverage_of, evidence_of
from stemma_portal.indemnity.services import claim_accept, claim_again, claim_stop
from stemma_portal.indemnity.tasks import examine
from stemma_portal.metering.services import facts_ingest

pytestmark = [pytest.mark.services, pytest.mark.django_db]
State = OutputClaim.State


def test_from_a_file_to_a_dossier_that_anyone_verifies(desk, tmp_path, keyring):
    generation, body = desk.made(1)
    claim = desk.examined(body)
    found = (claim.state, claim.generation_id, claim.finding["by"])
    assert found == (State.READY, generation.pk, "file-hash"), claim.job.message
    dossier = claim.dossiers.get()
    path = tmp_path / "dossier.zip"
    path.write_bytes(desk.storage.get(dossier.key))
    report = verify_dossier(path, keyring.jwks())
    assert report.verdict is Verdict.VERIFIED, report.steps
    printed = [[step.name, step.verdict.code, step.detail] for step in report.steps[2:]]
    assert [list(step) for step in dossier.steps] == printed
    assert desk.storage.get(dossier.report_key).startswith(b"%PDF-")
    # The same again is the same claim, and what a claim rests on stays as it came.
    assert desk.send(body, claimant="Somebody else").pk == claim.pk
    assert claim.papers.count() == 2
    for change in ("UPDATE indemnity_outputclaim SET claimant = 'x'", "DELETE FROM indemnity_claimevent"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    assert [event.after for event in claim.events.all() if event.after] == ["received", "identified", "evidence-ready"]


def test_an_output_is_found_by_its_samples_and_by_its_credentials(desk, keyring):
    generation, body = desk.made(1)
    converted = desk.examined(wav(melody(1)), name="piece.wav")
    assert (converted.state, converted.generation_id) == (State.READY, generation.pk)
    assert (converted.finding["by"], converted.altered) == ("sound-hash", False)
    # Something behind its end: other bytes, the same credentials and samples.
    padded = desk.examined(body + bytes(64))
    assert (padded.finding["by"], padded.altered) == ("credentials", False)
    # Credentials are moved into another sound easily: they say nothing of it.
    carried = credentials.read(body, "audio/flac", Authority(keyring.folder).anchors())
    other = Marker(keyring.folder).mark(
        audio.encode(melody(8), RATE, "flac"), "audio/flac", title="Not it", certificate=carried.certificate,
        entitlement=carried.entitlement, model_release="house/1",
    )  # fmt: skip
    assert desk.examined(other).state == State.UNKNOWN


def test_an_altered_file_is_found_by_its_fingerprint_and_its_indemnity_lapses(desk):
    generation, _ = desk.made(1)
    desk.made(2)
    claim = desk.examined(altered(melody(1)))
    assert (claim.state, claim.generation_id) == (State.READY, generation.pk)
    assert (claim.finding["by"], claim.altered) == ("fingerprint", True)
    assert 700_000 < claim.finding["sure_ppm"] < 1_000_000
    assert coverage_of(claim=claim).verdict == "lapsed"
    with pytest.raises(ConflictError, match="It has lapsed: the covenant excludes what was altered"):
        claim_accept(claim=claim, amount=1, reason="Let us.", by=desk.cast.rights)
    assert not claim.moves.exists()


def test_what_its_certificate_says_of_filters_is_evidence(desk, keyring, storage):
    claim = desk.ready(1)
    assert evidence_of(claim=claim).filters_off is None
    said = Output(desk.license, keyring, generation=claim.generation_id, filters=Filters(prompt=FILTERS.prompt))
    put(storage, said.fact())
    facts_ingest(lake=storage)
    assert evidence_of(claim=claim).filters_off == ("verbatim passages", "similarity")


def test_whose_a_file_of_others_is_stays_with_staff(desk):
    generation, body = desk.made(3, license_=desk.rivals)
    prints_take()
    answers = set()
    for sound in (body, wav(melody(3)), altered(melody(3)), wav(melody(4))):
        claim = desk.examined(sound, name="piece.wav")
        assert (claim.state, claim.generation, claim.finding) == (State.UNKNOWN, None, None)
        answers.add((told(claim), claim.job.state, claim.job.message))
    assert len(answers) == 1, "whether it is another's or nobody's is not told"
    notes = list(OutputClaim.objects.values_list("events__text", flat=True))
    assert sum(f"output {generation.pk} of another licensee" in text for text in notes) == 3


def test_what_is_brought_is_taken_for_what_it_is(house):
    for sound, letter, why in (
        (b"<html>", LETTER, "neither sound nor a score"),
        (b"MThd\0\0\0\6", LETTER, "no sound"),
        (b"", LETTER, "empty"),
        (tick(1), b"PK\3\4 a program", "none of PDF"),
        (tick(1), b"", "empty"),
        (tick(1), b"RIFF\0\0\0\0WAVEfmt ", "letter is none of PDF"),
    ):
        with pytest.raises(InvalidError, match=why):
            house.send(sound, letter=letter)
    with pytest.raises(ConflictError, match="has no license"):
        house.send(tick(1), organisation=house.cast.label)
    assert not OutputClaim.objects.exists()
    assert not list(house.storage.keys("indemnity/"))


def test_evidence_goes_on_where_it_was_stopped_or_lost(desk, monkeypatch, tmp_path):
    _, body = desk.made(1)
    claim = desk.send(body)
    fetch, pack = examining._bundle, examining.parts.pack

    def stopped(generation):
        claim_stop(claim=OutputClaim.objects.get(pk=claim.pk), by=desk.cast.rights)
        return fetch(generation)

    def away(*_):
        raise UnavailableError("Storage is away.")

    monkeypatch.setattr(examining, "_bundle", stopped)
    examine(claim.pk)
    claim.refresh_from_db()
    assert (claim.state, claim.job.state) == (State.IDENTIFIED, "cancelled")
    assert f"indemnity/{claim.pk}/1/bundle.json" in set(desk.storage.keys(f"indemnity/{claim.pk}/1/"))
    monkeypatch.setattr(examining, "_bundle", fetch)
    # A worker is lost after it has logged the seal: the next one packs what was sealed.
    claim_again(claim=claim, by=desk.cast.rights)
    monkeypatch.setattr(examining.parts, "pack", away)
    with pytest.raises(UnavailableError):
        examining.examine(OutputClaim.objects.select_related("organisation", "job").get(pk=claim.pk))
    monkeypatch.setattr(examining.parts, "pack", pack)
    examine(claim.pk)
    claim.refresh_from_db()
    assert (claim.state, claim.job.state) == (State.READY, "done")
    dossier = claim.dossiers.get()
    assert dossier.number == 2
    path = tmp_path / "dossier.zip"
    path.write_bytes(desk.storage.get(dossier.key))
    assert verify_dossier(path).verdict is Verdict.VERIFIED


def test_a_fact_that_was_changed_in_the_lake_stops_the_evidence(desk):
    generation, body = desk.made(1)
    desk.storage.put(generation.source.key, desk.storage.get(generation.source.key) + b" ")
    claim = desk.examined(body)
    assert (claim.state, claim.job.state) == (State.IDENTIFIED, "failed")
    assert "was changed since it was taken in" in claim.job.message
    assert "taken in" not in told(claim)
