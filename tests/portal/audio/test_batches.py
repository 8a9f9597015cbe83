"""An ERN batch: its messages go through the import, its sounds to the recordings that the messages name."""

import pytest

from catalog.batches import BATCH, lay, pack, release
from music.sounds import tune, write
from portal.intake.conftest import line, table
from stemma.storage import storage as bucket
from stemma_portal.audio import tasks
from stemma_portal.audio.models import Upload
from stemma_portal.audio.services import upload_cancel
from stemma_portal.catalog.models import Recording
from stemma_portal.core.models import AuditEvent
from stemma_portal.intake.models import Import

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def folder(tmp_path):
    """Two releases of two recordings; the sound of the fourth has the name of the first one's."""
    sounds = [write(tmp_path / f"{n}.wav", tune(10, seed=n + 1)).read_bytes() for n in range(4)]
    files = [
        release(2, {"resources/EX-0.wav": sounds[0], "resources/EX-1.wav": sounds[1]}),
        release(2, {"resources/EX-2.wav": sounds[2], "resources/EX-3.wav": sounds[3]}, first=2),
    ]
    for each in files:
        for name in [name for name in each if name.endswith(".xml")]:
            each[name] = each[name].replace(b"<Duration>PT3M45S</Duration>", b"<Duration>PT10S</Duration>")
    files[1] = {name.replace("EX-3", "EX-0"): body for name, body in files[1].items()}
    files[1]["A2.xml"] = files[1]["A2.xml"].replace(b"EX-3.wav", b"EX-0.wav")
    return lay(tmp_path / "in", *files)


@pytest.fixture
def take(committed):
    """The periodic run that looks for batches."""

    def taking():
        with committed():
            tasks.batches_take()

    return taking


def sounds():
    return {r.isrc: r.audio_sha256 for r in Recording.objects.order_by("isrc")}


def test_sounds_find_the_recordings_that_their_messages_name(bring, take, folder, tmp_path):
    batch = bring(pack(folder, tmp_path / "batch.zip").read_bytes(), name="batch.zip")
    assert (batch.state, batch.format, batch.counts["new"]) == ("done", "batch", 4), batch.message
    assert not any(sounds().values())
    take()
    found = sounds()
    assert list(found) == [f"QZSTM260000{n}" for n in range(4)]
    assert len(set(found.values())) == 4
    assert "" not in found.values()
    files = Upload.objects.get(batch=batch).files.order_by("place")
    assert [(f.state, f.matched_by, f.recording.isrc) for f in files] == [
        ("taken", "message", f"QZSTM260000{n}") for n in range(4)
    ]
    assert bucket().exists(batch.key)
    take()
    assert Upload.objects.count() == 5


def test_what_is_missing_or_another_is_told_and_takes_no_other_along(bring, take, folder, tmp_path):
    (folder / BATCH / "A0" / "resources" / "EX-0.wav").unlink()
    (folder / BATCH / "A1" / "resources" / "EX-2.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    batch = bring(pack(folder, tmp_path / "batch.zip").read_bytes())
    assert (batch.counts["new"], batch.counts["errors"], batch.counts["warnings"]) == (3, 1, 1)
    rows = {row.number: row for row in batch.rows.all()}
    assert rows[1].problems[0][1:3] == ["resources/EX-0.wav", "missing-file"]
    assert rows[3].problems[0][2] == "wrong-hash"
    assert rows[3].raw["message"] == f"{BATCH}/A1/A2.xml"
    take()
    assert [bool(sha) for sha in sounds().values()] == [False, True, True]


def test_a_batch_again_with_the_sound_that_was_missing(bring, take, folder, tmp_path):
    file = folder / BATCH / "A0" / "resources" / "EX-0.wav"
    body = file.read_bytes()
    file.unlink()
    bring(pack(folder, tmp_path / "one.zip").read_bytes())
    take()
    file.write_bytes(body)
    again = bring(pack(folder, tmp_path / "two.zip").read_bytes())
    assert again.counts["same"] == 4
    take()
    assert "" not in sounds().values()
    assert Recording.objects.get(isrc="QZSTM2600001").versions.count() == 2


def test_a_batch_brought_on_audio_is_imported_first(send, label, take, committed, folder, tmp_path):
    from stemma_portal.intake.services import import_confirm

    upload = send(pack(folder, tmp_path / "batch.zip"))
    batch = Import.objects.get(format="batch")
    assert (upload.state, upload.message) == ("unpacked", "It is read on the page Imports.")
    assert (batch.state, batch.created_by) == ("staged", label.owner.email)
    with committed():
        import_confirm(batch=batch, by=label.owner)
    take()
    assert Recording.objects.exclude(audio_sha256="").count() == 4


def test_sounds_are_taken_in_the_name_of_whoever_confirmed(bring, take, labels, committed, folder, tmp_path):
    from stemma_portal.accounts.services import membership_set
    from stemma_portal.intake.services import import_confirm

    membership_set(user=labels.teammate, organisation=labels.label, role="owner", by=None)
    batch = bring(pack(folder, tmp_path / "batch.zip").read_bytes(), confirm=False)
    with committed():
        import_confirm(batch=batch, by=labels.teammate)
    take()
    assert {e.actor for e in AuditEvent.objects.filter(action="audio.take")} == {labels.teammate.email}


def test_a_recording_that_is_gone_on_the_way_is_left_out(bring, take, folder, tmp_path):
    batch = bring(pack(folder, tmp_path / "batch.zip").read_bytes())
    batch.rows.filter(number=1).update(recording="00000000-0000-7000-8000-000000000000")
    take()
    assert Upload.objects.get(batch=batch).files.count() == 3


def test_a_batch_whose_file_is_damaged_since_is_told_and_kept(bring, take, labels, folder, tmp_path):
    batch = bring(pack(folder, tmp_path / "batch.zip").read_bytes())
    bucket().put(batch.key, b"PK\x03\x04 and nothing more")
    take()
    upload = Upload.objects.get(batch=batch)
    assert (upload.state, upload.message) == ("refused", "The archive is broken. Pack it anew.")
    upload_cancel(upload=upload, by=labels.owner)
    assert bucket().exists(batch.key)


def test_no_other_organisation_sees_or_touches_its_recordings(bring, take, labels, folder, tmp_path):
    """ASVS 8.4.1."""
    bring(table(*(line(n, duration="") for n in (0, 1))), organisation=labels.other, by=labels.stranger)
    bring(pack(folder, tmp_path / "batch.zip").read_bytes())
    take()
    assert not Recording.objects.filter(organisation=labels.other).exclude(audio_sha256="").exists()
