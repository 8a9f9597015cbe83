"""Long work as a row: started once per run key, watched, and stopped on request."""

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from stemma.ids import now
from stemma_portal.core.models import Job
from stemma_portal.core.services import Actor, audit

ENDED = (Job.State.DONE, Job.State.FAILED, Job.State.CANCELLED)


def job_start(*, kind: str, run_key: str, total: int = 0, by: Actor | None = None) -> tuple[Job, bool]:
    """The job of this run key, and whether it is new: asking twice starts nothing twice.

    A job that failed or was cancelled may be started again.
    """
    with transaction.atomic():
        job, made = Job.objects.select_for_update().get_or_create(
            run_key=run_key, defaults={"kind": kind, "total": total}
        )
        again = not made and job.state in {Job.State.FAILED, Job.State.CANCELLED}
        if again:
            Job.objects.filter(id=job.id).update(
                state=Job.State.QUEUED, cancel_requested=False, finished_at=None, message=""
            )
            job.refresh_from_db()
        if made or again:
            audit(by=by, action="job.start", subject=job.id, kind=kind, run_key=run_key)
        return job, made or again


def job_advance(*, job_id: str, progress: int, total: int | None = None, message: str = "") -> bool:
    """Tell how far a job is; False when it should stop because somebody asked for it."""
    changes: dict[str, object] = {
        "state": Job.State.RUNNING,
        "progress": progress,
        "message": message,
        "updated_at": now(),
    }
    if total is not None:
        changes["total"] = total
    Job.objects.filter(id=job_id).exclude(state__in=ENDED).update(**changes)
    return not Job.objects.filter(id=job_id, cancel_requested=True).exists()


def job_log(*, job_id: str, line: str) -> None:
    """Add a line to what the job says."""
    Job.objects.filter(id=job_id).update(log=Concat(F("log"), Value(line.rstrip("\n") + "\n")), updated_at=now())


def job_end(*, job_id: str, state: Job.State, message: str = "") -> None:
    """Mark a job as done, failed or cancelled; the first end counts."""
    Job.objects.filter(id=job_id).exclude(state__in=ENDED).update(state=state, message=message, finished_at=now())


def job_again(*, job_id: str) -> bool:
    """Let a job wait again whose worker is lost; whether it had one."""
    running = Job.objects.filter(id=job_id, state=Job.State.RUNNING)
    return bool(running.update(state=Job.State.QUEUED, updated_at=now()))


def job_cancel(*, job_id: str, by: Actor | None) -> None:
    """Ask a job to stop at its next step."""
    Job.objects.filter(id=job_id).exclude(state__in=ENDED).update(cancel_requested=True)
    audit(by=by, action="job.cancel", subject=job_id)
