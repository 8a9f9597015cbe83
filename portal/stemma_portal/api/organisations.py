"""An organisation's own house: how its people sign in, the domains of their addresses, and what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from stemma_portal.accounts.access import access_domain, access_organisation, access_team
from stemma_portal.accounts.models import Domain, Organisation, SignOn
from stemma_portal.accounts.selectors import domains_visible, trail_visible
from stemma_portal.accounts.signing_on import (
    FILE,
    domain_add,
    domain_prove,
    domain_remove,
    provider_asks,
    sign_on_kept,
)
from stemma_portal.api.auth import caller, surely
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request, Text
from stemma_portal.core.models import AuditEvent

router = Router(tags=["organisations"])
Wanted = Annotated[Text, Field(max_length=200)]


class DomainIn(Request):
    """A domain of e-mail addresses that an organisation says is its own."""

    organisation: UUID
    name: Text = Field(min_length=1, max_length=253)
    """Such as `example.com`."""


class DomainOut(Schema):
    """A domain, and how it is proved."""

    id: Id
    organisation: Id
    name: str
    file: str
    """Address of the file that proves it."""
    line: str
    """What that file has to say, in a line of its own."""
    proved_at: datetime | None
    """Null: it does not count yet."""
    proved_by: str
    """`file`, or the operator who vouched for it."""


class Domains(Page):
    """A page of domains."""

    items: list[DomainOut]


class ProviderOut(Schema):
    """Where the people of an organisation sign in, never the client secret."""

    kind: Literal["oidc", "saml"]
    issuer: str
    """OpenID Connect: address of the issuer; SAML: entity ID of the provider."""
    client_id: str
    """OpenID Connect only."""
    sso_url: str
    """SAML: where sign-in requests go."""
    certificate: str
    """SAML: with which the provider signs, as base64 of DER."""
    required: bool
    """Whether passwords are refused to addresses of proved domains; owners keep theirs."""
    enabled: bool
    updated_at: datetime


class SignOnOut(Schema):
    """An organisation's sign-on."""

    organisation: Id
    provider: ProviderOut | None
    """Null: everybody signs in here, with a password or a passkey."""
    callback: str
    """OpenID Connect: the redirect address to enter at the provider."""
    acs: str
    """SAML: the address of the assertion consumer."""
    metadata: str
    """SAML: our entity ID, and where our metadata are."""


class TrailEventOut(Schema):
    """Who did what, when, and from where."""

    id: Id
    at: datetime
    actor: str
    """E-mail address of the account, or `system`."""
    action: str
    subject: str
    """Identifier of what it was done to."""
    detail: dict[str, Any]
    """What else is known; `before` and `after` where something became another."""
    channel: str
    """`page`, `api`, `task` or `command`."""
    address: str | None
    agent: str
    request: str
    """The `X-Request-Id` of the one request in which it was done."""


class Trail(Page):
    """A page of what was done."""

    items: list[TrailEventOut]


@router.get("domains", response=Domains)
def list_domains(
    request: HttpRequest,
    organisation: UUID | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Domains:
    """Domains of organisations that the caller owns, oldest first; staff see all that nobody has proved yet."""
    rows = domains_visible(caller(request))
    if organisation is not None:
        rows = rows.filter(organisation=str(organisation))
    items, following = page(rows, cursor=cursor, limit=limit)
    return Domains(items=[_domain(row) for row in items], next=following)


@router.post("domains", response={201: DomainOut})
def add_domain(request: HttpRequest, body: DomainIn) -> Status[DomainOut]:
    """Say that a domain is one's own; it counts once it is proved, and saying it again changes nothing.

    Refused with `domain` for what is none, what anyone has addresses at, and one above twenty.
    """
    user = surely(request)
    organisation = access_team(user, str(body.organisation))
    return Status(201, _domain(domain_add(organisation=organisation, name=body.name, by=user)))


@router.post("domains/{domain}/proof", response=DomainOut)
def prove_domain(request: HttpRequest, domain: UUID) -> DomainOut:
    """Look for the domain's file, and believe what it says; operators vouch without it.

    Refused with `domain` that says what was found instead, and with `conflict` where another organisation has
    proved it.
    """
    user = surely(request)
    return _domain(domain_prove(domain=access_domain(user, str(domain)), by=user))


@router.delete("domains/{domain}", response={204: None})
def remove_domain(request: HttpRequest, domain: UUID) -> HttpResponse:
    """It counts no more: nobody comes in by it."""
    user = surely(request)
    domain_remove(domain=access_domain(user, str(domain)), by=user)
    return HttpResponse(status=204)


@router.get("organisations/{organisation}/sign-on", response=SignOnOut)
def show_sign_on(request: HttpRequest, organisation: UUID) -> SignOnOut:
    """Where the people of an organisation that the caller owns sign in, and what to enter at their provider.

    No token changes it: whoever names the provider can sign in as anybody of the organisation.  An owner does
    that on the page *Sign-on*, after showing again who they are.
    """
    own = access_team(caller(request), str(organisation))
    known = sign_on_kept(own)
    asks = provider_asks(own, request.build_absolute_uri)
    return SignOnOut(organisation=own.id, provider=_provider(known) if known else None, **asks._asdict())


@router.get("trail", response=Trail)
def list_trail(
    request: HttpRequest,
    organisation: UUID | None = None,
    action: Wanted = "",
    who: Wanted = "",
    subject: Wanted = "",
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Trail:
    """What people of organisations that the caller owns have done, newest first; rights staff see everything.

    `action` is how it begins (`consent.`), `who` a part of the e-mail address, `subject` the identifier of what it
    was done to.  An `organisation` that the caller belongs to and does not own is refused.
    """
    user = caller(request)
    whose: Organisation | None = None
    if organisation is not None:
        whose = access_organisation(user, str(organisation), owner=True)
    rows = trail_visible(user, organisation=whose, action=action, who=who, subject=subject)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Trail(items=[_event(row) for row in items], next=following)


def _domain(row: Domain) -> DomainOut:
    return DomainOut(
        id=row.id,
        organisation=row.organisation_id,
        name=row.name,
        file=f"https://{row.name}/{FILE}",
        line=row.token,
        proved_at=row.proved_at,
        proved_by=row.proved_by,
    )


def _provider(row: SignOn) -> ProviderOut:
    names = ("kind", "issuer", "client_id", "sso_url", "certificate", "required", "enabled", "updated_at")
    return ProviderOut(**{name: getattr(row, name) for name in names})


def _event(row: AuditEvent) -> TrailEventOut:
    names = ("id", "at", "actor", "action", "subject", "detail", "channel", "address", "agent", "request")
    return TrailEventOut(**{name: getattr(row, name) for name in names})
