"""Who belongs to an organisation, and who is asked to."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from stemma_portal.accounts.access import access_invitation, access_member, access_team
from stemma_portal.accounts.again import require_lately
from stemma_portal.accounts.invitations import (
    invitation_resend,
    invitation_revoke,
    invite,
    member_remove,
    role_set,
)
from stemma_portal.accounts.models import Invitation, Membership
from stemma_portal.accounts.selectors import invitations_visible, members_visible
from stemma_portal.api.auth import caller
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


def _may_become(request: HttpRequest, role: str) -> None:
    """Raise `ForbiddenError` where a token makes an owner, or a browser does which has not just shown who asks.

    Owners say where money goes and who signs in, which no token does: so none makes an owner either.
    """
    if role != Membership.Role.OWNER:
        return
    if request.headers.get("Authorization"):
        raise ForbiddenError(
            "No token makes an owner.", remedy="Do it on the page Team, which asks who you are.", code="page-only"
        )
    require_lately(request)


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
