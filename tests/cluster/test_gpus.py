"""Proof 8: groups for whole GPUs and for slices land where they belong, spread, and interactive work comes first.

Nodes and their pods are simulated by kwok: what is shown is placing, which is the scheduler's; nothing runs on them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import CHART, EVALUATION, HELM, Release, eventually, kubectl, namespace, run

pytestmark = pytest.mark.skipif(
    "SIMULATED_NODES" not in os.environ, reason="with kwok set SIMULATED_NODES=1: nothing else makes such nodes"
)
WHOLE, SLICE = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
KIND = "nvidia.com/gpu.product"
TAINT = {"key": WHOLE, "value": "present", "effect": "NoSchedule"}
PROOF = {"key": "stemma/proof", "value": "gpus", "effect": "NoSchedule"}
TOLERATED = [{"key": WHOLE, "operator": "Exists", "effect": "NoSchedule"}]
NODES = {"whole-1": (WHOLE, 2), "whole-2": (WHOLE, 2), "sliced": (SLICE, 7), "plain": ("", 0)}


def node(name: str, resource: str, count: int) -> dict[str, Any]:
    """One that only this proof's pods may use; GPU nodes refuse those, too, that do not tolerate a GPU."""
    room = {"cpu": "96", "memory": "1Ti", "pods": "110"} | ({resource: str(count)} if resource else {})
    labels = {"type": "simulated", "kubernetes.io/hostname": name, "stemma/proof": "gpus"}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels | ({KIND: "H100"} if resource == WHOLE else {})},
        "spec": {"taints": [PROOF, *([TAINT] if resource else [])]},
        "status": {"capacity": room, "allocatable": room},
    }  # fmt: skip


GROUP = {"cpus": 2, "min": 1, "max": 8, "tolerations": TOLERATED,
         "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "8Gi"}}}  # fmt: skip
VALUES = {
    "pods": {"nodeSelector": {"stemma/proof": "gpus"}, "tolerations": [{"key": "stemma/proof", "operator": "Exists"}]},
    "priorityClasses": {"create": True},
    "training": {"gpu": 2, "nodeSelector": {KIND: "H100"}, "tolerations": TOLERATED},
    "serving": {
        "faultTolerance": False, "authentication": False, "autoscaler": {"enabled": False},
        "groups": [
            GROUP | {"name": "whole", "min": 2, "gpu": 1, "gpuResource": WHOLE, "nodeSelector": {KIND: "H100"},
                     "spread": True},
            GROUP | {"name": "slice", "min": 3, "gpu": 1, "gpuResource": SLICE},
            GROUP | {"name": "untolerated", "gpu": 1, "gpuResource": WHOLE, "tolerations": []},
        ],
    },
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A namespace, and what the chart makes for it."""

    release: Release
    manifests: list[dict[str, Any]]

    def apply(self, manifest: dict[str, Any]) -> None:
        self.release.kubectl("create", "-f", "-", input=json.dumps(manifest))

    def serve(self) -> None:
        """The cluster of the RayService alone: simulated pods have no dashboard to ask about Serve."""
        spec = next(m for m in self.manifests if m["kind"] == "RayService")["spec"]["rayClusterConfig"]
        self.apply({"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "serving"}, "spec": spec})

    def train(self) -> None:
        """What `stemma train --on cluster` hands over."""
        self.apply(
            json.loads(next(m["data"]["rayjob.json"] for m in self.manifests if "rayjob.json" in m.get("data", {})))
        )

    def on(self, **labels: str) -> list[str]:
        """Nodes of running pods, sorted; "" for one that has none."""
        return sorted(pod["spec"].get("nodeName", "") for pod in self.release.pods(**labels))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    nodes = [node(name, *room) for name, room in NODES.items()]
    kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))
    it = Release("gpus")
    namespace(it.namespace)
    (file := tmp_path / "values.yaml").write_text(yaml.safe_dump(VALUES))
    made = run(HELM, "template", it.name, CHART, "-n", it.namespace, "-f", EVALUATION, "-f", file)
    manifests = [manifest for manifest in yaml.safe_load_all(made) if manifest]
    classes = {"apiVersion": "v1", "kind": "List", "items": [m for m in manifests if m["kind"] == "PriorityClass"]}
    try:
        kubectl("wait", "node", "-l", "stemma/proof=gpus", "--for=condition=Ready", "--timeout=60s")
        kubectl("apply", "-f", "-", input=json.dumps(classes))
        yield Place(it, manifests)
    finally:
        it.kubectl("delete", "rayjobs,rayclusters", "--all")
        it.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", check=False)  # nothing runs in them
        kubectl("delete", "namespace", it.namespace, "--timeout=120s")
        kubectl("delete", "node", "-l", "stemma/proof=gpus")
        kubectl("delete", "-f", "-", "--ignore-not-found", input=json.dumps(classes))


def test_pods_land_only_on_nodes_of_their_kind(place: Place) -> None:
    place.serve()
    eventually(lambda: place.on(stemma__group="whole") == ["whole-1", "whole-2"], "one pod on each node of whole GPUs")
    eventually(lambda: place.on(stemma__group="slice") == ["sliced"] * 3, "slices on the node that has some")
    eventually(lambda: set(place.on(stemma__role="gateway") + place.on(stemma__role="head")) == {"plain"}, "the others")
    (waiting,) = place.release.pods(stemma__group="untolerated")
    (why,) = (c for c in waiting["status"]["conditions"] if c["type"] == "PodScheduled")
    assert (why["status"], why["reason"]) == ("False", "Unschedulable")
    assert "untolerated taint" in why["message"]


def test_interactive_work_takes_the_place_of_batch(place: Place) -> None:
    place.train()
    place.train()
    eventually(lambda: place.on(component="training") == ["whole-1", "whole-2"], "batch on every whole GPU")
    place.serve()
    eventually(
        lambda: all(found := place.on(stemma__group="whole")) and len(found) == 2, "its place for what is asked for"
    )
    assert len([where for where in place.on(component="training") if where]) <= 1
