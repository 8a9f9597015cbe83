"""One serving process for all tests of it, with a bucket, a home and a wire to the storage of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from serving import licensee, releases
from serving.served import Served, environment
from serving.wire import Wire
from stemma.config import Settings, settings
from stemma.proof.keys import KeyRing
from stemma.provenance.authority import Authority
from stemma.storage import Storage
from support.session import Session

CONFIG = """
[generator]
queue = 2
poll_seconds = 0.5
retry_seconds = 1
[attributor]
poll_seconds = 0.5
[spool]
segment_seconds = 1
reserve_bytes = 1048576
"""


@dataclass
class Ground:
    """Serving and what is around it."""

    served: Served
    storage: Storage
    """Past the wire."""
    keys: KeyRing
    wire: Wire
    home: Path
    key: str
    """Of a licensee whom everything is allowed."""
    bundle: Path
    run: Path


@pytest.fixture(scope="session")
def ground(session: Session, s3: str, mlflow: str) -> Iterator[Ground]:
    """Started without a release, which comes later: the way of every first day."""
    home = session.worker_home("serving", session.number)
    # The keys are the worker's, with which it trains and signs.
    keys = KeyRing(settings().keys_path)
    Authority(keys.folder).create()
    (home.path / "serving.toml").write_text(CONFIG)
    base = home.environment(session.ports) | {"STEMMA_HOME": str(home.path), "STEMMA_KEYS_DIR": str(keys.folder)}
    if soundfont := os.environ.get("STEMMA_SOUNDFONT"):
        base["STEMMA_SOUNDFONT"] = soundfont
    address = urlsplit(s3)
    wire = Wire((str(address.hostname), int(address.port or 0)))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    storage = Storage(Settings(**{**settings().model_dump(), "s3_bucket": home.name}))
    storage.ensure_bucket()
    served = Served(environment(base, s3_port=wire.port, port=port), session.folder / "serving-test.log")
    served.start()
    try:
        key, _ = licensee.publish(storage, keys)
        run = releases.train(storage, keys, home.path)
        served.until(served.alive, "The gateway does not answer")
        yield Ground(served, storage, keys, wire, home.path, key, releases.build(run, storage, keys, home.path), run)
    finally:
        served.stop()
