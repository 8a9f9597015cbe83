"""Whether a covenant keeps a licensee free of a claim against one output, judged from facts alone.

What facts decide is decided here, by anyone, the same each time.  What only people can see stays open
until somebody says it, with their name beside it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stemma.rights.covenant import Closed, Covenant, Covenant1, Cover, Exclusion, Tier, Use, lift
from stemma.rights.wording import MAY, words

Verdict = Literal["covered", "lapsed", "not-covered", "open"]


class Evidence(Closed):
    """What is known of an output.  None: nobody knows."""

    altered: bool | None = None
    """Whether the sound under claim differs from the one that was handed over."""
    served: bool = False
    """Whether it was made by the installation itself, with a release that is in the log."""
    foreign: bool = False
    """Whether the model was tuned on data without attested rights."""
    filters_off: tuple[str, ...] | None = None
    """Filters that were off when it was made, in words."""
    judged: dict[Exclusion, bool] = Field(default_factory=dict)
    """What people have said of exclusions that facts leave open: whether each applies."""


class Ground(Closed):
    """One exclusion, and whether it applies."""

    exclusion: Exclusion
    applies: bool | None
    """None: facts do not say, and no person has said."""
    why: str


class Coverage(Closed):
    """What the indemnity comes to for one output and one use of it."""

    use: Use
    verdict: Verdict
    why: str
    currency: str
    cap: int | None = None
    """Whole units of the currency a year; None: without limit, or nothing is covered."""
    grounds: tuple[Ground, ...] = ()

    @property
    def open(self) -> tuple[Exclusion, ...]:
        """Exclusions that wait for a person's word."""
        return tuple(ground.exclusion for ground in self.grounds if ground.applies is None)


def coverage(terms: Covenant | Covenant1, tier: str, use: Use, evidence: Evidence) -> Coverage:
    """The indemnity under these terms.  One exclusion that applies ends it, whatever else is open."""
    lifted = lift(terms)
    granted = next((each for each in lifted.tiers if each.name == tier), None)
    cover = next((each for each in granted.indemnity if each.use == use), None) if granted else None
    if granted is None or cover is None:
        why = f"Covenant {terms.version} covers nothing where a {tier} license may {MAY[use]}."
        return Coverage(use=use, verdict="not-covered", why=why, currency=lifted.currency)
    grounds = tuple(_ground(each, granted, cover, evidence) for each in cover.exclusions)
    applying = [words(ground.exclusion) for ground in grounds if ground.applies]
    unsaid = [words(ground.exclusion) for ground in grounds if ground.applies is None]
    verdict: Verdict = "lapsed" if applying else "open" if unsaid else "covered"
    why = {
        "lapsed": f"It has lapsed: the covenant excludes {' and '.join(applying)}.",
        "open": f"People have to say whether this is among what the covenant excludes: {', '.join(unsaid)}.",
        "covered": "Nothing that the covenant excludes applies.",
    }[verdict]
    return Coverage(use=use, verdict=verdict, why=why, currency=lifted.currency, cap=cover.cap, grounds=grounds)


def _ground(exclusion: Exclusion, tier: Tier, cover: Cover, evidence: Evidence) -> Ground:
    applies, why = _by_facts(exclusion, tier, cover, evidence)
    if applies is None and exclusion in evidence.judged:
        applies, why = evidence.judged[exclusion], "As staff have judged it."
    return Ground(exclusion=exclusion, applies=applies, why=why)


def _by_facts(exclusion: Exclusion, tier: Tier, cover: Cover, evidence: Evidence) -> tuple[bool | None, str]:
    if exclusion == "altered_after" and evidence.altered is not None:
        return evidence.altered, (
            "The sound was altered after it was handed over."
            if evidence.altered
            else "The sound is the one that was handed over, sample by sample."
        )
    if exclusion == "notice_removed" and cover.use not in tier.notice_on:
        return False, "This use need not carry the notice."
    if exclusion == "filters_off" and evidence.filters_off is not None:
        off = " and ".join(evidence.filters_off)
        return bool(off), f"It was made while filters were off ({off})." if off else "No filter was off."
    if exclusion == "other_training_data" and evidence.foreign:
        return True, "The model was tuned on data without attested rights."
    if exclusion in {"other_training_data", "no_attribution"} and evidence.served and cover.use == "api_outputs":
        return False, "It was made by the installation itself, with a release that is in the log, and attributed there."
    return None, "Facts do not say."
