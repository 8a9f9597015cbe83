"""The processes that are ours: the portal, its background work, and serving."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx

from stemma.errors import UnavailableError
from stemma.stack.engines import program
from stemma.stack.home import Home
from stemma.stack.ports import LOOPBACK, Ports
from stemma.stack.services import Service

CELERY_APP = "stemma_portal.config.celery"


def applications(home: Home, ports: Ports) -> list[Service]:
    """Portal, worker, beat and serving, each in its production form."""
    described = [portal(home, ports), worker(home, ports), beat(home), serving(home, ports)]
    version = {"CODE_VERSION": _code_version()}
    return [replace(service, env={**service.env, **version}) for service in described]


def portal(home: Home, ports: Ports) -> Service:
    """The portal on a production WSGI server; its database is migrated and its static files collected first."""
    url = f"http://{LOOPBACK}:{ports.portal}"
    bind = ("--host", LOOPBACK, "--port", str(ports.portal))

    def prepare() -> None:
        home.folder("portal")
        manage(home, ports, "migrate", "--no-input")
        manage(home, ports, "collectstatic", "--no-input")

    return Service(
        name="portal",
        title="Portal",
        command=[
            *(program("granian"), "--interface", "wsgi", *bind, "--workers", "1", "--blocking-threads", "8"),
            *("--no-ws", "--respawn-failed-workers", "stemma_portal.config.wsgi:application"),
        ],
        folder=home.path / "portal",
        ports=ports.listening("portal"),
        needs=("postgres", "redis", "s3"),
        prepare=prepare,
        healthy=lambda: answers(f"{url}/healthz"),
        url=url,
    )


def worker(home: Home, ports: Ports) -> Service:
    """The portal's background work."""

    def healthy() -> None:
        from celery import Celery

        with Celery(broker=home.environment(ports)["STEMMA_REDIS_URL"]) as app:
            if not app.control.ping(destination=["portal@local"], timeout=1.0):
                raise UnavailableError("The worker does not answer.")

    return Service(
        name="worker",
        title="Background work",
        command=[
            *(program("celery"), "-A", CELERY_APP, "worker", "--hostname", "portal@local", "--concurrency", "2"),
            *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
        ],
        folder=home.path / "portal",
        needs=("portal",),  # which migrates the database
        healthy=healthy,
        stop_seconds=20,
    )


def beat(home: Home) -> Service:
    """Sends the portal's periodic work to the worker."""
    return Service(
        name="beat",
        title="Clock of background work",
        command=[program("celery"), "-A", CELERY_APP, "beat", "--loglevel", "INFO", "--pidfile="],
        folder=home.path / "portal",
        needs=("portal",),
    )


def serving(home: Home, ports: Ports) -> Service:
    """Music on request, on Ray Serve.

    It needs only the object storage, as everywhere, and lives without a model; where a license has a monthly cap it
    asks Redis.
    """
    url = f"http://{LOOPBACK}:{ports.serving}"
    return Service(
        name="serving",
        title="Serving (Ray)",
        command=[sys.executable, "-m", "stemma_serving"],
        folder=home.path / "serving",
        ports=ports.listening("serving"),
        needs=("s3",),
        env={"RAY_USAGE_STATS_ENABLED": "0"},  # it would report to its makers otherwise
        prepare=lambda: _make(home, "serving"),
        healthy=lambda: answers(f"{url}/livez"),
        url=url,
        stop_seconds=45,
        start_seconds=120,
    )


def manage(home: Home, ports: Ports, *words: str) -> str:
    """Run one of the portal's management commands in this installation; returns what it printed.

    Raises `UnavailableError` with its last words when it fails.
    """
    command = [sys.executable, "-m", "stemma_portal", *words]
    environ = home.process_environment(ports)
    done = subprocess.run(command, env=environ, cwd=home.folder("portal"), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise UnavailableError(f"The portal's `{words[0]}` failed:\n{said}", remedy="See `stemma status` and its logs.")
    return done.stdout


def answers(url: str) -> None:
    """Returns when the address answers well; raises otherwise."""
    httpx.get(url, timeout=2).raise_for_status()


def _make(home: Home, name: str) -> None:
    home.folder(name)


def _code_version() -> str:
    """Changes when our own source does, so that a start after an update restarts what runs the old code."""
    root = Path(__file__).parents[3]
    sources = (p for room in ("platform", "portal", "serving") for p in (root / room).rglob("*.py"))
    return str(max((path.stat().st_mtime_ns for path in sources), default=0))
