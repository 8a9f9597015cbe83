"""One call to an endpoint, guarded as `core.outside` guards everything that leads out."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from stemma.config import settings
from stemma.errors import InvalidError
from stemma_portal.core import outside
from stemma_portal.core.outside import names, target

MOST = 64 * 1024
"""Bytes of an answer that are read; nobody needs more of it."""
AGENT = "Stemma-Webhooks/1"


@dataclass(frozen=True)
class Answer:
    """What a call came to."""

    status: int | None
    told: str
    gone: bool = False
    """The receiver says that it wants no more (410)."""

    @property
    def well(self) -> bool:
        """Whether the receiver has taken it."""
        return self.status is not None and 200 <= self.status < 300


def check_url(url: str) -> str:
    """The address as it may be called.  Raises `InvalidError` that says why it may not."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    host = parts.hostname or ""
    private = host in allowed_private()
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise InvalidError("A webhook goes to an https address.", remedy="Begin it with https://.", code="webhook-url")
    if not host or port == -1 or parts.username or parts.password or parts.fragment or len(url) > 500:
        raise InvalidError(
            "This is no address to call.",
            remedy="Write https://host/path, without user, password or #.",
            code="webhook-url",
        )
    return url


def allowed_private() -> frozenset[str]:
    """Hosts of the installation's own network that operators allow."""
    return names(settings().webhook_private_hosts)


def call(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """POST the body; never raises for what the other side does."""
    try:
        to = target(check_url(url), private=allowed_private(), setting="STEMMA_WEBHOOK_PRIVATE_HOSTS")
    except InvalidError as error:
        return Answer(None, error.message)
    headers = {"Content-Type": "application/json", "User-Agent": AGENT, **headers}
    try:
        response, _, _ = outside.call("POST", to, most=MOST, content=body, headers=headers)
    except httpx.HTTPError as error:
        return Answer(None, f"{type(error).__name__}: {error}"[:300])
    told = f"{response.status_code} {response.reason_phrase}".strip()
    if response.is_redirect:
        told += ": redirects are not followed"
    return Answer(response.status_code, told[:300], gone=response.status_code == 410)
