"""The long work of imports, in the background: each task may be given twice, late, or after a crash."""

import logging

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.urls import reverse
from kombu.exceptions import OperationalError as BrokerError

from stemma.errors import StemmaError, UnavailableError
from stemma.ids import now
from stemma_portal.accounts.models import User
from stemma_portal.catalog.tasks import search_refresh
from stemma_portal.core.db import held
from stemma_portal.core.jobs import job_advance, job_again, job_end
from stemma_portal.core.models import Job
from stemma_portal.core.services import Actor, audit
from stemma_portal.intake.importing import carry
from stemma_portal.intake.models import Import, ImportRow
from stemma_portal.intake.staging import counts, judge, stage
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify
from stemma_portal.webhooks.services import event_emit

log = logging.getLogger(__name__)
MOST_LOST = 4
"""Workers that an import may cost before it is given up."""


@shared_task(autoretry_for=(UnavailableError,), retry_backoff=2, max_retries=8)
def import_stage(import_id: str) -> None:
    """Read a file into rows, check and compare them."""
    with held(_work(import_id)) as mine:
        batch = _wanted(import_id, Import.State.STAGING) if mine else None
        if batch is not None:
            _guarded(batch, lambda: _stage(batch))


@shared_task(autoretry_for=(UnavailableError,), retry_backoff=2, max_retries=8)
def import_run(import_id: str, user_id: str) -> None:
    """Take the confirmed rows into the catalog."""
    with held(_work(import_id)) as mine:
        batch = _wanted(import_id, Import.State.IMPORTING) if mine else None
        if batch is not None:
            by = User.objects.get(id=user_id)
            _guarded(batch, lambda: _run(batch, by))


def _work(import_id: str) -> str:
    """The lock of the one worker that reads or carries an import."""
    return f"import:{import_id}"


def _stage(batch: Import) -> None:
    job = _job(batch)
    if stage(batch, lambda done: job_advance(job_id=job.id, progress=done, message=f"{done:,} rows read")):
        job_end(job_id=job.id, state=Job.State.DONE)
        _become(batch, Import.State.STAGED)
    else:
        job_end(job_id=job.id, state=Job.State.CANCELLED)
        _become(batch, Import.State.CANCELLED)


def _run(batch: Import, by: Actor) -> None:
    job = _job(batch)
    if not batch.rows.filter(done=True).exists():
        # What others brought since the file was read is seen once more.
        batch.rows.exclude(verdict="rejected").update(verdict="", recording=None)
        judge(batch)
    whole = carry(batch, lambda done: job_advance(job_id=job.id, progress=done, message=f"{done:,} rows taken"), by)
    job_end(job_id=job.id, state=Job.State.DONE if whole else Job.State.CANCELLED)
    _become(batch, Import.State.DONE if whole else Import.State.CANCELLED)
    if whole:
        batch.counts = counts(batch)
        batch.save(update_fields=["counts"])
        audit(by=by, action="import.finish", subject=batch.id, counts=batch.counts)
        told = {"import": batch.id, "name": batch.name, "counts": batch.counts}
        event_emit(organisation=batch.organisation, type="import.finished", data=told)
        _told(batch, f"{batch.name} is imported", _counted(batch))
        _soon(search_refresh.delay)


def _told(batch: Import, title: str, text: str) -> None:
    """Tell whoever brought the file."""
    notify(
        users=User.objects.filter(email=batch.created_by),
        topic=Topic.IMPORTS,
        title=title,
        text=text,
        href=reverse("intake:import", args=[batch.id]),
        key=f"import:{batch.job_id}",
    )


def _counted(batch: Import) -> str:
    verdicts = [(word, batch.counts.get(word, 0)) for word in ImportRow.Verdict.values]
    said = ", ".join(f"{count:,} {'to correct' if word == 'rejected' else word}" for word, count in verdicts if count)
    return f"Of its rows, {said}." if said else "It had no rows."


def _guarded(batch: Import, work: object) -> None:
    """Do the work; a failure that trying again would not mend is told on the page."""
    try:
        work()  # type: ignore[operator]
    except UnavailableError:
        raise
    except (StemmaError, SoftTimeLimitExceeded) as error:
        told = str(error) or "It took too long; go on with it, and it continues where it is."
        _give_up(batch, told)
    except Exception as error:
        log.exception("Import %s failed", batch.id)
        told = f"Something is wrong on our side ({type(error).__name__}). What was taken stays; go on with it later."
        _give_up(batch, told)


def _wanted(import_id: str, state: Import.State) -> Import | None:
    """The import, if it still waits for this work."""
    return Import.objects.select_related("organisation__party", "job").filter(id=import_id, state=state).first()


def _job(batch: Import) -> Job:
    assert batch.job is not None  # noqa: S101 - whoever starts the work makes its job
    return batch.job


def _become(batch: Import, state: Import.State, message: str = "") -> None:
    ended = None if state == Import.State.STAGED else now()
    Import.objects.filter(id=batch.id).update(state=state, message=message, finished_at=ended)


def import_stage_soon(import_id: str) -> None:
    """Hand it to a worker once this is committed."""
    _soon(lambda: import_stage.delay(import_id))


def import_run_soon(import_id: str, by: Actor) -> None:
    """Hand it to a worker once this is committed."""
    _soon(lambda: import_run.delay(import_id, str(by.pk)))


@shared_task
def imports_heal() -> None:
    """Hand out again what no worker is at: the broker was away, or the worker is lost.

    A running worker holds the lock of its import, and a second one that gets the same task leaves at once.
    An import that has cost several workers is not tried for ever: it may be what kills them.
    """
    for batch in Import.objects.filter(state__in=[Import.State.STAGING, Import.State.IMPORTING])[:200]:
        with held(_work(batch.id)) as idle:
            pass
        if not idle:
            continue
        if batch.job_id is not None and job_again(job_id=batch.job_id):
            batch.lost += 1
            batch.save(update_fields=["lost"])
        if batch.lost > MOST_LOST:
            _give_up(batch, f"Its worker was lost {batch.lost} times. What was taken stays; bring the file in parts.")
        elif batch.state == Import.State.STAGING:
            import_stage.delay(batch.id)
        elif user := User.objects.filter(email=batch.confirmed_by or batch.created_by, is_active=True).first():
            import_run.delay(batch.id, str(user.pk))
        else:
            told = "Whoever confirmed it has no account any more. What was taken stays; go on with it yourself."
            _give_up(batch, told)


@transaction.atomic
def _give_up(batch: Import, told: str) -> None:
    if batch.job_id is not None:
        job_end(job_id=batch.job_id, state=Job.State.FAILED, message=told)
    _become(batch, Import.State.FAILED, told)
    _told(batch, f"The import of {batch.name} has stopped", told)


def _soon(send: object) -> None:
    def run() -> None:
        try:
            send()  # type: ignore[operator]
        except BrokerError:
            log.warning("The broker is away; the periodic run hands it out.")

    transaction.on_commit(run, robust=True)
