"""`cluster-gateway`: an installation's gateway, asked through its Service, against the same gateway on this machine.

Wants KUBECONFIG and an installation of the evaluation profile (NAMESPACE, `music`; its demonstration's key is used),
and nothing else at work on it.  Both are one replica behind HAProxy and are asked in turns, by one load generator,
which models there are: the license is checked, nothing is generated, so that paths are compared and not models.  The
cluster's answers pass kube-proxy, the pods' network and its policies.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gateway_throughput import Instant, ask
from serving.licensee import publish
from stemma.config import settings
from stemma.proof.keys import KeyRing
from stemma.storage import storage
from stemma_serving.config import ServingConfig
from stemma_serving.runtime import Runtime
from support.session import Session

ROUNDS = 5
MODELS = "/v1/models"


def found(*words: str) -> dict:
    """What the cluster says of something."""
    command = ["kubectl", "-n", os.environ.get("NAMESPACE", "music"), "get", *words, "-o", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Both, in turns."""
    service = found("service", "stemma-serving")["spec"]["clusterIP"]
    demo = json.loads(base64.b64decode(found("secret", "stemma-demo")["data"]["demo.json"]))
    session = Session()
    try:
        session.start("s3")
        storage().ensure_bucket()
        key, _ = publish(storage(), KeyRing(settings().keys_path))
        runtime = Runtime(settings(), ServingConfig())
        with runtime.started():
            # Ray reads its environment when it is imported, so not before it has been set.
            from ray import serve

            from stemma_serving.ingress import GatewayIngress

            gateway = serve.deployment(GatewayIngress, name="Gateway", num_replicas=1, max_ongoing_requests=256)
            serve.run(gateway.bind(ServingConfig(), Instant()), name="gateway", route_prefix="/")
            places = {
                "cluster": (f"http://{service}:8000{MODELS}", demo["api_keys"]["enterprise"]),
                "local": (f"http://127.0.0.1:{runtime.port}{MODELS}", key),
            }
            figures: dict[str, list[float]] = {name: [] for name in places}
            for round_ in range(-1, ROUNDS):
                for name, place in places.items():
                    result = ask(*place, body="")
                    print(f"round {round_}: {name:8} {json.dumps(result)}", flush=True)
                    if round_ >= 0:  # the first one warms up
                        assert set(result["statuses"]) == {"200"}, result
                        assert result["broken"] == 0, result
                        figures[name].append(result["per_second"])
    finally:
        session.close()
    ours, peer = (statistics.median(figures[name]) for name in ("cluster", "local"))
    print(json.dumps({"claim": "cluster-gateway", "ours": ours, "peer": peer, "ratio": round(ours / peer, 3),
                      "unit": "requests/s"}))  # fmt: skip


if __name__ == "__main__":
    main()
