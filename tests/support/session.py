"""One test session: a temporary home on free ports, shared by all its worker processes.

Addresses are chosen before anything else is imported, since Django reads its settings once; the
engines behind them start when the first test asks for one, and end with the session.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psycopg
from filelock import FileLock

from stemma.stack.engines import bucket_of, engines
from stemma.stack.home import Home
from stemma.stack.ports import GRPC_OFFSET, S3_PORTS, Ports, is_free

FOLDER = "TEST_SESSION_FOLDER"
"""Names the session's folder to its worker processes."""


def free_ports() -> Ports:
    """Ports nobody listens on now, at random, so that sessions beside each other hardly ever meet."""
    names = list(Ports.model_fields)
    while True:
        tried = random.sample(range(20000, 21999), len(names))
        if all(
            is_free(p) and (n not in S3_PORTS or is_free(p + GRPC_OFFSET)) for n, p in zip(names, tried, strict=True)
        ):
            return Ports(**dict(zip(names, tried, strict=True)))


class Session:
    """The session as one process sees it."""

    def __init__(self) -> None:
        self.worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        self.owns = FOLDER not in os.environ
        if self.owns:
            folder = Path(tempfile.mkdtemp(prefix="stemma-tests-"))
            folder.chmod(0o711)
            (folder / "ports.json").write_text(free_ports().model_dump_json())
            self._lock = (folder / "alive").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            os.environ[FOLDER] = str(folder)
        self.folder = Path(os.environ[FOLDER])
        self.ports = Ports.model_validate_json((self.folder / "ports.json").read_text())
        with FileLock(self.folder / "home.lock"):
            self.home = Home(self.folder / "engines")
            _ = self.home.secrets
        self._set_environment()

    def _set_environment(self) -> None:
        """Engines are shared; database, bucket, Redis database and home are each worker's own."""
        for name in [n for n in os.environ if n.startswith("STEMMA_")]:
            del os.environ[name]
        number = int(self.worker.removeprefix("gw")) if self.worker.startswith("gw") else 15
        own = Home(self.folder / f"home-{self.worker}")
        own.make()
        own.keyring.create()
        shared = self.home.environment(self.ports)
        os.environ.update(shared)
        os.environ["STEMMA_HOME"] = str(own.path)
        os.environ["STEMMA_S3_BUCKET"] = f"stemma-{self.worker}"
        os.environ["STEMMA_REDIS_URL"] = shared["STEMMA_REDIS_URL"].removesuffix("/0") + f"/{number % 16}"

    def start(self, name: str) -> None:
        """Start an engine and what it needs, unless this session has; returns when it is healthy."""
        service = {s.name: s for s in engines(self.home, self.ports, database_owner_may_create=True)}[name]
        for needed in service.needs:
            self.start(needed)
        with FileLock(self.folder / f"{name}.lock"):
            if (self.folder / f"{name}.ready").exists():
                return
            service.prepare()
            log = self.folder / f"{name}.log"
            guard = [sys.executable, str(Path(__file__).with_name("guard.py")), str(self.folder / "alive")]
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [*guard, *service.command],
                    cwd=service.folder,
                    env={**os.environ, **service.env},
                    stdout=output,
                    stderr=output,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            (self.folder / f"{name}.pid").write_text(str(process.pid))
            deadline = time.monotonic() + service.start_seconds
            while True:
                try:
                    service.healthy()
                    break
                except (httpx.HTTPError, psycopg.Error, OSError, Exception) as error:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"{name} did not start: {error}\n{log.read_text()[-2000:]}") from error
                    time.sleep(0.05)
            service.complete()
            (self.folder / f"{name}.ready").touch()
            # It lives on beyond this process: its guard, not we, ends it.
            process.returncode = 0

    def ensure_bucket(self) -> None:
        """Make this worker's bucket."""
        bucket_of(self.home, self.ports, os.environ["STEMMA_S3_BUCKET"]).ensure_bucket()

    def close(self) -> None:
        """End the engines and remove the folder; only the process that opened the session does."""
        if not self.owns:
            return
        self._lock.close()
        pids = [int(path.read_text()) for path in self.folder.glob("*.pid")]
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}/cmdline").exists() and _is_guard(pid, self.folder) for pid in pids):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.environ.pop(FOLDER, None)


def _is_guard(pid: int, folder: Path) -> bool:
    try:
        return str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
