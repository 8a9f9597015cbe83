"""From a letter to a sealed dossier, and from there to money: what a claim against an output goes through."""

from __future__ import annotations

import pytest

from portal.indemnity.desk import LETTER, altered, melody, told, wav
from stemma.provenance.dossier import verify_dossier
from stemma.provenance.verify import Verdict
from stemma_portal.indemnity.models import OutputClaim

pytestmark = [pytest.mark.services, pytest.mark.django_db]
State = OutputClaim.State


def test_from_a_file_to_a_dossier_that_anyone_verifies(desk, tmp_path, keyring):
    generation, body = desk.made(1)
    claim = desk.examined(body)
    assert (claim.state, claim.generation_id, claim.finding["by"]) == (State.READY, generation.pk, "file-hash"), told(
        claim
    )
    dossier = claim.dossiers.get()
    path = tmp_path / "dossier.zip"
    path.write_bytes(desk.storage.get(dossier.key))
    report = verify_dossier(path, keyring.jwks())
    assert report.verdict is Verdict.VERIFIED, report.steps
    assert [list(step) for step in dossier.steps] == [
        [step.name, step.verdict.code, step.detail] for step in report.steps[2:]
    ]


def test_an_output_is_found_by_its_samples_and_by_its_credentials(desk):
    generation, body = desk.made(1)
    converted = desk.examined(wav(melody(1)), name="piece.wav")
    assert (converted.state, converted.generation_id) == (State.READY, generation.pk)
    assert (converted.finding["by"], converted.altered) == ("sound-hash", False)
    # Something behind its end: other bytes, the same credentials and samples.
    padded = desk.examined(body + b"\0" * 64, letter=b"Another letter.\n")
    assert (padded.finding["by"], padded.altered) == ("credentials", False)


def test_an_altered_file_is_found_by_its_fingerprint_and_its_indemnity_lapses(desk):
    from stemma_portal.core.errors import ConflictError
    from stemma_portal.indemnity.selectors import coverage_of
    from stemma_portal.indemnity.services import claim_accept

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


def test_whose_a_file_of_others_is_stays_with_staff(desk):
    generation, body = desk.made(3, license_=desk.rivals)
    for sound in (body, wav(melody(3)), altered(melody(3)), wav(melody(4))):
        claim = desk.examined(sound, name="piece.wav", letter=sound[-50:].hex().encode())
        assert (claim.state, claim.generation) == (State.UNKNOWN, None)
        assert claim.job.state == "done"
        heard = told(claim) + str(claim.job.message)
        assert generation.pk not in heard
        assert "Rival" not in heard
        assert "No output of yours has this sound" in heard
    notes = list(OutputClaim.objects.order_by("received_at").values_list("events__text", flat=True))
    assert sum(f"output {generation.pk} of another licensee" in text for text in notes) == 3


def test_credentials_moved_into_another_sound_find_nothing(desk, keyring):
    from stemma.music import audio
    from stemma.provenance.credentials import Marker

    _, body = desk.made(1)
    from stemma.provenance import credentials
    from stemma.provenance.authority import Authority

    carried = credentials.read(body, "audio/flac", Authority(keyring.folder).anchors())
    other = Marker(keyring.folder).mark(
        audio.encode(melody(8), 44_100, "flac"), "audio/flac", title="Not it", certificate=carried.certificate,
        entitlement=carried.entitlement, model_release="house/1",
    )  # fmt: skip
    assert desk.examined(other).state == State.UNKNOWN


def test_the_same_claim_twice_is_one_claim(desk):
    _, body = desk.made(1)
    one = desk.send(body)
    assert desk.send(body, claimant="Somebody else").pk == one.pk
    assert one.papers.count() == 2
    assert desk.send(body, letter=b"Another letter.\n").pk != one.pk


@pytest.mark.parametrize(
    ("sound", "letter", "why"),
    [
        (b"<html>", LETTER, "neither sound nor a score"),
        (b"MThd\0\0\0\6", LETTER, "no sound"),
        (b"", LETTER, "empty"),
        (None, b"PK\3\4 a program", "none of PDF"),
        (None, b"", "empty"),
        (None, b"RIFF\0\0\0\0WAVEfmt ", "letter is none of PDF"),
    ],
)
def test_what_is_brought_is_taken_for_what_it_is(desk, sound, letter, why):
    from stemma.errors import InvalidError

    with pytest.raises(InvalidError, match=why):
        desk.send(wav(melody(1)[:1000]) if sound is None else sound, letter=letter)
    assert not OutputClaim.objects.exists()
    assert not list(desk.storage.keys("indemnity/"))


def test_evidence_goes_on_where_it_was_stopped(desk, monkeypatch):
    from stemma_portal.indemnity import examining
    from stemma_portal.indemnity.services import claim_again, claim_stop
    from stemma_portal.indemnity.tasks import examine

    _, body = desk.made(1)
    claim = desk.send(body)
    fetch = examining._bundle

    def stopped(generation):
        claim_stop(claim=OutputClaim.objects.get(pk=claim.pk), by=desk.cast.rights)
        return fetch(generation)

    monkeypatch.setattr(examining, "_bundle", stopped)
    examine(claim.pk)
    claim.refresh_from_db()
    assert (claim.state, claim.job.state) == (State.IDENTIFIED, "cancelled")
    there = set(desk.storage.keys(f"indemnity/{claim.pk}/1/"))
    assert any(key.endswith("bundle.json") for key in there)
    claim_again(claim=claim, by=desk.cast.rights)
    monkeypatch.setattr(examining, "_bundle", fetch)
    examine(claim.pk)
    examine(claim.pk)
    claim.refresh_from_db()
    assert (claim.state, claim.job.state, claim.job.progress) == (State.READY, "done", 8)
    assert claim.dossiers.get().number == 2


def test_a_worker_that_dies_after_the_seal_leaves_one_seal(desk, monkeypatch, tmp_path):
    from stemma.errors import UnavailableError
    from stemma_portal.indemnity import examining
    from stemma_portal.indemnity.tasks import examine

    _, body = desk.made(1)
    claim = desk.send(body)
    pack = examining.parts.pack

    def away(*_):
        raise UnavailableError("Storage is away.")

    monkeypatch.setattr(examining.parts, "pack", away)
    with pytest.raises(UnavailableError):
        examining.examine(OutputClaim.objects.select_related("organisation", "job").get(pk=claim.pk))
    monkeypatch.setattr(examining.parts, "pack", pack)
    examine(claim.pk)
    dossier = claim.dossiers.get()
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


def test_a_claim_stays_as_it_came(desk):
    from django.db import DatabaseError, transaction

    claim = desk.send(desk.made(1)[1])
    for change in ("UPDATE indemnity_outputclaim SET claimant = 'x'", "DELETE FROM indemnity_claimevent"):
        from django.db import connection

        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    states = [event.after for event in claim.events.all() if event.after]
    assert states[-1] == claim.state
