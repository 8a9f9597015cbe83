"""One test session: a temporary home on free ports, shared by all its worker processes.

Addresses are chosen before anything else is imported, since Django reads its settings once; the
engines behind them start when the first test asks for one, and end with the session.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TextIO

import psycopg
from filelock import FileLock
from psycopg import sql

from stemma.stack.applications import manage
from stemma.stack.engines import bucket_of, engines, postgres_binary
from stemma.stack.home import Home, Secrets
from stemma.stack.ports import GRPC_OFFSET, LOOPBACK, Ports, is_free
from stemma.stack.services import Service
from support.patience import PATIENCE

FOLDER = "TEST_SESSION_FOLDER"
"""Names the session's folder to its worker processes."""

CACHE = Path(__file__).parents[2] / ".pytest_cache" / "stemma"

CLAIMS = Path(tempfile.gettempdir()) / f"stemma-test-ports-{os.getuid()}"
"""A file for each port that a session has, locked for as long as it lives."""

AT_ONCE = ("SIGQUIT", "3")
"""How engines end: what they hold is thrown away; for PostgreSQL it is still a clean way."""

STACK_SECONDS = 300
"""What the local stack may take to end beside other work.  Its folder goes last: it says who the supervisor is."""


def free_ports() -> Ports:
    """Ports nobody listens on now, nor will in a session beside this one: they are this process's while it lives."""
    names = list(Ports.model_fields)
    free = (port for port in random.sample(range(20000, 21999), 1999) if _claim(port))
    return Ports(**dict(zip(names, islice(free, len(names)), strict=True)))


_claims: list[TextIO] = []


def _claim(port: int) -> bool:
    """Keep a port from other sessions, which may start servers later than they choose where."""
    if not (is_free(port) and is_free(port + GRPC_OFFSET)):
        return False
    CLAIMS.mkdir(exist_ok=True)
    claim = (CLAIMS / str(port)).open("w")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.close()
        return False
    _claims.append(claim)
    return True


class WorkerHome(Home):
    """A home whose engines are the session's, but whose database, bucket and Redis database are its own."""

    def __init__(self, path: Path, secrets: Secrets, *, name: str, redis_database: int) -> None:
        super().__init__(path)
        self.__dict__["secrets"] = secrets
        self.name, self.redis_database = name, redis_database
        self.database = name.replace("-", "_")

    def environment(self, ports: Ports) -> dict[str, str]:
        shared = super().environment(ports)
        database, _, _ = shared["STEMMA_DATABASE_URL"].rpartition("/")
        redis, _, _ = shared["STEMMA_REDIS_URL"].rpartition("/")
        return {
            **shared,
            "STEMMA_DATABASE_URL": f"{database}/{self.database}",
            "STEMMA_REDIS_URL": f"{redis}/{self.redis_database}",
            "STEMMA_S3_BUCKET": self.name,
        }


