"""The one folder of a local installation: its secrets, made at random on first start, and its addresses."""

from __future__ import annotations

import json
import os
import secrets
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from stemma.proof.keys import KeyRing
from stemma.provenance.authority import Authority
from stemma.stack.ports import LOOPBACK, PORT_PREFIX, Ports


def _random() -> str:
    return secrets.token_hex(24)


class Secrets(BaseModel):
    """Passwords and keys of the local engines; nobody needs to know or choose them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    postgres: str = Field(default_factory=_random)
    """Of PostgreSQL's superuser, with which the stack makes roles and databases."""
    portal_database: str = Field(default_factory=_random)
    mlflow_database: str = Field(default_factory=_random)
    redis: str = Field(default_factory=_random)
    s3_secret: str = Field(default_factory=_random)
    s3_internal: str = Field(default_factory=_random)
    """Signs what SeaweedFS's own parts ask of each other; without it the filer would serve anyone."""
    django: str = Field(default_factory=_random)
    portal_token: str = Field(default_factory=_random)
    """The operator's token at the portal's API, which the command line uses."""


class Home:
    """`$STEMMA_HOME`: data, logs, keys and caches of one local installation."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @cached_property
    def secrets(self) -> Secrets:
        """Read from the folder; fresh ones, which `keep_secrets` keeps, where there are none yet."""
        return Secrets.model_validate_json(self._secrets.read_text()) if self._secrets.exists() else Secrets()

    def keep_secrets(self) -> None:
        """Write the secrets down where they are not, or not all: a later version may have more."""
        self.make()
        known = json.loads(self._secrets.read_text()) if self._secrets.exists() else {}
        if set(known) != set(Secrets.model_fields):
            write_private(self._secrets, self.secrets.model_dump_json(indent=1))

    @property
    def _secrets(self) -> Path:
        return self.path / "secrets.json"

    @property
    def keyring(self) -> KeyRing:
        """The installation's signing keys."""
        return KeyRing(self.path / "keys")

    def folder(self, *names: str) -> Path:
        """A folder within, made where it is missing, closed to other users."""
        path = self.path.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def make(self) -> None:
        """Make the home itself.  Others may pass through it but not list it: PostgreSQL runs as another user."""
        if not self.path.exists():
            self.path.mkdir(parents=True)
            self.path.chmod(0o711)

    def environment(self, ports: Ports) -> dict[str, str]:
        """What every process of the installation must know, as `STEMMA_*` variables."""
        s = self.secrets
        return {
            "STEMMA_HOME": str(self.path),
            "STEMMA_DATABASE_URL": f"postgresql://stemma:{s.portal_database}@{LOOPBACK}:{ports.postgres}/stemma",
            "STEMMA_REDIS_URL": f"redis://:{s.redis}@{LOOPBACK}:{ports.redis}/0",
            "STEMMA_S3_ENDPOINT": f"http://{LOOPBACK}:{ports.s3}",
            "STEMMA_S3_ACCESS_KEY": "stemma",
            "STEMMA_S3_SECRET_KEY": s.s3_secret,
            "STEMMA_MLFLOW_URL": f"http://{LOOPBACK}:{ports.mlflow}",
            "STEMMA_PORTAL_URL": f"http://{LOOPBACK}:{ports.portal}",
            "STEMMA_SERVING_URL": f"http://{LOOPBACK}:{ports.serving}",
            "STEMMA_SECRET_KEY": s.django,
            "STEMMA_PORTAL_TOKEN": s.portal_token,
        }

    def process_environment(self, ports: Ports) -> dict[str, str]:
        """The environment in which a process of the stack runs: this one's, with the installation's addresses."""
        return {k: v for k, v in os.environ.items() if not k.startswith(PORT_PREFIX)} | self.environment(ports)

    def ports(self) -> Ports:
        """Ports of the last start, changed by this environment's `STEMMA_PORT_*`."""
        lines = (self.path / "env").read_text().splitlines() if (self.path / "env").exists() else []
        known = dict(line.split("=", 1) for line in lines if line.startswith(PORT_PREFIX))
        return Ports.from_environ({**known, **os.environ})

    def open(self, ports: Ports) -> None:
        """Make whatever the installation still lacks: folder, secrets, keys, and the file `env`."""
        self.keep_secrets()
        values = {**self.environment(ports), **{f"STEMMA_PORT_{k.upper()}": str(v) for k, v in ports}}
        del values["STEMMA_HOME"]  # the file lies in it
        text = "# Written by `stemma up`; variables of the environment win over it.\n"
        write_private(self.path / "env", text + "".join(f"{name}={value}\n" for name, value in values.items()))
        self.keyring.create()
        Authority(self.keyring.folder).create()


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only from the first byte on."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
