"""Model families behind one protocol; `load` picks the one a folder belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stemma.errors import InvalidError, NotFoundError
from stemma.models.protocol import Family

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


def family_of(folder: Path) -> str:
    """Name of the family of a bundle or checkpoint."""
    try:
        name = str(json.loads((folder / "stemma.json").read_text())["family"])
    except FileNotFoundError:
        raise NotFoundError(f"{folder} holds no model.", remedy="Give the folder of a release or checkpoint.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(f"{folder / 'stemma.json'} does not describe a model.", code="bad-bundle") from error
    if name not in FAMILIES:
        raise InvalidError(
            f"This version knows no model family {name!r}.", remedy="Update stemma.", code="unknown-family"
        )
    return name


def load(folder: Path) -> Family:
    """The model in a released bundle or a checkpoint of a run."""
    if family_of(folder) == "latent":
        from stemma.models.latent.family import Latent

        return Latent.load(folder)
    from stemma.models.symbolic.family import Symbolic

    return Symbolic.load(folder)
