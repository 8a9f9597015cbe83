"""What an installation on Kubernetes makes for itself before anything else: its passwords and its keys.

Both become Secrets of the namespace, made once and never changed or removed by an installation: they
outlive it, as the data does that they open.
"""

from __future__ import annotations

import base64
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stemma import kube
from stemma.errors import NotFoundError, StemmaError
from stemma.proof.keys import KeyRing
from stemma.provenance.authority import FOLDER, Authority
from stemma.training.release import signing_key


class Cluster:
    """Secrets of the namespace in which this pod runs, with the rights of its service account."""

    def __init__(self) -> None:
        self.namespace = kube.namespace()

    def read(self, name: str) -> dict[str, bytes] | None:
        """What a Secret holds; None where there is none."""
        from kubernetes.client import CoreV1Api

        try:
            with kube.api() as api:
                data = CoreV1Api(api).read_namespaced_secret(name, self.namespace, _request_timeout=kube.PATIENCE).data
        except NotFoundError:
            return None
        return {key: base64.b64decode(value) for key, value in (data or {}).items()}

    def keep(self, name: str, values: Mapping[str, bytes], *, replace: bool = False) -> bool:
        """Put into a Secret what it lacks; what it holds stays, unless replaced.  Whether anything was put."""
        from kubernetes.client import CoreV1Api, V1ObjectMeta, V1Secret

        known = self.read(name)
        left = {} if replace or known is None else known
        missing = {key: base64.b64encode(v).decode() for key, v in values.items() if key not in left}
        labels = {"app.kubernetes.io/part-of": "stemma", "app.kubernetes.io/managed-by": "stemma"}
        secret = V1Secret(metadata=V1ObjectMeta(name=name, labels=labels), data=missing)
        added = [{"op": "add", "path": f"/data/{key}", "value": value} for key, value in missing.items()]
        try:
            with kube.api() as api:
                core = CoreV1Api(api)
                if known is None:
                    core.create_namespaced_secret(self.namespace, secret, _request_timeout=kube.PATIENCE)
                elif missing:
                    whole = added if known else [{"op": "add", "path": "/data", "value": missing}]
                    core.patch_namespaced_secret(name, self.namespace, whole, _request_timeout=kube.PATIENCE)
        except StemmaError as error:
            if known is None and error.code == kube.CONFLICT:
                return self.keep(name, values, replace=replace)  # somebody else made it just now
            raise
        return bool(missing)


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
