"""What a newcomer does: one command, and everything is there."""

import json
import time

import pytest

from support.patience import until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]

GIB = 2**30


def test_everything_runs_within_its_memory(stack):
    done = stack.run("status", "--json")
    assert done.returncode == 0, done.stdout
    lines = {line["name"]: line for line in json.loads(done.stdout)}
    names = {"postgres", "redis", "s3", "mlflow", "portal", "worker", "beat", "serving"}
    assert {name for name, line in lines.items() if line["state"] == "running"} == names
    assert sum(line["memory_bytes"] for line in lines.values()) < 6 * GIB


def test_a_second_time_takes_seconds_and_repeats_nothing(stack):
    before = stack.story
    started = time.monotonic()
    done = stack.run("up", "--limit", "60", "--preset", "tiny")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 30
    assert stack.story == before
    assert stack.url in done.stdout


def test_what_was_made_is_verified_offline(stack):
    files = sorted(stack.listen.glob("*.flac"))
    assert files
    for path in files:
        done = stack.run("verify", str(path))
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_killed_portal_comes_back(stack):
    from stemma.stack.health import status
    from stemma.stack.processes import marked

    for process in marked(stack.home.path)["portal"]:
        process.kill()
    stack_now = stack.stack()
    until(lambda: all(line.state == "running" for line in status(stack_now)), "The portal is not back", pause=1)
