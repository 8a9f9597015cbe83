"""Proof 5: upgrades and their undoing fail no request, and a broken image takes none."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from cluster.conftest import CHART, HELM, Release, eventually, run
from cluster.load import Load
from cluster.test_faults import ready
from cluster.test_scaling import facts

PAGES = ("/accounts/login/", "/readyz", "/.well-known/jwks.json", "/api/v1/openapi.json")


@contextmanager
def visitors(release: Release, count: int = 2) -> Iterator[Counter[str]]:
    """Ask for pages all the time; what came of it, by status or error."""
    base = f"http://{release.address('portal')}:8000"
    answers: Counter[str] = Counter()
    over = threading.Event()

    def visit() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            try:
                # A connection each, as people come.
                found = httpx.get(base + PAGES[turn % len(PAGES)], headers={"Host": "localhost"}, timeout=30)
                answers[str(found.status_code)] += 1
            except httpx.HTTPError as error:
                answers[type(error).__name__] += 1
            over.wait(0.1)

    threads = [threading.Thread(target=visit, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join(40)


def upgrade(release: Release, *more: str, check: bool = True) -> str:
    return run(HELM, "upgrade", release.name, CHART, "-n", release.namespace, "--reuse-values", "--wait", "--timeout",
               "15m", *more, check=check)  # fmt: skip


def clusters(release: Release) -> list[str]:
    return [found["metadata"]["name"] for found in release.get("rayclusters")["items"]]


@contextmanager
def callers(release: Release) -> Iterator[Load]:
    """Of music, all the time, before and after whatever happens; each piece has its fact, once.

    One caller keeps one core at work: on a node of two, a second one would starve what is being upgraded.
    """
    with Load(f"http://{release.address('serving')}:8000", release.demo()["api_keys"]["enterprise"], callers=1) as load:
        eventually(lambda: len(load.made) >= 3, "serving to answer", 400)
        yield load
        count = len(load.made)
        eventually(lambda: len(load.made) >= count + 5, "serving to answer afterwards", 400)
    print("\n", load.told())
    eventually(lambda: set(load.made) <= set(facts(release)), "every fact in the lake", 300)
    lake = facts(release)
    assert len(lake) == len(set(lake))


def test_an_upgrade_and_a_rollback_fail_no_request(release: Release) -> None:
    with callers(release) as load, visitors(release) as answers:
        upgrade(release, "--set", "image.portal.repository=portal-next")
        images = {c["image"] for p in ready(release.pods(component="portal")) for c in p["spec"]["containers"]}
        assert {image.rpartition("/")[2].partition(":")[0] for image in images} == {"portal-next"}
        run(HELM, "rollback", release.name, "-n", release.namespace, "--wait", "--timeout", "15m")
    print("\n", dict(answers))
    assert set(answers) == {"200"}
    assert answers["200"] > 50
    assert not load.failures


def test_another_cluster_of_ray_takes_over_and_fails_no_request(release: Release) -> None:
    (before,) = clusters(release)
    with callers(release) as load:
        upgrade(release, "--set", "serving.cacheSize=9Gi")
        eventually(lambda: len(clusters(release)) == 2, "a second cluster of Ray", 120)
        eventually(lambda: before not in clusters(release), "the first one to go", 900)
    assert not load.failures


@pytest.mark.parametrize("hooks", ["with hooks", "--no-hooks"])
def test_a_broken_image_takes_no_request_and_is_taken_back(release: Release, hooks: str) -> None:
    """With hooks it is the migration that fails; without them new pods stand beside the old ones, and never begin."""
    broken = ("--set", "image.portal.repository=broken", "--set", "image.serving.repository=broken")
    more = [hooks] if hooks.startswith("--") else []
    with callers(release) as load, visitors(release) as answers:
        said = upgrade(release, "--atomic", "--timeout", "2m", *broken, *more, check=False)
    assert "Error" in said
    print("\n", dict(answers))
    assert set(answers) == {"200"}
    assert not load.failures
    images = {c["image"] for p in release.pods(component="portal") for c in p["spec"]["containers"]}
    assert not [image for image in images if "broken" in image]
    # KubeRay may take a new one of the old image for the one that it was.
    eventually(lambda: len(clusters(release)) == 1, "one cluster of Ray", 300)
    assert "broken" not in release.kubectl("get", "rayclusters", "-o", "yaml")
