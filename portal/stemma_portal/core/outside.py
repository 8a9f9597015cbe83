"""Reaching addresses that somebody else chose: hostile until proven otherwise.

The name is resolved once and every address it has must be a public one; the call then goes to that
address and no other, so that the name cannot mean something else a moment later (DNS rebinding).
Redirects are not followed, answers are read to a limit, and everything has a timeout.
"""

import ipaddress
import socket
from collections.abc import Container
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from stemma.errors import InvalidError

TIMEOUT = httpx.Timeout(10, connect=5)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(NamedTuple):
    """Where a call goes, and what it says of itself so that the other side takes it for the name."""

    url: httpx.URL
    headers: dict[str, str]
    host: str


def names(listed: str) -> frozenset[str]:
    """Host names out of a setting with commas between them."""
    return frozenset(name.strip().lower() for name in listed.split(",") if name.strip())


class Fetched(NamedTuple):
    """What an address has answered."""

    status: int
    headers: httpx.Headers
    body: bytes


def address_of(host: str, port: int, *, private: Container[str] = (), setting: str = "") -> str:
    """The one address that is called for a host; those in `private` may be of the installation's own network.

    Raises `InvalidError` when the name means nothing, or anything that is not on the public internet:
    one private address among several public ones is enough to refuse.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidError(f"{host} cannot be found.", remedy="Correct the address.", code="host") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if host.lower() not in private:
        for address in addresses:
            if not _public(address):
                raise InvalidError(
                    f"{host} leads to {address}, which is not on the public internet.",
                    remedy="Use a public host" + (f", or ask operators to allow it in {setting}." if setting else "."),
                    code="private-host",
                )
    return str(addresses[0])


def target(url: str, *, private: Container[str] = (), setting: str = "") -> Target:
    """Where a call to an http or https address goes.  Raises `InvalidError` as `address_of` does."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = address_of(host, port, private=private, setting=setting)
    shown = f"[{address}]" if ":" in address else address
    return Target(httpx.URL(url).copy_with(host=shown, port=port), {"Host": parts.netloc}, host)


def fetch(url: str, *, most: int, private: Container[str] = (), setting: str = "") -> Fetched:
    """What an address answers, at most so many bytes of it.

    Raises `InvalidError` where it cannot be reached, redirects, or sends more.
    """
    to = target(url, private=private, setting=setting)
    try:
        with (
            httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", to.url, headers=to.headers, extensions={"sni_hostname": to.host}) as response,
        ):
            body = b""
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > most:
                    raise InvalidError(f"{url} sends more than {most:,} bytes.", remedy="Make it smaller.", code="size")
    except httpx.HTTPError as error:
        raise InvalidError(
            f"{url} cannot be reached ({type(error).__name__}).", remedy="Look whether it can be.", code="unreachable"
        ) from error
    if response.is_redirect:
        raise InvalidError(f"{url} leads elsewhere, and redirects are not followed.", remedy="Give the last address.")
    return Fetched(response.status_code, response.headers, body)


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _public(address.ipv4_mapped)
        # Addresses that carry one of IPv4 inside (6to4, Teredo, NAT64) may lead into a private network.
        if address.sixtofour or address.teredo or address in NAT64:
            return False
    return address.is_global and not address.is_multicast
