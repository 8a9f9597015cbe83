"""The one form into which every reader brings a recording."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.rights.shares import Side

Standing = Literal["consents", "unconsented"]


class PartyRecord(BaseModel):
    """A person or organisation that owns or made something."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """Stable identifier, unique to the party (for the house catalog a UUIDv5)."""
    name: str = Field(min_length=1, max_length=200)
    ipi: str | None = None
    isni: str | None = None
    demo: bool = False
    """A made-up rights-holder; marked as such wherever it is shown."""


class ShareRecord(BaseModel):
    """A share as a catalog brings it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    party: PartyRecord
    side: Side
    ppm: int = Field(gt=0, le=1_000_000, strict=True)
    territory: str = "WORLD"


class SourceRecord(BaseModel):
    """Where a recording comes from and what its source says of its rights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Such as `music21 corpus: bach/bwv66.6`."""
    license: str
    """Such as `Public domain encoding`, in the words of the source where it has some."""
    free: bool
    """Whether the source allows training, publication and commercial use."""
    note: str = ""
    """Why not, where it does not."""


class RecordingRecord(BaseModel):
    """A recording of a work with its shares, its source and its content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    isrc: str
    title: str = Field(min_length=1, max_length=500)
    work_id: str
    work_title: str = Field(min_length=1, max_length=500)
    iswc: str
    composer: str = Field(max_length=300)
    style: str = Field(pattern=r"^[a-z][a-z-]{1,39}$")
    """Repertoire, such as `chorale`."""
    collection: str = Field(max_length=200)
    """Such as `Bach chorales`."""
    region: str = Field(default="", max_length=100)
    year: int | None = None
    tempo: float = Field(gt=0, lt=1000)
    key: str = Field(max_length=20)
    time_signature: str = Field(default="4/4", max_length=10)
    instruments: tuple[str, ...] = ()
    duration_ms: int = Field(gt=0)
    midi_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    audio_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    loudness_lufs: float
    peaks: tuple[int, ...] = Field(max_length=1000)
    """Waveform: peak of each of 400 equal parts, 0…255."""
    shares: tuple[ShareRecord, ...]
    source: SourceRecord
