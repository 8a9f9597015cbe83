"""Files go to storage in parts, are looked at, and find their recording."""

import zipfile

import httpx
import numpy as np
import pytest
from django.test import Client
from lxml import html
from music21 import note, stream, tempo
from mutagen.flac import FLAC

from music.sounds import RATE, tune, write
from portal.intake.conftest import line, table
from portal.making import Api, problem
from stemma.errors import InvalidError, NotFoundError
from stemma.storage import storage as bucket
from stemma_portal.accounts.services import token_create
from stemma_portal.audio import services, tasks
from stemma_portal.audio.models import Upload
from stemma_portal.catalog.models import Asset, Likeness, Recording
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import AuditEvent
from stemma_portal.intake.models import Import
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def tagged(path, **tags):
    file = FLAC(write(path, tune(10, seed=len(tags) + 1)))
    file.update(tags)
    file.save()
    return path


# --- From a file to a recording ---------------------------------------------------------------------


def test_a_sound_named_by_its_isrc_is_taken_and_measured(send, tmp_path):
    upload = send(write(tmp_path / "QZ-STM-26-00001 master.wav", tune(12)))
    assert (upload.state, upload.matched_by, upload.format) == ("taken", "isrc", "wav")
    recording = Recording.objects.get(isrc="QZSTM2600001")
    assert recording.duration_ms == 12_000
    assert recording.loudness_lufs == pytest.approx(upload.asset.measures["loudness_lufs"])
    assert len(recording.peaks) == 1000
    assert bucket().exists(recording.audio_key)
    assert bucket().exists(upload.asset.preview_key)
    assert len(upload.asset.fingerprint) > 200
    version = recording.versions.order_by("-number").first()
    assert version.record["audio_sha256"] == recording.audio_sha256
    assert version.record["title"] == "Song 1"
    event = AuditEvent.objects.get(action="audio.take")
    assert event.detail["before"]["audio_sha256"] == ""


def test_tags_titles_and_numbers_find_recordings_too(send, tmp_path):
    assert send(tagged(tmp_path / "x.flac", isrc="QZSTM2600001")).matched_by == "isrc"
    assert send(write(tmp_path / "EX-2.wav", tune(10, seed=8))).matched_by == "reference"
    assert send(tagged(tmp_path / "y.flac", title="Song 3", artist="the examples")).matched_by == "title"
    assert Recording.objects.exclude(audio_sha256="").count() == 3


def test_the_name_that_the_catalog_announced_finds_it(send, bring, tmp_path):
    bring(b"Title,ISRC,Audio file\nKiss,QZSTM2600009,Kiss_final.wav\n")
    assert send(write(tmp_path / "kiss_FINAL.flac", tune(10))).matched_by == "file"


def test_what_nobody_knows_waits_and_is_assigned_by_hand(send, label, tmp_path):
    upload = send(write(tmp_path / "untitled.wav", tune(10)))
    assert (upload.state, upload.recording) == ("waiting", None)
    recording = Recording.objects.get(isrc="QZSTM2600002")
    services.upload_assign(upload=upload, recording=recording, by=label.owner)
    upload.refresh_from_db()
    recording.refresh_from_db()
    assert (upload.state, upload.matched_by) == ("taken", "person")
    assert recording.audio_sha256 == upload.asset.measures["master_sha256"]


def test_a_title_that_two_recordings_have_is_no_answer(send, bring, tmp_path):
    bring(table(line(7, title="Song 1", duration="")))
    assert send(write(tmp_path / "Song 1.wav", tune(10))).state == "waiting"


def test_the_recording_of_another_organisation_is_never_found_nor_assigned(send, label, bring, tmp_path):
    bring(table(line(8, duration="")), organisation=label.other, by=label.stranger)
    upload = send(write(tmp_path / "QZSTM2600008.wav", tune(10)))
    assert upload.state == "waiting"
    theirs = Recording.objects.get(isrc="QZSTM2600008")
    with pytest.raises(NotFoundError):
        services.upload_assign(upload=upload, recording=theirs, by=label.owner)


