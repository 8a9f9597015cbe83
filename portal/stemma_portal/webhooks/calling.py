"""One HTTP call to an address that somebody else chose: hostile until proven otherwise.

The name is resolved once and every address it has must be a public one; the call then goes to that
address and no other, so that the name cannot mean something else a moment later (DNS rebinding).
Redirects are not followed, answers are read to a small limit, and everything has a timeout.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from stemma.config import settings
from stemma.errors import InvalidError

TIMEOUT = httpx.Timeout(10, connect=5)
MOST = 64 * 1024
"""Bytes of an answer that are read; nobody needs more of it."""
AGENT = "Stemma-Webhooks/1"
NAT64 = ipaddress.ip_network("64:ff9b::/96")


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
    return frozenset(name.strip().lower() for name in settings().webhook_private_hosts.split(",") if name.strip())


def address_of(host: str, port: int) -> str:
    """The one address that is called for a host.

    Raises `InvalidError` when the name means nothing, or anything that is not on the public internet:
    one private address among several public ones is enough to refuse.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidError(f"{host} cannot be found.", remedy="Correct the address.", code="webhook-host") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if host.lower() not in allowed_private():
        for address in addresses:
            if not _public(address):
                raise InvalidError(
                    f"{host} leads to {address}, which is not on the public internet.",
                    remedy="Use a public host, or ask operators to allow it in STEMMA_WEBHOOK_PRIVATE_HOSTS.",
                    code="webhook-private",
                )
    return str(addresses[0])


def _public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _public(address.ipv4_mapped)
        # Addresses that carry one of IPv4 inside (6to4, Teredo, NAT64) may lead into a private network.
        if address.sixtofour or address.teredo or address in NAT64:
            return False
    return address.is_global and not address.is_multicast


def call(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """POST the body; never raises for what the other side does."""
    try:
        parts = urlsplit(check_url(url))
        host = str(parts.hostname)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = address_of(host, port)
    except InvalidError as error:
        return Answer(None, error.message)
    shown = f"[{address}]" if ":" in address else address
    target = httpx.URL(url).copy_with(host=shown, port=port)
    headers = {"Host": parts.netloc, "Content-Type": "application/json", "User-Agent": AGENT, **headers}
    try:
        with (
            httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", target, content=body, headers=headers, extensions={"sni_hostname": host}) as response,
        ):
            read = 0
            for chunk in response.iter_raw():
                read += len(chunk)
                if read > MOST:
                    break
    except httpx.HTTPError as error:
        return Answer(None, f"{type(error).__name__}: {error}"[:300])
    told = f"{response.status_code} {response.reason_phrase}".strip()
    if response.is_redirect:
        told += ": redirects are not followed"
    return Answer(response.status_code, told[:300], gone=response.status_code == 410)
