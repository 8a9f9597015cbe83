"""Proof 3: a step of load makes replicas and pods grow and shrink; a pile of tasks makes workers."""

from __future__ import annotations

import time

from cluster.conftest import Release, eventually
from cluster.load import Load

FACTS = """
import io
import pyarrow.parquet as pq
from stemma.storage import storage
s = storage()
for k in s.keys('usage/'):
    # Without threads: Arrow's may abort a program that ends while they do.
    file = pq.ParquetFile(io.BytesIO(s.get(k)), pre_buffer=False)
    print('\\n'.join(file.read(['id'], use_threads=False)['id'].to_pylist()))
"""
QUEUE = """
import redis
from stemma.config import settings
print(redis.Redis.from_url(settings().redis_url.get_secret_value()).llen('celery'))
"""


def running(release: Release, **labels: str) -> int:
    return sum(p["status"]["phase"] == "Running" for p in release.pods(**labels))


def test_serving_grows_with_its_load_and_shrinks_after_it(release: Release) -> None:
    key = release.demo()["api_keys"]["enterprise"]
    url = f"http://{release.address('serving')}:8000"
    assert running(release, stemma__role="generator") == 1
    with Load(url, key, callers=8) as load:
        began = time.monotonic()
        eventually(lambda: running(release, stemma__role="generator") == 2, "a second generator pod", 400)
        grown = time.monotonic() - began
        time.sleep(30)
    print(f"\na second pod after {grown:.0f} s; {load.told()}")
    assert not load.failures
    began = time.monotonic()
    eventually(lambda: running(release, stemma__role="generator") == 1, "the second pod to go", 600)
    print(f"gone after {time.monotonic() - began:.0f} s")
    lake = facts(release)
    assert set(load.made) <= set(lake)
    assert len(lake) == len(set(lake))


def facts(release: Release) -> list[str]:
    """Identifiers of every usage fact in object storage, once the spools are empty."""
    time.sleep(8)  # segments are closed after two seconds, and shipped a second later
    return release.python(FACTS).split()


def test_tasks_bring_workers_which_do_them_and_go_again(release: Release) -> None:
    send = (
        "from stemma_portal.operations.tasks import snapshot_receipts_heal as t; "
        "[t.apply_async() for _ in range(200)]; print('sent')"
    )
    began = time.monotonic()
    before = running(release, component="worker")
    assert "sent" in release.python(send)
    wanted = lambda: release.get("deployment", "stemma-worker")["spec"]["replicas"]  # noqa: E731
    most = eventually(lambda: wanted() > before and wanted(), "KEDA to ask for more workers", 180, every=1)
    print(f"\n{most} workers wanted after {time.monotonic() - began:.0f} s")
    eventually(lambda: int(release.python(QUEUE)) < 5, "the tasks to be done", 400)
    eventually(lambda: wanted() == before, "the workers to go", 500)
