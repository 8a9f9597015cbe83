"""What the catalog does in the background."""

from celery import shared_task

from stemma_portal.catalog import sharing
from stemma_portal.catalog.search import entries_refresh

CHUNK = 5_000


@shared_task
def shares_due() -> int:
    """Bring shares into force that were stated for today; how many recordings changed."""
    return sharing.shares_due()


@shared_task
def search_refresh() -> int:
    """Renew every entry of the search that is behind; how many were."""
    done = 0
    while renewed := entries_refresh(most=CHUNK):
        done += renewed
    return done
