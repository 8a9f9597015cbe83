"""What the catalog does in the background."""

from celery import shared_task

from stemma_portal.catalog import likeness, sharing
from stemma_portal.catalog.search import entries_refresh

CHUNK = 5_000


@shared_task
def shares_due() -> int:
    """Bring shares into force that were stated for today; how many recordings changed."""
    return sharing.shares_due()


@shared_task
def likeness_sweep() -> int:
    """Compare recordings that nobody has compared yet, some at a time; how many."""
    return likeness.likeness_sweep()


@shared_task
def search_refresh() -> int:
    """Renew every entry of the search that is behind; how many were."""
    done = 0
    while renewed := entries_refresh(most=CHUNK):
        done += renewed
    return done
