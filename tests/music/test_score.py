from __future__ import annotations

from itertools import pairwise

import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.errors import InvalidError
from stemma.music import score
from stemma.music.score import GRID, TONICS, Bar, Note, Part, Sheet, find_key

XML = """<?xml version="1.0"?><score-partwise version="3.1"><part-list>
<score-part id="P1"><part-name>Clarinet</part-name></score-part></part-list><part id="P1">
<measure number="0" implicit="yes"><attributes><divisions>2</divisions>
<time><beats>3</beats><beat-type>4</beat-type></time>
<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>
<note><pitch><step>D</step><octave>5</octave></pitch><duration>2</duration></note></measure>
<measure number="1"><note><pitch><step>E</step><octave>5</octave></pitch><duration>4</duration></note>
<note><pitch><step>G</step><octave>5</octave></pitch><duration>2</duration><tie type="start"/></note></measure>
<measure number="2"><note><pitch><step>G</step><octave>5</octave></pitch><duration>2</duration><tie type="stop"/></note>
<note><grace/><pitch><step>A</step><octave>5</octave></pitch></note>
<note><pitch><step>A</step><octave>5</octave></pitch><duration>4</duration></note>
<note><chord/><pitch><step>C</step><octave>5</octave></pitch><duration>4</duration></note></measure></part></score-partwise>"""


def abc(body: str, *, meter: str = "4/4") -> Sheet:
    return score.read(f"X:1\nT:Test\nM:{meter}\nL:1/4\nK:C\n{body}\n", form="abc", repeats=True)


def pitches(sheet: Sheet) -> str:
    names = {60: "C", 62: "D", 64: "E", 65: "F", 67: "G", 69: "A", 71: "B"}
    return "".join(names[note.pitch] for note in sheet.parts[0].notes)


def test_reads_concert_pitch_ties_chords_and_pickup():
    sheet = score.read(XML, form="musicxml")
    assert sheet.parts[0].name == "Clarinet"
    assert sheet.parts[0].notes == (
        Note(0, 24, 72),
        Note(24, 72, 74),
        Note(72, 120, 77),  # tied over the bar line
        Note(120, 168, 70),
        Note(120, 168, 79),  # the grace note before it does not sound
    )
    assert [(bar.start, bar.length) for bar in sheet.bars] == [(0, 24), (24, 72), (96, 72)]


def test_pickup_is_a_short_meter_and_bars_follow():
    midi = symusic.Score.from_midi(score.read(XML, form="musicxml").midi(tempo=100, instruments=["clarinet"]))
    assert [(s.time, s.numerator, s.denominator) for s in midi.time_signatures] == [(0, 1, 4), (480, 3, 4)]
    assert [track.name for track in midi.tracks] == ["Clarinet"]
    assert midi.tracks[0].program == 71
    assert midi.tempos[0].qpm == pytest.approx(100)


@pytest.mark.parametrize(
    ("body", "heard"),
    [
        ("CDEF|GABC|CDEF|GABC|]", "CDEFGABCCDEFGABC"),
        ("CDEF|GABC:|GGGG|AAAA|]", "CDEFGABCCDEFGABCGGGGAAAA"),
        ("CDEF|GABC:|GGGG|AAAA:|", "CDEFGABCCDEFGABCGGGGAAAAGGGGAAAA"),
        ("CDEF|GABC|:GGGG|FFFF:|AAAA|]", "CDEFGABCGGGGFFFFGGGGFFFFAAAA"),
        ("CCCC|1DDDD:|2EEEE|FFFF|]", "CCCCDDDDCCCCEEEEFFFF"),
        ("CCCC|1DDDD:|2EEEE||FFFF|1GGGG:|2AAAA|]", "CCCCDDDDCCCCEEEEFFFFGGGGFFFFAAAA"),
        ("|:CCCC|EEEE:|:DDDD|FFFF:|", "CCCCEEEECCCCEEEEDDDDFFFFDDDDFFFF"),
    ],
)
def test_repeats_are_played(body: str, heard: str):
    assert pitches(abc(body)) == heard


