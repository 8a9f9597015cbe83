"""A generation beside the recordings that shaped it: what they share is drawn, what cannot be read is left out."""

import pytest

from music.parts import THEME, midi
from music.sounds import RATE, tune
from portal.making import ident, sha
from stemma.music.audio import encode
from stemma.music.echoes import Echo
from stemma_portal.catalog.models import Recording
from stemma_portal.metering.heard import generation_beside

pytestmark = pytest.mark.services


def recording(storage, name: str, score: bytes | None, **more: str) -> Recording:
    made = Recording(id=ident(name), title=name, midi_sha256=sha(name), **more)
    if score is not None:
        storage.put(made.midi_key, score)
    return made


def test_what_they_share_is_drawn_and_can_be_heard(storage):
    storage.put("made.mid", midi([(pitch - 2, quarters) for pitch, quarters in THEME]))
    near = recording(storage, "Near & dear", midi([(90, 4), *THEME]), audio_sha256=sha("sound"))
    far = recording(storage, "Far", midi([(70, 3)] * 9))
    none = Recording(id=ident("no score"), title="No score")
    lost, broken = recording(storage, "Lost", None), recording(storage, "Broken", b"no score at all")
    both = generation_beside({"files": {"midi": {"object": "made.mid"}}}, [none, near, far])
    assert [each.recording for each in both] == [near, far]
    assert both[0].key == "2 semitones lower"
    assert both[0].audio.endswith("#t=4.0")
    assert "16 notes of this piece above the same notes of Near &amp; dear" in both[0].picture
    assert both[0].picture.count("fill v1") == both[0].picture.count("fill v2") == 16
    assert (both[1].passage, both[1].picture, both[1].audio) == (None, None, "")
    assert generation_beside({"files": {"midi": {"object": "made.mid"}}}, [lost, broken]) == []
    assert generation_beside({"files": {"midi": {"object": "gone.mid"}}}, [near]) == []


def test_of_a_piece_that_is_sound_alone_the_sounds_are_compared(storage, redis):
    sound = tune(20, seed=1)
    piece = tune(20, seed=2)
    piece[RATE * 9 : RATE * 15] = sound[RATE * 4 : RATE * 10]
    near, far = (Recording(id=ident(name), title=name, audio_sha256=sha(name)) for name in ("Near", "Far"))
    for key, samples in (("piece.flac", piece), (near.audio_key, sound), (far.audio_key, tune(20, seed=3))):
        storage.put(key, encode(samples, RATE, "flac"))
    lost = Recording(id=ident("lost"), title="Lost", audio_sha256=sha("lost"))
    flac = {"object": "piece.flac", "sha256": sha("piece.flac"), "bytes": 1}
    record = {"files": {"flac": flac, "midi": {"object": "piece.mid", "sha256": sha(""), "bytes": 0}}}
    first, second = generation_beside(record, [lost, near, far])
    assert (first.recording, second.recording) == (near, far)
    assert first.echo.ms == pytest.approx(6000, abs=700)
    assert first.echo.start_ms == pytest.approx(9000, abs=500)
    assert first.audio.endswith(f"#t={first.echo.their_start_ms / 1000:.1f}")
    assert (second.echo, second.stretch) == (Echo(), "0.0")
    storage.delete("piece.flac")
    assert [each.echo for each in generation_beside(record, [near, far])] == [first.echo, Echo()], "kept"
