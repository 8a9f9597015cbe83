"""Imports whose worker is lost, and imports that meet: with real connections and a process that is killed."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from django.db import connection, connections

from portal.intake.conftest import line, table
from stemma_portal.catalog.models import Recording
from stemma_portal.consent.models import Claim
from stemma_portal.core.db import held
from stemma_portal.core.models import AuditEvent, Job
from stemma_portal.intake import importing, tasks
from stemma_portal.intake.models import Import
from stemma_portal.intake.services import import_cancel, import_confirm, import_resume
from support.patience import until

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

WORKER = """
import sys, time
import django
django.setup()
from stemma_portal.intake import importing, staging, tasks
importing.CHUNK = staging.CHUNK = 10
def slow(function):
    calls = []
    def run(*given):
        calls.append(given)
        if len(calls) == 2:
            print("at it", flush=True)
            time.sleep(600)
        return function(*given)
    return run
tasks.search_refresh.delay = lambda: None
if sys.argv[1] == "stage":
    staging._chunks = lambda rows, chunks=staging._chunks: map(slow(lambda chunk: chunk), chunks(rows))
    tasks.import_stage(sys.argv[2])
else:
    importing._copy = slow(importing._copy)
    tasks.import_run(sys.argv[2], sys.argv[3])
"""


@pytest.fixture
def worker():
    """`worker("run", import, user)` is a process of its own that stops in the middle."""
    started = []

    def start(*words):
        database = connection.settings_dict
        place = f"{database['HOST']}:{database['PORT']}/{database['NAME']}"
        address = f"postgresql://{database['USER']}:{database['PASSWORD']}@{place}"
        environ = os.environ | {
            "DJANGO_SETTINGS_MODULE": "stemma_portal.config.settings",
            "STEMMA_DATABASE_URL": address,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *words], env=environ, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "at it\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def handed_out(monkeypatch):
    """What the periodic run hands out, and not yet done."""
    given = []
    for task in (tasks.import_stage, tasks.import_run):
        monkeypatch.setattr(task, "delay", lambda *words, task=task: given.append((task, words)))
    return given


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not advisory_locks(), "The lock outlives its process")


def advisory_locks():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        return cursor.fetchone()[0]


def test_an_import_whose_worker_is_killed_goes_on_and_never_twice(bring, labels, worker, handed_out, monkeypatch):
    monkeypatch.setattr(tasks.import_stage, "delay", tasks.import_stage)
    monkeypatch.setattr(importing, "CHUNK", 10)
    batch = bring(table(*(line(n) for n in range(1, 36))), confirm=False)
    import_confirm(batch=batch, by=labels.rights)
    handed_out.clear()
    process = worker("run", batch.id, str(labels.rights.pk))
    tasks.imports_heal()
    assert handed_out == []
    tasks.import_run(batch.id, str(labels.rights.pk))  # a second one leaves at once
    assert Recording.objects.count() == 10
    kill(process)
    tasks.imports_heal()
    ((task, words),) = handed_out
    assert words == (batch.id, str(labels.rights.pk))
    task(*words)
    batch.refresh_from_db()
    assert (batch.state, batch.counts["new"], Recording.objects.count()) == ("done", 35, 35)
    assert {r.versions.get().by for r in Recording.objects.all()} == {labels.rights.email}
    assert AuditEvent.objects.get(action="import.finish").actor == labels.rights.email
    handed_out.clear()
    tasks.imports_heal()
    assert handed_out == []


def test_a_file_whose_reader_is_killed_is_read_again(bring, labels, worker, handed_out):
    batch = bring(table(*(line(n) for n in range(1, 36))), confirm=False)
    assert batch.state == "staging"
    handed_out.clear()
    process = worker("stage", batch.id)
    assert batch.rows.count() == 10
    tasks.imports_heal()
    assert handed_out == []
    kill(process)
    tasks.imports_heal()
    ((task, words),) = handed_out
    task(*words)
    batch.refresh_from_db()
    assert (batch.state, batch.counts["rows"]) == ("staged", 35)


def test_an_import_that_costs_every_worker_is_given_up(bring, labels, handed_out, monkeypatch):
    monkeypatch.setattr(tasks.import_stage, "delay", tasks.import_stage)
    batch = bring(table(line(1)), confirm=False)
    import_confirm(batch=batch, by=labels.owner)
    handed_out.clear()
    for _ in range(tasks.MOST_LOST):
        Job.objects.update(state="running")  # as the lost worker has left it
        tasks.imports_heal()
        tasks.imports_heal()  # that none has come for it yet is no loss
    assert len(handed_out) == 2 * tasks.MOST_LOST
    Job.objects.update(state="running")
    tasks.imports_heal()
    batch.refresh_from_db()
    assert (batch.state, len(handed_out)) == ("failed", 2 * tasks.MOST_LOST)
    import_resume(batch=batch, by=labels.owner)
    import_confirm(batch=batch, by=labels.owner)
    batch.refresh_from_db()
    assert (batch.state, batch.lost) == ("importing", 0)


def test_an_import_of_somebody_who_has_left_is_told(bring, labels, handed_out, monkeypatch):
    monkeypatch.setattr(tasks.import_stage, "delay", tasks.import_stage)
    batch = bring(table(line(1)), confirm=False)
    import_confirm(batch=batch, by=labels.owner)
    labels.owner.is_active = False
    labels.owner.save()
    handed_out.clear()
    tasks.imports_heal()
    batch.refresh_from_db()
    assert (batch.state, handed_out) == ("failed", [])
    assert "go on with it yourself" in batch.message


def test_an_import_that_was_to_stop_stops_also_after_its_worker_was_lost(bring, labels, handed_out, monkeypatch):
    monkeypatch.setattr(tasks.import_stage, "delay", tasks.import_stage)
    batch = bring(table(line(1)), confirm=False)
    import_confirm(batch=batch, by=labels.owner)
    import_cancel(batch=batch, by=labels.owner)
    tasks.import_run(*handed_out[-1][1])
    batch.refresh_from_db()
    assert batch.state == "cancelled"


def test_a_lock_is_one_connections_and_given_back():
    found = []

    def other():
        with held("x") as mine:
            found.append(mine)
        connections.close_all()

    with held("x") as mine:
        assert mine
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [False, True]


def test_one_new_isrc_of_two_organisations_in_one_moment_is_contested(bring, labels, handed_out, monkeypatch):
    """Both have judged their rows as new before either has taken them."""
    monkeypatch.setattr(tasks.import_stage, "delay", tasks.import_stage)
    batches = []
    for n, (organisation, by) in enumerate(((labels.label, labels.owner), (labels.other, labels.stranger))):
        rows = table(line(1), line(2, isrc=f"QZSTM269999{n}"))
        batch = bring(rows, confirm=False, organisation=organisation, by=by)
        import_confirm(batch=batch, by=by)
        batches.append((batch.id, by))
    contests, judge = importing._Carrier._contests, tasks.judge
    together, looked = threading.Barrier(2), threading.Barrier(2)

    def judged(batch):
        judge(batch)
        together.wait(20)

    def waiting(carrier, coded):
        found = contests(carrier, coded)
        with suppress(threading.BrokenBarrierError):  # the other one has to wait until this one has committed
            looked.wait(1.5)
        return found

    monkeypatch.setattr(tasks, "judge", judged)
    monkeypatch.setattr(importing._Carrier, "_contests", waiting)
    monkeypatch.setattr(tasks.search_refresh, "delay", lambda: None)

    def run(identifier, by):
        tasks.import_run(identifier, str(by.pk))
        connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [Import.objects.get(id=identifier) for identifier, _ in batches]
    assert [batch.state for batch in found] == ["done", "done"], [batch.message for batch in found]
    assert Recording.objects.count() == 4
    claim = Claim.objects.get(kind="same-identifier")
    assert {claim.recording.organisation, claim.other.organisation} == {labels.label, labels.other}
    assert claim.recording.isrc == claim.other.isrc == "QZSTM2600001"
    assert sorted(batch.counts.get("conflicting", 0) for batch in found) == [0, 1]
