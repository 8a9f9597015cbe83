"""How diverse a set of recordings is: by repertoire, region of origin and period.

What is kept is counts, which are exact; every figure follows from them.  The figure of a facet is the
*effective number* of groups, exp H with Shannon's entropy H = −Σ pᵢ ln pᵢ: as many groups of equal
size would be as diverse.  It is the Hill number of order 1: M. O. Hill, “Diversity and evenness: a
unifying notation and its consequences”, Ecology 54 (1973) 427–432; L. Jost, “Entropy and diversity”,
Oikos 113 (2006) 363–375.  Recordings of which nothing is known are no group: they are counted apart.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

MILLION = 1_000_000


class Origin(NamedTuple):
    """What is known of one recording; empty: unknown."""

    repertoire: str = ""
    region: str = ""
    """Code of ISO 3166 or M49."""
    period: str = ""
    """Century, such as `17XX`."""


class Facet(BaseModel):
    """How many recordings each group has, the largest first, and of how many it is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    groups: tuple[tuple[str, int], ...] = ()
    unknown: int = Field(default=0, ge=0)

    @property
    def known(self) -> int:
        """Recordings whose group is known."""
        return sum(count for _, count in self.groups)

    @property
    def effective(self) -> float:
        """Effective number of groups, exp H; 0 where nothing is known."""
        known = self.known
        if not known:
            return 0.0
        return math.exp(-math.fsum(count / known * math.log(count / known) for _, count in self.groups))

    @property
    def largest_ppm(self) -> int:
        """Share of the largest group among what is known, in parts per million, rounded down."""
        return self.groups[0][1] * MILLION // self.known if self.groups else 0

    @property
    def unknown_ppm(self) -> int:
        """Share of all of which it is not known, in parts per million, rounded down."""
        total = self.known + self.unknown
        return self.unknown * MILLION // total if total else 0


class Diversity(BaseModel):
    """The three facets of one set of recordings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recordings: int = Field(ge=0)
    repertoire: Facet
    region: Facet
    period: Facet


def diversity(origins: Iterable[Origin]) -> Diversity:
    """Count a set of recordings; the same set in any order gives the same."""
    listed = list(origins)
    return Diversity(
        recordings=len(listed),
        repertoire=_facet(each.repertoire for each in listed),
        region=_facet(each.region for each in listed),
        period=_facet(each.period for each in listed),
    )


def _facet(values: Iterable[str]) -> Facet:
    counts = Counter(values)
    unknown = counts.pop("", 0)
    return Facet(groups=tuple(sorted(counts.items(), key=lambda group: (-group[1], group[0]))), unknown=unknown)
