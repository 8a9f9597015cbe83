"""The tiers of some terms beside each other, for whoever thinks of a license."""

from __future__ import annotations

from dataclasses import dataclass

from stemma.rights.covenant import USES, AnyCovenant, Cover, Use, lift
from stemma.rights.wording import MAY, releases, words
from stemma_portal.licensing.selectors import prices_told


@dataclass(frozen=True)
class UseRow:
    """A use, whether the tier allows it, and whether the notice goes with it."""

    title: str
    may: bool
    notice: bool


@dataclass(frozen=True)
class TierShown:
    """A tier as people compare it."""

    name: str
    title: str
    prices: list[tuple[str, str]]
    """Each unit and its price, in words, and the least of a month; nothing where it costs nothing."""
    revenue_limit: int | None
    """Whole units of the currency in which revenue is counted; None: open to everyone."""
    requests_per_minute: int
    territories: tuple[str, ...]
    models: str
    """Which models it may use, in words; empty for all of them."""
    uses: list[UseRow]
    covers: list[str]
    """From what Stemma keeps its holder free, in words."""

    @property
    def free(self) -> bool:
        """Whether it costs nothing."""
        return not self.prices


def tiers_shown(terms: AnyCovenant) -> list[TierShown]:
    """The tiers in the order of the terms."""
    lifted = lift(terms)
    return [
        TierShown(
            name=tier.name,
            title=tier.title,
            prices=prices_told(lifted, tier.name),
            revenue_limit=tier.revenue_limit,
            requests_per_minute=tier.requests_per_minute,
            territories=tier.territories,
            models=releases(tier.models) if tier.models else "",
            uses=[UseRow(_title(use), use in tier.uses, use in tier.notice_on) for use in USES],
            covers=[_cover(cover, lifted.currency) for cover in tier.indemnity],
        )
        for tier in lifted.tiers
    ]


def _title(use: Use) -> str:
    return MAY[use][0].upper() + MAY[use][1:]


def _cover(cover: Cover, currency: str) -> str:
    cap = "without limit" if cover.cap is None else f"up to {currency} {cover.cap:,} a year"
    but = f", except for {'; '.join(words(each) for each in cover.exclusions)}" if cover.exclusions else ""
    return f"{_title(cover.use)}: {cap}{but}"
