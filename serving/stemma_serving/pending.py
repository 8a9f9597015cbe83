"""Generations whose attribution is still to be found: one small file each, so that it survives a restart.

What cannot be attributed is laid aside with its reason, so that it holds up nothing else.  Moved back into
`pending/` it is tried again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from stemma_serving.files import write_whole

FOLDER = "pending"
ASIDE = "aside"


@dataclass(frozen=True)
class Pending:
    """A generation that waits."""

    generation: str
    release: str
    at: str


def add(spool: Path, item: Pending) -> None:
    """Remember it; saying it twice changes nothing."""
    write_whole(_path(spool, item.generation), json.dumps(asdict(item)).encode())


def items(spool: Path) -> Iterator[Pending]:
    """All that wait, oldest first."""
    for path in sorted((spool / FOLDER).glob("*.json")):
        try:
            said = json.loads(path.read_text())
            yield Pending(said["generation"], said["release"], said["at"])
        except FileNotFoundError:
            continue  # another replica was faster
        except (ValueError, KeyError, TypeError) as error:  # only a damaged disk does this
            _lay(spool, path, {"file": path.read_text(errors="replace")}, "damaged", f"It cannot be read: {error!r}")


def done(spool: Path, generation: str) -> None:
    """Forget it."""
    _path(spool, generation).unlink(missing_ok=True)


def set_aside(spool: Path, item: Pending, code: str, reason: str) -> None:
    """Take it out of what waits, and keep it with why."""
    _lay(spool, _path(spool, item.generation), asdict(item), code, reason)


def count(spool: Path, folder: str = FOLDER) -> int:
    """How many wait, or are in the folder `ASIDE`."""
    return sum(1 for _ in (spool / folder).glob("*.json"))


def _lay(spool: Path, path: Path, said: dict[str, str], code: str, reason: str) -> None:
    write_whole(spool / ASIDE / path.name, json.dumps({**said, "code": code, "reason": reason}, indent=1).encode())
    path.unlink(missing_ok=True)


def _path(spool: Path, generation: str) -> Path:
    return spool / FOLDER / f"{generation}.json"
