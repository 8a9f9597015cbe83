"""Mails of accounts, in the background."""

import logging

from celery import shared_task
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from kombu.exceptions import OperationalError as BrokerError

from stemma_portal.accounts.models import Invitation

log = logging.getLogger(__name__)


@shared_task(autoretry_for=(OSError,), retry_backoff=30, max_retries=8)
def invitation_tell(invitation_id: str) -> None:
    """Mail an invitation, if it still stands."""
    from stemma_portal.accounts.invitations import link_of

    rows = Invitation.objects.select_related("organisation", "party", "inviting")
    invitation = rows.filter(id=invitation_id, accepted_at=None, revoked_at=None).first()
    if invitation is None:
        return
    speaks = invitation.inviting.name if invitation.inviting else "Stemma"
    context = {"invitation": invitation, "speaks": speaks, "link": link_of(invitation)}
    text = render_to_string("accounts/invitation_mail.txt", context)
    send_mail(f"{speaks} invites you to Stemma", text, None, [invitation.email])


def invitation_tell_soon(invitation_id: str) -> None:
    """Hand it to a worker once this is committed."""

    def send() -> None:
        try:
            invitation_tell.delay(invitation_id)
        except BrokerError:
            log.warning("No worker can be reached; the invitation can be sent again from its page.")

    transaction.on_commit(send, robust=True)
