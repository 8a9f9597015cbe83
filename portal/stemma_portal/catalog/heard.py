"""A recording as it is heard on a page."""

from stemma_portal.catalog.models import Recording
from stemma_portal.design.player import Player, player


def recording_player(recording: Recording, *, take_away: bool = True, key: str = "wave") -> Player:
    """Its player, with its score and what may be taken away: as much as was brought so far.

    `key` is unique on the page.
    """
    name = recording.isrc or recording.id
    links = [
        ("Score (MIDI)", recording.midi_key, f"{name}.mid"),
        ("Recording (FLAC)", recording.audio_key, f"{name}.flac"),
    ]
    return player(
        title=recording.title,
        key=key,
        audio_key=recording.audio_key,
        midi_key=recording.midi_key,
        duration_ms=recording.duration_ms,
        peaks=recording.peaks,
        links=[link for link in links if link[1]] if take_away else (),
    )
