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


class IdentifierConverter:
    """An identifier in an address, `<id:…>`: a UUID in its plain form, as a string like everywhere else."""

    regex = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

    def to_python(self, value: str) -> str:
        """As it is written."""
        return value

    def to_url(self, value: object) -> str:
        """The same."""
        return str(value)
