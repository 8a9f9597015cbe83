"""What was brought from outside is in no snapshot before it is whole."""

import pytest

from portal.making import sha
from stemma_portal.catalog.models import Recording, Share
from stemma_portal.operations.selectors import recordings_as_offered

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_a_recording_waits_for_sound_and_both_rights(bring, labels):
    bring(b"Title,ISRC\nSong,QZSTM2600001\n")
    recording = Recording.objects.get()

    def offered() -> int:
        recording.save()
        return len(recordings_as_offered())

    assert offered() == 0
    recording.midi_sha256, recording.tempo = sha("midi"), 90.0
    assert offered() == 0
    recording.audio_sha256, recording.duration_ms = sha("audio"), 1000
    assert offered() == 0
    share = Share(recording=recording, party=labels.label.party, side="publishing", ppm=1_000_000)
    share.save()
    assert offered() == 1
    recording.taken_down_at = recording.created_at
    assert offered() == 0
