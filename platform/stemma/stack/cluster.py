"""What an installation on Kubernetes makes for itself before anything else: its passwords and its keys.

Both become Secrets of the namespace, made once and never changed or removed by an installation: they
outlive it, as the data does that they open.
"""

from __future__ import annotations

import base64
import secrets
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from stemma.errors import InvalidError, StemmaError, UnavailableError
from stemma.proof.keys import KeyRing
from stemma.provenance.authority import FOLDER, Authority
from stemma.training.release import signing_key

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://kubernetes.default.svc"


class Cluster:
    """Secrets of the namespace in which this pod runs, with the rights of its service account."""

    def __init__(self, account: Path = ACCOUNT, api: str = API) -> None:
        try:
            token, self.namespace = (account / "token").read_text(), (account / "namespace").read_text()
            trust = ssl.create_default_context(cafile=str(account / "ca.crt"))
        except OSError as error:
            raise InvalidError(
                "This does not run in a pod with a service account.",
                remedy="The chart runs it; elsewhere use `stemma keys create` and make the Secrets yourself.",
            ) from error
        self._http = httpx.Client(
            base_url=f"{api}/api/v1/namespaces/{self.namespace}/",
            headers={"Authorization": f"Bearer {token}"},
            verify=trust,
            timeout=20,
        )

    def read(self, name: str) -> dict[str, bytes] | None:
        """What a Secret holds; None where there is none."""
        answer = self._ask("GET", f"secrets/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        data = self._well(answer).get("data") or {}
        return {key: base64.b64decode(value) for key, value in data.items()}

    def keep(self, name: str, values: Mapping[str, bytes], *, replace: bool = False) -> bool:
        """Put into a Secret what it lacks; what it holds stays, unless replaced.  Whether anything was put."""
        known = self.read(name)
        left = {} if replace or known is None else known
        missing = {key: base64.b64encode(v).decode() for key, v in values.items() if key not in left}
        if known is None:
            labels = {"app.kubernetes.io/part-of": "stemma", "app.kubernetes.io/managed-by": "stemma"}
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}, "data": missing}
            answer = self._ask("POST", "secrets", json=body)
            if answer.status_code == httpx.codes.CONFLICT:
                return self.keep(name, values, replace=replace)  # somebody else made it just now
            self._well(answer)
        elif missing:
            kind = {"Content-Type": "application/merge-patch+json"}
            self._well(self._ask("PATCH", f"secrets/{name}", json={"data": missing}, headers=kind))
        return bool(missing)

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise UnavailableError(f"The cluster's API does not answer: {error}.") from error

    @staticmethod
    def _well(answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise StemmaError(f"The cluster refused: {answer.json().get('message', answer.text)}")
        found: dict[str, Any] = answer.json()
        return found


def passwords(hosts: Mapping[str, str]) -> dict[str, bytes]:
    """Fresh passwords of an installation with engines of its own, and the addresses that carry them.

    `hosts` names where `postgres` and `redis` answer, as host:port.
    """
    portal, mlflow, redis, internal = (secrets.token_hex(24) for _ in range(4))
    sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    values = {
        "postgres-password": secrets.token_hex(24),
        "portal-database-password": portal,
        "mlflow-database-password": mlflow,
        "database-url": f"postgresql://stemma:{portal}@{hosts['postgres']}/stemma",
        "mlflow-database-url": f"postgresql+psycopg2://mlflow:{mlflow}@{hosts['postgres']}/mlflow",
        "mlflow-username": "stemma",
        "mlflow-password": secrets.token_hex(24),
        "mlflow-secret-key": secrets.token_hex(24),
        "redis-password": redis,
        "redis-url": f"redis://:{redis}@{hosts['redis']}/0",
        "redis.conf": f'requirepass "{redis}"\n',
        "s3-access-key": "stemma",
        "s3-secret-key": secrets.token_hex(24),
        # Without these keys SeaweedFS's filer would serve every object to anyone who asks.
        "security.toml": "".join(f'[{name}]\nkey = "{internal}"\n\n' for name in sections),
        "secret-key": secrets.token_hex(24),
        "portal-token": secrets.token_hex(24),
    }
    return {name: value.encode() for name, value in values.items()}


def keys() -> dict[str, bytes]:
    """Fresh signing keys of every role and a content certificate, as entries of a Secret.

    A Secret knows no folders: what lies in the folder `content` has the prefix `content-`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        KeyRing(path).create()
        Authority(path).create()
        signing_key(path)
        found = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
        return found | {f"{FOLDER}-{file.name}": file.read_bytes() for file in (path / FOLDER).iterdir()}
