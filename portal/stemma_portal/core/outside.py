"""Reaching addresses that somebody else chose: hostile until proven otherwise.

The name is resolved once and every address it has must be a public one; the call then goes to that
address and no other, so that the name cannot mean something else a moment later (DNS rebinding).
Redirects are not followed unless a few are asked for, each guarded like the first; answers are read to a
limit; and a call ends at its deadline, however slowly the other side goes on sending.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Container, Mapping
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx

from stemma.errors import InvalidError

TIMEOUT = httpx.Timeout(10, connect=5)
"""For one step of a call."""
DEADLINE = 20.0
"""Seconds for a whole call with its redirects, from connecting to the last byte."""
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


def call(
    method: str,
    to: Target,
    *,
    most: int,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    until: float | None = None,
) -> tuple[httpx.Response, bytes, bool]:
    """The answer, its first `most` bytes, and whether these are all; `until` is a moment of `time.monotonic`.

    Raises `httpx.HTTPError`, also when the deadline has come.
    """
    seconds = DEADLINE if until is None else until - time.monotonic()
    # Unpacked, a small answer may be a huge one.
    sent = {**to.headers, "Accept-Encoding": "identity", **(headers or {})}
    return asyncio.run(_call(method, to, most, sent, content, seconds))


async def _call(
    method: str, to: Target, most: int, headers: dict[str, str], content: bytes | None, seconds: float
) -> tuple[httpx.Response, bytes, bool]:
    body = b""
    try:
        # Timeouts of single steps alone would let a server send a byte every nine seconds for ever.
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client,
            client.stream(
                method, to.url, content=content, headers=headers, extensions={"sni_hostname": to.host}
            ) as response,
        ):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > most:
                    return response, body[:most], False
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"not done within {DEADLINE:g} s") from error
    return response, body, True


def fetch(url: str, *, most: int, private: Container[str] = (), setting: str = "", redirects: int = 0) -> Fetched:
    """What an address answers, at most so many bytes of it, following at most so many redirects.

    Raises `InvalidError` where it cannot be reached, leads elsewhere, or sends more.
    """
    until = time.monotonic() + DEADLINE
    here = url
    for _ in range(redirects + 1):
        to = target(here, private=private, setting=setting)
        try:
            response, body, whole = call("GET", to, most=most, until=until)
        except httpx.HTTPError as error:
            raise InvalidError(
                f"{here} cannot be reached ({type(error).__name__}).",
                remedy="Look whether it can be.",
                code="unreachable",
            ) from error
        if not whole:
            raise InvalidError(f"{here} sends more than {most:,} bytes.", remedy="Make it smaller.", code="size")
        if not response.is_redirect:
            return Fetched(response.status_code, response.headers, body)
        if not redirects:
            raise InvalidError(
                f"{url} leads elsewhere, and redirects are not followed.", remedy="Give the last address."
            )
        here = _onward(here, response.headers.get("location", ""), private)
    raise InvalidError(f"{url} leads on more than {redirects} times.", remedy="Give the last address.")


def _onward(url: str, location: str, private: Container[str]) -> str:
    """Where a redirect leads: to https, or to http on a host of the installation's own network."""
    try:
        onward = urljoin(url, location)
        parts = urlsplit(onward)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    secure = parts.scheme == "https" or (parts.scheme == "http" and (parts.hostname or "") in private)
    if not location or not secure or not parts.hostname or parts.username or parts.password:
        raise InvalidError(
            f"{url} leads to {location[:200] or 'nowhere'}, which is no https address.",
            remedy="Let it lead to https.",
            code="redirect",
        )
    return onward


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _public(address.ipv4_mapped)
        # Addresses that carry one of IPv4 inside (6to4, Teredo, NAT64) may lead into a private network.
        if address.sixtofour or address.teredo or address in NAT64:
            return False
    return address.is_global and not address.is_multicast