@pytest.mark.parametrize(("form", "name"), [("musicxml", "QZSTM2600001.musicxml"), ("midi", "QZSTM2600001.mid")])
def test_a_score_completes_a_recording(send, tmp_path, form, name):
    """MIDI and MusicXML: in storage they have no ending by which a reader could go."""
    send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    assert "a score (MIDI or MusicXML)" in Recording.objects.get(isrc="QZSTM2600001").lacking_of_score
    part = stream.Part([tempo.MetronomeMark(number=72), *(note.Note(p) for p in ("C4", "E4", "G4", "C5"))])
    stream.Score([part]).write(form, tmp_path / name)
    upload = send(tmp_path / name)
    assert upload.state == "taken", upload.message
    recording = Recording.objects.get(isrc="QZSTM2600001")
    assert (recording.lacking, recording.lacking_of_score) == ([], [])
    assert (recording.tempo, recording.key, recording.time_signature) == (72, "C major", "4/4")
    assert bucket().get(recording.midi_key).startswith(b"MThd")


# --- What is doubtful or wrong ----------------------------------------------------------------------


def test_another_length_than_the_catalog_says_waits_for_a_person(send, bring, label, tmp_path):
    bring(table(line(4)))  # 3:45
    upload = send(write(tmp_path / "QZSTM2600004.wav", tune(10)))
    assert upload.state == "waiting"
    assert [each[0] for each in upload.findings] == ["length"]
    services.upload_accept(upload=upload, by=label.owner)
    assert Recording.objects.get(isrc="QZSTM2600004").duration_ms == 10_000


def test_a_second_sound_takes_the_place_of_the_first_only_when_somebody_says_so(send, label, tmp_path):
    first = send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    second = send(write(tmp_path / "QZSTM2600001.flac", tune(10, seed=2)))
    recording = Recording.objects.get(isrc="QZSTM2600001")
    assert recording.audio_sha256 == first.asset.measures["master_sha256"]
    assert (second.state, second.findings[-1][0]) == ("waiting", "replaces")
    services.upload_accept(upload=second, by=label.owner)
    recording.refresh_from_db()
    assert recording.audio_sha256 == second.asset.measures["master_sha256"]
    assert recording.versions.count() == 3


def test_the_same_sound_in_another_format_changes_nothing(send, tmp_path):
    send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    again = send(write(tmp_path / "QZSTM2600001.aif", tune(10)))
    assert again.state == "taken"
    assert Recording.objects.get(isrc="QZSTM2600001").versions.count() == 2


def test_the_same_file_again_is_not_measured_again(send, tmp_path):
    first = send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    again = send(write(tmp_path / "other name.wav", tune(10)))
    assert again.state == "taken"
    assert again.recording_id == first.recording_id
    assert Asset.objects.count() == 1
    assert len(list(bucket().keys("originals/"))) == 1


def test_how_far_a_file_is_has_one_wording(send, label, tmp_path):
    """In the tabs, in the table, on its own page, and in what the browser tells of a file that it sends."""
    upload = send(write(tmp_path / "nobody knows me.wav", tune(10)))
    page = Client()
    page.force_login(label.owner)
    shown = html.fromstring(page.get("/audio/").content)
    badge = html.fromstring(page.get(f"/audio/{upload.id}/").content).find(".//p[@class='byline']/span").text
    assert badge == shown.find(".//tbody//td/span").text == "Needs you"
    assert [link.text for link in shown.findall(".//nav[@class='actions']/a")] == ["Needs you 1"]
    told = {each.get("data-state"): each.find("span").text for each in shown.iter("template")}
    assert told["waiting"] == badge
    assert told.keys() >= set(Upload.State.values)
    assert len(set(told.values())) == len(told), "no two states look the same"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"MZ\x90 a program", "neither sound nor a score"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt \x00\x00", "cannot be decoded"),
    ],
)
def test_what_is_no_music_is_refused_and_forgotten(send, tmp_path, body, told):
    path = tmp_path / "QZSTM2600001.wav"
    path.write_bytes(body)
    upload = send(path)
    assert upload.state == "refused"
    assert told in upload.message
    assert Notice.objects.get(topic="audio").href == "/audio/"
    send(path, name="another.wav")
    assert Notice.objects.filter(topic="audio").count() == 1, "once a day"
    assert not list(bucket().keys("originals/"))
    assert not Recording.objects.exclude(audio_sha256="").exists()


