"""Scores of a few parts, note by note."""

import symusic

THEME = [(60 + i * i % 7, 1 if i % 3 else 2) for i in range(16)]


def midi(*parts: list[tuple[int, int]], tempo: float = 60.0) -> bytes:
    """Parts of (pitch, quarters)."""
    made = symusic.Score(480)
    made.tempos.append(symusic.Tempo(0, tempo))
    for number, part in enumerate(parts):
        track, start = symusic.Track(str(number), 0, False), 0
        for pitch, quarters in part:
            track.notes.append(symusic.Note(start * 480, quarters * 480, pitch, 80))
            start += quarters
        made.tracks.append(track)
    return bytes(made.dumps_midi())
