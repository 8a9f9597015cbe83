"""Usage and attribution facts, as they lie in the lake (Parquet, partitioned by day).

`usage/day=YYYY-MM-DD/<uuid>.parquet` and `attribution/day=YYYY-MM-DD/<uuid>.parquet`.  A fact's
identifier is made by whoever states it; the same fact may lie in the lake twice and counts once.
"""

from __future__ import annotations

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

PPB = 1_000_000_000
"""Parts per billion: the unit of attribution shares."""
COMMONS = "commons"
"""The name under which the unexplained share is kept; it is shared equally per trained work."""

Sha256 = Field(pattern=r"^[0-9a-f]{64}$")


class UsageFact(BaseModel):
    """One generation, as it is billed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """Identifier of the generation (UUIDv7)."""
    at: str
    """RFC 3339, UTC, milliseconds."""
    license: str
    licensee: str
    key: str
    tier: str
    covenant: str
    model_release: str
    """Such as `house-symbolic/1`."""
    snapshot: str
    style: str
    prompt_sha256: str = Sha256
    seed: int
    billable_ms: int = Field(ge=0)
    audio_sha256: str = Sha256
    """Hash of the delivered FLAC file."""
    midi_sha256: str = Sha256


class AttributionFact(BaseModel):
    """Which recordings shaped one generation, and with what evidence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    generation: str
    at: str
    model_release: str
    snapshot: str
    method: str
    """Such as `exact-dual/1`."""
    store: str
    """Version of the feature store."""
    checkpoints: int
    lds: float | None
    """Fidelity: mean Spearman of predicted and measured effect; None where not measured."""
    lds_low: float | None
    lds_high: float | None
    shares: dict[str, int]
    """ppb by recording, and under `COMMONS`; they sum to `PPB` exactly."""


USAGE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False),
        *(
            pa.field(name, pa.string(), nullable=False)
            for name in (
                "license",
                "licensee",
                "key",
                "tier",
                "covenant",
                "model_release",
                "snapshot",
                "style",
                "prompt_sha256",
            )
        ),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("billable_ms", pa.int64(), nullable=False),
        pa.field("audio_sha256", pa.string(), nullable=False),
        pa.field("midi_sha256", pa.string(), nullable=False),
    ]
)

ATTRIBUTION_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("generation", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in ("model_release", "snapshot", "method", "store")),
        pa.field("checkpoints", pa.int32(), nullable=False),
        *(pa.field(name, pa.float64()) for name in ("lds", "lds_low", "lds_high")),
        pa.field("recording", pa.string(), nullable=False),
        pa.field("ppb", pa.int64(), nullable=False),
    ]
)
"""One row per recording that has a share, and one for the commons."""
