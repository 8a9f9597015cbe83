from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import islice

import pytest
from typer.testing import CliRunner

from stemma.catalog import house
from stemma.catalog.record import RecordingRecord
from stemma.errors import NotFoundError, StemmaError, UnavailableError
from stemma.music import audio, roll
from stemma.rights.identifiers import isrc, iswc
from stemma.rights.shares import Share, check_shares

LIMIT = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A home that the tests of this module share, so that music is made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def storage(s3):
    """The worker's bucket, kept through the tests of this module for the same reason."""
    from stemma.storage import storage

    bucket = storage()
    yield bucket
    for key in list(bucket.keys("")):
        bucket.delete(key)


@pytest.fixture(scope="module")
def records(storage, folder) -> list[RecordingRecord]:
    return list(house.build(storage, folder, limit=LIMIT))


def test_recordings_are_whole_and_true(records, storage):
    assert len(records) >= LIMIT
    assert len({r.id for r in records}) == len({r.isrc for r in records}) == len(records)
    assert {record.source.free for record in records} == {True, False}
    assert len(Counter(record.style for record in records)) >= 6
    for record in records:
        flac, midi = storage.get(f"audio/{record.audio_sha256}.flac"), storage.get(f"midi/{record.midi_sha256}.mid")
        assert hashlib.sha256(flac).hexdigest() == record.audio_sha256
        assert hashlib.sha256(midi).hexdigest() == record.midi_sha256
        samples, rate = audio.decode(flac)
        assert record.duration_ms == round(len(samples) / rate * 1000)
        assert audio.loudness(samples) == pytest.approx(record.loudness_lufs, abs=0.1)
        assert -18.5 <= record.loudness_lufs <= -16
        assert audio.clipped(samples) == 0
        assert audio.silence(samples) < 8
        assert record.peaks == audio.peaks(samples)
        assert roll.read(midi).seconds * 1000 == pytest.approx(record.duration_ms - 2000, abs=20)
        assert 10_000 <= record.duration_ms <= 125_000
        check_shares(Share(party=s.party.id, side=s.side, ppm=s.ppm) for s in record.shares)
        assert iswc(record.iswc) == record.iswc
        assert isrc(record.isrc) == record.isrc
        assert record.source.name.startswith("music21 corpus: ")
        assert record.source.free or record.source.note


def test_a_second_build_says_the_same_and_makes_nothing(records, storage, folder, monkeypatch):
    def never(*_: object) -> None:
        raise AssertionError("nothing is left to engrave")

    monkeypatch.setattr(house._Engravers, "_start", never)
    assert list(house.build(storage, folder, limit=LIMIT)) == records
    assert not list((folder / "cache" / "house").glob("*.flac"))  # sound is kept in the storage alone


def test_the_same_music_is_made_anew_byte_for_byte(storage, records, folder, tmp_path):
    assert list(house.build(storage, tmp_path, limit=2)) == list(house.build(storage, folder, limit=2))


def test_sound_lost_from_the_storage_is_made_again(records, storage, folder):
    lost = records[0]
    storage.delete(f"audio/{lost.audio_sha256}.flac")
    assert list(house.build(storage, folder, limit=LIMIT)) == records
    assert storage.exists(f"audio/{lost.audio_sha256}.flac")


def test_a_build_broken_off_goes_on(storage, folder, tmp_path):
    broken_off = house.build(storage, tmp_path, limit=3)
    first = list(islice(broken_off, 2))
    broken_off.close()
    cache = tmp_path / "cache" / "house"
    (cache / ".part-left").write_bytes(b"half a file")
    for record in cache.glob("*.json"):
        record.write_bytes(record.read_bytes()[:50])  # as if the disk had been full
        break
    again = list(house.build(storage, tmp_path, limit=3))
    assert again[:2] == first
    assert not (cache / ".part-left").exists()


def test_progress_counts_every_piece(storage, folder, records):
    told: list[tuple[int, int]] = []
    list(house.build(storage, folder, limit=LIMIT, progress=lambda done, total, _: told.append((done, total))))
    assert told == [(done, LIMIT) for done in range(1, LIMIT + 1)]


def test_an_empty_catalog_is_refused(storage, folder):
    with pytest.raises(NotFoundError) as caught:
        list(house.build(storage, folder, limit=0))
    assert caught.value.code == "empty-catalog"


def test_storage_that_is_down_is_named(folder, settings_changed):
    from stemma.storage import storage

    settings_changed(s3_endpoint="http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="does not answer"):
        list(house.build(storage(), folder, limit=1))


def test_the_command_line_builds_and_shows(storage, folder, settings_changed, records):
    from stemma.cli.catalog import app

    settings_changed(home=str(folder))
    run = CliRunner()
    done = run.invoke(app, ["build", "--limit", "3"])
    assert done.exit_code == 0, done.output
    lines = (folder / "catalog.jsonl").read_text().splitlines()
    assert [RecordingRecord.model_validate(json.loads(line)) for line in lines] == list(
        house.build(storage, folder, limit=3)
    )
    shown = run.invoke(app, ["show"])
    assert f"{len(lines)} recordings" in shown.output
    assert "Essen folk songs" in run.invoke(app, ["sources"]).output


def test_showing_what_was_never_built_says_what_to_do(tmp_path, settings_changed):
    from stemma.cli.catalog import app

    settings_changed(home=str(tmp_path))
    failed = CliRunner().invoke(app, ["show"])
    assert isinstance(failed.exception, StemmaError)
    assert "stemma catalog build" in failed.exception.remedy
