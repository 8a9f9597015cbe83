"""What the portal does about bills by itself."""

from celery import shared_task

from stemma_portal.billing import spending


@shared_task
def usage_invoices_due() -> None:
    """Invoice the usage of months that are over; a repeat finds them invoiced."""
    spending.usage_invoices_due()


@shared_task
def spending_watch() -> None:
    """Warn whose spending nears its limit; a repeat tells nobody twice."""
    spending.spending_watch()
