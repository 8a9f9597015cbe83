"""Notices as mails: what is due is claimed, handed to the mail server, and what came of it is noted.

A claim is short: whoever claims a notice moves its next try a little ahead, so that no transaction is open
while the mail server is spoken to.  A worker that dies in between leaves the notice to the next try: a mail
may come twice, with the same Message-ID, and is never lost.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from email.errors import MessageError
from email.utils import parseaddr
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused
from typing import Any

from django.conf import settings as project
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from stemma.config import settings
from stemma.ids import now
from stemma_portal.core.db import lock
from stemma_portal.notices.models import ALWAYS, Mail, Notice, Topic
from stemma_portal.notices.services import one_line
from stemma_portal.notices.unsubscribing import sign

log = logging.getLogger(__name__)

GRACE = timedelta(minutes=1)
"""For which the periodic run leaves a notice to the worker that was called for it."""
LEASE = timedelta(minutes=5)
"""For how long a try that was begun keeps others away."""
WAITS = (60, 300, 900, 3600)
"""Seconds before each further try; the last holds for all after it."""
GIVE_UP = timedelta(days=5)
"""How old a notice grows before mailing it is given up, as mail servers do (RFC 5321, 4.5.4.1)."""
MOST = 500
"""Mails of one periodic run."""
IN_ONE = 100
"""Notices that one mail a day names; the centre has them all."""


def mail_one(notice_id: str) -> None:
    """Mail one notice that is to be mailed at once."""
    with transaction.atomic():
        rows = _due().filter(pk=notice_id, mail=Mail.AT_ONCE, mail_due_at__lte=now())
        claimed = _claim(list(rows))
    if claimed:
        try:
            with closing(get_connection()) as connection:  # also one that broke before it was secured
                _mail(claimed, connection)
        except (OSError, SMTPException):
            log.warning("The mail server cannot be spoken to; notice %s waits.", notice_id)


def mail_due() -> int:
    """Mail everything that is due, over one connection; how many mails went out.

    Where the mail server does not answer, nothing is claimed: the next run tries again.
    """
    if not Notice.objects.filter(mail_due_at__lte=now() - GRACE).exists():
        return 0
    connection = get_connection()
    sent = 0
    try:
        with closing(connection):
            connection.open()
            for _ in range(MOST):
                claimed = _next()
                if not claimed:
                    break
                sent += _mail(claimed, connection)
    except (OSError, SMTPException) as error:
        log.warning("The mail server cannot be spoken to; notices wait: %s", error)
    return sent


def _due() -> Any:
    return Notice.objects.select_for_update(skip_locked=True, of=("self",)).select_related("user", "organisation")


def _next() -> list[Notice]:
    """The next notice that is due; with it, of one mail a day, all others of that person."""
    with transaction.atomic():
        lock("notices.mail")  # two runs that share a person's notices would make two mails of one
        first = _due().filter(mail_due_at__lte=now() - GRACE).order_by("mail_due_at", "pk").first()
        if first is None or first.mail != Mail.DAILY:
            return _claim([first] if first else [])
        rows = _due().filter(user=first.user_id, mail=Mail.DAILY, mail_due_at__lte=now())
        return _claim(list(rows.order_by("created_at", "pk")))


def _claim(rows: Sequence[Notice]) -> list[Notice]:
    for notice in rows:
        notice.mail_tries += 1
        notice.mail_due_at = now() + LEASE
    Notice.objects.bulk_update(rows, ["mail_tries", "mail_due_at"])
    return list(rows)


def _mail(notices: Sequence[Notice], connection: Any) -> int:
    """Hand claimed notices over as one mail, and note what came of it; how many mails went out.

    Raises what says that the mail server is away, after noting that too.
    """
    if not notices[0].user.is_active:
        _end(notices, error="The account was closed.")
        return 0
    try:
        _message(notices, connection).send()
    except (SMTPRecipientsRefused, SMTPDataError) as error:
        code, told = _answer(error)
        if code >= 500:
            _end(notices, error=told)
        else:
            _later(notices, told)
    except (OSError, SMTPException) as error:
        _later(notices, f"{type(error).__name__}: {error}")
        raise
    except (MessageError, ValueError) as error:
        _end(notices, error=f"No mail can be made of it: {error}")
    else:
        _end(notices, mailed_at=now())
        return 1
    return 0


def _answer(error: SMTPRecipientsRefused | SMTPDataError) -> tuple[int, str]:
    """What the mail server answered: its code, and its words."""
    refused = isinstance(error, SMTPRecipientsRefused)
    code, told = next(iter(error.recipients.values())) if refused else (error.smtp_code, error.smtp_error)
    words = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
    return code, f"{code} {one_line(words)}"


def _end(notices: Sequence[Notice], *, error: str = "", mailed_at: datetime | None = None) -> None:
    rows = Notice.objects.filter(pk__in=[notice.pk for notice in notices])
    rows.update(mail_due_at=None, mailed_at=mailed_at, mail_error=error[:300])


def _later(notices: Sequence[Notice], told: str) -> None:
    """Try again after a while; what has grown too old is given up."""
    log.warning("A mail about notice %s is tried again: %s", notices[0].pk, told)
    moment = now()
    for notice in notices:
        if moment - notice.created_at > GIVE_UP:
            _end([notice], error=f"Given up after {GIVE_UP.days} days: {told}")
            continue
        wait = timedelta(seconds=WAITS[min(notice.mail_tries, len(WAITS)) - 1])
        # Whoever has switched it off meanwhile is not mailed.
        Notice.objects.filter(pk=notice.pk, mail_due_at__isnull=False).update(mail_due_at=moment + wait)


def _message(notices: Sequence[Notice], connection: Any) -> EmailMultiAlternatives:
    """The mail about one notice, or about those of a day."""
    first, url = notices[0], settings().portal_url
    alone = len(notices) == 1
    topic = first.topic if alone else Mail.DAILY
    off = "" if topic in ALWAYS else url + reverse("notices:off", args=[sign(first.user_id, topic)])
    context = {
        "notice": first,
        "rows": notices[:IN_ONE],
        "more": len(notices) - IN_ONE,
        "url": url,
        "off": off,
        "about": Topic(first.topic).label.lower() if alone else "",
    }
    name = "notice" if alone else "digest"
    sender = project.DEFAULT_FROM_EMAIL
    host = parseaddr(sender)[1].rpartition("@")[2]
    headers = {
        "Message-ID": f"<{notices[-1].pk}{'' if alone else '.daily'}@{host}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834: absence notes do not answer it
    }
    if off:  # RFC 8058
        headers |= {"List-Unsubscribe": f"<{off}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    message = EmailMultiAlternatives(
        subject=first.title if alone else f"{len(notices)} notices of the last day",
        body=render_to_string(f"notices/{name}_mail.txt", context),
        from_email=sender,
        to=[first.user.email],
        headers=headers,
        connection=connection,
    )
    message.attach_alternative(render_to_string(f"notices/{name}_mail.html", context), "text/html")
    return message
