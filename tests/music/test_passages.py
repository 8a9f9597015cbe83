"""The passage that two pieces share, ready to be drawn."""

import pytest

from music.parts import THEME, midi
from stemma.errors import InvalidError
from stemma.music.passages import AROUND, shared


def test_it_is_found_in_another_key_and_part_with_what_stands_around():
    higher = [(pitch + 3, quarters) for pitch, quarters in THEME]
    before = [(40, 4), (45, 3)]
    found = shared(midi([(50, 1)], [*before, *higher, (30, 2)]), midi([*[(90, 5)] * 8, *THEME], tempo=120.0))
    assert (found.length, found.transposed) == (16, 3)
    assert found.piece.first == 2
    assert found.piece.seconds == 7.0
    assert [note[:2] for note in found.piece.notes[:3]] == [(-7 * 24, 40), (-3 * 24, 45), (0, 63)]
    assert found.piece.notes[-1][1:] == (30, 48)
    assert found.work.first == AROUND
    assert found.work.seconds == 20.0
    ours = found.piece.notes[2:18]
    theirs = found.work.notes[AROUND : AROUND + 16]
    assert [(at, pitch - 3, long) for at, pitch, long in ours] == list(theirs)


def test_what_everybody_plays_is_no_passage():
    assert shared(midi(THEME), midi(THEME[:6])) is None
    assert shared(midi(THEME), midi([])) is None


def test_what_is_no_score_is_told():
    with pytest.raises(InvalidError, match="no readable MIDI"):
        shared(b"RIFF", midi(THEME))
