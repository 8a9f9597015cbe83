"""Runs a command for as long as its session lives: `guard.py LOCK SIGNAL SECONDS COMMAND…`.

The session holds a lock on the file LOCK; when it ends, in whatever way, the system gives the lock
back, and the guard ends the command: with SIGNAL, and SECONDS later by force.
"""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    gently, seconds, command = signal.Signals[sys.argv[2]], float(sys.argv[3]), sys.argv[4:]
    stop = {"asked": False}
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.update(asked=True))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    with Path(sys.argv[1]).open("rb") as lock:
        while process.poll() is None and not stop["asked"] and _held(lock):
            time.sleep(0.2)
    for number in (gently, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    return process.wait()


def _held(lock) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
