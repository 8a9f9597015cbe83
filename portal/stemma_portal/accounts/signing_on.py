"""An organisation's own sign-on: its provider, the domains it has proved, and who may come in by it.

A provider says who somebody is, and could say anything.  So it is believed only for addresses of domains
that its organisation has proved, and never for the house's own people.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography import x509
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.urls import reverse

from stemma.config import settings
from stemma.errors import InvalidError
from stemma.ids import now
from stemma_portal.accounts.access import HOUSE, is_operator, is_staff
from stemma_portal.accounts.models import Domain, Membership, Organisation, SignOn, User
from stemma_portal.accounts.services import membership_set
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.outside import fetch, names
from stemma_portal.core.sealing import seal, unseal
from stemma_portal.core.services import Actor, audit

PURPOSE = "sign-on"
SETTING = "STEMMA_SIGN_ON_PRIVATE_HOSTS"
FILE = ".well-known/stemma-domain.txt"
MOST_DOMAINS = 20
_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
SHARED = frozenset(
    {
        "163.com",
        "aol.com",
        "gmail.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mail.ru",
        "me.com",
        "outlook.com",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "web.de",
        "yahoo.com",
        "yandex.ru",
    }
)
"""Where anyone has an address: no organisation's own."""


def private_hosts() -> frozenset[str]:
    """Hosts of the installation's own network at which providers may be."""
    return names(settings().sign_on_private_hosts)


class ProviderAsks(NamedTuple):
    """Our addresses that an organisation enters at its provider."""

    callback: str
    """OpenID Connect: where the provider sends people back."""
    acs: str
    """SAML: where it sends its assertions."""
    metadata: str
    """SAML: our entity ID, and where our metadata are."""


def provider_asks(organisation: Organisation, absolute: Callable[[str], str]) -> ProviderAsks:
    """What an organisation's provider asks; `absolute` makes addresses of paths."""
    names = ("openid_connect_callback", "saml_acs", "saml_metadata")
    return ProviderAsks(*(absolute(reverse(name, args=[organisation.slug])) for name in names))


def sign_on_kept(organisation: Organisation) -> SignOn | None:
    """The sign-on that an organisation has, if any."""
    return SignOn.objects.filter(organisation=organisation).first()


@transaction.atomic
def sign_on_set(
    *,
    organisation: Organisation,
    kind: str,
    issuer: str,
    client_id: str = "",
    secret: str = "",
    sso_url: str = "",
    certificate: str = "",
    required: bool = False,
    by: Actor,
) -> SignOn:
    """Say where the people of an organisation sign in.  Raises `InvalidError` that names what is missing or wrong."""
    known = SignOn.objects.select_for_update().filter(organisation=organisation).first()
    given: dict[str, Any] = {"kind": SignOn.Kind(kind), "issuer": issuer.strip(), "required": required}
    if kind == SignOn.Kind.OIDC:
        _address(given["issuer"], "issuer")
        sealed = seal(PURPOSE, secret.encode()) if secret else (known.secret if known else None)
        if not client_id or sealed is None:
            raise InvalidError(
                "OpenID Connect needs a client ID and a secret.", remedy="Your provider gives you both.", code="client"
            )
        given |= {"client_id": client_id.strip(), "secret": sealed, "sso_url": "", "certificate": ""}
    else:
        _address(sso_url, "sign-on address")
        given |= {"client_id": "", "secret": None, "sso_url": sso_url, "certificate": _certificate(certificate)}
    if required and not organisation.domains.exclude(proved_at=None).exists():
        raise InvalidError(
            "Passwords can be refused only to addresses of proved domains.",
            remedy="Prove a domain first.",
            code="domain",
        )
    sign_on, _ = SignOn.objects.update_or_create(
        organisation=organisation, defaults={**given, "enabled": True, "updated_at": now()}
    )
    told = {"kind": str(kind), "issuer": given["issuer"], "required": required}
    before = _told(known) if known else {}
    audit(by=by, action="sign-on.set", subject=organisation.id, before=before, after=told)
    return sign_on


@transaction.atomic
def sign_on_remove(*, organisation: Organisation, by: Actor) -> None:
    """Everybody signs in with a password or a passkey again."""
    known = SignOn.objects.select_for_update().filter(organisation=organisation).first()
    if known is not None:
        known.delete()
        audit(by=by, action="sign-on.remove", subject=organisation.id, before=_told(known), after={})


def _told(sign_on: SignOn) -> dict[str, Any]:
    return {"kind": sign_on.kind, "issuer": sign_on.issuer, "required": sign_on.required}


