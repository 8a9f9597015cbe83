"""Generations whose attribution is still to be found: one small file each, so that it survives a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from stemma_serving.files import write_whole

FOLDER = "pending"


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
            yield Pending(**json.loads(path.read_text()))
        except FileNotFoundError:
            continue  # another replica was faster


def done(spool: Path, generation: str) -> None:
    """Forget it."""
    _path(spool, generation).unlink(missing_ok=True)


def count(spool: Path) -> int:
    """How many wait."""
    return sum(1 for _ in (spool / FOLDER).glob("*.json"))


def _path(spool: Path, generation: str) -> Path:
    return spool / FOLDER / f"{generation}.json"
