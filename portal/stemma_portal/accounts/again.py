"""Showing again who one is, before anything is signed, paid or handed out."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from allauth.account import app_settings
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from stemma_portal.accounts.signing_on import sign_on_of
from stemma_portal.core.errors import ForbiddenError

SIGNING_ON = "sign-on"
"""In the session of whoever is about to be sent to a provider: its organisation, and where they were."""

View = Callable[..., HttpResponse]


def again(view: View) -> View:
    """A view for people who have shown within five minutes who they are.

    allauth asks for the password, a passkey or a code, and nothing of those who have none of these because
    their organisation's provider signs them in: they are sent there again.
    """
    asked = reauthentication_required(view)

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **given: Any) -> HttpResponse:
        if request.user.is_authenticated and not get_reauthentication_flows(request.user):
            if not _lately(request):
                return _to_provider(request)
            return view(request, *args, **given)
        return asked(request, *args, **given)  # type: ignore[no-any-return]

    return wrapper


def again_for(some: Callable[[HttpRequest], bool]) -> Callable[[View], View]:
    """Views of which only some requests are for people who have shown within five minutes who they are."""

    def decorate(view: View) -> View:
        asked = again(view)

        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **given: Any) -> HttpResponse:
            return (asked if some(request) else view)(request, *args, **given)

        return wrapper

    return decorate


def require_lately(request: HttpRequest) -> None:
    """Raise `ForbiddenError` unless whoever is signed in has shown within five minutes who they are."""
    if not _lately(request):
        raise ForbiddenError(
            "This needs to know again that it is you.",
            remedy="Do it on the page, which asks; or send a token.",
            code="show-again",
        )


def _lately(request: HttpRequest) -> bool:
    records = get_authentication_records(request, request.user)
    return any(time.time() - record["at"] < app_settings.REAUTHENTICATION_TIMEOUT for record in records)


def _to_provider(request: HttpRequest) -> HttpResponse:
    sign_on = sign_on_of(request.user.email)
    if sign_on is None:
        raise ForbiddenError(
            "You have nothing to show again who you are.", remedy="Make a passkey or a password first."
        )
    # Only the path of the page before: wherever it says it came from, people stay here.
    back = request.get_full_path() if request.method == "GET" else urlsplit(request.headers.get("referer", "")).path
    if request.method != "GET":
        messages.info(request, "You have shown again who you are. What you wrote was not sent: do it once more.")
    request.session[SIGNING_ON] = [sign_on.organisation.slug, back or "/"]
    return redirect("accounts:sign_on_go")
