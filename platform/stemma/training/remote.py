"""A training run on a cluster: the chart's own description of a job, filled in and handed over.

It goes through `kubectl`, which knows how this person is let into this cluster.
"""

from __future__ import annotations

import json
import re
import subprocess

from stemma.errors import InvalidError, UnavailableError

PATIENCE = 60
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def submit(snapshot: str, preset: str, *, namespace: str, release: str) -> str:
    """The name of a new RayJob that trains, releases and explains.

    `release` is the installation's name.  Raises `InvalidError` for words that cannot be such, and
    `UnavailableError` when the cluster does not take the job.
    """
    for word in (snapshot, preset, release):
        if not WORD.fullmatch(word):
            raise InvalidError(f"{word!r} is no identifier.", remedy="Letters, digits, dots, dashes and underscores.")
    name = release if "stemma" in release else f"{release}-stemma"
    found = json.loads(_kubectl(namespace, "get", "configmap", f"{name}-training", "-o", "json"))
    job = json.loads(found["data"]["rayjob.json"])
    job["spec"]["entrypoint"] = f"stemma cluster make {snapshot} --preset {preset}"
    made = json.loads(_kubectl(namespace, "create", "-o", "json", "-f", "-", given=json.dumps(job)))
    return str(made["metadata"]["name"])


def cancel(job: str, *, namespace: str) -> None:
    """End a job; what it has not published is gone."""
    if not WORD.fullmatch(job):
        raise InvalidError(f"{job!r} is no job.", remedy="`kubectl get rayjobs` lists them.")
    _kubectl(namespace, "delete", "rayjob", job)


def _kubectl(namespace: str, *words: str, given: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["kubectl", "--namespace", namespace, *words],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(
            f"kubectl cannot be asked: {error}.", remedy="Install it, and set KUBECONFIG."
        ) from error
    if done.returncode:
        raise UnavailableError(
            f"The cluster does not take it: {done.stderr.strip().splitlines()[-1]}",
            remedy="Check KUBECONFIG, --namespace and --release; training.enabled must be set in the chart's values.",
        )
    return done.stdout