class Session:
    """The session as one process sees it."""

    def __init__(self) -> None:
        self.worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        self.number = int(self.worker.removeprefix("gw")) if self.worker.startswith("gw") else 31
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
        self.home = Home(self.folder / "engines")
        with FileLock(self.folder / "home.lock"):
            self.home.keep_secrets()
            self.secrets = self.home.secrets
        self._set_environment()

    def _set_environment(self) -> None:
        """Let this process speak to the session's engines, whatever its user's environment says."""
        soundfont = os.environ.get("STEMMA_SOUNDFONT") or _installed_soundfont()
        for name in [n for n in os.environ if n.startswith("STEMMA_")]:
            del os.environ[name]
        self.own = self.worker_home("stemma", self.number)
        self.own.keyring.create()
        os.environ.update(self.own.environment(self.ports))
        if soundfont:
            os.environ["STEMMA_SOUNDFONT"] = soundfont

    def worker_home(self, kind: str, redis_database: int) -> WorkerHome:
        """A home of this worker for a purpose, made where it is missing."""
        name = f"{kind}-{self.worker}"
        home = WorkerHome(self.folder / name, self.secrets, name=name, redis_database=redis_database)
        home.make()
        return home

    # --- Engines ------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start an engine and what it needs, unless this session has; returns when it is healthy."""
        service = {s.name: s for s in engines(self.home, self.ports, database_owner_may_create=True)}[name]
        for needed in service.needs:
            self.start(needed)
        with FileLock(self.folder / f"{name}.lock"):
            if not (self.folder / f"{name}.ready").exists():
                self.run(service, environ={**os.environ, **service.env}, label=name)
                (self.folder / f"{name}.ready").touch()

    def run(self, service: Service, *, environ: dict[str, str], label: str) -> None:
        """Run any process for as long as the session lives; returns when it is healthy."""
        service.prepare()
        log = self.folder / f"{label}.log"
        guard = [sys.executable, str(Path(__file__).with_name("guard.py")), str(self.folder / "alive"), *AT_ONCE]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*guard, *service.command],
                cwd=service.folder,
                env=environ,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        (self.folder / f"{label}.pid").write_text(str(process.pid))
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                service.healthy()
                break
            except Exception as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{label} did not start: {error}\n{log.read_text()[-2000:]}") from error
                time.sleep(0.05)
        service.complete()
        process.returncode = 0  # it lives on beyond this process: its guard ends it, not we

    def keep(self, environ: dict[str, str]) -> None:
        """Have the local stack of this environment ended when the session is, however it ends."""
        here = Path(__file__).parent
        keeper = [sys.executable, str(here / "keeper.py")]
        gently = ("SIGTERM", str(STACK_SECONDS))
        guard = [sys.executable, str(here / "guard.py"), str(self.folder / "alive"), *gently, *keeper]
        process = subprocess.Popen(guard, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stdout
        with process.stdout as said:
            assert said.readline() == "ready\n"
        (self.folder / f"keeper-{process.pid}.pid").write_text(str(process.pid))
        process.returncode = 0  # it outlives us

    def ensure_bucket(self, name: str) -> None:
        """Make a bucket."""
        bucket_of(self.home, self.ports, name).ensure_bucket()

    def create_database(self, name: str, *, template: str = "template1") -> bool:
        """Make a database where it is missing; whether it was."""
        self.start("postgres")
        create = sql.SQL("CREATE DATABASE {} OWNER stemma TEMPLATE {}")
        with psycopg.connect(self._superuser("postgres"), autocommit=True) as connection:
            missing = not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if missing:
                connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        return missing

    def create_migrated_database(self, name: str) -> None:
        """Make a database as the portal's migrations leave it.

        They take half a minute: they run once, and what they made is kept as SQL until one of them changes.
        """
        kept = CACHE / f"migrated-{_migrations()}.sql"
        with FileLock(self.folder / "migrated.lock"):
            home = self.worker_home("migrated", 30)
            if self.create_database(home.database):
                if kept.exists():
                    self._postgres("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={kept}", database=home.database)
                else:
                    manage(home, self.ports, "migrate", "--no-input")
                    CACHE.mkdir(parents=True, exist_ok=True)
                    written = kept.with_suffix(f".{os.getpid()}")
                    self._postgres("pg_dump", f"--file={written}", database=home.database)
                    written.replace(kept)
            self.create_database(name, template=home.database)

    def set_up_portal(self) -> None:
        """Let this process use the portal's code, on a migrated database and the other engines of its own."""
        for engine in ("redis", "s3"):
            self.start(engine)
        self.create_migrated_database(self.own.database)
        self.ensure_bucket(self.own.name)
        os.environ["DJANGO_SETTINGS_MODULE"] = "stemma_portal.config.settings"
        import django

        django.setup()

    def _postgres(self, program: str, *words: str, database: str) -> None:
        command = [postgres_binary(program), *words, self._superuser(database)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def _superuser(self, database: str) -> str:
        return f"postgresql://postgres:{self.secrets.postgres}@{LOOPBACK}:{self.ports.postgres}/{database}"

    # --- End ----------------------------------------------------------------------------------

    def close(self) -> None:
        """End what runs and remove the folder; only the process that opened the session does."""
        if not self.owns:
            return
        self._lock.close()
        pids = [int(path.read_text()) for path in self.folder.glob("*.pid")]
        deadline = time.monotonic() + STACK_SECONDS + 10
        while time.monotonic() < deadline and any(self._guards(pid) for pid in pids):
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.environ.pop(FOLDER, None)

    def _guards(self, pid: int) -> bool:
        """Whether the process is a guard of this session that still lives."""
        try:
            return str(self.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False


def _migrations() -> str:
    """Changes when a migration does, ours or a library's."""
    root = Path(__file__).parents[2]
    files = [root / "constraints.txt", *sorted(root.glob("portal/stemma_portal/*/migrations/*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _installed_soundfont() -> str:
    """The SoundFont that `make soundfont` fetched, if it was not installed by the system."""
    home = Path(os.environ.get("STEMMA_HOME", Path(__file__).parents[2] / ".stemma"))
    return next((str(path) for path in home.glob("soundfont/*.sf2")), "")
