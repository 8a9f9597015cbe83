"""Claim `live-counters`: from an answer of serving to the use being counted in the portal.

The whole path, as it runs in an installation: a gateway behind HAProxy puts the usage fact on its disk and
answers; the shipper takes the closed segment to object storage; the portal's worker, called by its own clock
(Celery beat with the portal's schedule), takes it in; `license_usage` counts it.  Only the model is replaced, by
one that answers at once.  Pieces are asked for at other moments of the rhythm each time.  The figure is the
longest of the rounds, in seconds (`ours`), against ten seconds (`peer`): their ratio is to be 1 at most.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

import httpx

from gateway_throughput import BODY, Instant
from stemma.config import settings
from stemma.stack.applications import CELERY_APP
from stemma.storage import storage
from stemma_serving.config import ServingConfig
from stemma_serving.runtime import Runtime
from support.session import Session

ROUNDS = 12
LIMIT = 10.0
PATIENCE = 60.0


def main() -> None:
    """Measure and print."""
    session = Session()
    try:
        session.set_up_portal()
        took = sorted(measure())
    finally:
        session.close()
    print(f"  seconds: {', '.join(f'{seconds:.2f}' for seconds in took)}; median {took[len(took) // 2]:.2f}")
    result = {"claim": "live-counters", "ours": round(took[-1], 2), "peer": LIMIT, "ratio": round(took[-1] / LIMIT, 4)}
    print(json.dumps({**result, "unit": "s"}))


def measure() -> list[float]:
    """Seconds of each round."""
    from stemma.proof.keys import KeyRing
    from stemma.rights.covenant import house_covenant
    from stemma_portal.accounts.models import Organisation
    from stemma_portal.licensing.services import api_key_create, covenant_publish, license_grant
    from stemma_portal.metering.selectors import license_usage

    storage().put_json("keys/jwks.json", KeyRing(settings().keys_path).jwks())
    covenant_publish(covenant=house_covenant(), by=None)
    studio = Organisation.objects.create(name="Studio", slug="studio", kind="enterprise")
    license_ = license_grant(organisation=studio, tier="enterprise", months=1, by=None)
    _, secret = api_key_create(license_=license_, name="bench", by=None)
    config, runtime = ServingConfig(), Runtime(settings(), ServingConfig())
    with runtime.started(), background():
        # Ray reads its environment when it is imported, so not before it has been set.
        from ray import serve

        from stemma_serving.ingress import GatewayIngress
        from stemma_serving.usage import UsageShipper

        one = {"num_replicas": 1, "max_ongoing_requests": 256, "ray_actor_options": {"num_cpus": 0.5}}
        gateway = serve.deployment(GatewayIngress, name="Gateway", **one)
        serve.run(gateway.bind(config, Instant()), name="gateway", route_prefix="/gateway")
        UsageShipper(config.spool)
        url = f"http://127.0.0.1:{runtime.port}/gateway/v1/generations"
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        took = []
        with httpx.Client(timeout=30) as client:
            for round_ in range(-1, ROUNDS):
                time.sleep((round_ + 1) * 0.37 % 3)
                counted = license_usage(license_=license_.pk).generations
                answer = client.post(url, content=BODY, headers=headers)
                assert answer.status_code == 201, answer.text
                begun = time.monotonic()
                while license_usage(license_=license_.pk).generations == counted:
                    assert time.monotonic() - begun < PATIENCE, "the use is not counted"
                    time.sleep(0.05)
                if round_ >= 0:  # the first one waits for everything to have started
                    took.append(time.monotonic() - begun)
                    print(f"  round {round_}: {took[-1]:.2f} s", flush=True)
        return took


@contextmanager
def background() -> Iterator[None]:
    """The portal's worker and its clock, as the stack starts them."""
    folder = settings().home / "portal"
    folder.mkdir(parents=True, exist_ok=True)
    celery = [sys.executable, "-m", "celery", "-A", CELERY_APP]
    commands = [
        [*celery, "worker", "--concurrency", "2", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"],
        [*celery, "beat", "--loglevel", "WARNING", "--pidfile="],
    ]
    with (folder / "background.log").open("ab") as log:
        running = [subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) for command in commands]
        try:
            yield
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(30)


if __name__ == "__main__":
    main()
