"""Proof 7: training as a job of Ray ends in a release that serving takes, and can be cancelled."""

from __future__ import annotations

import html
import os
import re
import sys
import sysconfig
from pathlib import Path

import httpx

from cluster.conftest import Release, eventually, run
from cluster.load import Load
from cluster.test_faults import ready

STEMMA = Path(sysconfig.get_path("scripts")) / "stemma"
PRODUCTION = """
from stemma.storage import storage
print(storage().get_json('releases/production.json')['release'])
"""
SNAPSHOT = """
from stemma_portal.operations.models import Snapshot
print(Snapshot.objects.latest('created_at').pk)
"""
SIGNED = """
import tempfile
from pathlib import Path
from stemma.attribution.store import Store
from stemma.storage import storage
from stemma.training import release
name = release.production()
with tempfile.TemporaryDirectory() as folder:
    bundle = release.fetch(name, Path(folder) / name)  # refuses what is not signed
    Store.fetch(storage(), name, Path(folder) / 'store', bundle)
print('signed and explained')
"""
REBUILT = """
import tempfile
from pathlib import Path
from stemma.attribution.store import Contents, Store
from stemma.storage import storage
from stemma.training import release
name = release.production()
with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    bundle = release.fetch(name, folder / name)
    theirs = Store.fetch(storage(), name, folder / 'theirs', bundle)
    ours = Store.build(bundle, folder / 'ours', Contents(bundle, storage()), plan=theirs.manifest.plan)
    print(name, len(ours.rows), 'the same' if ours.version == theirs.version else 'another')
"""
"""From public inputs, on this machine: a version is the digest of all that a store holds."""
AT_WORK = """
import psutil
print(*(' '.join(p.info['cmdline'] or ()) for p in psutil.process_iter(['cmdline'])), sep='\\n')
"""
"""What runs in a pod: Ray's processes are called by what they do."""
TRACKED = """
from mlflow import MlflowClient
client = MlflowClient('http://localhost:5000')
version = client.get_model_version_by_alias('house-symbolic', 'production')
print(version.tags['stemma.release'], client.get_run(version.run_id).info.status)
"""


def submit(release: Release, preset: str) -> str:
    said = run(STEMMA, "train", "--snapshot", release.python(SNAPSHOT).strip(), "--preset", preset, "--on", "cluster",
               "--namespace", release.namespace, "--release", release.name)  # fmt: skip
    return re.match(r"(\S+) is submitted", said)[1]


def pods(release: Release, job: str) -> list[dict]:
    """Ray's and the one that submits."""
    return [p for p in release.pods(component="training") if p["metadata"]["name"].startswith(job)]


def ray_pods(release: Release, job: str) -> list[dict]:
    return [p for p in pods(release, job) if "ray.io/node-type" in p["metadata"]["labels"]]


def status(release: Release, job: str) -> str:
    return release.get("rayjob", job).get("status", {}).get("jobDeploymentStatus", "")


def test_a_training_job_ends_in_a_signed_release_that_serving_takes(release: Release) -> None:
    before = release.python(PRODUCTION).strip()
    job = submit(release, "tiny")
    end = eventually(
        lambda: (s := status(release, job)) in {"Complete", "Failed"} and s, "the job to end", 1200, every=5
    )
    assert end == "Complete", release.kubectl("logs", "-l", f"job-name={job}", "--tail=100", check=False)
    after = release.python(PRODUCTION).strip()
    assert after != before
    gateway = ready(release.pods(stemma__role="gateway"))[0]["metadata"]["name"]
    assert "explained" in release.kubectl("exec", gateway, "-c", "ray-worker", "--", "python", "-c", SIGNED)
    made = release.secret("installation")
    account = [f"MLFLOW_TRACKING_{part.upper()}={made[f'mlflow-{part}']}" for part in ("username", "password")]
    tracked = release.kubectl("exec", f"deploy/{release.name}-mlflow", "-c", "mlflow", "--", "env", *account, "python",
                              "-c", TRACKED)  # fmt: skip
    assert tracked.split()[-2:] == [after, "FINISHED"]
    url, key = f"http://{release.address('serving')}:8000", release.demo()["api_keys"]["enterprise"]
    with Load(url, key, callers=1) as load:
        eventually(lambda: load.releases[after], "serving to take the new release", 300)
    assert not load.failures
    eventually(lambda: not ray_pods(release, job), "its processors to be given back", 300)


