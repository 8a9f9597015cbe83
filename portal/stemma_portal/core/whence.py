"""From where something is done: kept beside the work in hand, so that the audit trail can say it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from celery import signals
from django.http import HttpRequest, HttpResponse

from stemma.ids import new_id

API = "/api/"


@dataclass(frozen=True)
class Whence:
    """Channel, address, program and the one request or task in which something is done."""

    channel: str = "command"
    """`page`, `api`, `task` or `command`."""
    address: str | None = None
    agent: str = ""
    request: str = ""


NOWHERE = Whence()
_here: ContextVar[Whence | None] = ContextVar("whence", default=None)


def whence() -> Whence:
    """Where the work in hand comes from."""
    return _here.get() or NOWHERE


@contextmanager
def coming_from(place: Whence) -> Iterator[None]:
    """Let what is done meanwhile come from there."""
    token = _here.set(place)
    try:
        yield
    finally:
        _here.reset(token)


class WhenceMiddleware:
    """Notes where a request comes from, and gives it a number that answers and log lines carry."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, with the request's number."""
        place = Whence(
            channel="api" if request.path.startswith(API) else "page",
            address=_address(request.META.get("REMOTE_ADDR", "")),
            agent="".join(c for c in request.headers.get("User-Agent", "")[:200] if c.isprintable()),
            request=new_id(),
        )
        with coming_from(place):
            response = self.get_response(request)
        response.headers.setdefault("X-Request-Id", place.request)
        return response


def _address(text: str) -> str | None:
    """The address of the peer; behind a proxy the server is told to hand on the caller's."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


@signals.task_prerun.connect
def _task_begins(task_id: str = "", task: Any = None, **_: Any) -> None:
    _here.set(Whence(channel="task", agent=getattr(task, "name", ""), request=str(task_id)))


@signals.task_postrun.connect
def _task_ends(**_: Any) -> None:
    _here.set(None)
