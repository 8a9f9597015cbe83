"""Requests per minute of a license: a token bucket."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass


@dataclass
class Bucket:
    """Holds up to one minute's requests and refills evenly.

    Times are seconds of any steady clock.
    """

    per_minute: int
    tokens: float
    at: float

    def take(self, now: float) -> int:
        """0 and one token less, or the seconds until there is one."""
        rate = self.per_minute / 60
        self.tokens = min(self.per_minute, self.tokens + (now - self.at) * rate)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0
        return max(1, math.ceil((1 - self.tokens) / rate))


class Limits:
    """The buckets of all licenses that have called lately.  Exact for callers in several threads, too."""

    def __init__(self, forget: int = 10_000) -> None:
        self._buckets: dict[str, Bucket] = {}
        self._forget = forget
        self._lock = threading.Lock()

    def take(self, license: str, per_minute: int, now: float) -> int:  # noqa: A002 - the domain's word
        """0 when the request may go on, else the seconds after which it may."""
        with self._lock:
            bucket = self._buckets.get(license)
            if bucket is None:
                if len(self._buckets) >= self._forget:
                    # A bucket that has had a minute to refill is full: forgetting it changes nothing.
                    self._buckets = {name: b for name, b in self._buckets.items() if now - b.at < 60}
                bucket = self._buckets[license] = Bucket(per_minute, per_minute, now)
            bucket.per_minute = per_minute  # a new entitlement may allow more
            return bucket.take(now)
