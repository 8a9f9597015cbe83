from __future__ import annotations

import subprocess
import sys

import pytest
import symusic

from stemma.errors import InvalidError
from stemma.music import roll, score


def test_notes_and_bars_in_seconds():
    sheet = score.read("X:1\nT:Pickup\nM:3/4\nL:1/4\nK:C\nC|DEF|G3|]\n", form="abc")
    read = roll.read(sheet.midi(tempo=120, instruments=["fiddle"]))
    assert read.parts == ("fiddle",)
    assert read.programs == (110,)
    assert [(n.pitch, n.start, n.end) for n in read.notes] == [
        (60, 0, 0.5), (62, 0.5, 1), (64, 1, 1.5), (65, 1.5, 2), (67, 2, 3.5),
    ]  # fmt: skip
    assert read.bars == (0, 0.5, 2)
    assert (read.seconds, read.lowest, read.highest) == (3.5, 60, 67)


def test_tempo_changes_move_what_follows():
    made = symusic.Score(480)
    made.tempos.append(symusic.Tempo(0, qpm=60))
    made.tempos.append(symusic.Tempo(480, qpm=120))
    track = symusic.Track("A", 0, False)
    track.notes.append(symusic.Note(480, 480, 60, 80))
    made.tracks.append(track)
    note = roll.read(bytes(made.dumps_midi())).notes[0]
    assert (note.start, note.end) == (1.0, 1.5)


def test_what_is_no_midi_file_is_refused():
    for data in (b"", b"MThd", b"no"):
        with pytest.raises(InvalidError):
            roll.read(data)


def test_pages_need_no_synthesizer():
    heavy = "{'music21', 'torch', 'scipy', 'tinysoundfont'}"
    program = f"import sys, stemma.music.roll; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
