"""Getting documents into object storage after what they say is committed.

A publisher is a Celery task without side effects but its objects: it reads the committed state and
writes what follows from it, so that it can run twice, late, or after a crash.  It runs at once when
the transaction commits; when object storage is away it is tried again in the background, and a
periodic run heals what even that has missed.  The change itself never waits and is never lost.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery import Task, shared_task
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

from stemma.errors import UnavailableError

log = logging.getLogger(__name__)


def publisher(function: Callable[..., None]) -> Task:
    """Declare a task that publishes; it is tried again for an hour while storage is away."""
    return shared_task(  # type: ignore[no-any-return]
        autoretry_for=(UnavailableError,), retry_backoff=2, retry_backoff_max=60, max_retries=60
    )(function)


def after_commit(task: Task, *args: str) -> None:
    """Run a publisher when the transaction commits."""

    def run() -> None:
        _run(task, args)

    transaction.on_commit(run, robust=True)


def _run(task: Task, args: tuple[Any, ...]) -> None:
    try:
        task(*args)
    except UnavailableError as error:
        log.warning("%s waits: %s", task.name, error)
        try:
            task.apply_async(args, countdown=2)
        except BrokerError:
            log.warning("The broker is away too; the periodic run will publish.")
