"""A real mail server on loopback, and people who are told."""

from __future__ import annotations

import email
import logging
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stemma.config import mail_server


class Post:
    """Takes mails, or answers what it was told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.asked: list[str] = []
        self.refuses: dict[str, str] = {}
        """By address: what it says to a recipient that it does not take."""
        self.says = "250 Taken"
        self.secured: list[bool] = []
        """Of each mail, whether it came over TLS from somebody who had logged in."""
        self.logins: list[tuple[str, str]] = []

    def check(self, _server, _session, _envelope, _mechanism, login):
        """The password is `p@ss/word`, whoever has it."""
        self.logins.append((login.login.decode(), login.password.decode()))
        return AuthResult(success=login.password == b"p@ss/word", handled=False)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - the library's name
        self.asked.append(address)
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - the library's name
        self.secured.append(server.transport.get_extra_info("ssl_object") is not None and session.authenticated)
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
    controller = Controller(post, hostname="127.0.0.1", port=smtp.EMAIL_PORT)
    controller.start()
    yield post
    controller.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, which vouches for itself, with its key: files."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=mail.test")
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("mail")
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def secured(smtp, certificate, monkeypatch):
    """`with secured("smtp+starttls", "user", "password") as post:` mails over TLS to a server that asks for a login."""

    @contextmanager
    def served(way, user="label@example.org", password="p%40ss%2Fword", *, trusted=True, offered=True):  # noqa: S107
        post = Post()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        tls = {"ssl_context": context} if way == "smtps" else {"tls_context": context, "require_starttls": True}
        more = {"authenticator": post.check, "auth_required": True, "auth_require_tls": way != "smtps"}
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        found = mail_server(f"{way}://{user.replace('@', '%40')}:{password}@127.0.0.1:{smtp.EMAIL_PORT}")
        smtp.EMAIL_HOST_USER, smtp.EMAIL_HOST_PASSWORD = found.user, found.password
        smtp.EMAIL_USE_SSL, smtp.EMAIL_USE_TLS = found.way == "smtps", found.way == "smtp+starttls"
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        controller = Controller(post, hostname="127.0.0.1", port=found.port, **(tls | more if offered else {}))
        controller.start()
        try:
            yield post
        finally:
            controller.stop()

    return served


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
