"""Whether the portal and what it stands on answer."""

from collections.abc import Callable

import httpx
from django.core.cache import cache
from django.db import connection

from stemma.config import settings


def health() -> dict[str, str]:
    """`ok` or what is wrong, by part."""
    return {name: _ask(check) for name, check in (("postgres", _postgres), ("redis", _redis), ("s3", _s3))}


def database() -> str:
    """`ok` or what is wrong with the database alone."""
    return _ask(_postgres)


def _ask(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the part does not answer
        return type(error).__name__
    return "ok"


def _postgres() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _redis() -> None:
    cache.get("health")


def _s3() -> None:
    httpx.head(settings().s3_endpoint, timeout=2)
