"""`gateway-throughput`: the gateway against a bare Ray Serve deployment in HAProxy mode.

Both run in the same Ray, behind the same HAProxy, one replica each, and are asked the same request by
the same load generator in turns; the figure is the median of the rounds.  The gateway does all it
does in an installation (license, limits, parsing, a usage fact on disk with fsync before the answer)
but for the generator, which is replaced through its public constructor argument by one that answers
at once: what a model costs is another benchmark's question.  The bare deployment reads the body and
sends back as many bytes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from starlette.requests import Request
from starlette.responses import Response

from serving.licensee import publish
from stemma.config import settings
from stemma.proof.keys import KeyRing
from stemma.royalties.facts import UsageFact
from stemma.storage import storage
from stemma_serving.config import ServingConfig
from stemma_serving.records import Made, Order, Status
from stemma_serving.runtime import Runtime
from stemma_serving.spool import lines
from support.session import Session

CONNECTIONS = 64
ROUNDS = 5
SECONDS = 4.0
CERTIFICATE = "x" * 2_700
"""As many characters as one has."""
ANSWER = json.dumps({"id": "0" * 36, "files": {"flac": {"url": "http://127.0.0.1/" + "x" * 400}}}).encode() * 3
BODY = json.dumps({"prompt": "a quiet fiddle tune in the evening", "style": "fiddle", "bars": 8, "seed": 7})


class Bare:
    """As little as a deployment can do."""

    async def __call__(self, request: Request) -> Response:
        """As many bytes as the gateway sends."""
        await request.body()
        return Response(ANSWER, media_type="application/json")


class Instant:
    """Stands in for the generators, so that nothing but the gateway is measured."""

    async def status(self) -> Status:
        """Always ready."""
        return Status("house-symbolic/1", ("fiddle",))

    async def make(self, order: Order, deadline: float) -> Made:  # noqa: ARG002 - never late
        """An output, at once."""
        usage = UsageFact(
            id=order.id,
            at=order.at,
            license=order.license,
            licensee=order.licensee,
            key=order.key,
            tier=order.tier,
            covenant=order.covenant,
            model_release="house-symbolic/1",
            snapshot="none",
            style="fiddle",
            prompt_sha256=order.prompt_sha256,
            seed=order.request.seed or 0,
            billable_ms=16_000,
            audio_sha256="00" * 32,
            midi_sha256="00" * 32,
        )
        return Made(usage, ANSWER, (), CERTIFICATE)


def main() -> None:
    """Measure and print."""
    session = Session()
    try:
        session.start("s3")
        storage().ensure_bucket()
        measure()
    finally:
        session.close()


def measure() -> None:
    """Both, in turns."""
    key, _ = publish(storage(), KeyRing(settings().keys_path), requests_per_minute=60_000_000)
    runtime = Runtime(settings(), ServingConfig())
    with runtime.started():
        # Ray reads its environment when it is imported, so not before it has been set.
        from ray import serve

        from stemma_serving.ingress import GatewayIngress

        one = {"num_replicas": 1, "max_ongoing_requests": 256, "ray_actor_options": {"num_cpus": 0.5}}
        serve.run(serve.deployment(Bare, **one).bind(), name="bare", route_prefix="/bare")
        gateway = serve.deployment(GatewayIngress, name="Gateway", **one)
        serve.run(gateway.bind(ServingConfig(), Instant()), name="gateway", route_prefix="/gateway")
        base = f"http://127.0.0.1:{runtime.port}"
        figures: dict[str, list[float]] = {"bare": [], "gateway": []}
        answered = 0
        for round_ in range(-1, ROUNDS):
            for name, url in (("bare", f"{base}/bare"), ("gateway", f"{base}/gateway/v1/generations")):
                result = ask(url, key)
                answered += result["statuses"].get("201", 0)
                print(f"round {round_}: {name:8} {json.dumps(result)}", flush=True)
                if round_ >= 0:  # the first one warms up, and HAProxy may still be taking up the new routes
                    assert set(result["statuses"]) == {"200" if name == "bare" else "201"}, result
                    assert result["broken"] == 0, result
                    figures[name].append(result["per_second"])
    facts = sum(len(lines(path)) for path in (settings().spool_path / "usage").iterdir())
    print(f"{answered} answers, {facts} facts on disk")
    assert facts >= answered, "an answer left without its fact"
    ours, peer = (statistics.median(figures[name]) for name in ("gateway", "bare"))
    print(
        json.dumps(
            {
                "claim": "gateway-throughput",
                "ours": round(ours, 1),
                "peer": round(peer, 1),
                "ratio": round(ours / peer, 3),
                "unit": "requests/s",
            }
        )
    )


def ask(url: str, key: str, body: str = BODY) -> dict:
    """One round, by a load generator in a process of its own."""
    command = [sys.executable, "-m", "stemma_serving.client", url, "--key", key, "--body", body]
    command += ["--connections", str(CONNECTIONS), "--seconds", str(SECONDS)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
