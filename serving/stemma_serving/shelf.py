"""Model releases on local disk: fetched once, verified every time they are opened."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from stemma.errors import NotFoundError
from stemma.storage import Storage

PRODUCTION = "releases/production.json"


class Shelf:
    """A folder of bundles.  Several processes may share it."""

    def __init__(self, storage: Storage, home: Path) -> None:
        self.folder = home / "releases"
        self._storage = storage

    def production(self) -> str | None:
        """The release that is to be served, such as `house-symbolic/1`; None where there is none yet."""
        try:
            return str(self._storage.get_json(PRODUCTION)["release"])
        except NotFoundError:
            return None

    def bundle(self, release: str) -> Path:
        """The folder of a release, fetched where it is missing.

        Raises `ProofError` when it is unsigned, altered or signed by somebody else.
        """
        from stemma.training import release as releases
        from stemma.training.gate import trusted_keys

        keys = trusted_keys(self._storage)
        target = self.folder / release
        if target.exists():
            releases.verify(target, keys)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        # Replicas may fetch the same release at once: each into a folder of its own, and one comes first.
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            releases.fetch(release, part / "bundle", store=self._storage, keys=keys)
            try:
                (part / "bundle").rename(target)
            except OSError:
                releases.verify(target, keys)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return target
