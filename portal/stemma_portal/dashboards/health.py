"""Asking the parts of the stack how they are.  Each answers within two seconds or counts as away."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Max, Sum

from stemma.config import settings
from stemma.storage import storage
from stemma_portal.metering.models import FactObject

SECONDS = 2.0


@dataclass(frozen=True)
class Part:
    """One part of the stack."""

    name: str
    what: str
    address: str
    well: bool
    note: str
    milliseconds: int
    link: str = ""


def parts() -> list[Part]:
    """All of them, asked at once."""
    config = settings()
    asked: list[tuple[str, str, str, Callable[[], str], str]] = [
        (
            "PostgreSQL",
            "parties, consents, licenses, the ledger",
            _host(config.database_url.get_secret_value()),
            _postgres,
            "",
        ),
        ("Redis", "queues and caches", _host(config.redis_url.get_secret_value()), _redis, ""),
        ("Object storage", "sound, manifests, releases, facts", config.s3_endpoint, _s3, ""),
        ("Serving", "makes the music", config.serving_url, _serving, ""),
        ("MLflow", "runs and model versions", config.mlflow_url, _mlflow, config.mlflow_url),
    ]
    # The database's connection belongs to this thread; the others may be asked beside one another.
    with ThreadPoolExecutor(max_workers=4) as pool:
        others = [pool.submit(_ask, *each) for each in asked[1:]]
        return [_ask(*asked[0]), *(each.result() for each in others)]


def _ask(name: str, what: str, address: str, question: Callable[[], str], link: str) -> Part:
    begun = time.perf_counter()
    try:
        note, well = question(), True
    except Exception as error:  # noqa: BLE001 - whatever a client raises says the same: the part is away
        note, well = f"does not answer ({type(error).__name__})", False
    return Part(name, what, address, well, note, round((time.perf_counter() - begun) * 1000), link)


def _postgres() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return f"version {cursor.fetchone()[0].split()[0]}"


def _redis() -> str:
    cache.get("health")
    return "answers"


def _s3() -> str:
    store = storage()
    store.client.head_bucket(Bucket=store.bucket)
    return f"bucket {store.bucket}"


def _serving() -> str:
    answer = httpx.get(f"{settings().serving_url}/livez", timeout=SECONDS)
    answer.raise_for_status()
    release = answer.json().get("release")
    return f"serves {release}" if release else "waits for a model release"


def _mlflow() -> str:
    httpx.get(f"{settings().mlflow_url}/health", timeout=SECONDS).raise_for_status()
    return "answers"


def _host(url: str) -> str:
    """An address without its secrets."""
    return url.rsplit("@", 1)[-1].removeprefix("redis://")


def head(token: str) -> dict[str, Any]:
    """What a signed tree head says."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def facts() -> dict[str, Any]:
    """How far facts have come from the lake."""
    return FactObject.objects.aggregate(
        objects=Count("position"), taken=Sum("taken"), repeated=Sum("repeated"), latest=Max("at")
    )
