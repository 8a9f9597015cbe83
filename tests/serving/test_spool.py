from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from stemma_serving.config import SpoolConfig
from stemma_serving.spool import Commits, Journal, SpoolFullError, lines, segments

pytestmark = pytest.mark.unit
CONFIG = SpoolConfig(reserve_bytes=0, segment_seconds=0.01)


def test_a_line_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SpoolConfig(reserve_bytes=0))
    journal.append([b"one", b"two"])
    (path,) = tmp_path.glob("*.open")
    assert lines(path) == [b"one", b"two"]


def test_a_writers_own_segment_is_not_taken_from_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SpoolConfig(reserve_bytes=0))
    journal.append([b"one"])
    assert list(segments(tmp_path)) == []
    journal.close()
    assert [lines(s) for s in segments(tmp_path)] == [[b"one"]]


def test_old_and_full_segments_are_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SpoolConfig(reserve_bytes=0, segment_bytes=1024))
    journal.append([b"x" * 1024])
    assert len(list(segments(tmp_path))) == 1
    journal.append([b"y"])
    assert len(list(segments(tmp_path))) == 1


def test_a_killed_writers_segment_is_adopted_without_its_unfinished_line(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from stemma_serving.config import SpoolConfig;"
        "from stemma_serving.spool import Journal;"
        "j = Journal(Path(sys.argv[1]), SpoolConfig(reserve_bytes=0)); j.append([b'whole']);"
        "os.write(j._descriptor, b'torn'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert [lines(s) for s in segments(tmp_path)] == [[b"whole"]]


def test_a_disk_that_is_full_keeps_nothing_of_a_failed_append(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SpoolConfig(reserve_bytes=0))
    journal.append([b"before"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel takes the first bytes of the line and refuses the rest, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (12, hard))
    try:
        with pytest.raises(SpoolFullError, match="cannot record the use"):
            journal.append([b"too much for it"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append([b"after"])
    journal.close()
    assert [lines(s) for s in segments(tmp_path)] == [[b"before", b"after"]]


def test_no_generation_begins_when_the_reserve_is_reached(tmp_path: Path) -> None:
    with pytest.raises(SpoolFullError):
        Journal(tmp_path, SpoolConfig(reserve_bytes=1 << 60)).check()
    Journal(tmp_path, CONFIG).check()


def test_callers_at_once_share_a_sync_and_all_their_lines_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = 0
    sync = os.fdatasync

    def counting(descriptor: int) -> None:
        nonlocal synced
        synced += 1
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", counting)
    journal = Journal(tmp_path, SpoolConfig(reserve_bytes=0))

    async def many() -> None:
        commits = Commits(journal)
        await asyncio.gather(*(commits.commit(str(n).encode()) for n in range(200)))

    asyncio.run(many())
    journal.close()
    (segment,) = segments(tmp_path)
    assert lines(segment) == [str(n).encode() for n in range(200)]
    assert synced < 20


def test_every_waiting_caller_learns_of_a_full_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SpoolConfig(reserve_bytes=0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def many() -> list[object]:
        commits = Commits(journal)
        return await asyncio.gather(*(commits.commit(b"x" * 10) for _ in range(5)), return_exceptions=True)

    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        assert all(isinstance(result, SpoolFullError) for result in asyncio.run(many()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
