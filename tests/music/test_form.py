"""What a file is: by its bytes, whatever it is called."""

import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from music.sounds import tune, write
from stemma.errors import InvalidError
from stemma.music.form import form_of


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.wav", "wav"), ("a.flac", "flac"), ("a.aif", "aiff"), ("a.mp3", "mp3"), ("a.ogg", "ogg")],
)
def test_sounds_are_known_by_their_content(tmp_path, name, form):
    path = write(tmp_path / name, tune(1))
    assert form_of(path.rename(tmp_path / "nameless")) == form


def test_an_mp3_is_known_with_and_without_a_tag(tmp_path):
    bare = write(tmp_path / "a.mp3", tune(1))
    tagged = tmp_path / "b"
    tagged.write_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + bare.read_bytes())
    assert form_of(bare) == form_of(tagged) == "mp3"


def test_scores_are_known_packed_and_plain(tmp_path):
    plain = tmp_path / "a.jpg"
    plain.write_text('<?xml version="1.0"?>\n<score-partwise version="4.0"></score-partwise>')
    packed = tmp_path / "b.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", plain.read_text())
    midi = tmp_path / "c"
    midi.write_bytes(b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0")
    assert [form_of(each) for each in (plain, packed, midi)] == ["musicxml", "musicxml", "midi"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"%PDF-1.7 ...",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"\x00\x00\x00\x20ftypisom" + bytes(100),
        b"OggS" + bytes(24) + b"\x80theora" + bytes(64),
        b"#!/bin/sh\nrm -rf /",
        b"\xff\xfb\x90\x00 once only, and then text",
    ],
    ids=["empty", "picture", "pdf", "avi", "mp4", "film-in-ogg", "script", "one-frame"],
)
def test_what_is_no_music_is_refused_whatever_its_name(tmp_path, body):
    path = tmp_path / "song.mp3"
    path.write_bytes(body)
    with pytest.raises(InvalidError) as refused:
        form_of(path)
    assert refused.value.code == "no-music"
    assert refused.value.remedy


HEADS = (b"", b"RIFF", b"ID3\x04\x00\x00", b"PK\x03\x04", b"OggS", b"\xff\xfb\x90")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"RIFF", b"ID3\x04\x00\x00", b"PK\x03\x04", b"OggS", b"\xff\xfb\x90"]),
)
def test_any_bytes_are_known_or_refused(tmp_path: Path, body, head):
    path = tmp_path / "any"
    path.write_bytes(head + body)
    with suppress(InvalidError):
        assert form_of(path)
