"""Readers of hostile files in a process of their own, with bounds on time and memory and without the network."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from math import ceil
from typing import Any

from stemma.errors import InvalidError

PATIENCE = 60.0
"""Seconds."""
MEMORY = 4 << 30
MOST_ANSWER = 4 << 20


class GaveUpError(InvalidError):
    """The reader took too long, died, or said too much."""

    code = "credentials"


def answer_of(module: str, *words: str) -> dict[str, Any]:
    """What `python -m module words…` says, as JSON.  Raises `GaveUpError`."""
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    # Set from outside: code between fork and exec is not safe in a process with threads.
    for bound, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, ceil(PATIENCE))):
        resource.prlimit(process.pid, bound, (most, most))
    try:
        answer, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise GaveUpError("it takes too long") from error
    if process.returncode or len(answer) > MOST_ANSWER:
        raise GaveUpError("their reader gave up")
    told: dict[str, Any] = json.loads(answer)
    return told