def test_a_bar_divided_by_a_repeat_is_one_bar():
    sheet = abc("C|DEFG|ABG:|C|DEFG|ABG:|")
    midi = symusic.Score.from_midi(sheet.midi(tempo=120, instruments=["fiddle"]))
    assert [(s.time // 480, s.numerator) for s in midi.time_signatures] == [(0, 1), (1, 4)]


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"", ".xml"),
        (b"this is no music", ".xml"),
        (b"PK\x03\x04 half a zip", ".mxl"),
        (b"\x89PNG\r\n\x1a\n", ".mxl"),
        (b"MThd\x00\x00", ".mid"),
        (b"!!!COM: nobody\n", ".krn"),
        (b"<score-partwise/>", ".musicxml"),
        (b"\xff\xfe\x00", ".abc"),
    ],
)
def test_unreadable_scores_name_file_and_remedy(tmp_path, content: bytes, form: str):
    path = tmp_path / f"broken{form}"
    path.write_bytes(content)
    with pytest.raises(InvalidError) as caught:
        score.read(path)
    assert f"broken{form}" in caught.value.message
    assert caught.value.remedy
    assert caught.value.code in {"unreadable-score", "empty-score"}


def test_a_missing_score_is_named(tmp_path):
    with pytest.raises(InvalidError, match=r"no score away\.mxl"):
        score.read(tmp_path / "away.mxl")


def test_rests_alone_are_no_score():
    with pytest.raises(InvalidError) as caught:
        abc("zzzz|")
    assert caught.value.code == "empty-score"


def test_cut_keeps_bars_and_shortens_what_rings_over():
    sheet = abc("CDEF|GABC|DEFG|]").cut(1, 2)
    assert pitches(sheet) == "GABC"
    assert (sheet.bars[0].start, sheet.parts[0].notes[0].start) == (0, 0)


sheets = st.builds(
    lambda lines: Sheet(
        tuple(Part(f"Part {i}", score._disjoint(line)) for i, line in enumerate(lines)),
        tuple(Bar(start * 96, 96, 4, 4) for start in range(12)),
        "C major",
        None,
        "",
    ),
    st.lists(
        st.lists(
            st.builds(lambda s, d, p: Note(s, s + d, p), st.integers(0, 900), st.integers(1, 200), st.integers(0, 127)),
            min_size=1,
            max_size=30,
        ),
        min_size=1,
        max_size=5,
    ),
)


@settings(max_examples=50)
@given(sheets, st.floats(30, 240))
def test_midi_says_exactly_what_the_sheet_says(sheet: Sheet, tempo: float):
    instruments = ["violin"] * len(sheet.parts)
    midi = sheet.midi(tempo=tempo, instruments=instruments)
    assert midi == sheet.midi(tempo=tempo, instruments=instruments)
    read = symusic.Score.from_midi(midi)
    scale = read.ticks_per_quarter // GRID
    for part, track in zip(sheet.parts, read.tracks, strict=True):
        found = sorted((n.time // scale, (n.time + n.duration) // scale, n.pitch) for n in track.notes)
        assert found == [(n.start, n.end, n.pitch) for n in part.notes]
        assert all(1 <= n.velocity <= 127 for n in track.notes)


@settings(max_examples=50)
@given(
    st.lists(st.builds(lambda s, d, p: Note(s, s + d, p), st.integers(0, 50), st.integers(1, 30), st.integers(60, 63)))
)
def test_one_pitch_never_overlaps_itself(notes: list[Note]):
    kept = score._disjoint(notes)
    for pitch in range(60, 64):
        line = [note for note in kept if note.pitch == pitch]
        assert all(a.end <= b.start for a, b in pairwise(line))
    assert {(n.start, n.pitch) for n in kept} == {(n.start, n.pitch) for n in notes}


@pytest.mark.parametrize("tonic", range(12))
def test_keys_are_found_and_written(tonic: int):
    steps = [0, 4, 7, 0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0]
    line = tuple(Note(i * 24, i * 24 + 24, 48 + tonic + step) for i, step in enumerate(steps))
    key = find_key([Part("", line)])
    assert key == f"{TONICS[tonic]} major"
    sharps, minor = score._signature(key)
    assert minor == 0
    assert -5 <= sharps <= 6
    assert (sharps * 7) % 12 == tonic


def test_minor_keys_have_the_signature_of_their_relatives():
    assert score._signature("A minor") == (0, 1)
    assert score._signature("F# minor") == (3, 1)
    assert score._signature("C minor") == (-3, 1)
