"""The chart, rendered: one call of Helm for each profile and version, kept for the session."""

from __future__ import annotations

import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "stemma"
PROFILES = ("evaluation", "production", "airgap")
VERSIONS = ("1.34.0", "1.35.0", "1.36.0")
HELM = Path(sysconfig.get_path("scripts")) / "helm"
Manifest = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False, timeout=60)


@cache
def rendered(profile: str, version: str = VERSIONS[0], *more: str) -> str:
    values = CHART / "ci" / f"{profile}-values.yaml"
    done = helm("template", "stemma", str(CHART), "-n", "music", "-f", str(values), "--kube-version", version, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def manifests(profile: str, *more: str) -> tuple[Manifest, ...]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(m for m in yaml.load_all(rendered(profile, VERSIONS[0], *more), loader) if m)


def pods(profile: str, *more: str) -> list[tuple[str, Manifest]]:
    """Every pod template there is, Ray's and those within documents too, with a name to tell it by."""
    found = []
    for m in manifests(profile, *more):
        name = f"{m['kind']}/{m['metadata'].get('name')}"
        if m["kind"] in {"Deployment", "StatefulSet", "Job"}:
            found.append((name, m["spec"]["template"]))
        elif m["kind"] == "Pod":
            found.append((name, m))
        elif m["kind"] == "RayService":
            found += ray_pods(name, m["spec"]["rayClusterConfig"])
        elif m["kind"] == "ConfigMap" and "rayjob.json" in m["data"]:
            job = yaml.safe_load(m["data"]["rayjob.json"])
            found.append((f"{name}/submitter", job["spec"]["submitterPodTemplate"]))
            found += ray_pods(name, job["spec"]["rayClusterSpec"])
    return found


def ray_pods(name: str, cluster: Manifest) -> list[tuple[str, Manifest]]:
    groups = [("head", cluster["headGroupSpec"])]
    groups += [(group["groupName"], group) for group in cluster.get("workerGroupSpecs", [])]
    return [(f"{name}/{group}", spec["template"]) for group, spec in groups]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
