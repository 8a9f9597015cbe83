from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import symusic

from stemma.errors import InvalidError
from stemma.music import audio, score
from stemma.music.render import RATE, TAIL, TARGET, render


def midi(*parts: tuple[str, int, list[tuple[float, float, int]]], velocity: int = 80) -> bytes:
    """(name, program, [(start, length, pitch) in quarters]) at 120 quarters per minute."""
    made = symusic.Score(480)
    made.tempos.append(symusic.Tempo(0, qpm=120))
    for name, program, notes in parts:
        track = symusic.Track(name, program, False)
        for start, length, pitch in notes:
            track.notes.append(symusic.Note(int(start * 480), int(length * 480), pitch, velocity))
        made.tracks.append(track)
    return bytes(made.dumps_midi())


CHORD = midi(
    ("Soprano", 40, [(0, 2, 76), (2, 2, 77)]), ("Bass", 42, [(0, 2, 48), (2, 2, 53)]), ("Keys", 0, [(1, 1, 60)])
)


def test_the_same_file_gives_the_same_bytes_in_another_process(tmp_path):
    here = render(CHORD)
    (tmp_path / "chord.mid").write_bytes(CHORD)
    program = (
        "import sys, hashlib; from pathlib import Path; from stemma.music.render import render;"
        "r = render(Path(sys.argv[1]).read_bytes());"
        "print(hashlib.sha256(r.samples.tobytes() + b''.join(s.tobytes() for s in r.stems.values())).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "chord.mid")], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == audio.sha256(
        here.samples.tobytes() + b"".join(stem.tobytes() for stem in here.stems.values())
    )


def test_what_was_played_before_leaves_no_trace():
    first = render(CHORD).samples
    render(midi(("Organ", 19, [(0, 8, 60), (0, 8, 64), (0, 8, 67)])))
    assert np.array_equal(render(CHORD).samples, first)


def test_stems_sum_to_the_mix():
    sound = render(CHORD)
    assert list(sound.stems) == ["Soprano", "Bass", "Keys"]
    total = sum(stem.astype(np.int32) for stem in sound.stems.values())
    assert np.abs(total - sound.samples).max() <= len(sound.stems)  # each is rounded by itself
    assert all(audio.loudness(stem) > -50 for stem in sound.stems.values())


def test_stems_follow_the_mix_where_it_gives_way():
    plucked = ("Banjo", 105, [(i * 0.5, 0.5, 60 + i % 12) for i in range(16)])
    sound = render(midi(plucked, ("Flute", 73, [(0, 8, 72)]), velocity=127))
    total = sum(stem.astype(np.int32) for stem in sound.stems.values())
    assert np.abs(total - sound.samples).max() <= 2
    assert audio.peak(sound.samples) <= -0.99


def test_without_stems_the_mix_is_the_same():
    assert np.array_equal(render(CHORD, stems=False).samples, render(CHORD).samples)


@pytest.mark.parametrize("program", [0, 19, 21, 40, 42, 46, 52, 56, 71, 73, 105, 110])
@pytest.mark.parametrize("velocity", [30, 127])
def test_every_instrument_is_as_loud_and_never_clips(program: int, velocity: int):
    line = [(i * 0.5, 0.5, 55 + (i * 5) % 24) for i in range(16)]
    chord = [(0.0, 8.0, pitch) for pitch in (48, 55, 60, 64)]
    sound = render(midi(("One", program, line + chord), velocity=velocity), stems=False)
    assert audio.clipped(sound.samples) == 0
    assert audio.peak(sound.samples) <= -0.99
    assert audio.loudness(sound.samples) == pytest.approx(sound.loudness, abs=0.1)
    assert TARGET - 1 <= sound.loudness <= TARGET + 0.01  # below it only where peaks had to give way


def test_notes_ring_out_and_then_it_is_over():
    sound = render(midi(("Piano", 0, [(0, 1, 60)])), stems=False)
    assert sound.seconds == pytest.approx(0.5 + TAIL, abs=1e-4)
    assert np.abs(sound.samples[: RATE // 2]).max() > 1000
    assert np.abs(sound.samples[-RATE // 10 :]).max() < 400


def test_repeated_notes_are_struck_again():
    sound = render(midi(("Organ", 19, [(i, 1, 60) for i in range(4)])), stems=False).samples
    level = np.abs(sound[:, 0].astype(np.int32)).reshape(-1, 441 * 2)[:100].max(axis=1)
    assert level.min() < 0.8 * np.median(level)


def test_low_notes_have_low_spectra():
    def centre(pitch: int) -> float:
        sound = render(midi(("Ocarina", 79, [(0, 4, pitch)])), stems=False).samples[:RATE, 0]
        spectrum = np.abs(np.fft.rfft(sound))
        return float(np.fft.rfftfreq(len(sound), 1 / RATE)[spectrum.argmax()])

    assert centre(69) == pytest.approx(440, rel=0.02)
    assert centre(81) == pytest.approx(880, rel=0.02)


def test_parts_of_one_name_are_told_apart():
    assert list(render(midi(("Voice", 52, [(0, 1, 60)]), ("Voice", 52, [(0, 1, 64)]))).stems) == ["Voice", "Voice 2"]


def test_an_instrument_without_sound_at_that_pitch_is_no_failure():
    sound = render(midi(("Bass", 43, [(0, 1, 120)])), stems=False)
    assert np.isfinite(sound.loudness)
    assert audio.clipped(sound.samples) == 0


@pytest.mark.parametrize("data", [b"", b"MThd", b"RIFF....", bytes(8)])
def test_what_is_no_midi_file_is_refused(data: bytes):
    with pytest.raises(InvalidError):
        render(data)


def test_no_notes_and_absurd_lengths_are_refused():
    with pytest.raises(InvalidError, match="no notes"):
        render(midi(("Nobody", 0, [])))
    with pytest.raises(InvalidError, match="lasts"):
        render(midi(("Piano", 0, [(0, 100_000, 60)])))


def test_a_sheet_can_be_heard():
    sheet = score.read("X:1\nT:Scale\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|]\n", form="abc")
    sound = render(sheet.midi(tempo=120, instruments=["fiddle"]))
    assert list(sound.stems) == ["fiddle"]
    assert sound.seconds == pytest.approx(4 + TAIL, abs=0.01)
