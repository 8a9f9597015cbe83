"""What each license brings in over a period, and how much of it belongs to creators."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from stemma.errors import InvalidError
from stemma.rights.covenant import AnyCovenant, AnyTier
from stemma.rights.shares import WHOLE

MS_PER_MINUTE = 60_000


@dataclass(frozen=True, order=True)
class Subscription:
    """A license in force during the period, and how many monthly fees fall into it."""

    license: str
    licensee: str
    tier: str
    covenant: str
    """Digest of the covenant the license was granted under."""
    months: int = 1


@dataclass(frozen=True)
class Pool:
    """The money of one license under one tier of one covenant.  Amounts are micro-units."""

    license: str
    licensee: str
    tier: str
    covenant: str
    currency: str
    generations: int
    billed_ms: int
    revenue: int
    """Monthly fees and metered minutes."""
    creators: int
    """Creators' part of the revenue; the rest is the platform's."""
    training: int
    """Part of `creators` that is shared equally per trained work."""
    output: int
    """The rest of `creators`, shared by attribution."""
    master_ppm: int
    """Part of a recording's money that goes to its master side."""

    @property
    def platform(self) -> int:
        """What the platform keeps."""
        return self.revenue - self.creators


def pools(subscriptions: Iterable[Subscription], usage: pa.Table, covenants: Mapping[str, AnyCovenant]) -> list[Pool]:
    """One pool per license, tier and covenant that paid or generated, sorted.

    `usage` has the rows of `USAGE_SCHEMA`, each fact once; a generation is billed under the tier
    and the covenant that its fact names.  Parts are rounded down, so that what does not divide
    stays with the platform.  Raises `InvalidError` for an unknown covenant or tier.
    """
    months: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for given in subscriptions:
        if given.months < 0:
            raise InvalidError(f"License {given.license} cannot pay {given.months} months.")
        months[given.license, given.licensee, given.tier, given.covenant] += given.months

    keys = ["license", "licensee", "tier", "covenant"]
    billed = {
        tuple(row[key] for key in keys): (row["billable_ms_sum"], row["billable_ms_count"])
        for row in usage.group_by(keys).aggregate([("billable_ms", "sum"), ("billable_ms", "count")]).to_pylist()
    }
    return [
        _pool(*key, months=months.get(key, 0), billed=billed.get(key, (0, 0)), covenants=covenants)
        for key in sorted({*months, *billed})
    ]


def _pool(
    license_id: str,
    licensee: str,
    tier_name: str,
    digest: str,
    *,
    months: int,
    billed: tuple[int, int],
    covenants: Mapping[str, AnyCovenant],
) -> Pool:
    covenant, tier = _terms(license_id, tier_name, digest, covenants)
    billed_ms, generations = billed
    fees, minutes = months * tier.monthly_fee, tier.minute_fee * billed_ms // MS_PER_MINUTE
    creators = (fees * covenant.part_of("subscription") + minutes * covenant.part_of("usage")) // WHOLE
    training = creators * covenant.training_ppm // WHOLE
    return Pool(
        license=license_id,
        licensee=licensee,
        tier=tier_name,
        covenant=digest,
        currency=covenant.currency,
        generations=generations,
        billed_ms=billed_ms,
        revenue=fees + minutes,
        creators=creators,
        training=training,
        output=creators - training,
        master_ppm=covenant.master_ppm,
    )


def _terms(
    license_id: str, tier: str, digest: str, covenants: Mapping[str, AnyCovenant]
) -> tuple[AnyCovenant, AnyTier]:
    try:
        covenant = covenants[digest]
        return covenant, covenant.tier(tier)
    except (KeyError, StopIteration):
        raise InvalidError(
            f"License {license_id} names tier {tier} of covenant {digest[:12]}, which is not known.",
            remedy="Give every covenant that licenses of the period were granted under.",
            code="unknown-terms",
        ) from None
