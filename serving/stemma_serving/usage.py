"""From the local spool to the lake: batches of facts as Parquet, each written once.

The name of an object follows from the segment it holds, and is written only where there is none:
however often a batch is tried, killed and tried again, it lies in the lake once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from stemma.config import settings
from stemma.errors import StemmaError
from stemma.ids import named_id
from stemma.royalties.facts import (
    AttributionFact,
    CertificateFact,
    UsageFact,
    attribution_table,
    certificate_table,
    to_parquet,
    usage_table,
)
from stemma.storage import Storage
from stemma_serving import pending
from stemma_serving.config import SpoolConfig
from stemma_serving.metrics import SpoolMetrics
from stemma_serving.records import Entry
from stemma_serving.spool import lines, segments

log = logging.getLogger("ray.serve")
F = TypeVar("F", UsageFact, AttributionFact, CertificateFact)
Read = TypeVar("Read", Entry, AttributionFact)


class Shipper:
    """Ships what lies in a spool."""

    def __init__(self, spool: Path, storage: Storage) -> None:
        self._spool, self._storage = spool, storage

    def ship(self) -> dict[str, int]:
        """Take every closed segment to object storage; facts shipped, by kind.

        Raises `UnavailableError` when the storage does not answer; what was not shipped stays.
        """
        return {
            "usage": self._ship("usage", Entry.read, self._ship_entries),
            "attribution": self._ship("attribution", AttributionFact.model_validate_json, self._ship_attributions),
        }

    def waiting(self, kind: str) -> int:
        """Closed segments of one kind."""
        return sum(1 for _ in (self._spool / kind).glob("*.ready"))

    def _ship(self, kind: str, read: Callable[[bytes], Read], ship: Callable[[Path, list[Read]], None]) -> int:
        folder = self._spool / kind
        shipped = 0
        for segment in segments(folder) if folder.exists() else ():
            try:
                facts = [read(line) for line in lines(segment)]
            except ValueError:
                # Only a damaged disk does this.  Kept for a person to read, out of the way of the others.
                log.exception("The facts in %s cannot be read; it is set aside as .damaged.", segment)
                segment.rename(segment.with_suffix(".damaged"))
                continue
            ship(segment, facts)
            segment.unlink()
            shipped += len(facts)
        return shipped

    def _ship_entries(self, segment: Path, entries: list[Entry]) -> None:
        usage = [entry.usage for entry in entries]
        self._put("usage", segment, usage, usage_table)
        issued = [fact for entry in entries if (fact := entry.issued())]
        self._put("certificates", segment, issued, certificate_table)
        for fact in usage:
            pending.add(self._spool, pending.Pending(fact.id, fact.model_release, fact.at))

    def _ship_attributions(self, segment: Path, facts: list[AttributionFact]) -> None:
        self._put("attribution", segment, facts, attribution_table)

    def _put(self, kind: str, segment: Path, facts: Sequence[F], table: Callable[[Sequence[F]], pa.Table]) -> None:
        days: dict[str, list[F]] = defaultdict(list)
        for fact in facts:
            days[fact.at[:10]].append(fact)
        for day, batch in days.items():
            key = f"{kind}/day={day}/{named_id(segment.stem, day)}.parquet"
            self._storage.put_new(key, to_parquet(table(batch)), "application/vnd.apache.parquet")


class UsageShipper:
    """The deployment that ships, for as long as it lives."""

    def __init__(self, config: SpoolConfig) -> None:
        self._config = config
        self._spool = settings().spool_path
        self._shipper = Shipper(self._spool, Storage(settings()))
        self._metrics = SpoolMetrics()
        threading.Thread(target=self._run, name="shipper", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                for kind, count in self._shipper.ship().items():
                    if count:
                        self._metrics.shipped.inc(count, {"kind": kind})
            except (StemmaError, OSError) as error:
                log.warning("Facts stay on disk until the storage takes them: %s", error)
            except Exception:
                log.exception("Shipping failed; it is tried again.")
            for kind in ("usage", "attribution"):
                self._metrics.waiting.set(self._shipper.waiting(kind), {"kind": kind})
            self._metrics.pending.set(pending.count(self._spool))
            self._metrics.aside.set(pending.count(self._spool, pending.ASIDE))
            time.sleep(self._config.segment_seconds / 2)
