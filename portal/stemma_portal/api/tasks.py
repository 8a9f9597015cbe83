"""Housekeeping of the API."""

from celery import shared_task

from stemma.ids import now
from stemma.storage import ONCE, ONCE_KEPT, storage
from stemma_portal.api.idempotency import KEPT
from stemma_portal.api.models import AnsweredCall


@shared_task
def answers_forget() -> None:
    """Forget answers that nobody may ask for again: ours, and which pieces the keys of serving stand for."""
    AnsweredCall.objects.filter(at__lte=now() - KEPT).delete()
    storage().expire(ONCE, ONCE_KEPT)
