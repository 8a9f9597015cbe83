"""What every test may ask for: the real engines, started once for the session, and a home with keys."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from support.session import Session

# A busy machine is slow, and no property is untrue for it.
hypothesis.register_profile("stemma", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.load_profile("stemma")

# Ray reads these when it is first imported: it stays on loopback, and what is started here knows its own by a token.
os.environ |= {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}

# Before anything reads the settings: Django's are fixed by the first import.
SESSION = Session()


def pytest_configure() -> None:
    from django.conf import settings

    # Read now, so that pytest-django sets Django up.  The variable does not stay: in a worker process,
    # which would inherit it, Django would be read before the worker's own addresses are set.
    os.environ["DJANGO_SETTINGS_MODULE"] = "stemma_portal.config.settings"
    # Pages in tests need no collected static files.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it asks for, unless it says so itself."""
    for item in items:
        if any(item.get_closest_marker(kind) for kind in ("unit", "services", "journey")):
            continue
        asked = set(getattr(item, "fixturenames", ()))
        database = item.get_closest_marker("django_db") or asked & {"db", "transactional_db", "live_server"}
        if asked & {"portal", "stack", "page", "browser"}:
            item.add_marker("journey")
        elif database or asked & {"postgres", "redis", "s3", "mlflow", "engines"}:
            item.add_marker("services")
        else:
            item.add_marker("unit")


def pytest_unconfigure() -> None:
    SESSION.close()


@pytest.fixture(scope="session")
def session() -> Session:
    """The test session: its ports, its engines' home, and `session.start(NAME)`."""
    return SESSION


@pytest.fixture(scope="session")
def home() -> Path:
    """`STEMMA_HOME` of this worker, with signing keys in it."""
    return Path(os.environ["STEMMA_HOME"])


@pytest.fixture(scope="session")
def keyring(home: Path):
    """The signing keys of this worker's home."""
    from stemma.proof.keys import KeyRing

    return KeyRing(home / "keys")


@pytest.fixture(scope="session")
def postgres(session: Session) -> str:
    """A real PostgreSQL; gives the address of the worker's database."""
    session.start("postgres")
    session.create_database(session.own.database)
    return os.environ["STEMMA_DATABASE_URL"]


@pytest.fixture(scope="session")
def redis(session: Session) -> str:
    """A real Redis; gives the address of the worker's database in it."""
    session.start("redis")
    return os.environ["STEMMA_REDIS_URL"]


@pytest.fixture(scope="session")
def s3(session: Session) -> str:
    """A real object storage; gives its endpoint."""
    session.start("s3")
    session.ensure_bucket(os.environ["STEMMA_S3_BUCKET"])
    return os.environ["STEMMA_S3_ENDPOINT"]


@pytest.fixture(scope="session")
def mlflow(session: Session) -> str:
    """A real MLflow server on that PostgreSQL and object storage; gives its address."""
    session.start("mlflow")
    return os.environ["STEMMA_MLFLOW_URL"]


@pytest.fixture(scope="session")
def engines(postgres: str, redis: str, s3: str) -> Session:
    """PostgreSQL, Redis and S3 together."""
    return SESSION


@pytest.fixture(scope="session")
def portal(session: Session):
    """A live portal: `.url`, `.environ`, `.manage("command", …)`, `.shell("code")`."""
    from support.portal import start_portal

    return start_portal(session)


@pytest.fixture(scope="session")
def portal_worker(session: Session, portal) -> None:
    """Background work of the live portal."""
    from support.portal import start_worker

    start_worker(session, portal)


@pytest.fixture(scope="session")
def stack(session: Session):
    """The whole local stack after a small story: `.run("status")`, `.url`, `.demo`, `.story`, `.listen`."""
    from stemma.stack.home import Home
    from support.installation import Installation
    from support.session import free_ports

    made = Installation(Home(session.folder / "stack"), free_ports())
    session.keep(made.environ)
    done = made.run("up", "--limit", "60", "--preset", "tiny", seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture
def storage(s3: str):
    """The worker's bucket as `stemma.storage` sees it, emptied after the test."""
    from stemma.storage import storage

    bucket = storage()
    yield bucket
    for key in list(bucket.keys("")):
        bucket.delete(key)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix, postgres: str) -> None:
    """Tests with a database get it on the real PostgreSQL, each worker its own."""


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None, session: Session) -> bool:
    """Django finds its test database made and migrated."""
    from django.db import connection

    known = connection.settings_dict
    session.create_migrated_database(known["TEST"]["NAME"] or f"test_{known['NAME']}")
    return True


@pytest.fixture
def settings_changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Change `STEMMA_*` variables for one test; the cached settings follow."""
    from stemma.config import settings
    from stemma.storage import storage

    class Changer:
        def __call__(self, **values: str) -> None:
            for name, value in values.items():
                monkeypatch.setenv(f"STEMMA_{name.upper()}", value)
            settings.cache_clear()
            storage.cache_clear()

    yield Changer()
    monkeypatch.undo()
    settings.cache_clear()
    storage.cache_clear()
