"""The shares of one output as a person asks for them: the largest, exactly what is left, and sums of them.

A share is of a recording.  Recordings of the same music are a cluster, and belong to owners: what a cluster or an
owner comes to is a sum of recordings' shares, in integers that lose nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stemma.errors import InvalidError
from stemma.rights.shares import WORLD, Share, split

PPB = 1_000_000_000
COMMONS = "commons"
"""The unit and the name that facts use; see `stemma.royalties.facts`."""


@dataclass(frozen=True)
class Ranked:
    """The largest shares and exactly the rest, in ppb: `top`, `rest` and `commons` sum to `PPB`."""

    top: tuple[tuple[str, int], ...]
    """Names with their shares, the largest first, by name where they are the same."""
    rest: int
    """Sum of those that are not in `top`."""
    others: int
    """How many these are."""
    commons: int


def ranked(shares: Mapping[str, int], top: int) -> Ranked:
    """The `top` largest of the shares of one output, and exactly what is left.

    Raises `InvalidError` when the shares do not sum to `PPB`.
    """
    if sum(shares.values()) != PPB:
        raise InvalidError(f"These shares sum to {sum(shares.values())} ppb, not to {PPB}.", code="shares-sum")
    ordered = sorted(((n, p) for n, p in shares.items() if n != COMMONS), key=lambda item: (-item[1], item[0]))
    left = ordered[top:]
    return Ranked(tuple(ordered[:top]), sum(p for _, p in left), len(left), shares.get(COMMONS, 0))


def by_cluster(shares: Mapping[str, int], clusters: Mapping[str, str]) -> dict[str, int]:
    """What each piece of music comes to, `clusters` naming that of each recording; the commons stays apart."""
    sums: Counter[str] = Counter()
    for name, ppb in shares.items():
        sums[name if name == COMMONS else clusters[name]] += ppb
    return dict(sums)


def by_owner(shares: Mapping[str, int], owned: Mapping[str, Iterable[Share]]) -> dict[str, int]:
    """What each party's recordings come to, a recording's share divided by the parts that its owners have of it.

    Both sides, master and publishing, count alike; of a recording whose owners are not known the share stays under
    its own name, and the commons apart, so that all sum to `PPB`.  This is influence, not money: how a pool falls on
    the sides is the covenant's matter.
    """
    sums: Counter[str] = Counter()
    for name, ppb in shares.items():
        parts: Counter[str] = Counter()
        for share in owned.get(name, ()):
            if share.territory == WORLD:
                parts[share.party] += share.ppm
        if name == COMMONS or not parts:
            sums[name] += ppb
            continue
        parties = sorted(parts)
        sums.update(dict(zip(parties, split(ppb, [parts[party] for party in parties]), strict=True)))
    return dict(sums)
