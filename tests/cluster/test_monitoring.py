"""Proof 9: what should be watched is, and the dashboard's questions have answers."""

from __future__ import annotations

import json

import httpx

from cluster.conftest import CHART, Release, eventually, kubectl


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
        return not down and len(jobs) >= 4

    eventually(well, "all targets to be up", 240, every=10)
    silent = []
    for panel in json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]:
        query = panel["targets"][0]["expr"].replace("NAMESPACE", release.namespace)
        if not ask(query):
            silent.append(panel["title"])
    assert not silent


def test_the_rules_are_loaded_and_silent_at_rest(release: Release) -> None:
    groups = httpx.get(prometheus() + "rules", timeout=20).json()["data"]["groups"]
    rules = [rule for group in groups if group["name"] == "stemma" for rule in group["rules"]]
    assert len(rules) >= 6
    assert all(rule["health"] in {"ok", "unknown"} for rule in rules), rules
    assert not [rule["name"] for rule in rules if rule["state"] == "firing"]
