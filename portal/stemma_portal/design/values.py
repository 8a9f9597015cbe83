"""Values as they come in addresses and forms."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID


def identifiers(values: Iterable[str]) -> list[str]:
    """Those that have the form of an identifier: the database refuses to compare anything else."""
    found = []
    for value in values:
        try:
            found.append(str(UUID(value)))
        except ValueError:
            continue
    return found
