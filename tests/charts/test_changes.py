"""What a change of values changes: no more than it must, and nothing that a later command cannot undo."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/stemma"
HELM = Path(sysconfig.get_path("scripts")) / "helm"


@cache
def render(profile: str, *words: str, chart: Path = CHART) -> list[dict[str, Any]]:
    """The objects that an installation of a profile makes."""
    values = CHART / "ci" / f"{profile}-values.yaml"
    command = [HELM, "template", "stemma", chart, "--namespace", "music", "--values", values, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [found for found in yaml.load_all(done.stdout, yaml.CSafeLoader) if found]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [found for found in objects if found["kind"] == kind]


def templates(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """What decides whether pods are made anew: each controller's templates, a whole Ray cluster among them."""
    found = {f"{o['kind']}/{o['metadata']['name']}": o["spec"].get("template") for o in objects if o.get("spec")}
    (ray,) = of_kind(objects, "RayService")
    return {name: made for name, made in found.items() if made} | {"ray": ray["spec"]["rayClusterConfig"]}


def serve_config(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return yaml.safe_load(of_kind(objects, "RayService")[0]["spec"]["serveConfigV2"])["applications"][0]["args"]


def test_a_change_of_serving_is_taken_in_place_without_a_new_cluster():
    changed = render("production", "--set", "serving.config.generator.autoscaling.max_replicas=15")
    assert serve_config(changed)["generator"]["autoscaling"]["max_replicas"] == 15
    assert templates(changed) == templates(render("production"))


def test_a_new_version_of_the_chart_alone_ends_no_pod(tmp_path):
    newer = tmp_path / "stemma"
    subprocess.run(["cp", "-r", CHART, newer], check=True)
    about = newer / "Chart.yaml"
    about.write_text(about.read_text().replace("\nversion: 0.", "\nversion: 9."))
    before, after = render("production"), render("production", chart=newer)
    assert before != after
    assert templates(before) == templates(after)


def test_a_change_of_the_demo_leaves_the_portal_alone():
    changed = templates(render("evaluation", "--set", "demo.recordings=7"))
    known = templates(render("evaluation"))
    assert {name for name in known if known[name] != changed[name]} == {"Job/stemma-demo"}


def test_budgets_over_pods_of_ray_name_how_many_stay():
    # A RayCluster has no /scale: the controller of budgets cannot tell how many there should be, and would let none go.
    for budget in of_kind(render("production"), "PodDisruptionBudget"):
        ray = budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == "serving"
        assert set(budget["spec"]) & {"minAvailable", "maxUnavailable"} == {"minAvailable" if ray else "maxUnavailable"}
        if ray:
            assert budget["spec"]["selector"]["matchLabels"]["stemma/role"] in {"gateway", "generator"}


def test_a_budget_never_forbids_every_drain():
    assert not [b for b in of_kind(render("evaluation"), "PodDisruptionBudget") if b["spec"].get("minAvailable")]


def test_a_job_that_is_a_hook_at_one_time_and_none_at_another_leaves_no_name_behind():
    first, later = render("evaluation"), render("evaluation", "--is-upgrade")
    hooked = {n: o for o in of_kind(later, "Job") if (n := o["metadata"]["name"]) and "annotations" in o["metadata"]}
    plain = {o["metadata"]["name"] for o in of_kind(first, "Job") if "annotations" not in o["metadata"]}
    both = plain & set(hooked)
    assert both == {"stemma-migrate"}
    for name in both:
        assert "hook-succeeded" in hooked[name]["metadata"]["annotations"]["helm.sh/hook-delete-policy"]


def test_accounts_exist_also_where_only_some_secrets_are_ones_own():
    for named in ([], ["installation"], ["keys"], ["installation", "keys"]):
        objects = render("evaluation", *(f"--set=secrets.{part}=mine" for part in named))
        accounts = {o["metadata"]["name"] for o in of_kind(objects, "ServiceAccount")}
        used = {a for o in of_kind(objects, "Job") if (a := o["spec"]["template"]["spec"].get("serviceAccountName"))}
        assert used <= accounts, named


def test_no_flow_to_the_whole_world_leads_to_the_machines_own_metadata():
    for policy in of_kind(render("production"), "NetworkPolicy"):
        if policy["metadata"]["name"].rpartition("-")[2] not in {"portal", "worker", "training"}:
            continue
        for rule in policy["spec"]["egress"]:
            if 80 in {port["port"] for port in rule.get("ports", [])}:
                assert all("169.254.0.0/16" in peer["ipBlock"]["except"] for peer in rule["to"]), json.dumps(rule)
