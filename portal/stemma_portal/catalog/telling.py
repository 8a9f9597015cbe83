"""How parties hear that shares of theirs wait for a yes or no: one notice for all of a while, after the commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from stemma_portal.accounts.invitations import invite_for_party, link_of
from stemma_portal.accounts.models import Membership, User
from stemma_portal.catalog.models import Party, ShareQuestion
from stemma_portal.core.errors import ConflictError, ForbiddenError

log = logging.getLogger(__name__)
WAIT = 60
"""Seconds in which more may be asked before they are told: an import asks about many recordings."""
TASK = "stemma_portal.catalog.tasks.share_questions_tell"


def questions_told(parties: Iterable[str]) -> None:
    """Let each of the parties be told once this is committed."""
    for party in sorted(parties):
        transaction.on_commit(lambda party=party: _later(party), robust=True)  # type: ignore[misc]


def addresses_of(party: Party, questions: Sequence[ShareQuestion]) -> list[str]:
    """The addresses that were given for a party which nobody here can speak for."""
    owners = Membership.objects.filter(
        organisation__party=party, role=Membership.Role.OWNER, user__is_active=True
    ).exists()
    return [] if owners else sorted({question.email for question in questions if question.email})


def invitation_link(party: Party, question: ShareQuestion) -> str:
    """The link by which whoever reads the mail comes to act for the party, if whoever stated the share may invite."""
    by = User.objects.filter(email=question.revision.by, is_active=True).first()
    inviting = question.revision.recording.organisation
    if by is None or not question.email:
        return ""
    reason = "Shares were stated for you; say whether they are right."
    given = {"email": question.email, "reason": reason, "inviting": inviting, "by": by, "tell": False}
    try:
        return link_of(invite_for_party(party=party, **given))
    except (ForbiddenError, ConflictError):
        return ""


def _later(party: str) -> None:
    try:
        if cache.add(f"share-questions:{party}", 1, WAIT):  # else somebody is about to be told, of this too
            current_app.send_task(TASK, [party], countdown=WAIT, retry=False)
    except (BrokerError, RedisError):
        log.warning("No worker can be reached; %s sees on its page what it is asked.", party)
