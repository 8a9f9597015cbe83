"""The one form into which every reader brings a recording, and the rows in which readers hand it on."""

from __future__ import annotations

from datetime import date
from typing import Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from stemma.rights.reservations import Use
from stemma.rights.shares import Side

Standing = Literal["consents", "unconsented"]


class PartyRecord(BaseModel):
    """A person or organisation that owns or made something."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    """Stable identifier, unique to the party (for the house catalog a UUIDv5).  Catalogs from outside
    bring none: their parties are found by IPI or ISNI, else by name within the organisation."""
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


class ReleaseRecord(BaseModel):
    """The release (album, single) on which a recording stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1, max_length=500)
    upc: str = ""
    artist: str = Field(default="", max_length=300)
    label: str = Field(default="", max_length=200)
    released_on: date | None = None


class ReservationRecord(BaseModel):
    """What the message or the file itself says about mining and training (CAWG 1.1, TDMRep, ERN)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["cawg", "tdmrep", "ern"]
    uses: dict[str, Use]
    """By scope: `data_mining`, `ai_inference`, `ai_training`, `ai_generative_training`."""
    detail: str = ""
    """Its constraint or policy, in its own words."""


class RecordingRecord(BaseModel):
    """A recording of a work with its shares, its source and its content.

    Of a catalog from outside only a title is certain; what a reader does not know stays empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["recording", "work"] = "recording"
    """`work`: a registration of a composition (CWR) that names no recording; `isrc` is empty and
    `shares` are of the publishing side."""
    id: str = ""
    """The platform's own identifier; empty from outside, where ISRC or `reference` identify."""
    reference: str = Field(default="", max_length=100)
    """The sender's own number for it."""
    isrc: str = ""
    title: str = Field(min_length=1, max_length=500)
    artist: str = Field(default="", max_length=300)
    work_id: str = ""
    work_reference: str = Field(default="", max_length=100)
    """The sender's own number for the work."""
    work_title: str = Field(default="", max_length=500)
    """Empty: the same as the title."""
    iswc: str = ""
    composer: str = Field(default="", max_length=300)
    style: str = Field(default="", pattern=r"^([a-z][a-z-]{1,39})?$")
    """Repertoire, such as `chorale`."""
    collection: str = Field(default="", max_length=200)
    """Such as `Bach chorales`."""
    region: str = Field(default="", max_length=100)
    """Where the repertoire comes from: a code or a name, see `stemma.catalog.origin`."""
    year: int | None = None
    """Of the work."""
    period: str = Field(default="", pattern=r"^(\d{4}|\d{2}XX)?$")
    """Year or century of origin, such as `17XX`, where it is not the year."""
    release: ReleaseRecord | None = None
    track: int | None = Field(default=None, gt=0, le=9999)
    tempo: float | None = Field(default=None, gt=0, lt=1000)
    key: str = Field(default="", max_length=20)
    time_signature: str = Field(default="", max_length=10)
    instruments: tuple[str, ...] = ()
    duration_ms: int | None = Field(default=None, gt=0)
    midi_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    audio_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    loudness_lufs: float | None = None
    peaks: tuple[int, ...] = Field(default=(), max_length=1000)
    """Waveform: peak of each of 400 equal parts, 0…255."""
    audio_file: str = Field(default="", max_length=300)
    """Name of the file that the sender says holds its sound."""
    shares: tuple[ShareRecord, ...] = ()
    source: SourceRecord | None = None
    """None: the sender's own recording."""
    reservation: ReservationRecord | None = None
    takedown: bool = False
    """The sender withdraws it: nothing of it is deleted, and it is in no later snapshot."""

    @property
    def free(self) -> bool:
        """Whether its source leaves it to its owners to allow what they like."""
        return self.source is None or self.source.free


class Problem(NamedTuple):
    """What is wrong with one value of a row, and what to do about it."""

    field: str
    """The record's field, such as `isrc` or `shares.0.ppm`; for tables the column's heading is added
    by whoever shows it."""
    value: str
    """As it was read, cut to 200 characters, without control characters."""
    rule: str
    """Stable kebab-case name, such as `isrc`, `shares-sum`, `too-long`."""
    remedy: str
    """A sentence that says what to write instead."""
    severity: Literal["error", "warning"] = "error"
    """A row with a warning is taken; one with an error is not."""


class Row(Protocol):
    """One row of a file, whatever its format: where it stands, what is wrong with it, what it says.

    Readers are generators of rows in constant memory; a row that is wrong does not end them.
    """

    @property
    def number(self) -> int:
        """The line or the ordinal in the file, from 1."""
        ...

    @property
    def raw(self) -> dict[str, str]:
        """What was read, by column heading or element, for the page and for the file of corrections."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with it; a row whose problems are only warnings is taken."""
        ...

    def record(self) -> RecordingRecord | None:
        """The record; None when a problem is an error."""
        ...
