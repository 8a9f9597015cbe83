"""How allauth makes and admits accounts here."""

from __future__ import annotations

import functools
from typing import Any

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from requests.adapters import HTTPAdapter

from stemma.config import settings
from stemma.errors import InvalidError
from stemma_portal.accounts import signing_on
from stemma_portal.accounts.forms import INVITED
from stemma_portal.accounts.invitations import invited_address
from stemma_portal.accounts.models import SignOn, User
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.outside import address_of

TIMEOUT = 10


class AccountAdapter(DefaultAccountAdapter):
    """Accounts by e-mail address."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Anyone may sign up where the installation is open; else whoever follows an invitation."""
        return settings().sign_up == "open" or bool(invited_address(request.session.get(INVITED, "")))

    def pre_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponse | None:
        """Send people to the sign-on of their organisation where it allows them nothing else."""
        by_provider = "sociallogin" in (options.get("signal_kwargs") or {})
        if not by_provider and (sign_on := signing_on.password_refused(user)) is not None:
            told = f"{sign_on.organisation.name} signs its people in by its own provider: write your address here."
            messages.info(request, told)
            return redirect("accounts:sign_on")
        return super().pre_login(request, user, **options)  # type: ignore[no-any-return]


class _Guarded(HTTPAdapter):
    """Goes to no address that is not on the public internet, unless operators have allowed the host."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """One request."""
        parts = requests.utils.urlparse(request.url)
        private = signing_on.private_hosts()
        try:
            if parts.scheme != "https" and parts.hostname not in private:
                raise InvalidError("A provider is reached by https.", remedy="Correct its address.")
            address_of(
                parts.hostname or "",
                parts.port or (443 if parts.scheme == "https" else 80),
                private=private,
                setting=signing_on.SETTING,
            )
        except InvalidError as error:
            raise requests.exceptions.InvalidURL(error.message) from error
        return super().send(request, *args, **options)


class SocialAdapter(DefaultSocialAccountAdapter):
    """Sign-on by organisations' own providers: the apps of allauth are rows of `SignOn`."""

    def list_apps(
        self,
        request: HttpRequest,  # noqa: ARG002 - allauth's signature
        provider: str | None = None,
        client_id: str | None = None,
    ) -> list[SocialApp]:
        """The one app that is asked for, by the short name of its organisation."""
        slug = client_id or (provider if provider not in {None, "openid_connect", "saml"} else None)
        sign_on = signing_on.sign_on_by_slug(slug) if slug else None
        app = _app(sign_on) if sign_on else None
        return [app] if app is not None and provider in {None, app.provider, app.provider_id} else []

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Believe a provider only what it may say, and know people again by their address."""
        sign_on = signing_on.sign_on_by_slug(_slug_of(sociallogin))
        email = (sociallogin.user.email or "").lower()
        try:
            if sign_on is None:
                raise ForbiddenError("This sign-on is not known any more.", remedy="Sign in with a password.")
            known = sociallogin.user if sociallogin.is_existing else User.objects.filter(email=email).first()
            signing_on.admit_check(sign_on, known.email if known else email)
            if sociallogin.is_existing and email and email != known.email:
                signing_on.admit_check(sign_on, email)
        except ForbiddenError as error:
            context = {"message": error.message, "remedy": error.remedy}
            page = render(request, "socialaccount/authentication_error.html", context, status=403)
            raise ImmediateHttpResponse(page) from error
        for address in sociallogin.email_addresses:
            address.verified = True
        if known is not None:
            if not sociallogin.is_existing:
                sociallogin.connect(request, known)
            signing_on.admit(sign_on=sign_on, user=known)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002 - allauth's signature
        """Whom an organisation's provider knows has an account by it."""
        return True

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """A new person of the organisation."""
        user: User = super().save_user(request, sociallogin, form)
        sign_on = signing_on.sign_on_by_slug(_slug_of(sociallogin))
        assert sign_on is not None  # noqa: S101 - looked at in `pre_social_login`
        signing_on.admit(sign_on=sign_on, user=user)
        return user

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        """The person's name, as far as the provider tells it."""
        user: User = super().populate_user(request, sociallogin, data)
        names = (data.get("first_name"), data.get("last_name"))
        user.name = (data.get("name") or " ".join(filter(None, names)) or "")[:200]
        user.email = (user.email or "").lower()
        return user

    def get_requests_session(self) -> requests.Session:
        """A session that reaches only what it may."""
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Guarded())
        session.request = functools.partial(session.request, timeout=TIMEOUT)  # type: ignore[method-assign]
        return session


def _slug_of(sociallogin: SocialLogin) -> str:
    """The organisation's short name: allauth keeps it as the account's provider."""
    return str(sociallogin.account.provider)


def _app(sign_on: SignOn) -> SocialApp:
    """A sign-on as allauth knows it."""
    slug, name = sign_on.organisation.slug, sign_on.organisation.name
    if sign_on.kind == SignOn.Kind.OIDC:
        return SocialApp(
            provider="openid_connect",
            provider_id=slug,
            name=name,
            client_id=sign_on.client_id,
            secret=signing_on.secret_of(sign_on),
            settings={"server_url": sign_on.issuer, "oauth_pkce_enabled": True},
        )
    return SocialApp(
        provider="saml",
        provider_id=slug,
        name=name,
        client_id=slug,
        settings={
            "idp": {"entity_id": sign_on.issuer, "sso_url": sign_on.sso_url, "x509cert": sign_on.certificate},
            "advanced": {
                "strict": True,
                "want_assertion_signed": True,
                "reject_idp_initiated_sso": True,
                "allow_single_label_domains": True,  # an installation may be known by a name of its own network
            },
            "use_nameid_for_email": True,
            "attribute_mapping": SAML_ATTRIBUTES,
        },
    )


SAML_ATTRIBUTES = {
    "uid": ["urn:oasis:names:tc:SAML:attribute:subject-id"],
    "email": [
        "urn:oid:0.9.2342.19200300.100.1.3",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "email",
        "mail",
    ],
    "first_name": ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", "urn:oid:2.5.4.42", "givenName"],
    "last_name": ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", "urn:oid:2.5.4.4", "sn"],
}
"""Names under which providers send what we ask for, the standards' first."""
