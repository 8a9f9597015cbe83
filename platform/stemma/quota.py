"""Generated time under a monthly cap, counted in Redis for all replicas of serving at once.

A piece is counted in two steps: before it is made, the time that was asked for is held; when it is there,
what it lasts takes the place of that.  Both are one script each, which Redis runs alone, so that however
many ask at once, no more is granted than there is.  What a replica held when it died is let go after a while.

Redis may forget.  The portal knows the month's facts and lifts the counter to what they sum to.
"""

from __future__ import annotations

from typing import Any

import redis

from stemma.errors import UnavailableError

PREFIX = "stemma:quota"
KEPT = 62 * 86_400
"""Seconds for which a month's counter is kept."""
PATIENCE = 1.0
"""Seconds to wait for Redis."""

_HELD = """
local now = tonumber(redis.call('TIME')[1])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
end
local held = 0
for _, ms in ipairs(redis.call('HVALS', KEYS[2])) do held = held + tonumber(ms) end
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
"""
# KEYS: used, held, until.  ARGV: id, ms asked for, cap, seconds to hold.
_TAKE = (
    _HELD
    + """
local left = tonumber(ARGV[3]) - used - held
if tonumber(ARGV[2]) > left then return -1 - math.max(0, left) end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], now + tonumber(ARGV[4]), ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[4] * 2)
redis.call('EXPIRE', KEYS[3], ARGV[4] * 2)
return left - tonumber(ARGV[2])
"""
)
# ARGV: id, ms that it lasts, seconds to keep.
_SETTLE = """
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('INCRBY', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 0
"""
# ARGV: ms that the facts sum to, seconds to keep.
_LIFT = """
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
return 0
"""


class Quota:
    """The counters.  Raises `UnavailableError` where Redis does not answer."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, max_connections=128
        )
        self._take, self._settle, self._lift = (
            self._redis.register_script(script) for script in (_TAKE, _SETTLE, _LIFT)
        )

    def take(self, *, license_: str, month: str, cap: int, piece: str, ms: int, seconds: int) -> int:
        """Hold `ms` of a month's cap for a piece: what is left after it, or less than zero where it does not fit.

        `-1 - left` tells then what would fit.  `seconds` is for how long it is held at most.
        """
        return self._run(self._take, license_, month, piece, ms, cap, seconds)

    def settle(self, *, license_: str, month: str, piece: str, ms: int) -> None:
        """Count what a piece lasts in the place of what was held for it; 0 where none was made."""
        self._run(self._settle, license_, month, piece, ms, KEPT)

    def lift(self, *, license_: str, month: str, ms: int) -> None:
        """Let the counter be what the month's facts sum to, where it is less."""
        self._run(self._lift, license_, month, ms, KEPT)

    def used(self, *, license_: str, month: str) -> int:
        """What is counted, without what is held."""
        try:
            return int(self._redis.get(_keys(license_, month)[0]) or 0)
        except redis.RedisError as error:
            raise _away(error) from error

    def _run(self, script: Any, license_: str, month: str, *arguments: str | int) -> int:
        try:
            return int(script(keys=_keys(license_, month), args=arguments))
        except redis.RedisError as error:
            raise _away(error) from error


def _keys(license_: str, month: str) -> list[str]:
    # One slot of a Redis cluster: a script may touch no two.
    return [f"{PREFIX}:{{{license_}:{month}}}:{name}" for name in ("used", "held", "until")]


def _away(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"Redis does not answer ({type(error).__name__}).", remedy="See `stemma status`; try again later."
    )
