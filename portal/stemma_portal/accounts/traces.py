"""What people change about how they sign in, in the audit trail: django-allauth does it, and says so by signals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import (
    email_added,
    email_changed,
    email_confirmed,
    email_removed,
    password_changed,
    password_reset,
    password_set,
)
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from allauth.socialaccount.signals import social_account_added, social_account_removed
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.dispatch import receiver

from stemma_portal.accounts.models import User
from stemma_portal.core.services import audit

PASSWORDS = {password_changed: "change", password_reset: "reset", password_set: "set"}
AUTHENTICATORS = {authenticator_added: "add", authenticator_removed: "remove", authenticator_reset: "reset"}


@receiver(list(PASSWORDS))
def _password(signal: Any, user: User, **_: Any) -> None:
    audit(by=user, action=f"password.{PASSWORDS[signal]}", subject=user.pk)


@receiver(list(AUTHENTICATORS))
def _authenticator(signal: Any, user: User, authenticator: Authenticator, **_: Any) -> None:
    told = {"kind": str(authenticator.type), "authenticator": str(authenticator.pk or "")}
    audit(by=user, action=f"authenticator.{AUTHENTICATORS[signal]}", subject=user.pk, **told)


@receiver(email_changed)
def _changed(user: User, from_email_address: EmailAddress | None, to_email_address: EmailAddress, **_: Any) -> None:
    before = from_email_address.email if from_email_address else ""
    audit(by=user, action="email.change", subject=user.pk, before=before, after=to_email_address.email)


@receiver(email_added)
def _added(user: User, email_address: EmailAddress, **_: Any) -> None:
    audit(by=user, action="email.add", subject=user.pk, email=email_address.email)


@receiver(email_removed)
def _removed(user: User, email_address: EmailAddress, **_: Any) -> None:
    audit(by=user, action="email.remove", subject=user.pk, email=email_address.email)


@receiver(email_confirmed)
def _confirmed(email_address: EmailAddress, **_: Any) -> None:
    user = email_address.user
    audit(by=user, action="email.confirm", subject=user.pk, email=email_address.email)


@receiver(social_account_added)
def _linked(sociallogin: Any, **_: Any) -> None:
    _provider("link", sociallogin.user, sociallogin.account)


@receiver(social_account_removed)
def _unlinked(socialaccount: Any, **_: Any) -> None:
    _provider("unlink", socialaccount.user, socialaccount)


def _provider(what: str, user: User, account: Any) -> None:
    audit(by=user, action=f"sign-on.{what}", subject=user.pk, provider=account.provider, uid=account.uid)


class UserSessionsAdapter(DefaultUserSessionsAdapter):
    """Sessions that people end are written down."""

    @transaction.atomic
    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        """End them."""
        ended = list(sessions)
        for each in ended:
            told = {"address": str(each.ip), "agent": each.user_agent[:200]}
            audit(by=each.user, action="session.end", subject=each.user_id, begun=each.created_at.isoformat(), **told)
        super().end_sessions(ended)
