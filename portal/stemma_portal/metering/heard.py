"""A generation as it is heard on a page."""

from __future__ import annotations

import json
from typing import Any

from stemma.errors import NotFoundError, UnavailableError
from stemma.storage import storage
from stemma_portal.design.player import Player, player
from stemma_portal.metering.models import Generation

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
