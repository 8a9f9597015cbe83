"""People hear of every change to how they sign in, whoever made it."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import email_changed, password_changed, password_reset, password_set
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from allauth.socialaccount.signals import social_account_added, social_account_removed
from django.dispatch import receiver
from django.urls import reverse

from stemma_portal.accounts.models import Token, User
from stemma_portal.accounts.signals import token_made
from stemma_portal.core.whence import whence
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

NAMES = {
    Authenticator.Type.WEBAUTHN: "passkey or security key",
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.RECOVERY_CODES: "set of recovery codes",
}


@receiver(authenticator_added)
def _added(user: User, authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:  # they come with the first second step
        _told(user, f"A new {_name(authenticator)} can sign you in", "mfa_index")


@receiver(authenticator_removed)
def _removed(user: User, authenticator: Authenticator, **_: Any) -> None:
    name = _name(authenticator)
    _told(user, f"{'An' if name.startswith('a') else 'A'} {name} of yours was removed", "mfa_index")


@receiver(authenticator_reset)
def _reset(user: User, authenticator: Authenticator, **_: Any) -> None:
    _told(user, f"You have a new {_name(authenticator)}", "mfa_index")


@receiver([password_changed, password_reset, password_set])
def _password(user: User, **_: Any) -> None:
    _told(user, "Your password was changed", "account_change_password")


@receiver(email_changed)
def _email(user: User, **_: Any) -> None:
    _told(user, "The e-mail address of your account was changed", "mfa_index")


@receiver(social_account_added)
def _provider_added(sociallogin: Any, **_: Any) -> None:
    _told(sociallogin.user, "Your organisation's sign-on can sign you in", "mfa_index")


@receiver(social_account_removed)
def _provider_removed(socialaccount: Any, **_: Any) -> None:
    _told(socialaccount.user, "Your organisation's sign-on cannot sign you in any more", "mfa_index")


@receiver(token_made)
def _token(token: Token, **_: Any) -> None:
    _told(token.user, f"A new token, “{token.name}”, lets a program act as you", "accounts:tokens")


def _name(authenticator: Authenticator) -> str:
    return NAMES.get(authenticator.type, "second step")


def _told(user: User, title: str, page: str) -> None:
    address = whence().address
    text = (
        f"{title}{f', from {address}' if address else ''}. If that was you, there is nothing to do. If it was not: "
        "change your password, look at your passkeys and second step, and end sessions and tokens that are not yours."
    )
    notify(users=[user], topic=Topic.ACCOUNT, title=title, text=text, href=reverse(page))
