"""What the portal does about money by itself, or in the background."""

from celery import shared_task

from stemma_portal.accounts.models import User
from stemma_portal.royalties import holds, services
from stemma_portal.royalties.publishing import period_publish
from stemma_portal.royalties.watching import watched

__all__ = ["estimates_refresh", "holds_settle", "period_close", "period_publish"]


@shared_task
def estimates_refresh() -> None:
    """Keep a period open, and its estimates near to what the facts say."""
    services.period_ensure()
    services.estimates_refresh()


@shared_task
def period_close(period_id: str, job_id: str, by: str | None, early: bool) -> None:
    """Close a period; a repeat finds it closed and changes nothing."""
    user = User.objects.filter(pk=by).first() if by else None
    with watched(job_id) as progress:
        services.period_close(period_id=period_id, by=user, early=early, progress=progress)


@shared_task
def holds_settle() -> None:
    """Put on hold what new claims hold, release what ended ones held; a repeat changes nothing."""
    holds.holds_settle()
