"""The serving process as its users and its operator meet it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from support.patience import PATIENCE, until

T = TypeVar("T")


class Served:
    """`python -m stemma_serving` in a home of its own."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.url = environ["STEMMA_SERVING_URL"]
        self._environ, self._log = environ, log
        self._process: subprocess.Popen[bytes] | None = None
        self._tree: list[psutil.Process] = []

    def start(self) -> None:
        """Start it; `until` waits for what one needs of it."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _ENDS_WITH_US],
                env=self._environ,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )

    def until(self, wanted: Callable[[], T], what: str) -> T:
        """The first true answer, asked again and again."""

        def asked() -> T | None:
            assert self._process is None or self._process.poll() is None, self.logs()
            with suppress(httpx.HTTPError):
                return wanted()
            return None

        found = until(asked, lambda: f"{what}\n{self.logs()}", pause=0.2)
        assert found is not None
        return found

    def logs(self) -> str:
        """The end of what the main process and the generator said."""
        folders = (Path(self._environ["STEMMA_HOME"]) / "serving", *Path(tempfile.gettempdir()).glob("stm-*"))
        replicas = [log for f in folders for log in f.glob("ray/session_latest/logs/serve/replica_stemma_Generator*")]
        return "\n".join(log.read_text()[-3000:] for log in (self._log, *replicas))

    def alive(self) -> bool:
        """Whether the gateway answers."""
        return httpx.get(f"{self.url}/livez", timeout=5).status_code == 200

    def healthy(self) -> bool:
        """Whether a model is loaded."""
        return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200

    def post(self, key: str | None, body: Any = None, *, content: bytes | None = None) -> httpx.Response:
        """`POST /v1/generations`."""
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        more: dict[str, Any] = {"content": content} if content is not None else {"json": body}
        return httpx.post(f"{self.url}/v1/generations", headers=headers, timeout=120, **more)

    def get(self, key: str, path: str) -> httpx.Response:
        """Any other address."""
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {key}"}, timeout=30)

    def replica(self, deployment: str) -> psutil.Process:
        """The process of a deployment's replica."""
        found = [p for p in self.tree() if f"ServeReplica:stemma:{deployment}" in " ".join(p.cmdline())]
        assert found, [p.cmdline()[:1] for p in self.tree()]
        return found[0]

    def tree(self) -> list[psutil.Process]:
        """All its processes; remembered, so that one may ask after its end what is left of them."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        self._tree = [main, *main.children(recursive=True)]
        return self._tree

    def left(self) -> list[str]:
        """What still runs of the processes there were."""
        found = []
        for process in self._tree:
            with suppress(psutil.NoSuchProcess):  # gone, or a zombie: it may become one between two questions
                if process.is_running():
                    found.append(" ".join(process.cmdline())[:120])
        return found

    def kill(self) -> None:
        """End the main process without a word."""
        assert self._process is not None
        self.tree()
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> float:
        """Ask it to end; the seconds it took."""
        if self._process is None:
            return 0.0
        start = time.monotonic()
        self.tree()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=PATIENCE)
        self._process = None
        return time.monotonic() - start


_ENDS_WITH_US = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: also when the tests are killed
os.execv(sys.executable, [sys.executable, "-m", "stemma_serving"])
"""


def limit_file_size(process: psutil.Process, size: int | None) -> None:
    """Make the kernel refuse a process's writes beyond a size, as a full disk refuses them; None ends it."""
    _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (hard if size is None else size, hard))


def environment(own: dict[str, str], *, s3_port: int | None = None, port: int | None = None) -> dict[str, str]:
    """This process's environment with the settings of a home, on a port and behind a wire where given."""
    changed = dict(own)
    if s3_port is not None:
        changed["STEMMA_S3_ENDPOINT"] = f"http://127.0.0.1:{s3_port}"
    if port is not None:
        changed["STEMMA_SERVING_URL"] = f"http://127.0.0.1:{port}"
    return {name: value for name, value in os.environ.items() if not name.startswith("STEMMA_")} | changed
