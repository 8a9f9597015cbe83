"""Pages of a long list by key: each costs the same, however far down, and rows that come in between move nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[M]):
    """Some rows, and where those before and after them begin."""

    items: list[M]
    previous: Any
    next: Any


def page(
    rows: QuerySet[M], query: Mapping[str, str], *, by: str, size: int = 25, descending: bool = False, key: str = "pk"
) -> Page[M]:
    """The rows after `?after=ID` or before `?before=ID`, ordered by a field and the identifier.

    An identifier that is not (or no longer) in the list begins at the start.  `key` names another field that
    every row has alone, where addresses must not tell identifiers.
    """
    backwards = "before" in query
    anchor = _anchor(rows, query.get("before" if backwards else "after"), by, key)
    down = descending != backwards
    sign, compare = ("-", "lt") if down else ("", "gt")
    found = rows.order_by(f"{sign}{by}", f"{sign}pk")
    if anchor is not None:
        value, pk = anchor
        found = found.filter(Q(**{f"{by}__{compare}": value}) | Q(**{by: value, f"pk__{compare}": pk}))
    items = list(found[: size + 1])
    more = len(items) > size
    items = items[:size]
    if backwards:
        items.reverse()
    has_previous = more if backwards else anchor is not None
    has_next = anchor is not None if backwards else more
    return Page(
        items=items,
        previous=getattr(items[0], key) if items and has_previous else None,
        next=getattr(items[-1], key) if items and has_next else None,
    )


def _anchor(rows: QuerySet[M], given: str | None, by: str, key: str) -> tuple[Any, Any] | None:
    if not given:
        return None
    try:
        return rows.filter(**{key: given}).values_list(by, "pk").first()
    except (ValueError, ValidationError):
        return None
