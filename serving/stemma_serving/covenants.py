"""The covenants that licenses name: fetched once, and known by their hash."""

from __future__ import annotations

import logging

from stemma.errors import StemmaError
from stemma.proof.canonical import digest
from stemma.rights.covenant import AnyCovenant, read_covenant
from stemma.storage import Storage

log = logging.getLogger("ray.serve")


class Covenants:
    """Terms by their SHA-256; nobody can put others in their place."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: dict[str, AnyCovenant] = {}

    def get(self, named: str) -> AnyCovenant | None:
        """The terms of this hash; None where they are not at hand: the certificate then names the hash alone."""
        if named not in self._known:
            try:
                terms = read_covenant(self._storage.get_json(f"covenants/{named}.json"))
            except StemmaError as error:
                log.warning("Covenant %s is not at hand: %s", named, error)
                return None
            if digest(terms) != named:
                log.warning("Covenant %s in object storage is another one.", named)
                return None
            self._known[named] = terms
        return self._known[named]
