"""A live portal of this worker, in its production form, for tests that look at it from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stemma.stack import applications
from stemma.stack.ports import Ports
from support.session import Session, WorkerHome, free_ports


@dataclass
class LivePortal:
    """The portal on its own migrated database and bucket."""

    url: str
    home: WorkerHome
    ports: Ports

    @property
    def environ(self) -> dict[str, str]:
        """The environment in which it runs; a command run in it sees the same data."""
        return self.home.process_environment(self.ports)

    def manage(self, *words: str) -> str:
        """Run a management command beside it; what it printed."""
        return applications.manage(self.home, self.ports, *words)

    def shell(self, code: str, **names: Any) -> str:
        """Run a piece of Python inside the portal's Django; what it printed."""
        setup = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        return self.manage("shell", "--no-imports", "--command", setup + code)


def start_portal(session: Session, name: str = "portal", redis_database: int = 32) -> LivePortal:
    """Make a migrated database, collect the static files, start the server.  Names keep several apart."""
    for engine in ("postgres", "redis", "s3"):
        session.start(engine)
    home = session.worker_home(name, redis_database + session.number)
    ports = session.ports.model_copy(update={"portal": free_ports().portal})
    home.open(ports)
    session.create_migrated_database(home.database)
    session.ensure_bucket(home.name)
    live = LivePortal(f"http://127.0.0.1:{ports.portal}", home, ports)
    session.run(applications.portal(home, ports), environ=live.environ, label=home.name)
    return live


def start_worker(session: Session, portal: LivePortal) -> None:
    """Start the portal's background work, which tests of whole journeys need."""
    service = applications.worker(portal.home, portal.ports)
    session.run(service, environ=portal.environ, label=f"{portal.home.name}-worker")
