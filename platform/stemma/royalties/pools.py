"""What each license brings in over a period, and how much of it belongs to creators."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from stemma.errors import InvalidError
from stemma.rights.covenant import AnyCovenant, Revenue
from stemma.rights.shares import WHOLE


@dataclass(frozen=True, order=True)
class Subscription:
    """A license in force during the period, and how many monthly fees fall into it."""

    license: str
    licensee: str
    tier: str
    covenant: str
    """Digest of the covenant the license was granted under."""
    months: int = 1
    seats: int = 0
    """Seats of the license in each of these months."""


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
    fees: int
    """What fell due month by month: the flat price, and the seats."""
    revenue: int
    """Fees, metered minutes, and whatever else the terms charge."""
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
    due: dict[tuple[str, str, str, str], list[Subscription]] = defaultdict(list)
    for given in subscriptions:
        if given.months < 0:
            raise InvalidError(f"License {given.license} cannot pay {given.months} months.")
        due[given.license, given.licensee, given.tier, given.covenant].append(given)

    keys = ["license", "licensee", "tier", "covenant"]
    sums = [("billable_ms", "sum"), ("billable_ms", "count"), ("model_release", "count_distinct")]
    billed = {
        tuple(row[key] for key in keys): (
            row["billable_ms_sum"], row["billable_ms_count"], row["model_release_count_distinct"],
        )
        for row in usage.group_by(keys).aggregate(sums).to_pylist()
    }  # fmt: skip
    return [
        _pool(*key, due=due.get(key, []), billed=billed.get(key, (0, 0, 0)), covenants=covenants)
        for key in sorted({*due, *billed})
    ]


def _pool(
    license_id: str,
    licensee: str,
    tier_name: str,
    digest: str,
    *,
    due: Sequence[Subscription],
    billed: tuple[int, int, int],
    covenants: Mapping[str, AnyCovenant],
) -> Pool:
    covenant = _terms(license_id, tier_name, digest, covenants)
    schedule, (billed_ms, generations, releases) = covenant.schedule(tier_name), billed
    fees = [line for each in due for line in schedule.fees(months=each.months, seats=each.seats)]
    used = schedule.use(ms=billed_ms, releases=releases)
    filled = schedule.fill([*fees, *used], months=sum(each.months for each in due))
    revenue: dict[Revenue, int] = {
        "subscription": sum(line.amount for line in fees),
        "usage": sum(line.amount for line in used if line.unit == "minute"),
        "other": sum(line.amount for line in (*used, *filled) if line.unit != "minute"),
    }
    creators = sum(amount * covenant.part_of(kind) for kind, amount in revenue.items()) // WHOLE
    training = creators * covenant.training_ppm // WHOLE
    return Pool(
        license=license_id,
        licensee=licensee,
        tier=tier_name,
        covenant=digest,
        currency=covenant.currency,
        generations=generations,
        billed_ms=billed_ms,
        fees=revenue["subscription"],
        revenue=sum(revenue.values()),
        creators=creators,
        training=training,
        output=creators - training,
        master_ppm=covenant.master_ppm,
    )


def _terms(license_id: str, tier: str, digest: str, covenants: Mapping[str, AnyCovenant]) -> AnyCovenant:
    covenant = covenants.get(digest)
    if covenant is None or tier not in {each.name for each in covenant.tiers}:
        raise InvalidError(
            f"License {license_id} names tier {tier} of covenant {digest[:12]}, which is not known.",
            remedy="Give every covenant that licenses of the period were granted under.",
            code="unknown-terms",
        )
    return covenant
