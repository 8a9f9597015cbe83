"""Calls that lead out: a server that is slow on purpose, and redirects."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stemma.errors import InvalidError
from stemma_portal.core import outside

pytestmark = pytest.mark.unit


@contextmanager
def server(answer: bytes, *, drip: bytes = b"") -> Iterator[str]:
    """Answers every request with these bytes, then with a drop ten times a second for as long as anybody listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://localhost:{listener.getsockname()[1]}"

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(answer.replace(b"HERE", address.encode()))
                    while drip:
                        time.sleep(0.1)
                        connection.sendall(drip)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "drip"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-more: y\r\n"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"."),
        (b"", b"H"),
    ],
    ids=["headers", "body", "nonsense"],
)
def test_a_call_ends_at_its_deadline_however_slowly_it_is_answered(monkeypatch, answer, drip):
    monkeypatch.setattr(outside, "DEADLINE", 0.6)
    begun = time.monotonic()
    with server(answer, drip=drip) as address, pytest.raises(InvalidError, match="cannot be reached"):
        outside.fetch(address, most=100_000, private={"localhost"})
    assert time.monotonic() - begun < 3


def moved(to: str) -> bytes:
    return f"HTTP/1.1 301 Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n".encode()


def test_a_few_redirects_are_followed_and_each_is_guarded():
    private = {"localhost"}
    with server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi") as last, server(moved(last)) as first:
        assert outside.fetch(first, most=10, private=private, redirects=3).body == b"hi"
        with pytest.raises(InvalidError, match="redirects are not followed"):
            outside.fetch(first, most=10, private=private)
    with server(moved("HERE/again")) as round_and_round, pytest.raises(InvalidError, match="more than 3 times"):
        outside.fetch(round_and_round, most=10, private=private, redirects=3)


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("http://example.com/", "no https address"),
        ("ftp://example.com/", "no https address"),
        ("https://user:pw@example.com/", "no https address"),
        ("https://[::1", "cannot be reached"),
        ("https://127.0.0.1/", "not on the public internet"),
        ("https://[::ffff:10.0.0.1]/", "not on the public internet"),
        ("//169.254.169.254/latest", "no https address"),
    ],
)
def test_redirects_lead_to_https_on_the_public_internet_and_nowhere_else(to, told):
    with server(moved(to)) as address, pytest.raises(InvalidError, match=told):
        outside.fetch(address, most=10, private={"localhost"}, redirects=3)
