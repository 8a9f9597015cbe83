"""What the player shows: a sound, its waveform, its score on staves, its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from stemma.errors import NotFoundError, UnavailableError
from stemma.storage import storage
from stemma_portal.design.score import read
from stemma_portal.design.svg.roll import roll
from stemma_portal.design.svg.waveform import waveform

HOURS = 6 * 3600
"""How long the addresses on a page last, in seconds."""


@dataclass(frozen=True)
class Link:
    """Something to take away."""

    title: str
    url: str


@dataclass(frozen=True)
class Part:
    """One part that can be heard alone; `part` is its row of the score."""

    name: str
    url: str
    part: int | None = None


@dataclass(frozen=True)
class Player:
    """The context of `design/player.html`."""

    title: str
    audio: str
    """Address of the sound; empty while there is none."""
    duration_ms: int | None
    wave: SafeString | None = None
    roll: SafeString | None = None
    legend: Sequence[str] = ()
    parts: Sequence[Part] = ()
    links: Sequence[Link] = field(default_factory=tuple)


def player(
    *,
    title: str,
    audio_key: str,
    midi_key: str,
    duration_ms: int | None,
    peaks: Sequence[int] = (),
    stems: Sequence[tuple[str, str]] = (),
    links: Sequence[tuple[str, str, str]] = (),
    key: str = "wave",
) -> Player:
    """A player of objects in storage.

    `stems` are (name, key), in the order of the parts of the score; `links` (title, key, file name).
    `key` tells it from other players on the page.  An empty key of sound or score is one that was not
    brought yet; a score that cannot be fetched leaves the sound without one.
    """
    store = storage()
    picture, names = None, ()
    try:
        score = read(store.get(midi_key)) if midi_key else None
    except (NotFoundError, UnavailableError):
        score = None
    if score is not None:
        picture = roll(score.notes, score.bars, score.seconds, label=f"Piano roll of {title}")
        names = score.names
    parts = [
        Part(name=name.strip().capitalize(), url=store.url(key, seconds=HOURS), part=_row(name, names, i))
        for i, (name, key) in enumerate(stems)
    ]
    return Player(
        title=title,
        audio=store.url(audio_key, seconds=HOURS) if audio_key else "",
        duration_ms=duration_ms,
        wave=waveform(peaks, label=f"Waveform of {title}", key=key) if peaks else None,
        roll=picture,
        legend=names,
        parts=parts,
        links=[Link(text, store.url(key, seconds=HOURS, filename=name)) for text, key, name in links],
    )


def _row(name: str, names: Sequence[str], place: int) -> int | None:
    """Where a stem's part stands in the score: by its name, else in the same order."""
    plain = name.strip().capitalize()
    if plain in names:
        return list(names).index(plain)
    return place if place < len(names) else None
