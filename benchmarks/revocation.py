"""Claim `revocation`: from a key revoked in the portal to a call refused by serving.

A portal with a real PostgreSQL and a gateway behind HAProxy share nothing but object storage.  A key
is made and used until it is answered; then it is revoked, at another moment of serving's rhythm each
time, and asked with again every 20 ms until the answer is 401.  Time counts from before the revocation is
stored.  The figure is the longest of the rounds, in seconds (`ours`), against a minute (`peer`): their
ratio is to be 1 at most.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

import httpx

from gateway_throughput import BODY, Instant
from stemma.config import settings
from stemma.storage import storage
from stemma_serving.config import ServingConfig
from stemma_serving.runtime import Runtime
from support.session import Session

ROUNDS = 10
LIMIT = 60.0


def main() -> None:
    """Measure and print."""
    session = Session()
    try:
        session.set_up_portal()
        took = measure()
    finally:
        session.close()
    worst = max(took)
    print(f"  seconds: {', '.join(f'{seconds:.2f}' for seconds in sorted(took))}")
    result = {"claim": "revocation", "ours": round(worst, 2), "peer": LIMIT, "ratio": round(worst / LIMIT, 4)}
    print(json.dumps({**result, "unit": "s"}))


def measure() -> list[float]:
    """Seconds of each round."""
    from stemma.proof.keys import KeyRing
    from stemma.rights.covenant import house_covenant
    from stemma_portal.accounts.models import Organisation
    from stemma_portal.licensing.services import api_key_create, api_key_revoke, covenant_publish, license_grant

    storage().put_json("keys/jwks.json", KeyRing(settings().keys_path).jwks())
    covenant_publish(covenant=house_covenant(), by=None)
    studio = Organisation.objects.create(name="Studio", slug="studio", kind="enterprise")
    license_ = license_grant(organisation=studio, tier="enterprise", months=1, by=None)
    runtime = Runtime(settings(), ServingConfig())
    with runtime.started():
        # Ray reads its environment when it is imported, so not before it has been set.
        from ray import serve

        from stemma_serving.ingress import GatewayIngress

        one = {"num_replicas": 1, "max_ongoing_requests": 256, "ray_actor_options": {"num_cpus": 0.5}}
        gateway = serve.deployment(GatewayIngress, name="Gateway", **one)
        serve.run(gateway.bind(ServingConfig(), Instant()), name="gateway", route_prefix="/gateway")
        url = f"http://127.0.0.1:{runtime.port}/gateway/v1/generations"
        with httpx.Client(timeout=10) as client:

            def ask(secret: str) -> int:
                headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
                return client.post(url, content=BODY, headers=headers).status_code

            took = []
            for round_ in range(ROUNDS):
                key, secret = api_key_create(license_=license_, name=str(round_), by=None)
                _until(lambda secret=secret: ask(secret) == 201)
                time.sleep(round_ * ServingConfig().gateway.refresh_seconds / ROUNDS)
                begun = time.monotonic()
                api_key_revoke(key=key, by=None)
                _until(lambda secret=secret: ask(secret) == 401)
                took.append(time.monotonic() - begun)
                print(f"  round {round_}: {took[-1]:.2f} s", flush=True)
            return took


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 2 * LIMIT
    while not holds():
        assert time.monotonic() < end, "serving does not follow"
        time.sleep(0.02)


if __name__ == "__main__":
    main()
