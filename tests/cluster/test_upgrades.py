"""Proof 5, the portal's part: upgrades and their undoing fail no request, and a broken image takes none."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from cluster.conftest import CHART, HELM, Release, run

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
               "10m", *more, check=check)  # fmt: skip


def test_an_upgrade_and_a_rollback_fail_no_request_of_the_portal(release: Release) -> None:
    with visitors(release) as answers:
        upgrade(release, "--set", "portal.threads=6")
        run(HELM, "rollback", release.name, "-n", release.namespace, "--wait", "--timeout", "10m")
    print("\n", dict(answers))
    assert set(answers) == {"200"}
    assert answers["200"] > 50


def test_a_broken_image_takes_no_request_and_is_taken_back(release: Release) -> None:
    with visitors(release) as answers:
        said = upgrade(release, "--atomic", "--timeout", "2m", "--set", "image.tag=broken", check=False)
    assert "Error" in said
    print("\n", dict(answers))
    assert set(answers) == {"200"}
    images = {c["image"] for p in release.pods(component="portal") for c in p["spec"]["containers"]}
    assert not [image for image in images if image.endswith("broken")]
