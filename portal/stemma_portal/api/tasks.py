"""Housekeeping of the API."""

from celery import shared_task

from stemma.ids import now
from stemma_portal.api.idempotency import KEPT
from stemma_portal.api.models import AnsweredCall


@shared_task
def answers_forget() -> None:
    """Forget answers that nobody may ask for again."""
    AnsweredCall.objects.filter(at__lte=now() - KEPT).delete()
