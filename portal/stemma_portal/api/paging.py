"""Lists in pages: a cursor names the last item seen, so that nothing is skipped while others write."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from stemma.errors import InvalidError
from stemma_portal.core.fields import is_id

MAX_LIMIT = 500
Row = TypeVar("Row", bound=Model)


def page(
    rows: QuerySet[Row], *, cursor: str | None, limit: int, newest_first: bool = False
) -> tuple[list[Row], str | None]:
    """One page by identifier, and the cursor of the next.

    Identifiers are UUIDv7, so their order is the one in which things were made.
    """
    if cursor is not None:
        if not is_id(cursor):
            raise InvalidError("This cursor is not one.", remedy="Send `next` of the page before.", code="cursor")
        after: dict[str, Any] = {"id__lt" if newest_first else "id__gt": cursor}
        rows = rows.filter(**after)
    found = list(rows.order_by("-id" if newest_first else "id")[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    return found, str(found[-1].pk) if more else None
