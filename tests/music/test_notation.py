"""Scores from outside become clean MIDI, or are refused with a reason."""

import zipfile

import pytest
import symusic
from music21 import converter, meter, note, stream, tempo

from stemma.errors import InvalidError
from stemma.music import notation


@pytest.fixture(scope="module")
def scale(tmp_path_factory):
    """Two bars of C major at 90, for a violin: plain, packed, and as MIDI."""
    folder = tmp_path_factory.mktemp("scores")
    part = stream.Part()
    part.partName = "Violin"
    part.append([meter.TimeSignature("4/4"), tempo.MetronomeMark(number=90)])
    part.append([note.Note(pitch, quarterLength=1) for pitch in ("C4", "D4", "E4", "F4", "G4", "E4", "D4", "C4")])
    whole = stream.Score([part])
    plain = folder / "a.musicxml"
    whole.write("musicxml", plain)
    with zipfile.ZipFile(folder / "a.mxl", "w") as archive:
        rootfiles = '<container><rootfiles><rootfile full-path="in/score.xml"/></rootfiles></container>'
        archive.writestr("META-INF/container.xml", rootfiles)
        archive.writestr("in/score.xml", plain.read_text())
    whole.write("midi", folder / "a.mid")
    return folder


@pytest.mark.parametrize(("name", "form"), [("a.musicxml", "musicxml"), ("a.mxl", "musicxml"), ("a.mid", "midi")])
def test_a_score_is_read_with_what_it_says_of_itself(scale, name, form):
    found = notation.read(scale / name, form)
    assert (found.tempo, found.tempo_named, found.time_signature, found.notes) == (90.0, True, "4/4", 8)
    assert found.key == "C major"
    assert found.duration_ms == pytest.approx(8 * 60_000 / 90, abs=50)
    pitches = [n.pitch for n in symusic.Score.from_midi(found.midi).tracks[0].notes]
    assert pitches == [60, 62, 64, 65, 67, 64, 62, 60]
    assert converter.parseData(found.midi, format="midi").parts


def test_parts_play_the_instrument_that_they_are_named_after(scale):
    assert notation.read(scale / "a.musicxml", "musicxml").instruments == ("violin",)


def test_a_file_is_read_whatever_it_is_called(scale, tmp_path):
    odd = tmp_path / "--help; rm -rf.txt"
    odd.write_bytes((scale / "a.mxl").read_bytes())
    assert notation.read(odd, "musicxml").notes == 8


NESTED = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
BOMB = f'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">{NESTED}]><score-partwise><part>&j;</part></score-partwise>'
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    "<score-partwise><part-list><score-part id='P'><part-name>&x;</part-name></score-part></part-list></score-partwise>"
)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (BOMB.encode(), "musicxml"),
        (OUTSIDE.encode(), "musicxml"),
        (b"<score-partwise><part></score-partwise>", "musicxml"),
        (b"<score-partwise></score-partwise>", "musicxml"),
        (b"MThd" + bytes(64), "midi"),
        (b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk\x7f\xff\xff\xff\x00\x90", "midi"),
        (b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk\x00\x00\x00\x04\x00\xff\x2f\x00", "midi"),
    ],
    ids=["entity-bomb", "outside-entity", "not-well-formed", "empty", "zeros", "lying-length", "no-notes"],
)
def test_hostile_and_empty_scores_are_refused(tmp_path, body, form):
    path = tmp_path / "score"
    path.write_bytes(body)
    with pytest.raises(InvalidError) as refused:
        notation.read(path, form)
    assert refused.value.code in {"unreadable-score", "empty-score"}
    assert "root:" not in str(refused.value)


def test_a_packed_score_that_unpacks_to_far_too_much_is_refused(tmp_path):
    path = tmp_path / "a.mxl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", '<rootfile full-path="../../../s.xml"/>')
        archive.writestr("../../../s.xml", b" " * (notation.MOST_UNPACKED + 1))
    with pytest.raises(InvalidError) as refused:
        notation.read(path, "musicxml")
    assert refused.value.code == "archive-bomb"
