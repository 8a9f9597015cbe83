"""A job's progress, told from inside a transaction that nobody sees into yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection

from stemma.errors import StemmaError
from stemma_portal.core.jobs import job_advance, job_end
from stemma_portal.core.models import Job
from stemma_portal.royalties.statements import Progress

EVERY = 0.3
"""Seconds between two tellings."""


class CancelledError(StemmaError):
    """Somebody asked the job to stop."""

    code = "cancelled"


@contextmanager
def watched(job_id: str) -> Iterator[Progress]:
    """Progress of a job, written over a connection of its own; its end, whichever it is.

    The work itself is one transaction: when it is stopped, killed or fails, nothing has happened and
    the job can be started again.
    """
    with ThreadPoolExecutor(1) as beside:
        told = 0.0

        def tell(done: int, total: int, note: str) -> None:
            nonlocal told
            if done < total and time.monotonic() - told < EVERY:
                return
            told = time.monotonic()
            advance = beside.submit(job_advance, job_id=job_id, progress=done, total=total, message=note)
            if not advance.result():
                raise CancelledError("The closing was stopped on request.", remedy="Start it again whenever you like.")

        try:
            yield tell
        except CancelledError as error:
            job_end(job_id=job_id, state=Job.State.CANCELLED, message=error.message)
        except BaseException as error:
            job_end(job_id=job_id, state=Job.State.FAILED, message=str(error) or type(error).__name__)
            raise
        else:
            job_end(job_id=job_id, state=Job.State.DONE, message="Closed")
        finally:
            beside.submit(_disconnect).result()


def _disconnect() -> None:
    """Close the connection of the thread that calls this, which the proxy looks up when it is called."""
    connection.close()
