"""Finding notices."""

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from stemma_portal.accounts.models import User
from stemma_portal.notices.access import notices_of
from stemma_portal.notices.models import Notice

MOST_COUNTED = 100
"""Above this nobody cares how many: the count stops, and stays cheap."""


def unread_count(user: User) -> int:
    """How many notices the person has not read, at most `MOST_COUNTED`; the index alone answers it."""
    return Notice.objects.filter(user=user, read_at=None).order_by()[:MOST_COUNTED].count()


def unread_first(user: User, topic: str = "") -> QuerySet[Notice]:
    """The person's notices with `unread`, by which they are paged: identifiers follow the time they were made at."""
    rows = notices_of(user)
    rows = rows.filter(topic=topic) if topic else rows
    return rows.annotate(unread=ExpressionWrapper(Q(read_at=None), output_field=BooleanField()))
