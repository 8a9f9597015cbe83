"""Ending everything that serving started, and nothing else.

Ray starts a tree of processes, and HAProxy outlives its parents where nobody looks after it.
Orphans of the tree become children of the main process (a subreaper), so that none is out of reach;
and what a killed main process left is known by its process identifier and start time.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
from pathlib import Path

import psutil

from stemma_serving.files import write_whole

PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make this process the parent of every orphan below it (Linux)."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def remember(path: Path) -> None:
    """Note every process below this one, for a successor that finds this one killed."""
    write_whole(path, json.dumps([[p.pid, p.create_time()] for p in _below()]).encode())


def end_leftovers(*notes: Path) -> int:
    """End what an earlier run left: processes noted by it that are still the same.  How many there were."""
    found = []
    for note in notes:
        with contextlib.suppress(FileNotFoundError, ValueError):
            for pid, started in json.loads(note.read_text()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(pid)
                    if abs(process.create_time() - started) < 1:
                        found.append(process)
        note.unlink(missing_ok=True)
    _end(found, patience=3)
    return len(found)


def end_all(patience: float) -> None:
    """End every process below this one: asked first, then killed."""
    _end(_below(), patience)
    _end(_below(), 0)  # what those had started in the meantime


def _below() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _end(processes: list[psutil.Process], patience: float) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=3)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
