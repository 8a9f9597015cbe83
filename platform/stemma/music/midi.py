"""MIDI files from outside."""

from __future__ import annotations

import symusic

from stemma.errors import InvalidError


def score_of(midi: bytes) -> symusic.Score:
    """The score of a MIDI file, in its own ticks.  Raises `InvalidError` for what is none."""
    try:
        return symusic.Score.from_midi(midi)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InvalidError(
            f"This is no readable MIDI file: {error}.", remedy="Give a Standard MIDI file.", code="unreadable-score"
        ) from error
