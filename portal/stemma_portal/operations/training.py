"""Training on the cluster that the portal runs in: started, listed and ended by operators."""

from __future__ import annotations

from stemma import kube
from stemma.config import settings
from stemma.errors import UnavailableError
from stemma.training.remote import Job, Training
from stemma_portal.accounts.access import require_operator
from stemma_portal.accounts.models import User
from stemma_portal.core.services import audit
from stemma_portal.operations.models import Snapshot


def offered() -> bool:
    """Whether this installation lets its portal start jobs."""
    return bool(settings().training_template)


def training_jobs() -> list[Job]:
    """What the cluster knows of, newest first.  Raises what `Training.jobs` does."""
    return _training().jobs()


def training_start(*, snapshot: Snapshot, preset: str, by: User) -> str:
    """Hand the cluster a job that trains on a snapshot, past the gate; the job's name."""
    require_operator(by, "start a training")
    job = _training().submit(snapshot.id, preset, by=by.email)
    audit(by=by, action="training.start", subject=job, snapshot=snapshot.id, preset=preset)
    return job


def training_cancel(*, job: str, by: User) -> None:
    """End a job with its pods; what it has not published is gone."""
    require_operator(by, "end a training")
    ended = _training().cancel(job)
    audit(by=by, action="training.cancel", subject=job, snapshot=ended.snapshot, before=ended.state)


def _training() -> Training:
    if not offered():
        raise UnavailableError(
            "This portal starts no training.",
            remedy="Run “stemma train” where the GPUs are, or set training.fromPortal in the chart’s values.",
            code="no-training",
        )
    return Training(kube.namespace(), settings().training_template)
