"""Mailing notices in the background: at once when they are committed, and by the clock what was left."""

import logging
from collections.abc import Sequence

from celery import shared_task
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

log = logging.getLogger(__name__)


@shared_task
def notice_mail(notice_id: str) -> None:
    """Mail one notice, if that is due; several workers do it once."""
    from stemma_portal.notices import mailing

    mailing.mail_one(notice_id)


@shared_task
def mails_due() -> int:
    """Mail what is due: one mail a day, what failed before, what no worker has had; how many mails went out."""
    from stemma_portal.notices import mailing

    return mailing.mail_due()


def mail_soon(notices: Sequence[str]) -> None:
    """Hand notices to a worker when the transaction commits; the periodic run has the rest."""

    def send() -> None:
        try:
            for notice in notices:
                notice_mail.apply_async([notice], retry=False)
        except BrokerError:
            log.warning("The broker is away; notices are mailed by the periodic run.")

    if notices:
        transaction.on_commit(send, robust=True)
