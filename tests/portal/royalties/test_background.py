"""Closing in the background, and the commands, against a live portal with its worker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from portal.royalties.world import World
from stemma_portal.core.jobs import job_cancel, job_start
from stemma_portal.core.models import Job
from stemma_portal.royalties.models import Period
from stemma_portal.royalties.selectors import close_key, period_summary
from stemma_portal.royalties.services import period_close_start, period_open
from stemma_portal.royalties.tasks import period_close
from support.patience import until

pytestmark = pytest.mark.services


def begun() -> Job:
    return job_start(kind="period.close", run_key=close_key("p1"), by=None)[0]


def test_a_job_tells_how_far_it_is_from_inside_the_transaction(shared_world: World, monkeypatch) -> None:
    from stemma_portal.royalties import statements, watching

    monkeypatch.setattr(watching, "EVERY", 0)
    shared_world.made(2)
    period_open(period_id="p1", by=None)
    job = begun()
    seen: list[tuple[str, str]] = []
    real = statements.sheet_pdf

    def look(sheet):
        from django.db import connection

        try:
            seen.append(Job.objects.values_list("state", "message").get(pk=job.pk))
        finally:
            connection.close()
        return real(sheet)

    monkeypatch.setattr(statements, "sheet_pdf", look)
    period_close("p1", job.pk, None, early=True)
    assert ("running", "Writing statements") in seen or ("running", "Allocating") in seen
    job.refresh_from_db()
    assert (job.state, job.progress, job.total) == ("done", 3, 3)
    assert period_summary(period=Period.objects.get(pk="p1")).job == job
    period_close("p1", job.pk, None, early=True)  # handed out twice by the broker: nothing happens


def test_a_job_stops_on_request_and_nothing_has_happened(shared_world: World) -> None:
    shared_world.made(2)
    period_open(period_id="p1", by=None)
    job = begun()
    job_cancel(job_id=job.pk, by=None)
    period_close("p1", job.pk, None, early=True)
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert Period.objects.get(pk="p1").state == "open"
    again = begun()
    period_close("p1", again.pk, None, early=True)
    assert Period.objects.get(pk="p1").state == "closed"


def test_a_job_that_fails_says_why(shared_world: World) -> None:
    from stemma.errors import InvalidError

    period_open(period_id="p1", by=None)
    job = begun()
    with pytest.raises(InvalidError):
        period_close("p1", job.pk, None, early=False)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "ends at" in job.message


def test_without_a_broker_nothing_is_begun(world: World, monkeypatch) -> None:
    from kombu.exceptions import OperationalError

    from stemma.errors import UnavailableError
    from stemma_portal.royalties import services

    period_open(period_id="p1", by=None)

    def away(*_args: object, **_more: object) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(services.current_app, "send_task", away)
    with pytest.raises(UnavailableError, match="No worker"):
        period_close_start(period_id="p1", by=world.staff, early=True)
    assert Job.objects.get().state == "failed"


@pytest.fixture(scope="module")
def commands(portal):
    """`commands("ledger", "verify")` against a portal with its demonstration."""
    portal.manage("seed_demo")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        code = "from stemma.cli import main; main()"
        environ = {**portal.environ, "COLUMNS": "160", "NO_COLOR": "1"}
        command = [sys.executable, "-c", code, *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)

    return run


def test_commands(commands, tmp_path: Path) -> None:
    assert commands("ledger", "verify").returncode == 0
    opened = commands("period", "open", "2026-11")
    assert "is open" in opened.stdout, opened.stderr
    refused = commands("period", "close", "2026-11")
    assert refused.returncode == 2
    assert "close it early" in refused.stderr
    closed = commands("period", "close", "2026-11", "--early")
    assert closed.returncode == 0, closed.stderr
    assert "kept by the platform" in closed.stdout
    assert "2026-11" in commands("period", "list").stdout
    assert "0 new objects" in commands("ledger", "ingest").stdout
    saved = commands("period", "statements", "2026-11", "--to", str(tmp_path))
    assert saved.returncode == 0, saved.stderr
    verified = commands("ledger", "verify")
    assert verified.returncode == 0
    assert "The ledger holds" in verified.stdout
    missing = commands("ledger", "balance", "nobody")
    assert missing.returncode != 0


def test_verify_leaves_with_an_error_when_the_ledger_does_not_hold(commands, portal) -> None:
    commands("period", "open", "2026-11")
    commands("period", "close", "2026-11", "--early")
    code = (
        "from django.db import connection\n"
        "with connection.cursor() as c:\n"
        "    c.execute('ALTER TABLE royalties_account DISABLE TRIGGER USER')\n"
        "    c.execute('UPDATE royalties_account SET credits = credits + %s', [by])\n"
    )
    portal.shell(code, by=1)
    try:
        found = commands("ledger", "verify")
        assert found.returncode == 4
        assert "checkpoints" in found.stdout
        assert "does not hold" in found.stderr
    finally:
        portal.shell(code, by=-1)


def test_a_worker_closes_a_period(commands, portal, portal_worker) -> None:
    token = json.loads((portal.home.path / "demo.json").read_text())["operator_token"]
    with httpx.Client(
        base_url=f"{portal.url}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ) as api:
        name = f"p-{time.time_ns()}"
        for found in api.get("periods").json():
            if found["state"] == "open":
                api.post(f"periods/{found['id']}/close", json={"early": True})
        assert api.post("periods", json={"id": name}).status_code == 201
        begun = api.post(f"periods/{name}/close", json={"early": True, "background": True})
        assert begun.status_code == 202
        told = f"jobs/{begun.json()['id']}"
        until(lambda: api.get(told).json()["state"] not in {"queued", "running"}, lambda: api.get(told).text)
        job = api.get(told).json()
        assert job["state"] == "done", job
        assert api.get(f"periods/{name}").json()["state"] == "closed"
