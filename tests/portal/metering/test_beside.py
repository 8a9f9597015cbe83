"""A generation beside the recordings that shaped it: what they share is drawn, what cannot be read is left out."""

import pytest

from music.parts import THEME, midi
from portal.making import ident, sha
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
