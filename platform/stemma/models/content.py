"""What a model of each family learns from, and where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stemma.rights.snapshot import SnapshotRecording

Source = Literal["score", "sound"]
FAMILIES: dict[str, Source] = {"symbolic": "score", "latent": "sound"}
"""What a model of each family learns from."""


def source_of(family: str) -> Source:
    """What a family learns from; of one that is not known, scores."""
    return FAMILIES.get(family, "score")


def content_hash(recording: SnapshotRecording, source: Source) -> str:
    """SHA-256 of what a model learns from of a recording: its MIDI, or its FLAC."""
    return recording.audio_sha256 if source == "sound" else recording.midi_sha256


def content_key(recording: SnapshotRecording, source: Source) -> str:
    """Where that lies in object storage."""
    digest = content_hash(recording, source)
    return f"audio/{digest}.flac" if source == "sound" else f"midi/{digest}.mid"
