"""A generation as it is heard on a page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from stemma.errors import InvalidError, NotFoundError, UnavailableError
from stemma.music.passages import Passage, shared
from stemma.storage import storage
from stemma_portal.catalog.models import Recording
from stemma_portal.design.player import HOURS, Player, player
from stemma_portal.design.svg.passage import passage
from stemma_portal.metering.models import Generation

COMPARED = 3
"""Recordings that are laid beside a generation."""
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
    name = f"{record['style']}-{record['id'][-8:]}"
    return player(
        title=f"{record['style'].replace('-', ' ').capitalize()} in {record['key']}",
        audio_key=files["flac"]["object"],
        midi_key=files["midi"]["object"],
        duration_ms=record["duration_ms"],
        peaks=record.get("peaks", ()),
        stems=[(part, file["object"]) for part, file in record.get("stems", {}).items()],
        links=[
            (title, files[kind]["object"], f"{name}.{ending}")
            for kind, (title, ending) in FILES.items()
            if take_away and kind in files
        ],
    )


@dataclass(frozen=True)
class Beside:
    """A recording laid beside a generation."""

    recording: Recording
    audio: str
    """Address of its sound; empty where there is none."""
    passage: Passage | None
    picture: SafeString | None
    """The longest passage that both hold, where there is one."""

    @property
    def key(self) -> str:
        """How the piece stands to the recording, in words."""
        moved = self.passage.transposed if self.passage else 0
        if not moved:
            return "in the same key"
        return f"{abs(moved)} semitone{'' if abs(moved) == 1 else 's'} {'higher' if moved > 0 else 'lower'}"


def generation_beside(record: dict[str, Any], recordings: Iterable[Recording]) -> list[Beside]:
    """The first few recordings with a score beside the generation's; fewer where storage does not have them."""
    store, found = storage(), []
    try:
        piece = store.get(record["files"]["midi"]["object"])
    except (NotFoundError, UnavailableError):
        return []
    for recording in [each for each in recordings if each.midi_key][:COMPARED]:
        try:
            same = shared(piece, store.get(recording.midi_key))
        except (NotFoundError, UnavailableError, InvalidError):
            continue
        label = f"{same.length} notes of this piece above the same notes of {recording.title}" if same else ""
        audio = store.url(recording.audio_key, seconds=HOURS) if recording.audio_key else ""
        if same and audio:
            audio += f"#t={max(0.0, same.work.seconds):.1f}"
        found.append(Beside(recording, audio, same, passage(same, label=label) if same else None))
    return found
