"""Who shaped a generation: found out after the answer, never before it.

What waits are files in the spool, so that a restart, a missing store or a storage that is down only
delays it.  What no waiting mends (an output without notes, a lost file) is laid aside with its reason, and the others
go on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from stemma.config import settings
from stemma.errors import NotFoundError, StemmaError, UnavailableError
from stemma.ids import named_id, now, timestamp
from stemma.royalties.facts import AttributionFact
from stemma.storage import Storage
from stemma_serving import pending
from stemma_serving.config import AttributorConfig, SpoolConfig
from stemma_serving.pending import Pending
from stemma_serving.records import folder
from stemma_serving.shelf import Shelf
from stemma_serving.spool import Journal

if TYPE_CHECKING:
    from stemma.attribution.store import Store

log = logging.getLogger("ray.serve")
MISSING_SECONDS = 5.0
"""How long after a miss a release's store is looked for again."""
TRIES = 3
"""How often a generation is tried whose attribution fails for a reason that nobody foresaw."""


class Desk:
    """Finds the attribution of what is pending, with the stores of the releases concerned."""

    def __init__(self, spool: Path, storage: Storage, home: Path, config: SpoolConfig) -> None:
        self._spool, self._storage, self._home = spool, storage, home
        self._shelf = Shelf(storage, home)
        self._journal = Journal(spool / "attribution", config)
        self._store: tuple[str, Store] | None = None
        self._missing: dict[str, float] = {}
        self._failed: Counter[str] = Counter()

    def work(self) -> int:
        """Attribute everything that can be; how many were.

        One that cannot be is laid aside and the others go on.  Raises `UnavailableError` or `OSError` where storage
        or disk are away, which is nobody's fault: nothing is lost or laid aside then.
        """
        done = 0
        for item in pending.items(self._spool):
            store = self._open(item.release)
            if store is None:
                continue
            try:
                self._attribute(item, store)
            except (UnavailableError, OSError):
                raise
            except StemmaError as error:
                self._set_aside(item, error.code, str(error))
            except Exception as error:
                self._failed[item.generation] += 1
                log.exception("Attribution of generation %s failed.", item.generation)
                if self._failed[item.generation] >= TRIES:
                    self._set_aside(item, "failed", f"{type(error).__name__}: {error}")
            else:
                done += 1
        self._journal.close_old()
        return done

    def close(self) -> None:
        """Hand the last facts over for shipping."""
        self._journal.close()

    def _set_aside(self, item: Pending, code: str, reason: str) -> None:
        log.error("Generation %s cannot be attributed and is laid aside (%s): %s", item.generation, code, reason)
        pending.set_aside(self._spool, item, code, reason)
        self._failed.pop(item.generation, None)

    def _attribute(self, item: Pending, store: Store) -> None:
        key = folder(item.generation) + "attribution.json"
        try:
            # Found before, but perhaps not recorded: what was stated once stays stated.
            fact = AttributionFact.model_validate_json(self._storage.get(key))
        except NotFoundError:
            fact = self._find(item, store)
            if not self._storage.put_new(key, fact.model_dump_json().encode(), "application/json"):
                fact = AttributionFact.model_validate_json(self._storage.get(key))
        self._journal.append([fact.model_dump_json().encode()])
        pending.done(self._spool, item.generation)

    def _find(self, item: Pending, store: Store) -> AttributionFact:
        from stemma.attribution.recompute import read_example
        from stemma.attribution.shares import attribute

        start = time.monotonic()
        said = json.loads(self._storage.get(folder(item.generation) + "example.json"))
        found = attribute(store, read_example(said, item.generation))
        # Before the fact, whose owners may then ask for them; under the store's name, for another one may answer later.
        self._storage.put_new(
            f"{folder(item.generation)}workings/{found.store}.json",
            found.workings.model_dump_json().encode(),
            "application/json",
        )
        log.info("Generation %s attributed in %.2f s.", item.generation, time.monotonic() - start)
        return AttributionFact(
            id=named_id("attribution", item.generation, found.store),
            generation=item.generation,
            at=timestamp(now()),
            **found.fact_fields(),
        )

    def _open(self, release: str) -> Store | None:
        """The store of a release; None while it has none.  One is kept in memory."""
        from stemma.attribution.store import Store

        if self._store is not None and self._store[0] == release:
            return self._store[1]
        if time.monotonic() - self._missing.get(release, -MISSING_SECONDS) < MISSING_SECONDS:
            return None
        try:
            bundle = self._shelf.bundle(release)
            store = Store.fetch(self._storage, release, self._home / "stores" / release, bundle)
        except StemmaError as error:
            if release not in self._missing:
                log.warning("Attribution by %s waits: %s", release, error)
            self._missing[release] = time.monotonic()
            return None
        self._store = (release, store)
        return store


class Attributor:
    """The deployment that works at the desk, for as long as it lives."""

    def __init__(self, config: AttributorConfig, spool: SpoolConfig) -> None:
        self._config = config
        where = settings()
        self._desk = Desk(where.spool_path, Storage(where), where.home / "serving", spool)
        threading.Thread(target=self._run, name="attribution", daemon=True).start()

    def _run(self) -> None:
        import torch

        torch.set_num_threads(self._config.threads)
        while True:
            try:
                self._desk.work()
            except (StemmaError, OSError) as error:
                log.warning("Attribution waits: %s", error)
            except Exception:
                log.exception("Attribution failed; it is tried again.")
                time.sleep(MISSING_SECONDS)
            time.sleep(self._config.poll_seconds)