def made_again(release: Release, home: Path) -> str:
    """How the store of the release in production compares with one made here: its name, recordings, `the same`."""
    made = release.secret("installation")
    here = {"STEMMA_HOME": str(home), "STEMMA_S3_BUCKET": "stemma", "STEMMA_S3_ENDPOINT": f"http://{release.address('s3')}:8333",
            "STEMMA_S3_ACCESS_KEY": made["s3-access-key"], "STEMMA_S3_SECRET_KEY": made["s3-secret-key"]}  # fmt: skip
    return run(sys.executable, "-c", REBUILT, env=os.environ | here)


def test_the_store_of_a_job_is_the_one_that_is_made_here(release: Release, tmp_path: Path) -> None:
    name, rows, what = made_again(release, tmp_path).split(maxsplit=2)
    assert (name, what.strip()) == (release.python(PRODUCTION).strip(), "the same")
    assert int(rows) > 0


def test_a_job_with_a_worker_builds_the_same_store_on_both_nodes(release: Release, tmp_path: Path) -> None:
    before = release.python(PRODUCTION).strip()
    release.install("--set", "training.workers=1")
    try:
        job = submit(release, "tiny")
        nodes = eventually(lambda: len(found := ray_pods(release, job)) == 2 and found, "a head and a worker")
        seen: set[str] = set()

        def ended() -> str | None:
            for pod in nodes:
                name, kind = pod["metadata"]["name"], pod["metadata"]["labels"]["ray.io/node-type"]
                if "ray::Map(_done)" in release.kubectl(
                    "exec", name, "-c", f"ray-{kind}", "--", "python", "-c", AT_WORK, check=False
                ):
                    seen.add(kind)
            return s if (s := status(release, job)) in {"Complete", "Failed"} else None

        assert eventually(ended, "the job to end", 1400, every=1) == "Complete"
    finally:
        release.install("--set", "training.workers=0")
    assert seen == {"head", "worker"}
    name, _, what = made_again(release, tmp_path).split(maxsplit=2)
    assert name == release.python(PRODUCTION).strip() != before
    assert what.strip() == "the same"


def test_a_job_whose_pod_is_lost_is_made_again_and_ends(release: Release) -> None:
    before = release.python(PRODUCTION).strip()
    job = submit(release, "tiny")
    eventually(lambda: status(release, job) == "Running", "the job to run", 400)
    (pod,) = ray_pods(release, job)
    release.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    end = eventually(
        lambda: (s := status(release, job)) in {"Complete", "Failed"} and s, "the job to end", 1400, every=5
    )
    assert end == "Complete"
    assert release.python(PRODUCTION).strip() != before


def test_a_cancelled_job_leaves_nothing(release: Release) -> None:
    before = release.python(PRODUCTION).strip()
    job = submit(release, "base")
    eventually(lambda: status(release, job) == "Running", "the job to run", 400)
    run(STEMMA, "train", "--snapshot", "x", "--on", "cluster", "--namespace", release.namespace, "--cancel", job)
    eventually(lambda: not pods(release, job), "its pods to go", 200)
    assert release.python(PRODUCTION).strip() == before


def test_an_operator_starts_and_ends_a_job_on_a_page_of_the_portal(release: Release) -> None:
    login = next(login for login in release.demo()["logins"] if login["role"] == "ops")
    snapshot, before = release.python(SNAPSHOT).strip(), release.python(PRODUCTION).strip()
    with httpx.Client(
        base_url=f"http://{release.address('portal')}:8000", headers={"Host": "localhost"}, follow_redirects=True,
        timeout=60,
    ) as browser:  # fmt: skip

        def post(form: str, action: str = "", **fields: str) -> str:
            """Fill in and send a form of a page; the text of where it leads."""
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(form).text)[1]
            answer = browser.post(action or form, data={"csrfmiddlewaretoken": token, **fields})
            assert answer.status_code == 200, answer.text[-3000:]
            return html.unescape(answer.text)

        post("/accounts/login/", login=login["email"], password=login["password"])
        job = re.search(r"(\S+) is handed to the cluster", post("/training/", snapshot=snapshot, preset="base"))[1]
        job = job.rpartition(">")[2]
        eventually(lambda: status(release, job) == "Running", "the job to run", 400)
        page = html.unescape(browser.get("/training/").text)
        assert job in page
        assert login["email"] in page
        assert "At work" in page
        assert f"{job} is ended" in post("/training/", f"/training/{job}/cancel/")
    eventually(lambda: not pods(release, job), "its pods to go", 200)
    assert release.python(PRODUCTION).strip() == before
    who = "from stemma_portal.core.models import AuditEvent as E; print(*E.objects.values_list('action', flat=True))"
    assert {"training.start", "training.cancel"} <= set(release.python(who).split())
