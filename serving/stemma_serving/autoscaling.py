"""Scaling of one deployment: Ray Serve's words, strictly checked.

Ray's own schema ignores unknown keys in silence and takes a minimum above the maximum.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Autoscaling(BaseModel):
    """How many replicas a deployment has, and when that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=1, ge=1)
    target_ongoing_requests: float = Field(default=2, gt=0)
    """Requests in work per replica at which their number is right."""
    look_back_period_s: float = Field(default=20, gt=10)
    """Above the ten seconds in which Ray measures once."""
    upscale_delay_s: float = Field(default=20, ge=0)
    downscale_delay_s: float = Field(default=300, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas {self.min_replicas} is above max_replicas {self.max_replicas}")
        # Deciding faster than one measures makes the number of replicas swing.
        if min(self.upscale_delay_s, self.downscale_delay_s) < self.look_back_period_s:
            raise ValueError("upscale_delay_s and downscale_delay_s must not be below look_back_period_s")
        return self

    def ray(self) -> dict[str, Any]:
        """The arguments of a Ray Serve deployment that say the same."""
        if self.min_replicas == self.max_replicas:
            return {"num_replicas": self.min_replicas}
        return {"autoscaling_config": {**self.model_dump(), "initial_replicas": max(1, self.min_replicas)}}
