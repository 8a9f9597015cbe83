"""What a model release says of itself: its files, and the snapshot it was trained on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RELEASE = "stemma-release+jws"


class ReleaseStatement(BaseModel):
    """Signed with a key of role `release` as type `RELEASE`; its JWS text is what the log records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.release/1"] = "stemma.release/1"
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str = Field(pattern=r"^[0-9]{1,9}$")
    snapshot: str
    snapshot_root: str = Field(pattern=r"^[0-9a-f]{64}$")
    covenant: str
    created_at: str
    files: dict[str, str]
    """SHA-256 of every file of the bundle, by its path inside it."""

    @property
    def id(self) -> str:
        """Such as `house-symbolic/1`."""
        return f"{self.name}/{self.version}"
