"""The only writers of notices and preferences.  `mailing` notes what became of their mails."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.http import url_has_allowed_host_and_scheme

from stemma.catalog.text import BIDI
from stemma.errors import InvalidError
from stemma.ids import now
from stemma_portal.accounts.models import Membership, Organisation, User
from stemma_portal.core.db import lock
from stemma_portal.core.services import Actor, audit
from stemma_portal.notices.models import ALWAYS, Mail, Notice, Preference, Topic
from stemma_portal.notices.tasks import mail_soon

DIGEST_HOUR = 7
"""Of the day in UTC, at which what waited is mailed in one."""


@transaction.atomic
def notify(
    *,
    users: Iterable[User] = (),
    organisations: Iterable[Organisation] = (),
    besides: Actor | None = None,
    topic: Topic,
    title: str,
    text: str,
    href: str,
    key: str = "",
) -> list[Notice]:
    """Tell these people, and the owners of these organisations, something; the notices that are new.

    Each person is told once, and with a `key` once for ever.  `besides` is not told: they did it.
    The notice is part of the caller's transaction; its mail goes out after the commit.
    """
    if not (href.startswith("/") and url_has_allowed_host_and_scheme(href, allowed_hosts=None)):
        raise ValueError(f"{href!r} is no page of the portal")
    told: dict[str, Organisation | None] = {user.pk: None for user in users if user.is_active}
    for owner, organisation in _owners(organisations):
        told.setdefault(owner, organisation)
    if besides is not None:
        told.pop(str(besides.pk), None)
    if not told:
        return []
    moment, wishes = now(), _wishes(told, topic)
    made = [
        Notice(
            user_id=user,
            organisation=told[user],
            topic=topic,
            title=one_line(title),
            text=plain(text),
            href=href,
            key=key,
            created_at=moment,
            mail=wishes[user],
            mail_due_at=due(wishes[user], moment),
        )
        for user in sorted(told)  # always in one order, so that two transactions with one key never block each other
    ]
    Notice.objects.bulk_create(made, ignore_conflicts=True)
    if key:
        new = set(Notice.objects.filter(pk__in=[each.pk for each in made]).values_list("pk", flat=True))
        made = [each for each in made if each.pk in new]
    mail_soon([each.pk for each in made if each.mail == Mail.AT_ONCE])
    return made


def notices_read(*, user: User, topic: str = "") -> int:
    """Mark everything, or everything of one topic, as read; how many were not."""
    rows = Notice.objects.filter(user=user, read_at=None)
    return (rows.filter(topic=topic) if topic else rows).update(read_at=now())


def notice_read(*, notice: Notice) -> None:
    """Mark one as read; what was read before keeps its moment."""
    Notice.objects.filter(pk=notice.pk, read_at=None).update(read_at=now())


@transaction.atomic
def preferences_set(*, user: User, wishes: Mapping[str, str]) -> None:
    """Say for topics when to be mailed; what waits to be mailed follows.

    Raises `InvalidError` for topics that cannot be switched off.
    """
    if fixed := ALWAYS & wishes.keys():
        raise InvalidError(
            f"{', '.join(sorted(str(Topic(each).label) for each in fixed))} cannot be switched off.",
            remedy="Leave them as they are.",
            code="notice-topic",
        )
    lock(f"notices:{user.pk}")
    before = preferences_of(user)
    changed = {Topic(topic): Mail(mail) for topic, mail in wishes.items() if before[Topic(topic)] != mail}
    for topic, mail in changed.items():
        Preference.objects.update_or_create(user=user, topic=topic, defaults={"mail": mail})
        waiting = Notice.objects.filter(user=user, topic=topic, mail_due_at__isnull=False)
        waiting.update(mail=mail, mail_due_at=due(mail, now()))
    if changed:
        audit(
            by=user,
            action="notices.preferences",
            subject=user.pk,
            before={topic: before[topic] for topic in changed},
            after=changed,
        )


def mail_off(*, user: User, topic: str) -> None:
    """Mail nothing of a topic any more; with `daily` for a topic, nothing of those that came in one mail a day."""
    daily = [each for each, mail in preferences_of(user).items() if mail == Mail.DAILY]
    preferences_set(user=user, wishes=dict.fromkeys(daily if topic == Mail.DAILY else [topic], Mail.NEVER))


def preferences_of(user: User) -> dict[Topic, Mail]:
    """For every topic, when the person is mailed about it."""
    said = dict(Preference.objects.filter(user=user).values_list("topic", "mail"))
    return {topic: Mail(said.get(topic, Mail.AT_ONCE)) for topic in Topic}


def due(mail: Mail, moment: datetime) -> datetime | None:
    """When what is said at this moment is mailed."""
    if mail == Mail.NEVER:
        return None
    if mail == Mail.AT_ONCE:
        return moment
    hour = moment.replace(hour=DIGEST_HOUR, minute=0, second=0, microsecond=0)
    return hour if hour > moment else hour + timedelta(days=1)


def one_line(text: str, longest: int = 200) -> str:
    """A title as it may be a mail's subject: one line, without characters that change what is around them."""
    line = " ".join(plain(text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def plain(text: str) -> str:
    """A text without control characters but its line ends, nor those that turn the direction of writing."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = (c for c in lines if c == "\n" or (c not in BIDI and unicodedata.category(c) not in {"Cs", "Co", "Cn"}))
    return "".join(" " if c != "\n" and unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in kept).strip()


def _owners(organisations: Iterable[Organisation]) -> list[tuple[str, Organisation]]:
    known = {each.pk: each for each in organisations}
    if not known:
        return []
    rows = Membership.objects.filter(
        organisation__in=known, role=Membership.Role.OWNER, user__is_active=True
    ).values_list("user_id", "organisation_id")
    return [(str(user), known[str(organisation)]) for user, organisation in rows.order_by("organisation_id")]


def _wishes(users: Iterable[str], topic: Topic) -> dict[str, Mail]:
    said = dict(Preference.objects.filter(user__in=list(users), topic=topic).values_list("user_id", "mail"))
    return {user: Mail(said.get(user, Mail.AT_ONCE)) for user in users}
