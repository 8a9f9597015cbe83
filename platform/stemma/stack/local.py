"""The local stack: everything of Stemma on one machine, started in the order of needs, loopback only."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from stemma.config import settings
from stemma.errors import NotFoundError, StemmaError, UnavailableError
from stemma.proof.keys import KEYS_KEY
from stemma.stack import ports as port_checks
from stemma.stack.applications import applications
from stemma.stack.engines import bucket_of, engines
from stemma.stack.home import Home
from stemma.stack.processes import end, marked
from stemma.stack.services import Service
from stemma.stack.supervise import Supervisor

State = Literal["waiting", "preparing", "starting", "running", "stopping", "stopped", "failed"]
Watch = Callable[[str, State, float], None]
"""Told of each change: name of the service, its new state, seconds since the beginning."""

HUNG_SECONDS = 10.0
"""A process that runs but is not healthy for so long at the beginning of a start is started anew."""


def first_line(error: Exception) -> str:
    """What an error says, without its explanations."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].strip(". ")


def _unwatched(name: str, state: State, seconds: float) -> None:
    """Nobody looks on."""


class Stack:
    """The local stack of one installation."""

    def __init__(self, home: Home | None = None) -> None:
        self.home = home or Home(settings().home)
        self.ports = self.home.ports()
        self.supervisor = Supervisor(self.home)

    @cached_property
    def services(self) -> dict[str, Service]:
        """Every process, by name; those needed stand before those that need them."""
        described = [*engines(self.home, self.ports), *applications(self.home, self.ports)]
        return {s.name: replace(s, complete=self._publish_keys) if s.name == "s3" else s for s in described}

    def service(self, name: str) -> Service:
        """A process by name.  Raises `NotFoundError`, which names all."""
        try:
            return self.services[name]
        except KeyError:
            raise NotFoundError(f"There is no {name!r}.", remedy=f"Choose among {', '.join(self.services)}.") from None

    # --- Start --------------------------------------------------------------------------------

    def start(self, watch: Watch = _unwatched) -> None:
        """Bring everything up that is not; returns when all of it is healthy.

        Raises `PortTakenError` before anything starts, `UnavailableError` when a process does not
        become healthy.  After an interruption at any point, starting again goes on from there.
        """
        self.home.make()
        with self._alone():
            self.home.open(self.ports)
            self._supervise()
            self._start_all(watch)

    def _supervise(self) -> None:
        """Have a supervisor that knows today's services, and no process left over from an earlier one."""
        running = self.supervisor.alive()
        if not running:
            self.supervisor.shutdown()  # one that lives but does not answer
            self._end_leftovers()
        active = {n for n, i in self.supervisor.info().items() if i["statename"] in {"RUNNING", "STARTING", "STOPPING"}}
        for service in self.services.values():
            if service.name not in active:
                port_checks.check(self.ports, service.name, service.ports)
        self.supervisor.configure(self.services.values())
        if running:
            self.supervisor.reload()
        else:
            self.supervisor.launch(self.ports)

    def _start_all(self, watch: Watch) -> None:
        """Start each as soon as what it needs is healthy.  One that fails stops only those that need it."""
        began = time.monotonic()
        given_up = threading.Event()
        with ThreadPoolExecutor(len(self.services)) as pool:
            started: dict[str, Future[bool]] = {}

            def bring_up(service: Service) -> bool:
                def tell(state: State) -> None:
                    watch(service.name, state, time.monotonic() - began)

                tell("waiting")
                ready = all(not started[needed].exception() and started[needed].result() for needed in service.needs)
                if not ready or given_up.is_set():
                    return False
                try:
                    self._bring_up(service, tell, given_up)
                except BaseException:
                    tell("failed")
                    raise
                tell("running")
                return True

            for service in self.services.values():
                started[service.name] = pool.submit(bring_up, service)
            try:
                wait(started.values())
            except BaseException:
                given_up.set()  # Ctrl-C: those that wait give up, those that started stay for the next time
                raise
        for future in started.values():
            future.result()  # raises what the first that failed did

    def _bring_up(self, service: Service, tell: Callable[[State], None], given_up: threading.Event) -> None:
        state = self.supervisor.info()[service.name]["statename"]
        if state in {"RUNNING", "STARTING"}:
            if self._hindrance(service, HUNG_SECONDS, given_up) is None:
                return
            self.supervisor.stop(service.name)
        tell("preparing")
        service.prepare()
        tell("starting")
        self.supervisor.start(service.name)
        problem = self._hindrance(service, service.start_seconds, given_up)
        if problem is not None:
            raise UnavailableError(
                f"{service.title} did not start: {problem}.\n{self.last_words(service.name)}",
                remedy=f"See `stemma logs {service.name}`, mend it, and start again.",
            )
        service.complete()

    def _hindrance(self, service: Service, seconds: float, given_up: threading.Event) -> str | None:
        """Wait until a process is healthy: then nothing; what hinders it if it is not in time, or has ended."""
        deadline = time.monotonic() + seconds
        while True:
            info = self.supervisor.info().get(service.name)
            state = info["statename"] if info else "GONE"
            problem = f"it is {state.lower()}"
            # One with ports is known by its answer; one without must at least outlive its first second.
            if state == "RUNNING" or (state == "STARTING" and service.ports):
                try:
                    service.healthy()
                except Exception as error:  # noqa: BLE001 - whatever hinders it, we wait
                    problem = first_line(error)
                else:
                    return None
            elif state not in {"STARTING", "BACKOFF"}:
                return f"{problem} {info['spawnerr'] if info else ''}".strip()
            if time.monotonic() > deadline or given_up.is_set():
                return problem
            time.sleep(0.1)

    def _publish_keys(self) -> None:
        """Both buckets, and the public keys where everyone finds them."""
        for bucket in ("stemma", "mlflow"):
            bucket_of(self.home, self.ports, bucket).ensure_bucket()
        bucket_of(self.home, self.ports, "stemma").put_json(KEYS_KEY, self.home.keyring.jwks())

    # --- Stop ---------------------------------------------------------------------------------

    def stop(self, watch: Watch = _unwatched) -> None:
        """End every process of this installation, and no other: first those that need others."""
        if not self.home.path.exists():
            return
        with self._alone():
            try:
                if self.supervisor.alive():
                    self._stop_all(watch)
            finally:  # also where nobody reads what is told any more
                self.supervisor.shutdown()
                self._end_leftovers()

    def _stop_all(self, watch: Watch) -> None:
        began = time.monotonic()
        gone = {name: threading.Event() for name in self.services}
        needed_by = {n: [s.name for s in self.services.values() if n in s.needs] for n in self.services}

        def bring_down(service: Service) -> None:
            try:
                for name in needed_by[service.name]:
                    gone[name].wait()
                watch(service.name, "stopping", time.monotonic() - began)
                self.supervisor.stop(service.name)
                watch(service.name, "stopped", time.monotonic() - began)
            finally:
                gone[service.name].set()

        with ThreadPoolExecutor(len(self.services)) as pool:
            for future in [pool.submit(bring_down, service) for service in self.services.values()]:
                future.result()

    def restart(self, name: str, watch: Watch = _unwatched) -> None:
        """Stop one process and start it again.  Others that need it stay and reconnect.

        Raises `UnavailableError` when the stack does not run, or the process does not come back.
        """
        service = self.service(name)
        with self._alone():
            if not self.supervisor.alive():
                raise UnavailableError("The local stack does not run.", remedy="Start it with `stemma start`.")
            began = time.monotonic()
            self.supervisor.stop(name)
            self._bring_up(service, lambda state: watch(name, state, time.monotonic() - began), threading.Event())
            watch(name, "running", time.monotonic() - began)

    def _end_leftovers(self) -> None:
        """End what an earlier supervisor started and left behind, applications before engines."""
        left = marked(self.home.path)
        for name in sorted(left, key=lambda n: [*self.services, n].index(n), reverse=True):
            if service := self.services.get(name):
                end(left[name], number=signal.Signals[f"SIG{service.stop_signal}"], seconds=service.stop_seconds)
            else:
                end(left[name])

    # --- Logs ---------------------------------------------------------------------------------

    def log(self, name: str) -> Path:
        """The log of a process, by name."""
        return self.home.path / "logs" / f"{'supervisord' if name == 'supervisord' else self.service(name).name}.log"

    def last_words(self, name: str, lines: int = 8) -> str:
        """The end of a process's log."""
        path = self.log(name)
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the installation's lock: two commands that start or stop it would undo each other."""
        path = self.home.folder("run") / "lock"
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise StemmaError(
                    f"Process {file.read().strip() or 'of another terminal'} is starting or stopping this stack.",
                    remedy="Wait until it is done, or end it, and try again.",
                    code="busy",
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
