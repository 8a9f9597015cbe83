"""Proof 4: what breaks under load loses nothing and counts nothing twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from cluster.conftest import LEFT, Release, eventually
from cluster.load import Load
from cluster.test_scaling import facts

KILL = """
import os, signal
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        with open(f'/proc/{pid}/cmdline') as file:
            if file.read().startswith('ray::ServeReplica:stemma:Generator'):
                os.kill(int(pid), signal.SIGKILL)
                print('killed')
    except OSError:
        pass
"""
HOG = """
kept = []
while True:
    kept.append(b'x' * (64 << 20))
"""
"""More than its pod may have: the kernel ends Ray's workers first, which say of themselves that they may go."""
INGESTED = """
import sys
from stemma_portal.metering.models import Generation
print(Generation.objects.filter(id__in={ids!r}).count())
"""


def delete(selector: str, *more: str) -> Callable[[Release], None]:
    return lambda release: release.kubectl("delete", "pod", "-l", selector, "--wait=false", *more) and None


def replica_killed(release: Release) -> None:
    """The process, in its pod, that is making a piece."""
    assert "killed" in in_generator(release, KILL)


def out_of_memory(release: Release) -> None:
    in_generator(release, HOG, check=False)


def in_generator(release: Release, code: str, **more: bool) -> str:
    pod = ready(release.pods(stemma__role="generator"))[0]["metadata"]["name"]
    return release.kubectl("exec", pod, "-c", "ray-worker", "--", "python", "-c", code, **more)


def storage_pods(release: Release, count: int) -> None:
    release.kubectl("scale", "statefulset", f"{release.name}-s3", f"--replicas={count}")


def storage_away(release: Release) -> None:
    storage_pods(release, 0)
    time.sleep(60)  # the fault itself lasts so long
    storage_pods(release, 1)


FAULTS: dict[str, Callable[[Release], None]] = {
    "replica killed mid-generation": replica_killed,
    "replica out of memory": out_of_memory,
    "generator pod deleted": delete("stemma/role=generator"),
    "gateway pod deleted": delete("stemma/role=gateway"),
    "Ray head deleted": delete("stemma/role=head"),
    "worker of the portal deleted": delete("app.kubernetes.io/component=worker"),
    "portal pods deleted": delete("app.kubernetes.io/component=portal"),
    "Redis restarted": delete("app.kubernetes.io/component=redis"),
    "PostgreSQL restarted": delete("app.kubernetes.io/component=postgres"),
    "S3 away for a minute": storage_away,
}


PARTS = {"head", "gateway", "generator", "portal", "worker", "beat", "mlflow", "redis", "postgres", "s3"}


def ready(pods: list[dict]) -> list[dict]:
    """Those that may take work, and are not on their way out."""
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    ]


def whole(release: Release) -> bool:
    """Whether every part has a pod that is ready; a generator more than is needed is not, and goes."""
    labels = [pod["metadata"]["labels"] for pod in ready(release.pods())]
    return {found.get("stemma/role") or found.get("app.kubernetes.io/component") for found in labels} >= PARTS


@pytest.mark.parametrize("fault", FAULTS)
def test_every_output_has_its_fact_once(release: Release, fault: str) -> None:
    url, key = f"http://{release.address('serving')}:8000", release.demo()["api_keys"]["enterprise"]
    eventually(lambda: whole(release), "everything to be well before the fault", 400)
    with Load(url, key, callers=3) as load:
        eventually(lambda: len(load.made) >= 5, "serving to answer before the fault", 400)
        at = time.time()
        FAULTS[fault](release)
        count = len(load.made)
        eventually(lambda: len(load.made) >= count + 10, "pieces after the fault", 600, every=0.5)
        eventually(lambda: whole(release), "everything to be well again", 600)
        again = time.time() - at
    row = {"fault": fault, "made": len(load.made), "refused": len(load.refused), "failed": len(load.failures),
           "kinds": sorted({kind for _, kind in load.failures}), "answers all well after s": round(load.recovered(at)),
           "pods all ready after s": round(again)}  # fmt: skip
    eventually(lambda: set(load.made) <= set(facts(release)), "every fact in the lake", 300)
    lake = facts(release)
    row |= {"found": len(set(load.made) & set(lake)), "twice": len(lake) - len(set(lake))}
    ingested = lambda: int(release.python(INGESTED.format(ids=load.made)))  # noqa: E731
    eventually(lambda: ingested() == len(load.made), "every fact in the portal", 300, every=5)
    row |= {"in the portal": ingested()}
    print("\n" + json.dumps(row))
    LEFT.mkdir(parents=True, exist_ok=True)
    with (LEFT / "faults.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    assert row["found"] == row["made"] == len(set(load.made))
    assert row["twice"] == 0
