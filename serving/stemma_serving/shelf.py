"""Model releases on local disk: fetched once, verified every time they are opened."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from stemma.errors import NotFoundError
from stemma.proof.keys import Jwks
from stemma.storage import Storage

PRODUCTION = "releases/production.json"
log = logging.getLogger(__name__)


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

        target = self.folder / release
        if target.exists():
            releases.verify(target, self._keys())
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            releases.fetch(release, part / "bundle")
            try:
                (part / "bundle").rename(target)
            except OSError:
                # Another replica put the same release there in the meantime.
                releases.verify(target, self._keys())
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return target

    def keep(self, releases: set[str]) -> None:
        """Remove what no longer is needed, to bound the disk."""
        for path in self.folder.glob("*/*"):
            if f"{path.parent.name}/{path.name}" not in releases and not path.name.startswith("."):
                log.info("Release %s/%s is no longer served and leaves the disk.", path.parent.name, path.name)
                shutil.rmtree(path, ignore_errors=True)

    def _keys(self) -> Jwks:
        keys: Jwks = self._storage.get_json("keys/jwks.json")
        return keys
