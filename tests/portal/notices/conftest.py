"""A real mail server on loopback, and people who are told."""

from __future__ import annotations

import email
import logging
import socket
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.controller import Controller


class Post:
    """Takes mails, or answers what it was told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.asked: list[str] = []
        self.refuses: dict[str, str] = {}
        """By address: what it says to a recipient that it does not take."""
        self.says = "250 Taken"

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - the library's name
        self.asked.append(address)
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - the library's name
        if self.says.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return self.says


@pytest.fixture
def smtp(settings, closed_port):
    """The project mails over SMTP, to a port where nobody listens."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", closed_port, 5
    settings.DEFAULT_FROM_EMAIL = "Stemma <post@stemma.example>"
    return settings


@pytest.fixture
def server(smtp):
    """A mail server that answers."""
    post = Post()
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        smtp.EMAIL_PORT = probe.getsockname()[1]
    controller = Controller(post, hostname="127.0.0.1", port=smtp.EMAIL_PORT)
    controller.start()
    yield post
    controller.stop()


@pytest.fixture
def tell(cast):
    """`tell("A title")` tells the label's owner of it."""
    from stemma_portal.notices.models import Topic
    from stemma_portal.notices.services import notify

    def told(title: str = "A title", **changes):
        given = {"topic": Topic.SHARES, "title": title, "text": "A text.", "href": "/shares/"} | changes
        if not {"users", "organisations"} & given.keys():
            given["users"] = [cast.owner]
        return notify(**given)

    return told
