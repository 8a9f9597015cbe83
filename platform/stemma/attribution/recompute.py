"""An attribution made again from what is kept: the generation, the fact, the release and its store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stemma.attribution.shares import attribute
from stemma.attribution.store import Store
from stemma.errors import InvalidError, ProofError
from stemma.models.protocol import Example
from stemma.storage import Storage

TOLERANCE = 1000
"""Parts per billion by which shares may differ on a machine of another kind, whose sums round otherwise."""


@dataclass(frozen=True)
class Recomputed:
    """What was stated, and what comes out now."""

    stated: dict[str, int]
    found: dict[str, int]
    intervals: tuple[Mapping[str, Sequence[int]], Mapping[str, Sequence[int]]] = ({}, {})
    """Of the shares, stated and found; empty where the fact states none."""

    @property
    def apart(self) -> int:
        """Largest difference of any recording's share or end of its interval, in ppb; 0 where all are the same."""
        pairs = [(self.stated.get(n, 0), self.found.get(n, 0)) for n in self.stated.keys() | self.found.keys()]
        stated, found = self.intervals
        for name in stated.keys() | found.keys():
            pairs += zip(stated.get(name, (0, 0)), found.get(name, (0, 0)), strict=True)
        return max((abs(a - b) for a, b in pairs), default=0)


def fact_of(storage: Storage, generation: str) -> dict[str, Any]:
    """The attribution fact that was stated of a generation; `NotFoundError` when there is none."""
    return dict(storage.get_json(f"generations/{generation}/attribution.json"))


def recompute(storage: Storage, fact: dict[str, Any], store: Store) -> Recomputed:
    """The shares of a fact's generation, by the store that the fact names."""
    if (fact["store"], fact["model_release"]) != (store.version, store.manifest.release):
        raise ProofError(
            f"The fact names store {fact['store']} of {fact['model_release']}, "
            f"not {store.version} of {store.manifest.release}.",
            remedy="Fetch the store that the fact names.",
            code="foreign-store",
        )
    said = json.loads(storage.get(f"generations/{fact['generation']}/example.json"))
    try:
        example = Example(tuple(said["tokens"]), tuple(said["condition"]))
    except (KeyError, TypeError) as error:
        raise InvalidError(f"The example of {fact['generation']} cannot be read: {error}.") from error
    found = attribute(store, example)
    # Facts of before version 2 state no intervals, so there is nothing to compare them with.
    intervals = (fact["intervals"] or {}, found.intervals or {}) if fact.get("version", 1) > 1 else ({}, {})
    return Recomputed(stated=dict(fact["shares"]), found=found.shares, intervals=intervals)
