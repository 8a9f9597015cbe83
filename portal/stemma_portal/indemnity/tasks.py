"""What claims against outputs do in the background: each task may be given twice, late, or after a crash."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

from stemma.errors import UnavailableError
from stemma.ids import now
from stemma_portal.core.db import held
from stemma_portal.core.jobs import job_again, job_end
from stemma_portal.core.models import Job
from stemma_portal.indemnity.models import OutputClaim

log = logging.getLogger(__name__)
MOST_LOST = 4
"""Workers that a claim may cost before it is given up."""
QUIET = timedelta(minutes=2)
WORKED = (OutputClaim.State.RECEIVED, OutputClaim.State.IDENTIFIED)
GOING = (Job.State.QUEUED, Job.State.RUNNING)


@shared_task(autoretry_for=(UnavailableError,), retry_backoff=2, max_retries=8)
def examine(claim_id: str) -> None:
    """Find the output that a claim is about, and put its dossier together."""
    from stemma_portal.indemnity.examining import examine as work

    with held(_work(claim_id)) as mine:
        rows = OutputClaim.objects.select_related("organisation", "generation", "job")
        claim = rows.filter(pk=claim_id, state__in=WORKED, job__state__in=GOING).first() if mine else None
        if claim is not None:
            work(claim)


@shared_task
def claims_heal() -> None:
    """Hand out again what no worker is at: the broker was away, or the worker is lost."""
    from stemma_portal.indemnity.services import claim_stuck

    late = OutputClaim.objects.filter(state__in=WORKED, job__state__in=GOING, job__updated_at__lt=now() - QUIET)
    for claim in late[:50]:
        with held(_work(claim.pk)) as idle:
            pass
        if not idle or claim.job_id is None:
            continue
        if job_again(job_id=claim.job_id):
            claim.lost += 1
            OutputClaim.objects.filter(pk=claim.pk).update(lost=claim.lost)
        if claim.lost > MOST_LOST:
            told = f"Its worker was lost {claim.lost} times."
            job_end(job_id=claim.job_id, state=Job.State.FAILED, message=told)
            claim_stuck(claim=claim, text=told)
        else:
            examine.delay(claim.pk)


@shared_task
def deadlines_keep() -> None:
    """Remind of what is due or late."""
    from stemma_portal.indemnity import deadlines

    deadlines.deadlines_keep()


@shared_task
def prints_take() -> None:
    """Listen to outputs that nobody has listened to, so that they are found by their sound."""
    from stemma_portal.indemnity import search

    search.prints_take()


def examine_soon(claim_id: str) -> None:
    """Hand it to a worker once this is committed."""

    def run() -> None:
        try:
            examine.delay(claim_id)
        except BrokerError:
            log.warning("The broker is away; the periodic run hands it out.")

    transaction.on_commit(run, robust=True)


def _work(claim_id: str) -> str:
    """The lock of the one worker that is at a claim."""
    return f"output-claim:{claim_id}"