@transaction.atomic
def domain_add(*, organisation: Organisation, name: str, by: Actor) -> Domain:
    """Say that a domain is one's own; it counts once it is proved."""
    plain = name.strip().lower().rstrip(".")
    try:
        plain = plain.encode("idna").decode()
    except UnicodeError:
        plain = ""
    if not _DOMAIN.fullmatch(plain):
        raise InvalidError("This is no domain.", remedy="Write it as in example.com.", code="domain")
    if plain in SHARED:
        raise InvalidError(
            f"Anyone has an address at {plain}.", remedy="Use a domain of your organisation.", code="domain"
        )
    if organisation.domains.count() >= MOST_DOMAINS:
        raise InvalidError(f"An organisation has at most {MOST_DOMAINS} domains.", remedy="Remove one.", code="domain")
    domain, made = Domain.objects.get_or_create(
        organisation=organisation, name=plain, defaults={"token": f"stemma-domain={secrets.token_hex(20)}"}
    )
    if made:
        audit(by=by, action="domain.add", subject=organisation.id, domain=plain)
    return domain


def domain_prove(*, domain: Domain, by: User) -> Domain:
    """Look for the domain's file, and believe what it says; operators may vouch without it.

    Raises `InvalidError` with what was found instead.
    """
    word = "file"
    if is_operator(by):
        word = by.email
    else:
        private = private_hosts()
        scheme = "http" if domain.name in private else "https"
        answer = fetch(f"{scheme}://{domain.name}/{FILE}", most=4096, private=private, setting=SETTING)
        lines = answer.body.decode("utf-8", "replace").split()
        if answer.status != 200 or domain.token not in lines:
            raise InvalidError(
                f"https://{domain.name}/{FILE} answers {answer.status} and does not hold the line.",
                remedy=f"Put this line there: {domain.token}",
                code="domain",
            )
    try:
        with transaction.atomic():
            Domain.objects.filter(id=domain.id, proved_at=None).update(proved_at=now(), proved_by=word)
    except IntegrityError as error:
        raise ConflictError(
            f"Another organisation has proved {domain.name}.", remedy="Ask operators to look at it."
        ) from error
    audit(by=by, action="domain.prove", subject=domain.organisation_id, domain=domain.name, how=word)
    domain.refresh_from_db()
    return domain


@transaction.atomic
def domain_remove(*, domain: Domain, by: Actor) -> None:
    """It counts no more; nobody comes in by it."""
    subject, name = domain.organisation_id, domain.name
    domain.delete()
    audit(by=by, action="domain.remove", subject=subject, domain=name)


def sign_on_of(email: str) -> SignOn | None:
    """The sign-on that this address belongs to, by its domain."""
    _, _, name = email.strip().lower().rpartition("@")
    domain = Domain.objects.filter(name=name, proved_at__isnull=False).first()
    return _enabled().filter(organisation=domain.organisation_id).first() if domain else None


def sign_on_by_slug(slug: str) -> SignOn | None:
    """The sign-on of the organisation with this short name."""
    return _enabled().filter(organisation__slug=slug).first()


def _enabled() -> QuerySet[SignOn]:
    return SignOn.objects.filter(enabled=True).select_related("organisation")


def secret_of(sign_on: SignOn) -> str:
    """The client secret in the clear."""
    return unseal(PURPOSE, sign_on.secret).decode() if sign_on.secret else ""


def admit_check(sign_on: SignOn, email: str) -> None:
    """Raise `ForbiddenError` unless this provider may say that somebody is this address."""
    _, _, name = email.strip().lower().rpartition("@")
    if not sign_on.organisation.domains.filter(name=name, proved_at__isnull=False).exists():
        raise ForbiddenError(
            f"{sign_on.organisation.name} has not proved that addresses at {name or 'no domain'} are its own.",
            remedy="Sign in with an address of its domains, or have an owner prove this one.",
        )
    user = User.objects.filter(email__iexact=email).first()
    if user is not None and is_staff(user) and sign_on.organisation.kind not in HOUSE:
        raise ForbiddenError("The house's own people sign in with their passwords.", remedy="Use the sign-in page.")


def admit(*, sign_on: SignOn, user: User) -> None:
    """Whoever comes in by an organisation's sign-on belongs to it: as a member, unless they were more already."""
    if not sign_on.organisation.memberships.filter(user=user).exists():
        membership_set(user=user, organisation=sign_on.organisation, role=Membership.Role.MEMBER, by=user)


def password_refused(user: User) -> SignOn | None:
    """The sign-on that this person has to use instead of a password, if any."""
    found = sign_on_of(user.email)
    if found is None or not found.required:
        return None
    owner = found.organisation.memberships.filter(user=user, role=Membership.Role.OWNER).exists()
    return None if owner or is_staff(user) else found


def _address(url: str, what: str) -> None:
    host = re.match(r"https?://([^/:?#@]+)", url)
    private = host is not None and host[1].lower() in private_hosts()
    if host is None or (not url.startswith("https://") and not private):
        raise InvalidError(f"The {what} is no https address.", remedy="Begin it with https://.", code="address")


def _certificate(text: str) -> str:
    """A certificate as base64 of DER, whatever it came as."""
    body = re.sub(r"-----[A-Z ]+-----|\s", "", text)
    try:
        lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
        x509.load_pem_x509_certificate(f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode())
    except ValueError as error:
        raise InvalidError(
            "This is no X.509 certificate.", remedy="Copy it out of your provider's metadata.", code="certificate"
        ) from error
    return body
