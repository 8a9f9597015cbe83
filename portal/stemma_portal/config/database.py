"""A PostgreSQL address as Django wants it."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from stemma.errors import InvalidError


def database(url: str, *, pool_size: int) -> dict[str, Any]:
    """Django's settings for `postgresql://user:password@host:port/name?option=value`.

    Raises `InvalidError` for any other address.
    """
    parts = urlsplit(url)
    name = parts.path.removeprefix("/")
    if parts.scheme not in {"postgres", "postgresql"} or not parts.hostname or not name:
        raise InvalidError(
            "STEMMA_DATABASE_URL is not the address of a PostgreSQL database.",
            remedy="Write it as postgresql://user:password@host:port/name.",
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": parts.port or 5432,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "NAME": unquote(name),
        "ATOMIC_REQUESTS": False,  # services open their own transactions
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "stemma-portal",
            "pool": {"min_size": 1, "max_size": pool_size, "timeout": 10},
            **dict(parse_qsl(parts.query)),
        },
    }
