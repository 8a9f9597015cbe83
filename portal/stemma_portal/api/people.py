"""Who belongs to an organisation, who is asked to, and which programs act as a person."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from stemma_portal.accounts.access import (
    access_invitation,
    access_link,
    access_member,
    access_team,
    access_token,
    require_staff,
)
from stemma_portal.accounts.invitations import (
    invitation_resend,
    invitation_revoke,
    invite,
    link_decide,
    links_waiting,
    member_remove,
    role_set,
)
from stemma_portal.accounts.models import Invitation, Membership, Token
from stemma_portal.accounts.selectors import invitations_visible, members_visible
from stemma_portal.accounts.services import token_revoke
from stemma_portal.api.auth import by_token, caller, surely
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Email, Id, Page, Request, Text
from stemma_portal.core.errors import ForbiddenError

router = Router(tags=["people"])
Role = Literal["owner", "editor", "member"]


class MemberOut(Schema):
    """A person's part in an organisation."""

    id: Id
    organisation: Id
    name: str
    email: str
    role: Role
    """`owner` acts for it, `editor` brings catalogs and sounds, `member` looks."""


class Members(Page):
    """A page of members."""

    items: list[MemberOut]


class MemberChange(Request):
    """What a person may do from now on."""

    role: Role


class InvitationIn(Request):
    """Whom to ask into which organisation."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "organisation": "01976a5c-0000-7000-8000-000000000001",
                    "email": "erika@example.com",
                    "role": "editor",
                    "reason": "She looks after our catalog.",
                }
            ]
        },
    )

    organisation: UUID
    email: Email
    role: Role = "member"
    reason: Text = Field(default="", max_length=500)
    """What for; it stands in the mail."""


class InvitationOut(Schema):
    """Somebody who was asked and has not answered yet."""

    id: Id
    email: str
    organisation: Id | None
    """Which they would join; null: one of their own is made, for `party`."""
    party: Id | None
    role: Role
    reason: str
    invited_by: str
    created_at: datetime
    expires_at: datetime


class Invitations(Page):
    """A page of invitations."""

    items: list[InvitationOut]


class LinkOut(Schema):
    """An organisation that was invited to act for a rights-holder, and says that it is it."""

    invitation: Id
    party: Id
    party_name: str
    organisation: Id
    invited_by: str
    """The address of whoever invited, on whose word alone it rests so far."""
    email: str
    accepted_at: datetime


class Links(Page):
    """A page of them."""

    items: list[LinkOut]


class LinkDecision(Request):
    """Whether it is the rights-holder."""

    right: bool


class TokenOut(Schema):
    """A token of the caller's, never its secret."""

    id: Id
    name: str
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    """Null: it holds until it is ended."""
    revoked_at: datetime | None
    last_used: datetime | None
    """To the minute; null: never."""


class Tokens(Page):
    """A page of tokens."""

    items: list[TokenOut]