def test_silence_and_what_was_cut_off_are_refused(send, tmp_path):
    assert "Nothing is to be heard" in send(write(tmp_path / "QZSTM2600001.wav", np.zeros((RATE, 2), np.int16))).message
    path = write(tmp_path / "QZSTM2600002.flac", tune(20))
    path.write_bytes(path.read_bytes()[:200_000])
    upload = send(path)
    assert upload.state == "refused"
    assert "ends after" in upload.message


def test_a_copy_of_another_recording_is_noticed(send, tmp_path, committed):
    send(write(tmp_path / "QZSTM2600001.wav", tune(30)))
    send(write(tmp_path / "QZSTM2600002.mp3", tune(30)))
    (likeness,) = Likeness.objects.filter(kind="fingerprint")
    assert likeness.score > 0.8


# --- Archives, tags ---------------------------------------------------------------------------------


def test_an_archive_is_unpacked_and_each_file_goes_its_way(send, tmp_path):
    write(tmp_path / "QZSTM2600001.wav", tune(10))
    (tmp_path / "liar.wav").write_bytes(b"not a sound")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "QZSTM2600001.wav", "../../disc 1/QZSTM2600001.wav")
        archive.write(tmp_path / "liar.wav", "liar.wav")
        archive.writestr("cover.jpg", b"\xff\xd8\xff")
    whole = send(tmp_path / "all.zip")
    assert (whole.state, whole.files.count()) == ("unpacked", 2)
    assert dict(whole.files.values_list("name", "state")) == {"QZSTM2600001.wav": "taken", "liar.wav": "refused"}


