"""The supervisor of the local stack: starts processes, restarts what dies, keeps their logs.

It is the library `supervisor`, as a daemon that listens on a socket which only its user may open.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import Any, TypedDict, cast
from xmlrpc.client import Fault, ServerProxy

import psutil

from stemma.errors import InvalidError, UnavailableError
from stemma.stack.home import Home, write_private
from stemma.stack.ports import Ports
from stemma.stack.processes import MARK
from stemma.stack.services import Service

MAX_SOCKET_PATH = 100
"""Characters; systems allow about 104 in the address of a socket."""


class Info(TypedDict):
    """What the supervisor knows of a process, as its API names it."""

    name: str
    statename: str
    pid: int
    start: int
    now: int
    spawnerr: str
    exitstatus: int


class Supervisor:
    """The supervisor of one installation.  Safe to use from several threads."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.config = home.path / "run" / "supervisord.conf"
        self.pidfile = home.path / "run" / "supervisord.pid"
        self.socket = home.path / "run" / "supervisor.sock"
        if len(str(self.socket)) > MAX_SOCKET_PATH:
            self.socket = Path(gettempdir()) / f"stemma-{sha256(bytes(home.path)).hexdigest()[:16]}.sock"

    # --- The daemon ---------------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether the supervisor answers."""
        try:
            return bool(self._call("supervisor.getState")["statename"] == "RUNNING")
        except (OSError, Fault):
            return False

    def configure(self, services: Iterable[Service]) -> None:
        """Write its configuration.  A service whose section differs afterwards is restarted by `reload`."""
        self.home.folder("run")
        self.home.folder("logs")
        write_private(self.config, self._configuration(services))

    def launch(self, ports: Ports) -> None:
        """Start the daemon, which starts nothing by itself.  Raises `UnavailableError` when it does not come up."""
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)]
        done = subprocess.run(
            command,
            env=self.home.process_environment(ports),
            cwd=self.home.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        deadline = time.monotonic() + 10
        while done.returncode == 0 and time.monotonic() < deadline:
            if self.alive():
                return
            time.sleep(0.05)
        said = (done.stdout + done.stderr).strip()
        raise UnavailableError(
            f"The supervisor of the local stack did not start. {said}",
            remedy=f"See {self.home.path / 'logs' / 'supervisord.log'}.",
        )

    def reload(self) -> None:
        """Take over a changed configuration: processes whose description changed are stopped."""
        added, changed, removed = self._call("supervisor.reloadConfig")[0]
        for name in [*changed, *removed]:
            self.stop(name)
            self._call("supervisor.removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("supervisor.addProcessGroup", name)

    def shutdown(self) -> None:
        """End the daemon, and what it still runs; returns when it is gone."""
        process = self.process()
        if process is None:
            return
        try:
            self._call("supervisor.shutdown")
        except (OSError, Fault):
            process.terminate()
        try:
            process.wait(60)
        except psutil.TimeoutExpired:
            process.kill()

    def process(self) -> psutil.Process | None:
        """The daemon's process, if it lives; a stale file of its number is not believed."""
        try:
            process = psutil.Process(int(self.pidfile.read_text()))
            return process if str(self.config) in process.cmdline() else None
        except (OSError, ValueError, psutil.Error):
            return None

    # --- Its processes ------------------------------------------------------------------------

    def info(self) -> dict[str, Info]:
        """State of every process, by name; empty when the supervisor does not run."""
        try:
            return {i["name"]: i for i in cast("list[Info]", self._call("supervisor.getAllProcessInfo"))}
        except (OSError, Fault):
            return {}

    def start(self, name: str) -> None:
        """Start a process; returns at once.  One that runs already is left alone."""
        try:
            self._call("supervisor.startProcess", name, False)
        except Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise UnavailableError(f"{name} cannot be started: {fault.faultString}.") from fault

    def stop(self, name: str) -> None:
        """Stop a process and wait until it is gone."""
        try:
            self._call("supervisor.stopProcess", name, True)
        except Fault as fault:
            if not any(word in fault.faultString for word in ("NOT_RUNNING", "BAD_NAME")):
                raise

    def _call(self, method: str, *arguments: Any) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            return getattr(ServerProxy("http://127.0.0.1", transport=transport), method)(*arguments)
        finally:
            transport.close()

    # --- Its configuration --------------------------------------------------------------------

    def _configuration(self, services: Iterable[Service]) -> str:
        logs = self.home.path / "logs"
        sections: dict[str, dict[str, object]] = {
            "unix_http_server": {"file": self.socket, "chmod": "0600"},
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            "supervisord": {
                "pidfile": self.pidfile,
                "logfile": logs / "supervisord.log",
                "logfile_maxbytes": "5MB",
                "logfile_backups": 1,
                "childlogdir": logs,
                **({"user": "root"} if os.geteuid() == 0 else {}),
                "environment": _environment({MARK: str(self.home.path)}),
            },
        }
        for service in services:
            sections[f"program:{service.name}"] = {
                "command": _plain(shlex.join(service.command)),
                "directory": service.folder,
                "environment": _environment({"PYTHONUNBUFFERED": "1", **service.env}),
                "autostart": "false",  # started in the order of their needs, once these are healthy
                "autorestart": "true",
                "startsecs": 1,
                "startretries": 3,
                "stopsignal": service.stop_signal,
                "stopwaitsecs": service.stop_seconds,
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": logs / f"{service.name}.log",
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": 2,
            }
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {_plain(str(value))}\n" for key, value in pairs.items())
            for name, pairs in sections.items()
        ).replace("%", "%%")


def _environment(values: dict[str, str]) -> str:
    for value in values.values():
        if '"' in value:
            raise InvalidError(f"The supervisor cannot pass on {value!r}.", remedy="Choose a folder without quotes.")
    return ",".join(f'{name}="{value}"' for name, value in values.items())


def _plain(value: str) -> str:
    """The value, which must be one that the configuration's format can carry."""
    if "\n" in value or " ;" in value or " #" in value:
        raise InvalidError(f"The supervisor's configuration cannot carry {value!r}.", remedy="Choose another folder.")
    return value
