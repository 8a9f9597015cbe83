"""The record of a run in MLflow: what went in, what came out, under which decision, at which cost."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import stemma
from stemma.config import Settings, settings
from stemma.errors import UnavailableError
from stemma.rights.snapshot import Manifest

EXPERIMENT = "stemma"


def code_version() -> str:
    """The commit of a checkout, with `+changes` where files differ from it; else the package's version."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return f"stemma {stemma.__version__}"
    return f"git {commit}{'+changes' if changed else ''}"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def environment() -> dict[str, str]:
    """What the run depends on besides its inputs."""
    import numpy as np
    import torch
    import transformers

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
    }


class Tracker:
    """One MLflow run.  A resumed training goes on under the same run.

    Figures are sent in lots from a thread of MLflow, so that training never waits for the server.
    """

    def __init__(self, name: str, *, run_id: str | None = None, config: Settings | None = None) -> None:
        config = config or settings()
        self.client = client(config)
        if run_id is None:
            run = self.client.create_run(_experiment(self.client, config), run_name=name)
            run_id = str(run.info.run_id)
        else:
            self.client.update_run(run_id, status="RUNNING")
        self.run_id = run_id
        self._waiting: list[tuple[str, float, int]] = []

    def start(self, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Settings and circumstances; saying them again changes nothing."""
        from mlflow.entities import Param, RunTag

        known = self.client.get_run(self.run_id).data.params
        fresh = {k: str(v) for k, v in params.items() if k not in known}
        self.client.log_batch(
            self.run_id,
            params=[Param(k, v) for k, v in fresh.items()],
            tags=[RunTag(k, v) for k, v in tags.items()],
        )

    def dataset(self, manifest: Manifest, trained: int) -> None:
        """The snapshot as the run's input, with its root as the digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = {"uri": f"s3://{settings().s3_bucket}/snapshots/{manifest.id}/manifest.json", "root": manifest.root}
        profile = {"recordings": len(manifest.recordings), "trained": trained, "covenant": manifest.covenant}
        dataset = Dataset(
            name=manifest.name[:500],
            digest=manifest.root[:36],
            source_type="stemma-snapshot",
            source=json.dumps(source),
            profile=json.dumps(profile),
        )
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def metric(self, name: str, value: float, step: int) -> None:
        """One figure at one step; sent with the next lot."""
        self._waiting.append((name, value, step))
        if len(self._waiting) >= 200:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        at = get_current_time_millis()
        lot, self._waiting = self._waiting, []
        if lot:
            self.client.log_batch(self.run_id, metrics=[Metric(n, v, at, s) for n, v, s in lot])

    def document(self, name: str, value: Any) -> None:
        """A JSON document among the run's artifacts."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(json.dumps(value, indent=1, ensure_ascii=False))
            self.client.log_artifact(self.run_id, str(path))

    def end(self, status: str) -> None:
        """Close the run as `FINISHED`, `FAILED` or `KILLED`."""
        self.flush()
        self.client.set_terminated(self.run_id, status)


def client(config: Settings) -> Any:
    """A client of the installation's MLflow."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient

    # Its remarks on each run and model version would stand between the lines of our own.
    logging.getLogger("mlflow").setLevel(logging.WARNING)

    return MlflowClient(tracking_uri=config.mlflow_url, registry_uri=config.mlflow_url)


def _experiment(server: Any, config: Settings) -> str:
    """Identifier of the experiment; `UnavailableError` when nobody answers."""
    from mlflow.exceptions import MlflowException

    try:
        known = server.get_experiment_by_name(EXPERIMENT)
        return str(known.experiment_id if known else server.create_experiment(EXPERIMENT))
    except MlflowException as error:
        raise UnavailableError(
            f"MLflow at {config.mlflow_url} does not answer.",
            remedy="See `stemma status`, or correct STEMMA_MLFLOW_URL.",
        ) from error
