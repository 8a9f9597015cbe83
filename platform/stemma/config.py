"""Where the parts of the stack are: typed, strict, in one place.

Values come from `STEMMA_*` variables, then from the file `env` in the home folder, which the local
stack writes on its first start.  An unknown `STEMMA_*` variable is refused: a misspelt one would
otherwise be ignored in silence.
"""

from __future__ import annotations

import os
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stemma.errors import InvalidError

PREFIX = "STEMMA_"
MAIL_PORTS = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}
"""Ways to a mail server, with the port of each: TLS from the start, TLS once both agree, none."""


class MailServer(NamedTuple):
    """Where mails are handed over."""

    way: str
    """One of `MAIL_PORTS`."""
    host: str
    port: int
    user: str
    password: str


def mail_server(url: str) -> MailServer | None:
    """The server that an address such as `smtps://user:password@host:465` means; none for an empty one.

    Raises `ValueError`, which never repeats the password.
    """
    if not url:
        return None
    example = "Write smtps://user:password@host:465, smtp+starttls://host:587 or smtp://host:25."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"this is no address of a mail server. {example}") from None
    if parts.scheme not in MAIL_PORTS:
        raise ValueError(f"a mail server is reached by {', '.join(MAIL_PORTS)}. {example}")
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"the address names no host, or more than one. Percent-encode / ? # in a password. {example}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError(f"user and password come together or not at all. {example}")
    if user and parts.scheme == "smtp" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ValueError("over smtp:// the password would travel in the clear. Use smtps:// or smtp+starttls://.")
    return MailServer(parts.scheme, parts.hostname, port or MAIL_PORTS[parts.scheme], user, password)


class Settings(BaseSettings):
    """Addresses and secrets of one installation.  Secrets are never printed."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Path = Path(".stemma")
    """Folder of everything the local stack keeps: data, logs, secrets, caches."""

    database_url: SecretStr = SecretStr("postgresql://stemma@127.0.0.1:15432/stemma")
    """The portal's PostgreSQL.  Only the portal opens it."""
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:16379/0")
    s3_endpoint: str = "http://127.0.0.1:18333"
    s3_access_key: str = "stemma"
    s3_secret_key: SecretStr = SecretStr("")
    s3_region: str = "us-east-1"
    s3_bucket: str = "stemma"
    mlflow_url: str = "http://127.0.0.1:15000"
    portal_url: str = "http://127.0.0.1:18000"
    serving_url: str = "http://127.0.0.1:18080"

    portal_token: SecretStr = SecretStr("")
    """Token of the operator's command line at the portal's API."""
    api_key: SecretStr = SecretStr("")
    """A licensee's key for `stemma generate`."""
    secret_key: SecretStr = SecretStr("")
    """Django's secret key."""
    keys_dir: Path | None = None
    """Folder of the private signing keys; `keys` in the home folder unless set."""
    soundfont: Path | None = None
    """SoundFont for rendering; found among the installed packages unless set."""
    webhook_private_hosts: str = ""
    """Hosts, with commas between, that webhooks may call although they are not on the public internet."""
    sign_on_private_hosts: str = ""
    """Hosts, with commas between, at which organisations' sign-on providers may be although they are not public."""
    training_template: str = ""
    """The ConfigMap with the chart's description of a training job; empty: the portal starts none."""
    sign_up: Literal["open", "invited"] = "open"
    """Whether anyone may make an account, or only whoever was invited."""
    smtp_url: SecretStr = SecretStr("")
    """The mail server, as `mail_server` reads it; empty: mails are written to the worker's output."""
    mail_from: str = "Stemma <stemma@localhost>"
    """Whom mails are from."""
    debug: bool = False
    allowed_hosts: str = "127.0.0.1,localhost"
    spool_dir: Path | None = None
    """Folder where serving keeps facts until they are shipped; `spool` in the home unless set."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` gives: it has read the environment already, and refused what is unknown."""
        return (init_settings,)

    @field_validator("smtp_url")
    @classmethod
    def _mail_server_known(cls, url: SecretStr) -> SecretStr:
        mail_server(url.get_secret_value())
        return url

    @field_validator("mail_from")
    @classmethod
    def _sender_known(cls, sender: str) -> str:
        user, at, host = parseaddr(sender)[1].rpartition("@")
        if not (user and at and host) or not sender.isprintable():
            raise ValueError("this is no sender of mails. Write Name <name@example.org>.")
        return sender

    @property
    def mail_server(self) -> MailServer | None:
        """The mail server; none where mails are written to the worker's output."""
        return mail_server(self.smtp_url.get_secret_value())

    @property
    def keys_path(self) -> Path:
        """The folder of private keys."""
        return self.keys_dir or self.home / "keys"

    @property
    def spool_path(self) -> Path:
        """The folder of facts not shipped yet."""
        return self.spool_dir or self.home / "spool"


def load(environ: dict[str, str] | None = None) -> Settings:
    """Settings of this process.

    Raises `InvalidError` that names every unknown or malformed variable.
    """
    env = dict(os.environ if environ is None else environ)
    home = Path(env.get(PREFIX + "HOME", Settings.model_fields["home"].default))
    values = {**_read_env_file(home / "env"), **env}
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    named = {k: v for k, v in values.items() if k.startswith(PREFIX) and not k.startswith(PREFIX + "PORT_")}
    # Secrets may also be named by a file, as orchestrators mount them.
    for key in [k for k in named if k.endswith("_FILE") and k.removesuffix("_FILE") in known]:
        try:
            named[key.removesuffix("_FILE")] = Path(named.pop(key)).read_text().strip()
        except OSError as error:
            raise InvalidError(f"{key} names a file that cannot be read: {error.strerror}.") from error
    if unknown := sorted(set(named) - known):
        raise InvalidError(
            f"Unknown settings: {', '.join(unknown)}.",
            remedy=f"Known are {', '.join(sorted(known))}; unset or correct the others.",
        )
    fields = {k.removeprefix(PREFIX).lower(): v for k, v in named.items()}
    fields["home"] = str(home.absolute())
    try:
        return Settings.model_validate(fields)
    except ValidationError as error:
        lines = [f"{PREFIX}{e['loc'][0]}".upper() + f": {e['msg']}" for e in error.errors()]
        raise InvalidError("Settings are malformed. " + "; ".join(lines) + ".") from None


def _read_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines of the local stack's own file; no quoting, no expansion."""
    if not path.exists():
        return {}
    lines = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in lines if not name.startswith("#")}


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return load()
