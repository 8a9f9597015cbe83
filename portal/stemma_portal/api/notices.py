"""What a person is told, and when by e-mail: their own notices and wishes, read by nobody else."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from stemma_portal.accounts.models import User
from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request
from stemma_portal.notices.access import access_notice, notices_of
from stemma_portal.notices.models import ALWAYS, Notice
from stemma_portal.notices.services import notice_read, notices_read, preferences_of, preferences_set

router = Router(tags=["notices"])
TopicName = Literal["claims", "shares", "consent", "imports", "audio", "money", "account"]
MailName = Literal["at-once", "daily", "never"]


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


class PreferenceOut(Schema):
    """When the caller is mailed about a topic."""

    topic: TopicName
    mail: MailName
    """`daily`: in one mail a day; the notice itself is kept in any case."""
    always: bool
    """Mailed at once to everybody: it cannot be changed."""


class Preferences(Schema):
    """When the caller is mailed, by topic."""

    items: list[PreferenceOut]


class PreferencesIn(Request):
    """When to be mailed from now on."""

    mail: dict[TopicName, MailName] = Field(min_length=1)
    """By topic; those that are not named stay as they are."""


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


@router.get("notices/preferences", response=Preferences)
def show_preferences(request: HttpRequest) -> Preferences:
    """Which notices the caller is mailed, and when: every topic, also those of which they have said nothing."""
    return _preferences(caller(request))


@router.patch("notices/preferences", response=Preferences)
def change_preferences(request: HttpRequest, body: PreferencesIn) -> Preferences:
    """Say for topics when to be mailed; what waits to be mailed follows.

    Refused with `notice-topic` for topics that are always mailed at once.
    """
    user = caller(request)
    preferences_set(user=user, wishes=body.mail)
    return _preferences(user)


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


def _preferences(user: User) -> Preferences:
    wishes = preferences_of(user).items()
    items = [PreferenceOut(topic=topic.value, mail=mail.value, always=topic in ALWAYS) for topic, mail in wishes]
    return Preferences(items=items)


def _out(row: Notice) -> NoticeOut:
    names = ("id", "topic", "title", "text", "href", "created_at", "read_at")
    return NoticeOut(organisation=row.organisation_id, **{name: getattr(row, name) for name in names})
