"""The address by which a mail program switches off mails of one kind, without signing in (RFC 8058)."""

from __future__ import annotations

from typing import NamedTuple

from django.core.signing import BadSignature, Signer

from stemma.errors import NotFoundError
from stemma_portal.accounts.models import User
from stemma_portal.core.fields import by_id
from stemma_portal.notices.models import ALWAYS, Mail, Topic

KINDS = {**{str(topic): topic.label.lower() for topic in Topic if topic not in ALWAYS}, str(Mail.DAILY): "the day"}
"""What can be switched off so: topics, and what comes in one mail a day."""


class Off(NamedTuple):
    """Whose mails about what."""

    user: User
    topic: str


def sign(user_id: str, topic: str) -> str:
    """The part of the address that says so; it holds as long as the installation's secret key."""
    return _signer().sign_object([str(user_id), str(topic)])


def read(signed: str) -> Off:
    """What an address says.  Raises `NotFoundError` for one that we have not made."""
    try:
        user_id, topic = _signer().unsign_object(signed)
    except (BadSignature, ValueError):
        user_id, topic = "", ""
    user = by_id(User.objects.filter(is_active=True), user_id)
    if user is None or topic not in KINDS:
        raise NotFoundError(
            "This address switches nothing off.", remedy="Sign in and choose under Notices what you are mailed."
        )
    return Off(user, topic)


def _signer() -> Signer:
    return Signer(salt="notices.off")
