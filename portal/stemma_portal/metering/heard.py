"""A generation as it is heard on a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.core.cache import cache
from django.utils.safestring import SafeString

from stemma.errors import InvalidError, NotFoundError, UnavailableError
from stemma.music.audio import decode
from stemma.music.echoes import Echo, Echoes
from stemma.music.passages import Passage, shared
from stemma.storage import storage
from stemma_portal.catalog.models import Recording
from stemma_portal.design.player import HOURS, Player, player
from stemma_portal.design.svg.passage import passage
from stemma_portal.metering.models import Generation

COMPARED = 3
"""Recordings that are laid beside a generation."""
KEPT = 24 * 3600
"""Seconds for which is remembered what two sounds share."""
FILES = {"flac": ("Sound (FLAC)", "flac"), "wav": ("Sound (WAV)", "wav"), "midi": ("Score (MIDI)", "mid")}


def generation_text(generation: Generation, name: str) -> str | None:
    """One of its text objects; None while it is not there or storage does not answer."""
    try:
        return storage().get(f"{generation.prefix}{name}").decode()
    except (NotFoundError, UnavailableError):
        return None


def generation_record(generation: Generation) -> dict[str, Any] | None:
    """What serving kept of it: key, tempo, bars, files, stems, waveform."""
    text = generation_text(generation, "generation.json")
    return json.loads(text) if text else None


def generation_player(record: dict[str, Any], *, take_away: bool = True) -> Player:
    """Its player, with score and parts."""
    files = record["files"]
    name = f"{record['style'] or 'music'}-{record['id'][-8:]}"
    style = record["style"].replace("-", " ").capitalize() or "Music"
    return player(
        title=f"{style} in {record['key']}" if record["key"] else style,
        audio_key=files["flac"]["object"],
        midi_key="" if sound_alone(record) else files["midi"]["object"],
        duration_ms=record["duration_ms"],
        peaks=record.get("peaks", ()),
        stems=[(part, file["object"]) for part, file in record.get("stems", {}).items()],
        links=[
            (title, files[kind]["object"], f"{name}.{ending}")
            for kind, (title, ending) in FILES.items()
            if take_away and kind in files and not (kind == "midi" and sound_alone(record))
        ],
    )


@dataclass(frozen=True)
class Beside:
    """A recording laid beside a generation."""

    recording: Recording
    audio: str
    """Address of its sound; empty where there is none."""
    passage: Passage | None = None
    picture: SafeString | None = None
    """The longest passage that both hold, where there is one."""
    echo: Echo | None = None
    """The longest stretch of sound that both hold, of a piece without a score; of length 0 where there is none."""

    @property
    def stretch(self) -> str:
        """Seconds of sound that both hold."""
        return f"{self.echo.ms / 1000:.1f}" if self.echo else ""

    @property
    def key(self) -> str:
        """How the piece stands to the recording, in words."""
        moved = self.passage.transposed if self.passage else 0
        if not moved:
            return "in the same key"
        return f"{abs(moved)} semitone{'' if abs(moved) == 1 else 's'} {'higher' if moved > 0 else 'lower'}"


def generation_beside(record: dict[str, Any], recordings: Iterable[Recording]) -> list[Beside]:
    """The first few recordings beside the generation; fewer where storage does not have them.

    Scores beside a score; sounds beside a piece that is sound alone.
    """
    found = _beside_sound if sound_alone(record) else _beside_score
    try:
        return list(found(record, recordings))
    except (NotFoundError, UnavailableError):
        return []


def sound_alone(record: dict[str, Any]) -> bool:
    """Whether a generation has no score: a model that makes sound made it."""
    return record["files"]["midi"].get("bytes") == 0


def _beside_score(record: dict[str, Any], recordings: Iterable[Recording]) -> Iterator[Beside]:
    store = storage()
    piece = store.get(record["files"]["midi"]["object"])
    for recording in [each for each in recordings if each.midi_key][:COMPARED]:
        try:
            same = shared(piece, store.get(recording.midi_key))
        except (NotFoundError, UnavailableError, InvalidError):
            continue
        label = f"{same.length} notes of this piece above the same notes of {recording.title}" if same else ""
        audio = _audio(recording, same.work.seconds if same else None)
        yield Beside(recording, audio, same, passage(same, label=label) if same else None)


def _beside_sound(record: dict[str, Any], recordings: Iterable[Recording]) -> Iterator[Beside]:
    piece = record["files"]["flac"]
    for recording in [each for each in recordings if each.audio_key][:COMPARED]:
        # Both sounds are decoded and compared, which takes a second: what came out is kept.
        key = f"echo:{piece['sha256']}:{recording.audio_sha256}"
        if (kept := cache.get(key)) is not None:
            echo = Echo(**kept)
        else:
            try:
                echo = _echo(piece["object"], recording.audio_key)
            except (NotFoundError, UnavailableError, InvalidError):
                continue
            cache.set(key, asdict(echo), KEPT)
        yield Beside(recording, _audio(recording, echo.their_start_ms / 1000 if echo.ms else None), echo=echo)


def _echo(piece: str, recording: str) -> Echo:
    """The longest stretch that two sounds in storage share."""
    samples, rate = decode(storage().get(piece))
    return Echoes.build([(recording, storage().get(recording))]).compare(samples, rate).echo


def _audio(recording: Recording, seconds: float | None) -> str:
    """Address of a recording's sound, from there on; empty where there is none."""
    if not recording.audio_key:
        return ""
    address = storage().url(recording.audio_key, seconds=HOURS)
    return address if seconds is None else f"{address}#t={max(0.0, seconds):.1f}"
