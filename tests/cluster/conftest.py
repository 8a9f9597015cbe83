"""A real cluster, and installations on it.  What is found wrong is left in `build/cluster` for a person to read."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "stemma"
LEFT = ROOT / "build" / "cluster"
HELM = Path(sysconfig.get_path("scripts")) / "helm"
EVALUATION = CHART / "ci" / "evaluation-values.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    reason = "KUBECONFIG names no cluster" if not os.environ.get("KUBECONFIG") else ""
    for item in here:
        item.add_marker(pytest.mark.cluster)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def run(*command: object, check: bool = True, timeout: float = 1500, **more: Any) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=timeout, **more
    )
    if check:
        assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + ("" if check else done.stderr)


def kubectl(*words: object, **more: Any) -> str:
    return run("kubectl", *words, **more)


def eventually(ask: Callable[[], Any], what: str, seconds: float = 300, every: float = 2) -> Any:
    until = time.monotonic() + seconds
    while True:
        found = ask()
        if found:
            return found
        assert time.monotonic() < until, f"waited {seconds} s in vain for {what}"
        time.sleep(every)


@dataclass(frozen=True)
class Release:
    """One installation."""

    namespace: str
    name: str = "stemma"

    def kubectl(self, *words: object, **more: Any) -> str:
        return kubectl("-n", self.namespace, *words, **more)

    def get(self, *words: object) -> dict[str, Any]:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def pods(self, **labels: str) -> list[dict[str, Any]]:
        selector = ",".join(
            f"{key.replace('__', '/') if '__' in key else 'app.kubernetes.io/' + key}={value}"
            for key, value in labels.items()
        )
        return self.get("pods", *(["-l", selector] if selector else []))["items"]

    def install(self, *more: str) -> float:
        start = time.monotonic()
        run(HELM, "upgrade", "--install", self.name, CHART, "-n", self.namespace, "-f", EVALUATION,
            "--wait", "--timeout", "20m", *more)  # fmt: skip
        return time.monotonic() - start

    def test(self) -> str:
        return run(HELM, "test", self.name, "-n", self.namespace, "--timeout", "15m", "--logs")

    def uninstall(self) -> None:
        run(HELM, "uninstall", self.name, "-n", self.namespace, "--wait", "--timeout", "10m")

    def secret(self, part: str) -> dict[str, str]:
        data = self.get("secret", f"{self.name}-{part}")["data"]
        return {entry: base64.b64decode(value).decode() for entry, value in data.items()}

    def demo(self) -> dict[str, Any]:
        return json.loads(self.secret("demo")["demo.json"])

    def address(self, service: str) -> str:
        return self.get("service", f"{self.name}-{service}")["spec"]["clusterIP"]

    def python(self, code: str, *, where: str = "portal") -> str:
        return self.kubectl("exec", f"deploy/{self.name}-{where}", "-c", where, "--", "python", "-m", "stemma_portal",
                            "shell", "-v", "0", "-c", code)  # fmt: skip

    def leave(self, why: str) -> None:
        """Pod states, events and logs in an ignored folder."""
        folder = LEFT / f"{self.namespace}-{why}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, words in {"pods": ("describe", "pods"), "events": ("get", "events", "--sort-by=.lastTimestamp"),
                            "ray": ("get", "rayservice,raycluster,rayjob", "-o", "yaml")}.items():  # fmt: skip
            (folder / f"{name}.txt").write_text(self.kubectl(*words, check=False))
        for pod in self.pods():
            name = pod["metadata"]["name"]
            logs = self.kubectl("logs", name, "--all-containers", "--prefix", "--tail=400", check=False)
            (folder / f"{name}.log").write_text(logs)


def namespace(name: str) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("apply", "-f", "-", input=json.dumps(manifest))


@pytest.fixture(scope="session")
def release() -> Release:
    """The evaluation profile under Pod Security `restricted`; INSTALLED=1 takes the one that is there."""
    it = Release("music")
    if os.environ.get("INSTALLED"):
        return it
    namespace(it.namespace)
    try:
        print(f"\ninstalled in {it.install():.0f} s")
    except AssertionError:
        it.leave("install")
        raise
    return it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed and report.when != "teardown" and "release" in getattr(item, "fixturenames", ()):
        Release("music").leave(item.name)
        (LEFT / f"music-{item.name}" / "why.txt").write_text(str(report.longrepr))  # now, not when all have run
    return report
