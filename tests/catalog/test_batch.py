"""ERN batches: messages with their sounds, and what lies beside them."""

from __future__ import annotations

import shutil
import struct
import zipfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.batches import BATCH, lay, pack, release
from catalog.messages import ern38
from music.sounds import tune, write
from stemma.catalog import batch
from stemma.catalog.reading import open_rows, sniff
from stemma.errors import InvalidError


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Four short sounds as the messages name them."""
    folder = tmp_path_factory.mktemp("sounds")
    return {f"resources/EX-{n}.wav": write(folder / f"{n}.wav", tune(1, seed=n + 1)).read_bytes() for n in range(4)}


def part(sounds, *numbers):
    return {f"resources/EX-{n}.wav": sounds[f"resources/EX-{n}.wav"] for n in numbers}


@pytest.fixture
def folder(tmp_path, sounds):
    return lay(tmp_path / "in", release(2, part(sounds, 0, 1)), release(2, part(sounds, 2, 3), first=2))


def read(path):
    found, rows = open_rows(path)
    assert found == "batch"
    return list(rows)


def rules(rows):
    return [[problem.rule for problem in row.problems] for row in rows]


@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_is_one_stream_of_recordings_with_their_sounds(folder, tmp_path, packed):
    rows = read(pack(folder, tmp_path / "batch.zip") if packed else folder)
    assert rules(rows) == [[], [], [], []]
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert [row.record().isrc for row in rows] == [f"QZSTM260000{n}" for n in range(4)]
    assert [row.resource for row in rows] == [f"{BATCH}/A{n // 2}/resources/EX-{n}.wav" for n in range(4)]
    assert rows[3].record().audio_file == "EX-3.wav"
    assert rows[3].raw["message"] == f"{BATCH}/A1/A2.xml"


def test_a_batch_without_manifest_and_without_its_folder(folder, tmp_path):
    (folder / BATCH / "BatchComplete_20261126120000000.xml").unlink()
    rows = read(pack(folder / BATCH / "A0", tmp_path / "one.zip"))
    assert [row.resource for row in rows] == ["resources/EX-0.wav", "resources/EX-1.wav"]


def test_a_message_of_version_three_names_its_file_without_a_folder(tmp_path, sounds):
    text = ern38(1).replace("<FileName>EX-0.flac", "<FileName>ex%200.WAV")
    text = text.replace("</FileName>", "</FileName><HashSum><HashSum>00</HashSum><HashSumAlgorithmType>MD5"
                        "</HashSumAlgorithmType></HashSum>")  # fmt: skip
    made = lay(tmp_path / "in", {"m.xml": text.encode(), "resources/EX 0.wav": sounds["resources/EX-0.wav"]})
    (row,) = read(made)
    assert rules([row]) == [["wrong-hash"]]
    assert row.problems[0].value == f"{BATCH}/A0/resources/EX 0.wav"


def test_a_missing_sound_is_told_and_its_recording_is_taken(folder):
    (folder / BATCH / "A0" / "resources" / "EX-1.wav").unlink()
    rows = read(folder)
    assert rules(rows) == [[], ["missing-file"], [], []]
    assert rows[1].problems[0].value == "resources/EX-1.wav"
    assert (rows[1].record().isrc, rows[1].resource) == ("QZSTM2600001", "")


def test_another_sound_than_the_message_says_is_a_row_to_correct(folder):
    file = folder / BATCH / "A1" / "resources" / "EX-2.wav"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    rows = read(folder)
    assert rules(rows) == [[], [], ["wrong-hash"], []]
    assert rows[2].record() is None
    assert "EX-2.wav" in rows[2].problems[0].value
    assert all(rows[n].record() for n in (0, 1, 3))


def test_what_calls_itself_a_sound_and_is_none(folder):
    (folder / BATCH / "A0" / "resources" / "EX-0.wav").write_bytes(b"MZ")
    assert rules(read(folder)) == [["no-music"], [], [], []]


def test_a_broken_message_takes_no_other_along(folder):
    file = folder / BATCH / "A0" / "A0.xml"
    file.write_bytes(file.read_bytes()[:3000])
    rows = read(folder)
    assert rules(rows) == [["broken-xml"], [], []]
    assert rows[0].problems[0].value == f"{BATCH}/A0/A0.xml"


def test_a_recording_on_two_releases_of_a_batch_is_taken_once(folder):
    shutil.copytree(folder / BATCH / "A0", folder / BATCH / "A9")
    rows = read(folder)
    assert rules(rows)[4:] == [["twice"], ["twice"]]
    assert f"{BATCH}/A0/A0.xml" in rows[4].problems[0].remedy


def test_a_manifest_that_names_more_messages_than_came(tmp_path, sounds):
    rows = read(lay(tmp_path / "in", release(1, part(sounds, 0)), count=3))
    assert rules(rows) == [[], ["count"]]
    assert rows[0].record()


def test_other_hashes(tmp_path, sounds):
    files = release(1, part(sounds, 0))
    for said, rule in (("CRC32", ["hash"]), ("SHA-1", ["wrong-hash"])):
        text = files["A0.xml"].replace(b"<Algorithm>MD5", f"<Algorithm>{said}".encode())
        assert rules(read(lay(tmp_path / said, {**files, "A0.xml": text}))) == [rule]


def test_an_archive_of_audio_and_scores_is_no_batch(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("score.xml", "<score-partwise/>")
        archive.writestr("a.wav", b"x")
    assert sniff(path) == "audio"


# --- What no honest sender makes --------------------------------------------------------------------


def altered(folder, path, **changes):
    """The batch as a ZIP with more members."""
    pack(folder, path)
    with zipfile.ZipFile(path, "a") as archive:
        for name, body in changes.items():
            archive.writestr(name, body)
    return path


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b.wav", "..\\..\\b.wav", "C:/windows/a.wav"]
)
def test_names_that_leave_the_archive_are_refused(folder, tmp_path, name):
    with pytest.raises(InvalidError, match="leaves it") as refused:
        read(altered(folder, tmp_path / "b.zip", **{name: b"x"}))
    assert refused.value.remedy


def test_an_archive_in_the_archive_is_refused(folder, tmp_path):
    with pytest.raises(InvalidError, match="another archive"):
        read(altered(folder, tmp_path / "b.zip", **{f"{BATCH}/more.zip": b"PK"}))


def test_a_name_twice_is_refused(folder, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = altered(folder, tmp_path / "b.zip", **{f"{BATCH}/A0/A0.xml": b"<x/>"})
    with pytest.raises(InvalidError, match="twice"):
        read(path)


def patched(path, *, at_local, at_central, size, value):
    """Change a field of every header of an archive: of the local ones and of those in its directory."""
    data = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x03\x04", at_local), (b"PK\x01\x02", at_central)):
        found = data.find(sign)
        while found >= 0:
            data[found + offset : found + offset + size] = value
            found = data.find(sign, found + 4)
    path.write_bytes(data)
    return path


def test_an_encrypted_batch_is_refused(folder, tmp_path):
    path = patched(pack(folder, tmp_path / "b.zip"), at_local=6, at_central=8, size=2, value=b"\x01\x00")
    with pytest.raises(InvalidError, match="encrypted"):
        list(batch.rows(path))


LIES = {"at_local": 22, "at_central": 24, "size": 4, "value": struct.pack("<I", 2**32 - 2)}
"""Every file says that it unpacks to 4 GiB."""


def test_sizes_that_are_only_declared_write_nothing(folder, tmp_path):
    path = patched(pack(folder, tmp_path / "b.zip"), **LIES)
    assert [row.record().isrc for row in batch.rows(path)] == [f"QZSTM260000{n}" for n in range(4)]


def test_more_than_a_batch_unpacks_to_is_refused_before_anything_is_unpacked(folder, tmp_path):
    for n in range(20):
        (folder / BATCH / f"{n}.txt").write_bytes(b"x")
    with pytest.raises(InvalidError, match="64 GiB"):
        list(batch.rows(patched(pack(folder, tmp_path / "b.zip"), **LIES)))


def test_a_bomb_in_a_batch_is_one_row_to_correct(folder, tmp_path):
    path = tmp_path / "b.zip"
    (folder / BATCH / "A0" / "resources" / "EX-0.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE" + bytes(30_000_000))
    assert rules(read(pack(folder, path))) == [["archive-bomb"], [], [], []]


def test_a_message_cannot_reach_out_of_its_batch(folder, tmp_path):
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    file = folder / BATCH / "A0" / "A0.xml"
    for uri in ("../../../secret.wav", str(tmp_path / "secret.wav"), "file:///etc/passwd", "http://127.0.0.1:1/a.wav"):
        text = file.read_text()
        file.write_text(text.replace("<URI>resources/EX-0.wav", f"<URI>{uri}"))
        assert rules(read(folder))[0] == ["missing-file"]
        file.write_text(text)


def test_a_link_in_a_folder_is_passed_over(folder, tmp_path):
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    link = folder / BATCH / "A0" / "resources" / "EX-0.wav"
    link.unlink()
    link.symlink_to(tmp_path / "secret.wav")
    assert rules(read(folder))[0] == ["missing-file"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40))
def test_no_name_in_an_archive_becomes_a_path(tmp_path, sounds, name):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("A0.xml", release(1, {})["A0.xml"].replace(b"resources/EX-0.wav", b"a.wav"))
        with suppress(ValueError, UnicodeError):
            archive.writestr(name, sounds["resources/EX-0.wav"])
    before = set(tmp_path.iterdir())
    with suppress(InvalidError):
        for row in batch.rows(path):
            assert (row.record() is None) == any(problem.severity == "error" for problem in row.problems)
    assert set(tmp_path.iterdir()) == before


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), max_size=8))
def test_changed_bytes_never_crash_the_reader(folder, tmp_path, changes):
    path = tmp_path / "b.zip"
    data = bytearray(pack(folder / BATCH / "A0", path).read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    path.write_bytes(data)
    with suppress(InvalidError):
        for row in batch.rows(path):
            assert (row.record() is None) == any(problem.severity == "error" for problem in row.problems)
