"""Identifiers made by whoever states a fact, so that saying it twice changes nothing."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import uuid_utils

# The namespace of identifiers derived from a name: the same name always gives the same identifier.
NAMESPACE = uuid.UUID("6f0d6f7e-6a0f-5d0e-9d2c-57e33a000001")


def new_id() -> str:
    """A fresh UUIDv7 (RFC 9562): sortable by the millisecond it was made in."""
    return str(uuid_utils.uuid7())


def named_id(*parts: str) -> str:
    """The UUIDv5 of a path of names, for things that must get the same identifier every time."""
    return str(uuid.uuid5(NAMESPACE, "/".join(parts)))


def now() -> datetime:
    """The current time in UTC, to the millisecond, as every fact carries it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def timestamp(moment: datetime) -> str:
    """RFC 3339 with `Z` and milliseconds: one spelling of a moment, so that signatures agree."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone is not a fact")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
