from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import yaml

from charts.conftest import CHART, PROFILES, ROOT, VERSIONS, containers, helm, manifests, pods, rendered
from charts.snapshot import PATH, summary
from stemma.config import Settings
from stemma.stack import cluster
from stemma_serving.config import ServingConfig

pytestmark = pytest.mark.unit
POD_CASES = [pytest.param(p, name, pod, id=f"{p}:{name}") for p in PROFILES for name, pod in pods(p)]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_passes_strict_linting(profile: str) -> None:
    done = helm("lint", "--strict", str(CHART), "-f", str(CHART / "ci" / f"{profile}-values.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_renders_for_the_newest_versions_of_kubernetes(profile: str, version: str) -> None:
    kinds = {m["kind"] for m in yaml.safe_load_all(rendered(profile, version)) if m}
    assert {"Deployment", "RayService", "NetworkPolicy", "Job"} <= kinds


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("replicas=3", "Additional property replicas is not allowed"),
        ("portal.replica=3", "portal: Additional property replica"),
        ("portal.resources.limit.cpu=1", "portal.resources: Additional property limit"),
        ("serving.config.generator.quue=3", "serving.config.generator: Additional property quue"),
        ("serving.config.generator.autoscaling.max=3", "serving.config.generator.autoscaling: Additional property max"),
        ("serving.groups[0].gpus=1", "serving.groups.0: Additional property gpus"),
        ("postgres.kind=sqlite", "postgres.kind"),
        ("portal.replicas=many", "portal.replicas: Invalid type"),
        ("serving.config.stop_seconds=20", "would be ended with a generation in work"),
        ("serving.graceSeconds=100", "serving.graceSeconds: must be at least"),
        ("postgres.kind=external", "secrets.installation: name the Secret"),
        ("redis.kind=external", "redis.address: say where Redis is"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, named: str) -> None:
    done = helm("template", "s", str(CHART), "-f", str(CHART / "ci" / "evaluation-values.yaml"), "--set", setting)
    assert done.returncode != 0
    assert named in done.stderr


def test_schema_and_readme_are_made_from_the_values_as_they_are() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "charts" / "reference.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("profile", "name", "pod"), POD_CASES)
def test_a_pod_is_hardened(profile: str, name: str, pod: dict) -> None:
    spec = pod["spec"]
    # Ray's autoscaler speaks to the API server: its token is the one that is needed.
    needs_token = name.endswith("/head") and "RayService" in name
    assert spec["automountServiceAccountToken"] is needs_token
    held = {c["name"] for c in containers(pod) for m in c.get("volumeMounts", []) if m["name"] == "api"}
    assert held <= {"secrets", "keep", "portal"}  # the portal where it starts jobs of training, and only it
    assert ("portal" in held) == (profile == "evaluation" and name.endswith("-portal"))
    assert spec["enableServiceLinks"] is False  # it would bring STEMMA_… variables that nobody knows
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any(key in spec for key in ("hostNetwork", "hostPID", "hostIPC"))
    assert not any("hostPath" in volume for volume in spec.get("volumes", []))
    for container in containers(pod):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys() & container["resources"]["requests"].keys()
        assert "latest" not in container["image"]


@pytest.mark.parametrize(("profile", "name", "pod"), POD_CASES)
def test_every_variable_is_one_that_the_settings_know(profile: str, name: str, pod: dict) -> None:
    known = {f"STEMMA_{field.upper()}" for field in Settings.model_fields}
    for container in containers(pod):
        names = [variable["name"] for variable in container.get("env", [])]
        assert {n for n in names if n.startswith("STEMMA_")} <= known
        assert len(names) == len(set(names))


@pytest.mark.parametrize("profile", PROFILES)
def test_what_runs_for_long_is_probed(profile: str) -> None:
    for m in manifests(profile):
        if m["kind"] in {"Deployment", "StatefulSet"}:
            for container in m["spec"]["template"]["spec"]["containers"]:
                assert "livenessProbe" in container, f"{m['metadata']['name']}/{container['name']}"


@pytest.mark.parametrize("profile", PROFILES)
def test_selectors_match_and_services_find_their_ports(profile: str) -> None:
    templates = [(name, pod) for name, pod in pods(profile)]
    for m in manifests(profile):
        if m["kind"] in {"Deployment", "StatefulSet"}:
            labels = m["spec"]["template"]["metadata"]["labels"]
            assert m["spec"]["selector"]["matchLabels"].items() <= labels.items()
        if m["kind"] == "Service":
            behind = [p for _, p in templates if m["spec"]["selector"].items() <= p["metadata"]["labels"].items()]
            assert behind, m["metadata"]["name"]
            for port in m["spec"]["ports"]:
                names = {q["name"] for p in behind for c in containers(p) for q in c.get("ports", [])}
                assert port["targetPort"] in names
        if m["kind"] in {"PodMonitor", "ServiceMonitor"}:
            wanted = m["spec"]["selector"]["matchLabels"]
            behind = [p for _, p in templates if wanted.items() <= p["metadata"]["labels"].items()]
            names = {q["name"] for p in behind for c in containers(p) for q in c.get("ports", [])}
            ports = m["spec"].get("podMetricsEndpoints") or m["spec"]["endpoints"]
            assert {endpoint["port"] for endpoint in ports} <= names
        if m["kind"] == "PodDisruptionBudget":
            wanted = m["spec"]["selector"]["matchLabels"]
            assert any(wanted.items() <= p["metadata"]["labels"].items() for _, p in templates)


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_that_is_referred_to_is_there_or_named_by_values(profile: str) -> None:
    there = {(m["kind"], m["metadata"].get("name")) for m in manifests(profile)}
    values = yaml.safe_load((CHART / "ci" / f"{profile}-values.yaml").read_text())
    named = set(_strings(values)) | {f"{values.get('postgres', {}).get('cluster')}-app", "stemma-demo"}
    if profile == "evaluation":
        made = next(m for m in manifests(profile) if m["kind"] == "Job" and m["metadata"]["name"] == "stemma-secrets")
        arguments = made["spec"]["template"]["spec"]["containers"][0]["args"]
        named |= {a.split("=")[1] for a in arguments if a.startswith(("--name", "--keys"))}
    for name, pod in pods(profile):
        secrets_ = {v["secret"]["secretName"] for v in pod["spec"].get("volumes", []) if "secret" in v}
        for container in containers(pod):
            refs = [v["valueFrom"] for v in container.get("env", []) if "valueFrom" in v]
            secrets_ |= {ref["secretKeyRef"]["name"] for ref in refs if "secretKeyRef" in ref}
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            claimed = {"data"} if "StatefulSet" in name else set()
            assert mounted <= {v["name"] for v in pod["spec"].get("volumes", [])} | claimed
        assert {s for s in secrets_ if ("Secret", s) not in there} <= named, name
        account = pod["spec"].get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in there


def test_every_entry_that_pods_read_is_made() -> None:
    made = cluster.passwords({"postgres": "p:5432", "redis": "r:6379"}).keys() | cluster.keys().keys()
    for name, pod in pods("evaluation"):
        for container in containers(pod):
            refs = [v["valueFrom"].get("secretKeyRef") for v in container.get("env", []) if "valueFrom" in v]
            assert {ref["key"] for ref in refs if ref} <= made, name
        items = [i for v in pod["spec"].get("volumes", []) for i in v.get("secret", {}).get("items", [])]
        assert {item["key"] for item in items} <= made, name


@pytest.mark.parametrize("profile", PROFILES)
def test_ray_is_given_time_for_what_is_in_work_and_in_the_spool(profile: str) -> None:
    service = next(m for m in manifests(profile) if m["kind"] == "RayService")
    application = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"][0]
    config = ServingConfig.model_validate(application["args"])
    assert config.stop_seconds >= config.gateway.answer_seconds
    groups = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    for group in groups:
        assert group["template"]["spec"]["terminationGracePeriodSeconds"] >= config.stop_seconds + 60 + 15
    gateway = groups[0]["template"]["spec"]
    leave = gateway["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert f"seq {config.stop_seconds:g})" in leave  # with the keeper's minute it fits into the grace above
    for group in groups[1:]:
        assert group["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1] == "sleep 30"
    keeper = gateway["initContainers"][0]
    assert keeper["restartPolicy"] == "Always"
    kept = ServingConfig.model_validate_json(keeper["args"][0].removeprefix("--config="))
    assert (kept.spool, kept.attributor) == (config.spool, config.attributor)
    assert groups[0]["maxReplicas"] >= config.gateway.autoscaling.max_replicas
    assert sum(g["maxReplicas"] for g in groups[1:]) >= config.generator.autoscaling.max_replicas


def test_a_training_job_has_workers_where_values_ask_for_them_which_hold_no_keys_of_roles() -> None:
    alone, (head, worker) = (
        [pod for name, pod in pods("evaluation", *more) if "training/" in name and not name.endswith("/submitter")]
        for more in ((), ("--set=training.workers=2", "--set=training.gpu=1", "--set=training.nodeSelector.disk=fast"))
    )
    assert len(alone) == 1
    template = next(
        m for m in manifests("evaluation", "--set=training.workers=2") if "rayjob.json" in m.get("data", {})
    )
    (group,) = json.loads(template["data"]["rayjob.json"])["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (2, 2, 2)
    for part in ("nodeSelector", "securityContext"):
        assert worker["spec"][part] == head["spec"][part]
    assert worker["metadata"]["labels"] == head["metadata"]["labels"]
    (ours,), (theirs,) = worker["spec"]["containers"], head["spec"]["containers"]
    assert ours["resources"] == theirs["resources"]
    assert ours["resources"]["limits"]["nvidia.com/gpu"] == "1"
    keys = next(v for v in worker["spec"]["volumes"] if v["name"] == "keys")["secret"]["items"]
    assert all(item["path"].startswith("content/") for item in keys)
    assert not [v["name"] for v in ours["env"] if v["name"].startswith(("MLFLOW_", "STEMMA_PORTAL_TOKEN"))]


@pytest.mark.parametrize("profile", PROFILES)
def test_nobody_speaks_but_as_listed(profile: str) -> None:
    policies = [m for m in manifests(profile) if m["kind"] == "NetworkPolicy"]
    nobody = next(p for p in policies if p["metadata"]["name"].endswith("-nobody"))
    for name, pod in pods(profile):
        wanted = nobody["spec"]["podSelector"]["matchLabels"]
        assert wanted.items() <= pod["metadata"]["labels"].items(), f"{name} is outside of the policies"
    for policy in policies:
        assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        for rule in policy["spec"].get("ingress") or []:
            assert rule["from"], "an empty list of peers means anyone"
        for rule in policy["spec"].get("egress") or []:
            assert rule["to"], "an empty list of peers means anyone"


def test_images_of_a_profile_come_from_one_registry() -> None:
    for profile in PROFILES:
        images = {c["image"] for _, pod in pods(profile) for c in containers(pod)}
        assert len({image.rsplit("/", 1)[0] for image in images}) == 1


def test_an_upgrade_migrates_before_new_pods_start() -> None:
    job = next(
        m
        for m in manifests("evaluation", "--is-upgrade")
        if m["kind"] == "Job" and m["metadata"]["name"] == "stemma-migrate"
    )
    assert "pre-upgrade" in job["metadata"]["annotations"]["helm.sh/hook"]


def test_dashboard_and_rules_ask_only_for_series_that_we_have() -> None:
    texts = [(CHART / "files" / name).read_text() for name in ("rules.yaml", "dashboard.json")]
    sources = "".join(
        path.read_text()
        for path in (
            ROOT / "serving/stemma_serving/metrics.py",
            ROOT / "serving/stemma_serving/keeper.py",
            ROOT / "portal/stemma_portal/api/management/commands/figures.py",
        )
    )
    for name in set(re.findall(r"\b((?:ray_)?stemma_[a-z_]+)\b", "".join(texts))):
        bare = re.sub(r"_(total|bucket)$", "", name.removeprefix("ray_"))
        assert bare in sources, name
    for group in yaml.safe_load(texts[0])["groups"]:
        for rule in group["rules"]:
            assert f"#{rule['alert'].lower()}" in rule["annotations"]["runbook"]


def test_the_profiles_are_as_they_were_last_looked_at() -> None:
    """Kinds and names; `make chart` writes them anew after a change that is meant."""
    assert json.loads(PATH.read_text()) == summary()


def _strings(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [s for inner in value.values() for s in _strings(inner)]
        case list():
            return [s for inner in value for s in _strings(inner)]
        case _:
            return []
