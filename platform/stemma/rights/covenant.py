"""A version of the license terms, as data: who may do what, at which price, and what creators get."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.rights.shares import WHOLE

Use = Literal["api_outputs", "open_weights", "fine_tuning", "redistribution", "embedding", "broadcast"]
TierName = Literal["community", "professional", "enterprise", "research", "evaluation"]


class Tier(BaseModel):
    """What one kind of licensee may do and pays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: TierName
    title: str
    uses: tuple[Use, ...]
    revenue_limit: int | None = None
    """Yearly revenue in whole units of the covenant's currency up to which the tier is open."""
    monthly_fee: int = Field(ge=0)
    """Micro-units of the currency per month."""
    minute_fee: int = Field(ge=0)
    """Micro-units of the currency per generated minute."""
    requests_per_minute: int = Field(gt=0)
    indemnified: bool = False


class Covenant(BaseModel):
    """License terms.  Content-addressed by `stemma.proof.canonical.digest` and logged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.covenant/1"] = "stemma.covenant/1"
    version: str
    title: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    tiers: tuple[Tier, ...]
    creators_ppm: int = Field(ge=0, le=WHOLE)
    """Part of every revenue that goes to creators."""
    training_ppm: int = Field(ge=0, le=WHOLE)
    """Part of the creators' money that is shared equally per trained work; the rest by attribution."""
    master_ppm: int = Field(ge=0, le=WHOLE)
    """Part of a recording's money that goes to the master side; the rest to the publishing side."""
    notice: str
    """The attribution notice that goes with outputs and weights."""
    on_withdrawal: str
    """What happens when an owner withdraws."""

    def tier(self, name: str) -> Tier:
        """The tier of this name."""
        return next(tier for tier in self.tiers if tier.name == name)


def house_covenant() -> Covenant:
    """The terms that Stemma is delivered with."""
    micro = 1_000_000
    every: tuple[Use, ...] = ("api_outputs", "open_weights", "fine_tuning", "redistribution", "embedding", "broadcast")
    return Covenant(
        version="1.0.0",
        title="Stemma Covenant",
        currency="USD",
        tiers=(
            Tier(
                name="community",
                title="Community",
                uses=every,
                revenue_limit=1_000_000,
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=30,
            ),
            Tier(
                name="professional",
                title="Professional",
                uses=every,
                revenue_limit=20_000_000,
                monthly_fee=49 * micro,
                minute_fee=50_000,
                requests_per_minute=600,
            ),
            Tier(
                name="enterprise",
                title="Enterprise",
                uses=every,
                monthly_fee=990 * micro,
                minute_fee=40_000,
                requests_per_minute=60_000,
                indemnified=True,
            ),
            Tier(
                name="research",
                title="Research",
                uses=("api_outputs", "open_weights", "fine_tuning"),
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=60,
            ),
            Tier(
                name="evaluation",
                title="Evaluation",
                uses=("api_outputs",),
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=30,
            ),
        ),
        creators_ppm=500_000,
        training_ppm=300_000,
        master_ppm=500_000,
        notice="Made with Stemma from licensed music.",
        on_withdrawal=(
            "The recording leaves every later snapshot and is no longer used for style prompting. Outputs and "
            "weights licensed before keep their license; the owner keeps what they earn."
        ),
    )
