"""Finding and ending the processes of one installation, and no others.

The supervisor gives everything it starts a mark in its environment, which children inherit.  So
processes are found also after their supervisor was killed, or when they left its tree, as Ray's do.
"""

from __future__ import annotations

import signal
from collections import defaultdict
from pathlib import Path

import psutil

MARK = "SUPERVISED_HOME"
NAME = "SUPERVISOR_PROCESS_NAME"
"""Set by supervisord itself."""


def marked(home: Path) -> dict[str, list[psutil.Process]]:
    """Every living process that this installation's supervisor started, by the name of its service."""
    found: dict[str, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter():
        try:
            environ = process.environ()
            if environ.get(MARK) == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found[environ.get(NAME, "")].append(process)
        except (psutil.Error, OSError):
            continue  # it ended just now, or is another user's
    return dict(found)


def end(processes: list[psutil.Process], *, number: int = signal.SIGTERM, seconds: float = 10) -> None:
    """Ask processes to end; kill those that still live after a while."""
    for process in processes:
        _signal(process, number)
    _, stubborn = psutil.wait_procs(processes, timeout=seconds)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=5)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def memory(processes: list[psutil.Process]) -> int:
    """Bytes these processes hold together: proportional shares where the system tells, so that nothing counts twice."""
    total = 0
    for process in processes:
        try:
            full = process.memory_full_info()
            total += getattr(full, "pss", full.uss)
        except (psutil.Error, OSError):
            continue
    return total
