"""The API of a Kubernetes: the one that this process runs in, or the one that KUBECONFIG names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stemma.errors import NotFoundError, StemmaError, UnavailableError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATIENCE = 20
"""Seconds for one question."""
CONFLICT = "cluster-409"
"""Code of the error that says: it is there already."""


def inside() -> bool:
    """Whether this is a pod with a service account that it may use."""
    return (ACCOUNT / "token").exists()


def namespace() -> str:
    """The namespace of this pod.  Raises `UnavailableError` elsewhere."""
    try:
        return (ACCOUNT / "namespace").read_text()
    except OSError as error:
        raise UnavailableError(
            "This does not run in a pod with a service account.", remedy="The chart runs it."
        ) from error


@contextmanager
def api() -> Iterator[ApiClient]:
    """A client that asks with the rights of this pod's service account, or of whoever KUBECONFIG lets in.

    What goes wrong within is told in words: `NotFoundError` for what is not there, `StemmaError` for what the cluster
    refuses, `UnavailableError` when it cannot be asked.
    """
    # Its modules are many, and most commands never need one.
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    settings = client.Configuration()
    settings.retries = 1
    try:
        if inside():
            config.load_incluster_config(settings)  # type: ignore[no-untyped-call]
        else:
            config.load_kube_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        with client.ApiClient(settings) as asked:
            yield asked
    except config.ConfigException as error:
        raise UnavailableError(f"No cluster can be asked: {error}", remedy="Set KUBECONFIG.") from error
    except client.ApiException as error:
        kind = NotFoundError if error.status == 404 else StemmaError
        raise kind(f"The cluster refused: {_said(error)}", code=f"cluster-{error.status}") from error
    except HTTPError as error:
        raise UnavailableError(f"The cluster does not answer: {error}", remedy="Check KUBECONFIG.") from error


def _said(error: Exception) -> str:
    """The reason in the body of a refusal."""
    try:
        return str(json.loads(getattr(error, "body", ""))["message"])
    except (ValueError, TypeError, KeyError):
        return str(getattr(error, "reason", error))
