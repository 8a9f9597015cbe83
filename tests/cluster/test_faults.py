"""Proof 4: what breaks under load loses nothing and counts nothing twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from cluster.conftest import LEFT, Release, eventually
from cluster.load import Load
from cluster.test_scaling import facts

FAULTS: dict[str, Callable[[Release], None]] = {
    "generator pod deleted": lambda r: delete(r, "stemma/role=generator"),
    "gateway pod deleted": lambda r: delete(r, "stemma/role=gateway"),
    "Ray head deleted": lambda r: delete(r, "stemma/role=head"),
    "Redis restarted": lambda r: delete(r, "app.kubernetes.io/component=redis"),
    "Postgres restarted": lambda r: delete(r, "app.kubernetes.io/component=postgres"),
    "S3 away for a minute": lambda r: away(r, "stemma-s3", 60),
    "portal pods deleted": lambda r: delete(r, "app.kubernetes.io/component=portal"),
}


def delete(release: Release, selector: str) -> None:
    release.kubectl("delete", "pod", "-l", selector, "--wait=false")


def away(release: Release, name: str, seconds: float) -> None:
    release.kubectl("scale", "statefulset", name, "--replicas=0")
    time.sleep(seconds)
    release.kubectl("scale", "statefulset", name, "--replicas=1")


@pytest.mark.parametrize("fault", FAULTS)
def test_every_output_has_its_fact_once(release: Release, fault: str) -> None:
    url, key = f"http://{release.address('serving')}:8000", release.demo()["api_keys"]["enterprise"]
    well = Load(url, key, callers=1)
    with well:
        eventually(lambda: well.made, "serving to answer before the fault", 400)
    with Load(url, key, callers=3) as load:
        time.sleep(10)
        at = time.time()
        FAULTS[fault](release)
        count = len(load.made)
        eventually(lambda: len(load.made) >= count + 10, "pieces after the fault", 600, every=0.5)
    late = max((when - at for when, _ in load.failures), default=0.0)
    row = {"fault": fault, "made": len(load.made), "answers": dict(load.answers), "failed": len(load.failures),
           "kinds": sorted({kind for _, kind in load.failures}), "last failure after s": round(late, 1)}  # fmt: skip
    eventually(lambda: set(load.made) <= set(facts(release)), "every fact in the lake", 300)
    lake = facts(release)
    row |= {"found": len(set(load.made) & set(lake)), "twice": len(lake) - len(set(lake))}
    print("\n" + json.dumps(row))
    LEFT.mkdir(parents=True, exist_ok=True)
    with (LEFT / "faults.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    assert row["found"] == row["made"]
    assert row["twice"] == 0
