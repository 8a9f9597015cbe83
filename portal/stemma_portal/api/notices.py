"""What a person is told: their own notices, read by nobody else."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema

from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request
from stemma_portal.notices.access import access_notice, notices_of
from stemma_portal.notices.models import Notice
from stemma_portal.notices.services import notice_read, notices_read

router = Router(tags=["notices"])
TopicName = Literal["claims", "shares", "consent", "imports", "audio", "money", "account"]


class NoticeOut(Schema):
    """Something that the caller was told."""

    id: Id
    organisation: Id | None
    """As whose owner; null: as themselves."""
    topic: TopicName
    title: str
    text: str
    href: str
    """The page that it leads to, within the portal."""
    created_at: datetime
    read_at: datetime | None


class NoticeList(Page):
    """A page of notices."""

    items: list[NoticeOut]


class ReadIn(Request):
    """Which notices were read."""

    topic: TopicName | None = None
    """Null: all."""


class ReadOut(Schema):
    """How many were not read before."""

    read: int


@router.get("notices", response=NoticeList)
def list_notices(
    request: HttpRequest,
    topic: TopicName | None = None,
    unread: bool = False,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> NoticeList:
    """What the caller was told, newest first; with `unread`, what was not read yet."""
    rows = notices_of(caller(request))
    if topic is not None:
        rows = rows.filter(topic=topic)
    if unread:
        rows = rows.filter(read_at=None)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return NoticeList(items=[_out(row) for row in items], next=following)


@router.post("notices/reading", response=ReadOut)
def read_notices(request: HttpRequest, body: ReadIn) -> ReadOut:
    """Mark all of the caller's notices as read, or all of one topic."""
    return ReadOut(read=notices_read(user=caller(request), topic=body.topic or ""))


@router.get("notices/{notice}", response=NoticeOut)
def show_notice(request: HttpRequest, notice: UUID) -> NoticeOut:
    """One notice; looking at it here does not mark it."""
    return _out(access_notice(caller(request), str(notice)))


@router.post("notices/{notice}/reading", response=NoticeOut)
def read_notice(request: HttpRequest, notice: UUID) -> NoticeOut:
    """Mark a notice as read; what was read before keeps its moment."""
    user = caller(request)
    notice_read(notice=access_notice(user, str(notice)))
    return _out(access_notice(user, str(notice)))


def _out(row: Notice) -> NoticeOut:
    names = ("id", "topic", "title", "text", "href", "created_at", "read_at")
    return NoticeOut(organisation=row.organisation_id, **{name: getattr(row, name) for name in names})
