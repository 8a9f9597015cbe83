"""Claim `entitlement-decision`: deciding about a caller.

A thousand licenses, each with three keys, lie in serving's cache, with a list of a thousand revoked
keys.  Serving decides about callers in random order, one in ten of whom it refuses.  The peer verifies
the Ed25519 signature of one such entitlement, and nothing else: what deciding from the document itself
would cost at least.  Decisions per second ÷ verifications per second is to be 3 at least; the 99th
percentile of a decision is printed.

Both are measured in turns, and the fastest round of each counts, so that what else the machine does
weighs on neither.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from serving.licensee import entitlement
from stemma.config import Settings
from stemma.ids import new_id, now, timestamp
from stemma.proof.keys import KeyRing
from stemma.rights.entitlement import ENTITLEMENT, REVOCATIONS, ApiKey, Revocations, hash_api_key, new_api_key
from stemma.storage import Storage
from stemma_serving.licenses import Licenses
from stemma_serving.problems import RefusedError

LICENSES, KEYS, ROUNDS = 1000, 3, 15
DECISIONS = 20_000


def main() -> None:
    """Measure and print the claim."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        ring = KeyRing(Path(folder) / "keys")
        ring.create()
        result = decisions(ring, Path(folder))
    print(json.dumps(result))


def decisions(ring: KeyRing, folder: Path) -> dict[str, object]:
    """Decisions from the cache, against verifying one signature."""
    secrets = [[new_api_key() for _ in range(KEYS)] for _ in range(LICENSES)]
    documents, ids = {}, []
    for some in secrets:
        keys = tuple(ApiKey(id=new_id(), sha256=hash_api_key(secret)) for secret in some)
        ids += [key.id for key in keys]
        given = entitlement(some[0], keys=keys)
        documents[f"licenses/entitlements/{given.license}.jws"] = ring.sign("license", ENTITLEMENT, given)
    callers = [secret for some in secrets for secret in some]
    revoked = set(range(0, len(callers), 10))
    gone = tuple(ids[number] for number in revoked) + tuple(new_id() for _ in range(1000 - len(revoked)))
    listed = Revocations(at=timestamp(now()), sequence=1, keys=gone)
    cache = folder / "licenses.json"
    cache.write_text(
        json.dumps(
            {
                "jwks": ring.jwks(),
                "revocations": ring.sign("license", REVOCATIONS, listed),
                "entitlements": documents,
            }
        )
    )
    licenses = Licenses(Storage(Settings()), cache, folder / "none")
    assert len(licenses.book.grants) == len(callers)

    token = next(iter(documents.values()))
    signed, _, signature = token.rpartition(".")
    public = next(key for key in ring.jwks()["keys"] if key["stemma_role"] == "license")
    key = Ed25519PublicKey.from_public_bytes(_decoded(public["x"]))
    message, mark = signed.encode(), _decoded(signature)

    draw = random.Random(1)  # noqa: S311 - no secret
    order = [draw.randrange(len(callers)) for _ in range(DECISIONS)]
    took: list[int] = []

    def decide() -> float:
        refused = 0
        begun = time.perf_counter()
        for number in order:
            start = time.perf_counter_ns()
            try:
                licenses.decide(callers[number], "generate")
            except RefusedError:
                refused += 1
            took.append(time.perf_counter_ns() - start)
        seconds = time.perf_counter() - begun
        assert refused == sum(number in revoked for number in order)
        return DECISIONS / seconds

    def verify() -> float:
        begun = time.perf_counter()
        for _ in range(DECISIONS // 10):
            key.verify(mark, message)
        return DECISIONS / 10 / (time.perf_counter() - begun)

    ours, peer = _in_turns(decide, verify)
    p99 = sorted(took)[int(len(took) * 0.99)] / 1000
    print(f"  decisions: {ours:,.0f}/s, p50 {statistics.median(took) / 1000:.1f} µs, p99 {p99:.1f} µs")
    return {**_result("entitlement-decision", ours, peer, "decisions/s"), "p99_us": round(p99, 2)}


def _in_turns(*measures: Callable[[], float]) -> list[float]:
    """The fastest of each, after a round that warms up."""
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS + 1)][1:]
    return [max(figures) for figures in zip(*rounds, strict=True)]


def _result(claim: str, ours: float, peer: float, unit: str) -> dict[str, object]:
    return {
        "claim": claim,
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": round(ours / peer, 3),
        "unit": unit,
    }


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


if __name__ == "__main__":
    main()
