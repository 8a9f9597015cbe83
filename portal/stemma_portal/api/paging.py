"""Lists in pages: a cursor names the last item seen, so that nothing is skipped while others write."""

import re
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from stemma.errors import InvalidError
from stemma_portal.core.fields import is_id

MAX_LIMIT = 500
Row = TypeVar("Row", bound=Model)


def page(
    rows: QuerySet[Row], *, cursor: str | None, limit: int, newest_first: bool = False, by: str = "id"
) -> tuple[list[Row], str | None]:
    """One page by identifier, or by a number that each row has alone, and the cursor of the next.

    Identifiers are UUIDv7, so their order is the one in which things were made.
    """
    if cursor is not None:
        if not (is_id(cursor) if by == "id" else re.fullmatch(r"[0-9]{1,9}", cursor)):
            raise no_cursor()
        after: dict[str, Any] = {f"{by}__lt" if newest_first else f"{by}__gt": cursor}
        rows = rows.filter(**after)
    found = list(rows.order_by(f"-{by}" if newest_first else by)[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    return found, str(getattr(found[-1], by)) if more else None


def no_cursor() -> InvalidError:
    """What is wrong with a cursor that no page gave."""
    return InvalidError("This cursor is not one.", remedy="Send `next` of the page before.", code="cursor")
