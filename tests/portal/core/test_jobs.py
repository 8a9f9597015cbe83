import pytest

from stemma_portal.core.jobs import job_advance, job_cancel, job_end, job_log, job_start
from stemma_portal.core.models import AuditEvent, Job

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_a_job_is_started_once_per_run_key():
    job, new = job_start(kind="close", run_key="close 2026-11", total=3)
    assert new
    assert job_start(kind="close", run_key="close 2026-11") == (job, False)
    assert Job.objects.count() == AuditEvent.objects.filter(action="job.start").count() == 1


def test_it_tells_how_far_it_is_and_what_it_does():
    job, _ = job_start(kind="close", run_key="k")
    assert job_advance(job_id=job.id, progress=1, total=4, message="pools")
    job_log(job_id=job.id, line="one")
    job_log(job_id=job.id, line="two\n")
    job.refresh_from_db()
    assert (job.state, job.progress, job.total, job.message, job.log) == ("running", 1, 4, "pools", "one\ntwo\n")


def test_somebody_may_stop_it():
    job, _ = job_start(kind="close", run_key="k")
    job_cancel(job_id=job.id, by=None)
    assert not job_advance(job_id=job.id, progress=2)
    job_end(job_id=job.id, state=Job.State.CANCELLED)
    job.refresh_from_db()
    assert (job.state, job.finished_at is None) == ("cancelled", False)


def test_the_first_end_counts():
    job, _ = job_start(kind="close", run_key="k")
    job_end(job_id=job.id, state=Job.State.DONE)
    job_end(job_id=job.id, state=Job.State.FAILED)
    assert job_advance(job_id=job.id, progress=9)
    job.refresh_from_db()
    assert (job.state, job.progress) == ("done", 0)


@pytest.mark.parametrize("state", [Job.State.FAILED, Job.State.CANCELLED])
def test_what_failed_may_be_started_again(state):
    job, _ = job_start(kind="close", run_key="k")
    job_cancel(job_id=job.id, by=None)
    job_end(job_id=job.id, state=state, message="disk full")
    again, new = job_start(kind="close", run_key="k")
    assert (again.id, new, again.state, again.cancel_requested) == (job.id, True, "queued", False)
