"""What the portal does about facts by itself."""

from celery import shared_task

from stemma_portal.metering import services


@shared_task
def facts_ingest() -> None:
    """Take in what has come since the last look."""
    services.facts_ingest(everything=False)


@shared_task
def facts_ingest_all() -> None:
    """Take in what has come, wherever in the lake it lies."""
    services.facts_ingest()
