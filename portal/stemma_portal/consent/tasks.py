"""What the consent app publishes, and what it does by itself."""

from collections.abc import Callable
from datetime import timedelta

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import Q
from kombu.exceptions import OperationalError as BrokerError

from stemma.ids import now
from stemma.rights.consent import STATUS, STATUS_KEY
from stemma.storage import storage
from stemma_portal.accounts.models import Domain, User
from stemma_portal.consent.models import DomainReading
from stemma_portal.consent.selectors import rights_status
from stemma_portal.core.db import lock
from stemma_portal.core.keys import keyring
from stemma_portal.core.publish import publisher

READ_AGAIN = timedelta(days=7)
"""After which a domain is read again."""


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


@shared_task(soft_time_limit=90, time_limit=120)
def domain_read(domain_id: str, user_id: str = "") -> None:
    """Read what a domain says of mining; whoever sends a byte now and then is not waited for."""
    from stemma_portal.consent import reservations

    domain = Domain.objects.select_related("organisation").filter(id=domain_id, proved_at__isnull=False).first()
    if domain is None:
        return
    by = User.objects.filter(pk=user_id).first() if user_id else None
    try:
        reservations.domain_read(domain=domain, by=by)
    except SoftTimeLimitExceeded:
        told = "The site takes too long to answer."
        DomainReading.objects.update_or_create(domain=domain, defaults={"at": now(), "told": told})


def domain_read_soon(domain: Domain, *, by: User, away: Callable[[], object]) -> None:
    """Have a worker read it after the commit; `away` is called where none can be reached."""

    def send() -> None:
        try:
            domain_read.delay(domain.id, str(by.pk))
        except BrokerError:
            away()

    transaction.on_commit(send, robust=True)


@shared_task
def domains_due() -> None:
    """Have the domains read again that nobody has read for a week."""
    late = Domain.objects.filter(Q(reading=None) | Q(reading__at__lt=now() - READ_AGAIN), proved_at__isnull=False)
    for identifier in late.values_list("id", flat=True)[:200]:
        domain_read.delay(identifier)
