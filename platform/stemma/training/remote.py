"""Training on a cluster: the chart's own description of a job, filled in and handed over."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from stemma import kube
from stemma.errors import InvalidError, NotFoundError

State = Literal["waiting", "running", "done", "failed"]
PRESETS = {"tiny": "a test", "up": "minutes", "base": "as long as quality needs"}
"""Names of the presets, and how long a run of each takes."""
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RAY: Mapping[str, str] = {"group": "ray.io", "version": "v1", "plural": "rayjobs"}
STATES: Mapping[str, State] = {"Running": "running", "Retrying": "running", "Complete": "done", "Failed": "failed"}
"""What KubeRay calls a job that is not waiting, in our words."""


@dataclass(frozen=True)
class Job:
    """A training run on the cluster, as the cluster tells of it."""

    name: str
    snapshot: str
    preset: str
    by: str
    """Who started it; empty when it was the command line."""
    state: State
    why: str
    """What the cluster says of a failure."""
    submitted_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Training:
    """Jobs of one installation, whose description of a job is the ConfigMap `template`."""

    namespace: str
    template: str

    def submit(self, snapshot: str, preset: str, *, by: str = "") -> str:
        """The name of a new RayJob that trains, releases and explains.

        Raises `InvalidError` for words that cannot be such, and what `kube.api` raises when the cluster does not take
        the job.
        """
        if not WORD.fullmatch(snapshot):
            raise InvalidError(
                f"{snapshot!r} is no snapshot.", remedy="Its identifier has letters, digits, dots, dashes, underscores."
            )
        if preset not in PRESETS:
            raise InvalidError(f"There is no preset {preset!r}.", remedy=f"Choose one of {', '.join(PRESETS)}.")
        job = self._described()
        job["metadata"]["annotations"] = {"stemma/snapshot": snapshot, "stemma/preset": preset, "stemma/by": by}
        job["spec"]["entrypoint"] = f"stemma cluster make {snapshot} --preset {preset}"
        return str(self._ask("create_namespaced_custom_object", body=job)["metadata"]["name"])

    def jobs(self) -> list[Job]:
        """Those that the cluster knows, newest first."""
        labels = self._described()["metadata"]["labels"]
        mine = ",".join(f"app.kubernetes.io/{name}={labels[f'app.kubernetes.io/{name}']}" for name in MINE)
        found = self._ask("list_namespaced_custom_object", label_selector=mine, limit=500)["items"]
        return sorted(map(_job, found), key=lambda job: job.submitted_at, reverse=True)

    def cancel(self, name: str) -> Job:
        """End a job; what it has not published is gone.  Raises `NotFoundError` for what is none of these jobs."""
        for job in self.jobs():
            if job.name == name:
                self._ask("delete_namespaced_custom_object", name=name)
                return job
        raise NotFoundError(f"There is no job {name!r}.", remedy="It may have been removed from the cluster.")

    def _described(self) -> dict[str, Any]:
        """The chart's RayJob."""
        from kubernetes.client import CoreV1Api

        try:
            with kube.api() as api:
                found = CoreV1Api(api).read_namespaced_config_map(
                    self.template, self.namespace, _request_timeout=kube.PATIENCE
                )
        except NotFoundError as error:
            raise NotFoundError(
                f"{self.namespace} has no installation that trains: {self.template} is not there.",
                remedy="Check the namespace and the installation's name; values must have training.enabled.",
            ) from error
        described: dict[str, Any] = json.loads((found.data or {})["rayjob.json"])
        return described

    def _ask(self, what: str, **more: Any) -> dict[str, Any]:
        from kubernetes.client import CustomObjectsApi

        with kube.api() as api:
            answer: dict[str, Any] = getattr(CustomObjectsApi(api), what)(
                **RAY, namespace=self.namespace, _request_timeout=kube.PATIENCE, **more
            )
        return answer


MINE = ("name", "instance", "component")
"""Labels that a job has in common with its installation's others, and with nothing else."""


def training(release: str, namespace: str) -> Training:
    """Of the installation that Helm knows by this name."""
    return Training(namespace, f"{release if 'stemma' in release else f'{release}-stemma'}-training")


def _job(found: Mapping[str, Any]) -> Job:
    metadata, status = found["metadata"], found.get("status", {})
    notes = metadata.get("annotations", {})
    return Job(
        name=metadata["name"],
        snapshot=notes.get("stemma/snapshot", ""),
        preset=notes.get("stemma/preset", ""),
        by=notes.get("stemma/by", ""),
        state=STATES.get(status.get("jobDeploymentStatus", ""), "waiting"),
        why=status.get("message", "") if status.get("jobDeploymentStatus") == "Failed" else "",
        submitted_at=datetime.fromisoformat(metadata["creationTimestamp"]),
        ended_at=datetime.fromisoformat(status["endTime"]) if status.get("endTime") else None,
    )
