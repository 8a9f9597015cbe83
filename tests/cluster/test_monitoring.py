"""Proof 9: what should be watched is, and the dashboard's questions have answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from cluster.conftest import CHART, Release, eventually, kubectl
from cluster.load import Load
from cluster.test_faults import replica_killed, storage_pods, whole
from cluster.test_scaling import facts


def prometheus() -> str:
    services = json.loads(kubectl("-n", "monitoring", "get", "service", "-o", "json"))["items"]
    found = next(s for s in services if any(p["port"] == 9090 for p in s["spec"]["ports"]))
    pods = json.loads(kubectl("-n", "monitoring", "get", "pods", "-o", "json"))["items"]
    pod = next(p for p in pods if p["metadata"]["name"].startswith("prometheus-cluster"))
    address = found["spec"]["clusterIP"]
    return f"http://{address if address != 'None' else pod['status']['podIP']}:9090/api/v1/"


def ask(query: str) -> list[dict]:
    answer = httpx.get(prometheus() + "query", params={"query": query}, timeout=20).json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def test_every_target_is_up_and_the_dashboard_answers(release: Release) -> None:
    def well() -> bool:
        found = ask(f'up{{namespace="{release.namespace}"}}')
        down = [r["metric"].get("instance") for r in found if r["value"][1] != "1"]
        jobs = {r["metric"]["job"].rsplit("/", 1)[-1] for r in found}
        print(sorted(jobs), "down:", down)
        return not down and jobs == {f"{release.name}-{part}" for part in ("keeper", "mlflow", "portal", "serving")}

    eventually(well, "all targets to be up", 240, every=10)
    queries = {
        panel["title"]: panel["targets"][0]["expr"].replace("NAMESPACE", release.namespace)
        for panel in json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
    }
    silent = lambda: [title for title, query in queries.items() if not ask(query)]  # noqa: E731
    url, key = f"http://{release.address('serving')}:8000", release.demo()["api_keys"]["enterprise"]
    with Load(url, key, callers=1) as load:  # how long generations take is known while there are some
        eventually(lambda: load.made and not silent(), "every question of the dashboard to be answered", 240, every=10)


def test_the_rules_are_loaded_and_silent_at_rest(release: Release) -> None:
    groups = httpx.get(prometheus() + "rules", timeout=20).json()["data"]["groups"]
    rules = [rule for group in groups if group["name"] == "stemma" for rule in group["rules"]]
    assert len(rules) >= 6
    assert all(rule["health"] in {"ok", "unknown"} for rule in rules), rules
    assert not [rule["name"] for rule in rules if rule["state"] == "firing"]


SCALER = "scaledobject/stemma-worker"
PAUSED = "autoscaling.keda.sh/paused-replicas"
PILE = """
from stemma_portal.operations.tasks import snapshot_receipts_heal as task
for _ in range(1200):
    task.apply_async()
print('sent')
"""


def firing() -> set[str]:
    """Names of the rules that fire without their patience."""
    alerts = httpx.get(prometheus() + "alerts", timeout=20).json()["data"]["alerts"]
    return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing" and a["labels"].get("proof") == "now"}


@contextmanager
def impatient(release: Release) -> Iterator[None]:
    """The installation's rules once more: at once instead of after minutes, over two minutes instead of many."""
    (found,) = release.get("prometheusrule", "-l", f"app.kubernetes.io/instance={release.name}")["items"]
    rules = [
        rule | {"for": "0s", "expr": re.sub(r"\[\d+[mh]\]", "[2m]", rule["expr"]), "labels": {"proof": "now"}}
        for rule in found["spec"]["groups"][0]["rules"]
    ]
    mine = {"apiVersion": found["apiVersion"], "kind": found["kind"],
            "metadata": {"name": "proof", "labels": found["metadata"]["labels"]},
            "spec": {"groups": [{"name": "proof", "rules": rules}]}}  # fmt: skip
    release.kubectl("apply", "-f", "-", input=json.dumps(mine))
    try:
        yield
    finally:
        release.kubectl("delete", "prometheusrule", "proof")


CHANGE = """
SET session_replication_role = replica;
UPDATE royalties_posting SET amount = amount + :change WHERE id = (SELECT min(id::text)::uuid FROM royalties_posting);
"""


def behind_the_ledger(release: Release, change: int) -> None:
    """What only the database's owner can do, past its own refusals: another amount in a posting."""
    login = ["PGHOST=/tmp", f"PGPASSWORD={release.secret('installation')['postgres-password']}"]
    psql = ["/opt/stemma/postgres/bin/psql", "-U", "postgres", "-d", "stemma", "-v", "ON_ERROR_STOP=1"]
    pod = ["exec", "-i", f"{release.name}-postgres-0", "-c", "postgres", "--", "env", *login, *psql]
    release.kubectl(*pod, "-v", f"change={change}", input=CHANGE)


def test_every_rule_fires_when_it_is_provoked_and_is_silent_again(release: Release) -> None:
    url, key = f"http://{release.address('serving')}:8000", release.demo()["api_keys"]["enterprise"]
    made: list[str] = []

    def wanted(name: str, seconds: float = 240) -> None:
        eventually(lambda: name in firing(), f"{name} to fire", seconds, every=5)
        print(name, "fires")

    eventually(lambda: whole(release), "everything to be well before", 400)
    with impatient(release):
        behind_the_ledger(release, 1)
        try:
            release.kubectl("annotate", SCALER, f"{PAUSED}=0", "--overwrite")
            eventually(lambda: not release.pods(component="worker"), "the workers to go", 200)
            assert "sent" in release.python(PILE)
            wanted("StemmaLedgerImbalance")
            wanted("StemmaTasksWait")
            with Load(url, key, callers=12) as load:
                wanted("StemmaNoFactsIngested")
                wanted("StemmaReplicasAtBound", 400)
                eventually(
                    lambda: replica_killed(release) or "StemmaApiErrors" in firing(), "StemmaApiErrors", 200, every=8
                )
                print("StemmaApiErrors fires")
            made += load.made
            with Load(url, key, callers=1) as load:
                eventually(lambda: load.made, "a piece before", 200)
                storage_pods(release, 0)
                wanted("StemmaSpoolAge", 600)
            made += load.made
        finally:
            storage_pods(release, 1)
            release.kubectl("annotate", SCALER, f"{PAUSED}-")
            behind_the_ledger(release, -1)
        eventually(lambda: whole(release), "everything to be well again", 600)
        eventually(lambda: not firing(), "silence", 900, every=10)
    eventually(lambda: set(made) <= set(facts(release)), "every fact in the lake", 300)
