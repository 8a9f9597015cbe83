"""Proofs 1, 2 and 6: it installs, it is what it says, and nobody reaches what is not meant for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cluster.conftest import CHART, HELM, Release, eventually, kubectl, namespace, run

SMALL = str(Path(__file__).with_name("small-values.yaml"))
"""Two installations ask for more than the processor time of a node of two cores."""


@pytest.mark.smoke
def test_a_piece_is_made_verified_and_accounted(release: Release) -> None:
    said = release.test()
    assert "its use and its attribution are in the portal" in said
    print(said)


@pytest.mark.parametrize("profile", ["evaluation", "production", "airgap"])
def test_the_api_server_takes_every_object_of_a_profile(profile: str) -> None:
    namespace("dry")
    made = run(HELM, "template", "stemma", CHART, "-n", "dry", "-f", CHART / "ci" / f"{profile}-values.yaml")
    for manifest in yaml.safe_load_all(made):
        if manifest:
            manifest["metadata"].setdefault("namespace", "dry")
            if manifest["kind"] == "PriorityClass":
                del manifest["metadata"]["namespace"]
            kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(manifest))
            if manifest["kind"] == "ConfigMap" and "rayjob.json" in manifest["data"]:
                kubectl("-n", "dry", "create", "--dry-run=server", "-f", "-", input=manifest["data"]["rayjob.json"])


def test_no_container_is_root_or_has_a_token_it_does_not_need(release: Release) -> None:
    for pod in release.pods():
        name, spec = pod["metadata"]["name"], pod["spec"]
        role = pod["metadata"]["labels"].get("stemma/role")
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert not container["securityContext"].get("privileged"), name
            token = [m for m in container.get("volumeMounts", []) if m["mountPath"].startswith("/var/run/secrets")]
            if token:
                assert role == "head" or container["name"] in {"keep", "secrets", "portal"}, (
                    f"{name}/{container['name']}"
                )
        if pod["status"]["phase"] == "Running":
            first = spec["containers"][0]["name"]
            assert release.kubectl("exec", name, "-c", first, "--", "id", "-u").strip() == "10001", name


PROBE = """
import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(':', 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        print(target, 'open')
    except OSError:
        print(target, 'closed')
"""
ASK = """
import urllib.error, urllib.request
try:
    urllib.request.urlopen('http://127.0.0.1:8265/api/jobs/', timeout=5)
    print('open')
except urllib.error.HTTPError as error:
    print(error.code)
"""
RAY = [6379, 8000, 8076, 8080, 8265, 8404, 8500, 9101, 9103, 10001, 30000, 44217, 44227]
PORTS = {
    "portal": [8000],
    "postgres": [5432],
    "redis": [6379],
    "s3": [8333, 8888, 9333, 9340, 18888],
    "mlflow": [5000],
    "beat": [9104],
    "serving": RAY,
}
PUBLIC: set[str] = set()
"""Without a Gateway or an Ingress nothing is public."""


@pytest.mark.parametrize("where", ["music", "elsewhere"])
def test_a_stranger_reaches_nothing(release: Release, where: str) -> None:
    namespace("elsewhere")
    targets = []
    for pod in release.pods():
        ip = pod["status"].get("podIP")
        component = pod["metadata"]["labels"].get("app.kubernetes.io/component")
        if ip and pod["status"]["phase"] == "Running":
            targets += [f"{ip}:{port}" for port in PORTS.get(str(component), [])]
    stranger = Release(where)
    image = release.pods(component="portal")[0]["spec"]["containers"][0]["image"]
    stranger.kubectl("delete", "pod", "stranger", "--ignore-not-found")
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"}}  # fmt: skip
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger", "namespace": where}, "spec": {
        "restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [{
            "name": "ask", "image": image, "imagePullPolicy": "IfNotPresent", "securityContext": security,
            "command": ["python", "-c", PROBE, *targets]}]}}  # fmt: skip
    kubectl("apply", "-f", "-", input=json.dumps(pod))
    eventually(
        lambda: stranger.get("pod", "stranger")["status"]["phase"] in {"Succeeded", "Failed"}, "the stranger", 400
    )
    said = stranger.kubectl("logs", "stranger").splitlines()
    stranger.kubectl("delete", "pod", "stranger")
    assert len(said) == len(targets) > 20
    print("\n".join(said))
    assert {line.split()[0] for line in said if line.endswith("open")} == PUBLIC


def test_the_dashboard_asks_who_is_there(release: Release) -> None:
    """From within the installation, where the port is open: without Ray's token there is no answer."""
    head = release.pods(stemma__role="head")[0]
    said = release.kubectl("exec", head["metadata"]["name"], "-c", "ray-head", "--", "python", "-c", ASK)
    assert said.strip() in {"401", "403"}


COUNT = "from stemma_portal.metering.models import Generation as G; print(G.objects.count())"


def test_a_second_installation_lives_beside_the_first(release: Release) -> None:
    beside = Release("beside")
    namespace(beside.namespace)
    try:
        before = int(release.python(COUNT))
        print(f"\ninstalled beside another in {beside.install('-f', SMALL):.0f} s")
        assert "are in the portal" in beside.test()
        assert int(release.python(COUNT)) == before  # nothing of what the second made came to the first
        assert "are in the portal" in release.test()
        assert beside.secret("installation") != release.secret("installation")
    except AssertionError:
        beside.leave("second")
        raise
    finally:
        # In this order: of a namespace that goes as a whole, Ray's memory cannot be tidied up, and holds it.
        beside.uninstall()
        eventually(lambda: not beside.get("rayclusters")["items"], "Ray to be gone", 400)
        kubectl("delete", "namespace", beside.namespace, "--timeout=300s")


def test_one_that_comes_again_finds_its_data(release: Release) -> None:
    before = int(release.python(COUNT))
    release.uninstall()
    eventually(lambda: not release.get("rayclusters")["items"], "Ray to be gone", 400)
    kept = {c["metadata"]["name"] for c in release.get("pvc")["items"]}
    assert {"data-stemma-postgres-0", "data-stemma-redis-0", "data-stemma-s3-0"} <= kept
    print(f"\ninstalled again in {release.install():.0f} s")
    assert int(release.python(COUNT)) >= before > 0
    assert "are in the portal" in release.test()
