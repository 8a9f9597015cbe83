"""What the portal does about facts by itself."""

from celery import shared_task

from stemma_portal.metering import services


@shared_task
def facts_ingest() -> None:
    """Take in what was made just now: every few seconds, so that counters are live."""
    services.facts_ingest(since=services.LATELY)


@shared_task
def facts_ingest_recent() -> None:
    """Take in what has come late, of the last days."""
    services.facts_ingest(since=services.RECENT)


@shared_task
def facts_ingest_all() -> None:
    """Take in what has come, wherever in the lake it lies."""
    services.facts_ingest()
