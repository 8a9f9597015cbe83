"""What the consent app publishes."""

from celery import shared_task
from django.db import transaction

from stemma.rights.consent import STATUS, STATUS_KEY
from stemma.storage import storage
from stemma_portal.consent.selectors import rights_status
from stemma_portal.core.db import lock
from stemma_portal.core.keys import keyring
from stemma_portal.core.publish import publisher


@publisher
def rights_status_publish() -> None:
    """Put the signed state of rights where training and verification read it.

    One after another, so that the last one written has seen every change before it.
    """
    with transaction.atomic():
        lock("rights-status")
        status = keyring().sign("rights", STATUS, rights_status())
        storage().put(STATUS_KEY, status.encode(), "application/jose")


@shared_task
def deadlines_keep() -> None:
    """Remind the sides of cases, and act on deadlines that have passed."""
    from stemma_portal.consent import cases

    cases.deadlines_keep()