def test_an_archive_without_music_is_refused(send, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("cover.jpg", b"\xff\xd8\xff")
    assert "no sound" in send(tmp_path / "all.zip").message


def test_tags_of_unknown_files_become_recordings_that_have_their_sounds(send, label, tmp_path, committed):
    for n in (1, 2):
        tags = {"title": f"Fresh {n}", "isrc": f"QZSTM26001{n:02d}", "artist": "Ada", "album": "New"}
        send(tagged(tmp_path / f"fresh {n}.flac", **tags, tracknumber=str(n)))
    with committed():
        batch = services.recordings_from_tags(organisation=label.label, by=label.owner)
    from stemma_portal.intake.services import import_confirm, import_map

    with committed():
        import_map(batch=batch, mapping=batch.mapping, by=label.owner)
    batch.refresh_from_db()
    assert batch.counts["new"] == 2, batch.rows.values_list("problems")
    with committed():
        import_confirm(batch=batch, by=label.owner)
    assert Import.objects.get(id=batch.id).state == "done"
    with committed():
        assert tasks.uploads_match() == 2
    fresh = Recording.objects.filter(title__startswith="Fresh").order_by("title")
    assert [(r.artist, r.release.title, r.track, bool(r.audio_sha256)) for r in fresh] == [
        ("Ada", "New", 1, True),
        ("Ada", "New", 2, True),
    ]


def test_a_program_makes_recordings_of_tags(send, label, tmp_path):
    program = Api(token_create(user=label.owner, name="x", by=None)[1])
    problem(program.post("uploads/tags", {"organisation": label.label.id}), 422, "nothing-waits")
    send(tagged(tmp_path / "fresh.flac", title="Fresh", isrc="QZSTM2600101"))
    made = program.post("uploads/tags", {"organisation": label.label.id})
    assert (made.status_code, made.json()["name"]) == (201, "Tags of 1 files.csv")
    assert program.get(f"imports/{made.json()['id']}").json()["mapping"]["Title"] == "title"


def test_without_files_that_wait_there_is_nothing_to_make_of_tags(label):
    with pytest.raises(InvalidError):
        services.recordings_from_tags(organisation=label.label, by=label.owner)


# --- Parts ------------------------------------------------------------------------------------------


def test_an_upload_is_gone_on_with_where_it_stopped(send, label, monkeypatch, tmp_path):
    monkeypatch.setattr(services, "PART", 5 * 1024 * 1024)
    path = write(tmp_path / "QZSTM2600001.wav", tune(70))
    given = {
        "organisation": label.label,
        "name": path.name,
        "size": path.stat().st_size,
        "mark": "m",
        "by": label.owner,
    }
    upload = services.upload_begin(**given)
    first = path.read_bytes()[: upload.part_size]
    httpx.put(services.upload_addresses(upload=upload, numbers=[1])[1], content=first).raise_for_status()
    assert services.upload_begin(**given).id == upload.id
    assert services.upload_parts(upload).arrived == (1,)
    with pytest.raises(ConflictError) as missing:
        services.upload_finish(upload=upload, by=label.owner)
    assert "2, 3" in str(missing.value)
    assert send(path).state == "taken"


def test_a_part_of_another_size_does_not_count(label):
    upload = services.upload_begin(organisation=label.label, name="a.wav", size=9, by=label.owner)
    httpx.put(services.upload_addresses(upload=upload, numbers=[1])[1], content=b"short").raise_for_status()
    assert services.upload_parts(upload).arrived == ()
    with pytest.raises(ConflictError):
        services.upload_finish(upload=upload, by=label.owner)


@pytest.mark.parametrize("size", [0, -1, services.MOST_BYTES + 1, 10 * 1024**4])
def test_sizes_that_cannot_be_are_refused_before_anything_is_sent(label, size):
    with pytest.raises(InvalidError):
        services.upload_begin(organisation=label.label, name="a.wav", size=size, by=label.owner)


def test_parts_that_the_file_does_not_have_get_no_address(label):
    upload = services.upload_begin(organisation=label.label, name="a.wav", size=9, by=label.owner)
    for numbers in ([0], [2], [1] * 101):
        with pytest.raises(InvalidError):
            services.upload_addresses(upload=upload, numbers=numbers)


def test_what_is_taken_back_leaves_nothing(send, label, tmp_path):
    begun = send(write(tmp_path / "a.wav", tune(1)), finish=False)
    services.upload_cancel(upload=begun, by=label.owner)
    begun.refresh_from_db()
    assert begun.state == "cancelled"
    with pytest.raises(NotFoundError):
        bucket().parts(begun.key, begun.multipart)
    taken = send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    with pytest.raises(ConflictError):
        services.upload_cancel(upload=taken, by=label.owner)


def test_what_was_begun_and_left_is_let_go_after_a_week(send, tmp_path):
    begun = send(write(tmp_path / "a.wav", tune(1)), finish=False)
    Upload.objects.update(updated_at=begun.updated_at - tasks.ABANDONED * 1.1)
    tasks.uploads_heal()
    begun.refresh_from_db()
    assert begun.state == "cancelled"


def test_a_file_that_no_worker_has_had_is_handed_out_again(send, label, monkeypatch, tmp_path):
    monkeypatch.setattr(tasks.upload_take, "delay", lambda _: None)
    upload = send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    assert upload.state == "checking"
    monkeypatch.setattr(tasks.upload_take, "delay", tasks.upload_take)
    Upload.objects.update(updated_at=upload.updated_at - tasks.LATE * 1.1)
    tasks.uploads_heal()
    upload.refresh_from_db()
    assert upload.state == "taken"
    tasks.upload_take(upload.id)  # late, and again
    assert Asset.objects.count() == 1


# --- Programs ---------------------------------------------------------------------------------------


def test_a_program_brings_a_file_through_the_api(label, api, tmp_path):
    path = write(tmp_path / "QZSTM2600001.wav", tune(10))
    owner = api("owner")
    body = {"organisation": label.label.id, "name": path.name, "size": path.stat().st_size}
    begun = owner.post("uploads", body).json()
    assert (begun["state"], begun["parts"], begun["arrived"]) == ("uploading", 1, [])
    addresses = owner.post(f"uploads/{begun['id']}/addresses", {"parts": [1]}).json()["addresses"]
    httpx.put(addresses["1"], content=path.read_bytes()).raise_for_status()
    assert owner.post(f"uploads/{begun['id']}/completion").status_code == 202
    told = owner.get(f"uploads/{begun['id']}").json()
    assert (told["state"], told["matched_by"], told["format"]) == ("taken", "isrc", "wav")
    assert owner.get("uploads", state="taken").json()["items"][0]["id"] == begun["id"]
