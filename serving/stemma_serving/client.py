"""Asking serving the same thing many times at once: the load of benchmarks and trials.

`python -m stemma_serving.client URL --connections 32 --seconds 5 --key stm_… --body '{…}'` prints one
line of JSON.  It reads only what it must of an answer, so that it is not what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Load:
    """What came of it."""

    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    """Seconds, one per answer."""
    broken: int = 0
    """Connections that ended in the middle."""

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return sum(self.statuses.values()) / self.seconds

    def percentile(self, part: float) -> float:
        """Latency below which this part of the answers is, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    def summary(self) -> dict[str, object]:
        """The figures as JSON."""
        return {
            "per_second": round(self.per_second, 1),
            "p50_ms": round(1000 * self.percentile(0.5), 2),
            "p99_ms": round(1000 * self.percentile(0.99), 2),
            "statuses": dict(self.statuses),
            "broken": self.broken,
        }


class _Connection(asyncio.Protocol):
    """Sends the request, waits for the whole answer, sends it again."""

    def __init__(self, request: bytes, load: Load, until: float, done: asyncio.Future[None]) -> None:
        self._request, self._load, self._until, self._done = request, load, until, done
        self._buffer = b""
        self._missing = -1
        self._at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream, since we opened one
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            start = head.find(b"content-length:") + 15
            length = int(head[start : head.find(b"\r\n", start) if head.find(b"\r\n", start) > 0 else end])
            self._load.statuses[head[9:12].decode()] += 1
            self._missing = length - (len(self._buffer) - end - 4)
            self._buffer = b""
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._missing = -1
            now = time.perf_counter()
            self._load.latencies.append(now - self._at)
            if now < self._until:
                self._send()
            else:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if time.perf_counter() < self._until:
            self._load.broken += 1
        if not self._done.done():
            self._done.set_result(None)

    def _send(self) -> None:
        self._at = time.perf_counter()
        self._transport.write(self._request)


async def load(url: str, *, body: bytes, key: str, connections: int, seconds: float) -> Load:
    """Ask a URL, with POST where there is a body, over some connections, each at once again, for some seconds."""
    address = urlsplit(url)
    request = (
        f"{'POST' if body else 'GET'} {address.path or '/'} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    loop = asyncio.get_running_loop()
    result = Load()
    start = time.perf_counter()
    ends = []
    for _ in range(connections):
        done = loop.create_future()
        ends.append(done)
        await loop.create_connection(
            lambda done=done: _Connection(request, result, start + seconds, done),  # type: ignore[misc]
            address.hostname,
            address.port,
        )
    await asyncio.wait(ends, timeout=seconds + 30)
    result.seconds = time.perf_counter() - start
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--key", default="")
    parser.add_argument("--body", default="{}")
    given = parser.parse_args()
    result = asyncio.run(
        load(given.url, body=given.body.encode(), key=given.key, connections=given.connections, seconds=given.seconds)
    )
    print(json.dumps(result.summary()))


if __name__ == "__main__":
    main()