@router.get("members", response=Members)
def list_members(
    request: HttpRequest,
    organisation: UUID | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Members:
    """Who belongs to the caller's organisations."""
    rows = members_visible(caller(request))
    if organisation is not None:
        rows = rows.filter(organisation=str(organisation))
    items, following = page(rows, cursor=cursor, limit=limit)
    return Members(items=[_member(row) for row in items], next=following)


@router.patch("members/{member}", response=MemberOut)
def change_member(request: HttpRequest, member: UUID, body: MemberChange) -> MemberOut:
    """Another role for a person of an organisation that the caller owns.

    Refused with `last-owner` where nobody would own it any more, and to tokens with `page-only` for `owner`.
    """
    user = caller(request)
    found = access_member(user, str(member))
    _may_become(request, body.role)
    role_set(membership=found, role=body.role, by=user)
    found.refresh_from_db()
    return _member(found)


@router.delete("members/{member}", response={204: None})
def remove_member(request: HttpRequest, member: UUID) -> HttpResponse:
    """Part with a person of an organisation that the caller owns, or leave one oneself.

    Refused with `last-owner` where nobody would own it any more.
    """
    user = caller(request)
    member_remove(membership=access_member(user, str(member), leave=True), by=user)
    return HttpResponse(status=204)


@router.get("invitations", response=Invitations)
def list_invitations(
    request: HttpRequest,
    organisation: UUID | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Invitations:
    """Invitations of organisations that the caller owns which nobody has answered yet, newest first."""
    rows = invitations_visible(caller(request))
    if organisation is not None:
        rows = rows.filter(organisation=str(organisation))
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Invitations(items=[_invitation(row) for row in items], next=following)


@router.post("invitations", response={201: InvitationOut})
def invite_person(request: HttpRequest, body: InvitationIn) -> Status[InvitationOut]:
    """Ask somebody to join an organisation that the caller owns; the link goes to their address alone.

    Whoever was asked already is asked anew, and the link before is worth nothing any more.  Refused to tokens with
    `page-only` for `owner`.
    """
    user = caller(request)
    organisation = access_team(user, str(body.organisation))
    _may_become(request, body.role)
    asked = invite(organisation=organisation, email=body.email, role=body.role, reason=body.reason, by=user)
    return Status(201, _invitation(asked))


@router.post("invitations/{invitation}/resending", response=InvitationOut)
def resend_invitation(request: HttpRequest, invitation: UUID) -> InvitationOut:
    """Send it again, for another fourteen days; the link before is worth nothing any more."""
    user = caller(request)
    return _invitation(invitation_resend(invitation=access_invitation(user, str(invitation)), by=user))


@router.delete("invitations/{invitation}", response={204: None})
def revoke_invitation(request: HttpRequest, invitation: UUID) -> HttpResponse:
    """Take it back; what was accepted stays."""
    user = caller(request)
    invitation_revoke(invitation=access_invitation(user, str(invitation)), by=user)
    return HttpResponse(status=204)


@router.get("identities", response=Links)
def list_links(request: HttpRequest, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)) -> Links:
    """Staff: organisations that say they are a rights-holder, on the word of whoever invited them."""
    require_staff(caller(request), "decide who is who")
    items, following = page(links_waiting(), cursor=cursor, limit=limit)
    return Links(items=[_link(row) for row in items], next=following)


@router.post("identities/{invitation}/decision", response={204: None})
def decide_link(request: HttpRequest, invitation: UUID, body: LinkDecision) -> HttpResponse:
    """Staff say that an organisation is, or is not, the rights-holder that it was invited for; once."""
    user = caller(request)
    link_decide(invitation=access_link(user, str(invitation)), right=body.right, by=user)
    return HttpResponse(status=204)


def _link(row: Invitation) -> LinkOut:
    return LinkOut(
        invitation=row.id,
        party=row.party_id,
        party_name=row.party.name,  # type: ignore[union-attr] - it is for a rights-holder
        organisation=row.made_id,
        invited_by=row.invited_by,
        email=row.email,
        accepted_at=row.accepted_at,
    )


@router.get("tokens", response=Tokens)
def list_tokens(request: HttpRequest, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)) -> Tokens:
    """The caller's own tokens, newest first; they are made on the page, after showing again who one is."""
    items, following = page(caller(request).tokens.all(), cursor=cursor, limit=limit, newest_first=True)
    return Tokens(items=[_token(row) for row in items], next=following)


@router.delete("tokens/{token}", response={204: None})
def end_token(request: HttpRequest, token: UUID) -> HttpResponse:
    """End one of the caller's own tokens, also the one that asks; ending it again changes nothing."""
    user = caller(request)
    token_revoke(token=access_token(user, str(token)), by=user)
    return HttpResponse(status=204)


def _token(row: Token) -> TokenOut:
    names = ("id", "name", "state", "created_at", "expires_at", "revoked_at", "last_used")
    return TokenOut(**{name: getattr(row, name) for name in names})


def _may_become(request: HttpRequest, role: str) -> None:
    """Raise `ForbiddenError` where a token makes an owner, or a browser does which has not just shown who asks.

    Owners say where money goes and who signs in, which no token does: so none makes an owner either.
    """
    if role != Membership.Role.OWNER:
        return
    if by_token(request):
        raise ForbiddenError(
            "No token makes an owner.", remedy="Do it on the page Team, which asks who you are.", code="page-only"
        )
    surely(request)


def _member(row: Membership) -> MemberOut:
    return MemberOut(
        id=row.id, organisation=row.organisation_id, name=row.user.name, email=row.user.email, role=row.role
    )


def _invitation(row: Invitation) -> InvitationOut:
    return InvitationOut(
        id=row.id,
        email=row.email,
        organisation=row.organisation_id,
        party=row.party_id,
        role=row.role,
        reason=row.reason,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
