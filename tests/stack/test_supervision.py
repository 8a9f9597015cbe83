"""The engines under supervision: they start, end, and come back after anything."""

import os
import signal
import time

import psutil
import pytest

from stemma.errors import StemmaError, UnavailableError
from stemma.stack import health
from stemma.stack.engines import bucket_of
from stemma.stack.ports import PortTakenError, is_free
from stemma.stack.processes import marked
from support.patience import until

pytestmark = pytest.mark.journey  # whole stacks, which would starve one another

ENGINES = ("postgres", "redis", "s3")


@pytest.fixture
def stack(installation):
    return installation.stack(*ENGINES)


@pytest.fixture
def redis_only(installation):
    """Where it does not matter which process it is, the quickest."""
    return installation.stack("redis")


def states(stack):
    return {line.name: line.state for line in health.status(stack)}


def test_start_and_stop_leave_no_process(stack):
    bystander = psutil.Popen(["sleep", "60"])
    stack.start()
    assert states(stack) == dict.fromkeys(ENGINES, "running")
    keys = bucket_of(stack.home, stack.ports, "stemma").get_json("keys/jwks.json")
    assert keys == stack.home.keyring.jwks()
    before = {name: [p.pid for p in found] for name, found in marked(stack.home.path).items()}
    stack.start()  # again: nothing changes
    assert {name: [p.pid for p in found] for name, found in marked(stack.home.path).items()} == before

    stack.stop()
    assert marked(stack.home.path) == {}
    assert stack.supervisor.process() is None
    assert all(is_free(port) for service in stack.services.values() for port in service.ports)
    assert bystander.is_running()
    bystander.kill()
    bystander.wait()
    stack.stop()  # again: nothing to end


def test_it_ends_wholly_though_nobody_reads_what_is_told(redis_only):
    def told(name, state, seconds):
        if state == "stopped":
            raise BrokenPipeError

    redis_only.start()
    with pytest.raises(BrokenPipeError):
        redis_only.stop(told)
    assert marked(redis_only.home.path) == {}
    assert redis_only.supervisor.process() is None


def test_a_killed_supervisor_is_recovered_from(stack):
    stack.start()
    bucket_of(stack.home, stack.ports, "stemma").put("kept", b"over a kill")
    daemon = stack.supervisor.process()
    daemon.kill()
    psutil.wait_procs([daemon], timeout=5)
    left = states(stack)
    # SeaweedFS is seen to end with the supervisor on some runs; the others must stay.
    assert left.pop("s3") in {"orphaned", "stopped"}
    assert set(left.values()) == {"orphaned"}

    stack.start()
    assert states(stack) == dict.fromkeys(ENGINES, "running")
    assert bucket_of(stack.home, stack.ports, "stemma").get("kept") == b"over a kill"


def test_everything_killed_at_once_is_recovered_from(stack):
    stack.start()
    daemon = stack.supervisor.process()
    everything = [daemon, *(p for found in marked(stack.home.path).values() for p in found)]
    daemon.kill()  # first, or it would restart the others
    for process in everything[1:]:
        process.kill()
    psutil.wait_procs(everything, timeout=5)
    # A number in PostgreSQL's file that now is some other program's must not hinder it.
    pidfile = stack.home.path / "postgres" / "data" / "postmaster.pid"
    lines = pidfile.read_text().splitlines()
    pidfile.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")

    stack.start()
    assert states(stack) == dict.fromkeys(ENGINES, "running")


def test_an_engine_that_dies_is_restarted(redis_only):
    redis_only.start()
    (first,) = marked(redis_only.home.path)["redis"]
    first.kill()
    until(lambda: states(redis_only)["redis"] == "running", "Redis is not back")
    (second,) = marked(redis_only.home.path)["redis"]
    assert second.pid != first.pid


@pytest.mark.parametrize("name", ["redis", "s3"])
def test_status_tells_what_is_down(stack, name):
    stack.start()
    stack.supervisor.stop(name)
    assert states(stack) == {**dict.fromkeys(ENGINES, "running"), name: "stopped"}


def test_status_tells_what_hangs(redis_only):
    redis_only.start()
    (process,) = marked(redis_only.home.path)["redis"]
    while redis_only.supervisor.info()["redis"]["statename"] == "STARTING":
        time.sleep(0.1)  # it answered before its first second, after which it counts as started
    process.send_signal(signal.SIGSTOP)
    try:
        (line,) = [line for line in health.status(redis_only) if line.name == "redis"]
        assert line.state == "unhealthy"
        assert line.problem
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_taken_port_stops_the_start_before_anything_runs(installation, stack):
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", installation.ports.redis))
        listener.listen()
        with pytest.raises(PortTakenError, match=str(installation.ports.redis)):
            stack.start()
    assert marked(stack.home.path) == {}
    assert not stack.supervisor.alive()


def test_an_interrupted_initialisation_is_made_again(stack):
    stack.start()
    stack.stop()
    (stack.home.path / "postgres" / "initializing").touch()
    (stack.home.path / "postgres" / "data" / "PG_VERSION").write_text("half")
    stack.start()
    assert states(stack)["postgres"] == "running"


def test_two_starts_do_not_meet(redis_only):
    with redis_only._alone(), pytest.raises(StemmaError, match=f"Process {os.getpid()}"):
        redis_only.start()


def test_a_process_that_cannot_start_is_told_with_its_last_words(installation):
    from dataclasses import replace

    stack = installation.stack("redis")
    broken = replace(stack.services["redis"], command=["sh", "-c", "echo the disk is full; exit 1"], start_seconds=10)
    stack.services = {"redis": broken}
    with pytest.raises(UnavailableError, match="the disk is full") as caught:
        stack.start()
    assert "stemma logs redis" in caught.value.remedy


def test_a_changed_description_restarts_only_what_changed(stack):
    from dataclasses import replace

    stack.start()
    before = {name: found[0].pid for name, found in marked(stack.home.path).items()}
    stack.services = {**stack.services, "redis": replace(stack.services["redis"], env={"VERSION": "2"})}
    stack.start()
    after = {name: found[0].pid for name, found in marked(stack.home.path).items()}
    assert {name for name in before if before[name] != after[name]} == {"redis"}


def test_nothing_listens_beyond_loopback(stack):
    stack.start()
    for found in marked(stack.home.path).values():
        for process in found:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1"
