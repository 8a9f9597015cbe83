"""What the portal does about bills by itself."""

from celery import shared_task

from stemma_portal.billing import bookkeeping, deadlines, declaring, spending


@shared_task
def usage_invoices_due() -> None:
    """Invoice the usage of months that are over; a repeat finds them invoiced."""
    spending.usage_invoices_due()


@shared_task
def spending_watch() -> None:
    """Warn whose spending nears its limit; a repeat tells nobody twice."""
    spending.spending_watch()


@shared_task
def deadlines_keep() -> None:
    """Remind of days that end, hand those that are over to staff; a repeat on the same day changes nothing."""
    deadlines.deadlines_keep()


@shared_task
def books_keep() -> None:
    """Post what was invoiced, paid and sent back; a repeat posts nothing twice."""
    bookkeeping.books_keep()


@shared_task
def declarations_remind() -> None:
    """Remind of yearly declarations that are due; a repeat tells nobody twice."""
    declaring.declarations_remind()
