"""A folder or ZIP of audio is a catalog: tags are its cells."""

import struct
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TALB, TIT2, TPE1, TRCK, TSRC

from music.sounds import tune, write
from stemma.catalog.reading import open_rows
from stemma.catalog.tags import rows, title_of


@pytest.fixture
def album(tmp_path):
    """Three songs and what lies about them."""
    folder = tmp_path / "album"
    (folder / "disc").mkdir(parents=True)
    mp3 = write(folder / "disc" / "b.mp3", tune(2))
    tags = ID3()
    for frame in (TIT2, TPE1, TALB, TSRC, TRCK):
        text = {TIT2: "Küsse", TPE1: "Ada", TALB: "Album", TSRC: "QZ-STM-26-00001", TRCK: "3/12"}[frame]
        tags.add(frame(encoding=3, text=text))
    tags.save(mp3)
    flac = FLAC(write(folder / "a.flac", tune(2)))
    flac.update({"title": "Air", "isrc": "QZSTM2600002", "barcode": "036000291452", "album": "Album", "date": "2024"})
    flac.save()
    write(folder / "01 - First song.wav", tune(2))
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "._a.flac").write_bytes(b"x")
    return folder


def pack(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return path


def read(path):
    form, rows = open_rows(path)
    assert form == "audio"
    return list(rows)


@pytest.mark.parametrize("packed", [False, True])
def test_tags_become_records(album, tmp_path, packed):
    rows = read(pack(album, tmp_path / "a.zip") if packed else album)
    records = {row.record().audio_file: row.record() for row in rows}
    assert set(records) == {"01 - First song.wav", "a.flac", "b.mp3"}
    assert records["01 - First song.wav"].title == "First song"
    assert (records["b.mp3"].title, records["b.mp3"].isrc, records["b.mp3"].track) == ("Küsse", "QZSTM2600001", 3)
    assert records["a.flac"].release.upc == "036000291452"
    assert records["a.flac"].release.released_on is None
    assert records["a.flac"].duration_ms == 2000


def test_what_calls_itself_music_and_is_none_is_a_row_to_correct(album):
    (album / "z.wav").write_bytes(b"MZ this is a program")
    bad = [row for row in read(album) if row.record() is None]
    assert [row.problems[0].value for row in bad] == ["z.wav"]
    assert bad[0].problems[0].rule == "no-music"


def test_two_files_with_one_isrc_are_told(album):
    twin = FLAC(write(album / "twin.flac", tune(2)))
    twin.update({"title": "Twin", "isrc": "QZSTM2600002"})
    twin.save()
    assert any(row.problems for row in read(album))


def test_tags_are_as_hostile_as_cells(album):
    odd = FLAC(write(album / "odd.flac", tune(2)))
    odd.update({"title": "pay\u202eelbat", "isrc": "=1+1", "tracknumber": "-3"})
    odd.save()
    (bad,) = [row for row in read(album) if row.record() is None]
    assert {problem.rule for problem in bad.problems} >= {"direction", "isrc"}


def test_names_in_an_archive_never_become_paths(album, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../../../tmp/evil.wav", (album / "01 - First song.wav").read_bytes())
        archive.writestr("/etc/cron.d/evil.wav", write(album / "other.wav", tune(3)).read_bytes())
    assert [row.record().audio_file for row in read(path)] == ["evil.wav", "evil.wav"]


def test_a_bomb_in_an_archive_is_one_bad_row(album, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.wav", b"RIFF" + struct.pack("<I", 0) + b"WAVE" + bytes(30_000_000))
        archive.write(album / "a.flac", "a.flac")
    good = [row.record() for row in read(path) if row.record()]
    assert [record.title for record in good] == ["Air"]


def test_a_file_without_a_name_is_passed_over(album, tmp_path):
    """A finding of the fuzzer: such a name broke the listing."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "nothing")
        archive.write(album / "a.flac", "a.flac")
        archive.filelist[0].filename = ""  # as its directory will say
    with zipfile.ZipFile(path) as archive:
        assert [info.filename for info in archive.infolist()] == ["", "a.flac"]
    assert [row.record().title for row in read(path)] == ["Air"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_file_of_an_archive_is_one_bad_row(album, tmp_path, method):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.write(album / "01 - First song.wav", "first.wav")
        archive.write(album / "a.flac", "a.flac")
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    bad, good = read(path)
    assert bad.problems[0].rule == "no-music"
    assert good.record().title == "Air"


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 43), st.binary(min_size=1, max_size=8), st.integers(0, 60_000))
def test_a_header_that_lies_and_a_sound_that_is_cut_never_crash_the_reader(album, tmp_path, at, lie, end):
    for name in ("01 - First song.wav", "a.flac", "disc/b.mp3"):
        data = bytearray((album / name).read_bytes())
        data[at : at + len(lie)] = lie
        folder = tmp_path / "lies"
        folder.mkdir(exist_ok=True)
        (folder / "a.wav").write_bytes(data[: end or None])
        for row in rows(folder):
            assert (row.record() is None) == any(problem.severity == "error" for problem in row.problems)


def test_a_wav_that_says_to_be_of_ten_gigabytes(album, tmp_path):
    data = bytearray((album / "01 - First song.wav").read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 2**32 - 2)
    folder = tmp_path / "lies"
    folder.mkdir()
    (folder / "a.wav").write_bytes(data)
    (row,) = rows(folder)
    assert row.record().title == "a"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("01 - First song.wav", "First song"),
        ("1-03 Air.flac", "Air"),
        ("07_Night_Bus.mp3", "Night Bus"),
        ("99 Balloons.wav", "Balloons"),
        ("1999.wav", "1999"),
        ("Song.final.wav", "Song.final"),
    ],
)
def test_a_title_is_read_out_of_a_file_name(name, title):
    assert title_of(name) == title
