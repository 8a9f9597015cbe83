"""`generate-realtime`: seconds of sound per second of waiting, for one caller of the running pieces.

Starts serving as an installation does (Ray, HAProxy, gateway, generator, attributor, shipper) with a
release trained for this on a dozen works, of the size that `make up` trains, and asks it for pieces
one after another.  The time is that of the whole `POST /v1/generations`: model, sound, stems, content
credentials, upload to object storage, usage fact on disk.  The peer is real time, 1.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from serving import licensee, releases
from serving.served import Served, environment
from stemma.config import settings
from stemma.models.symbolic.network import Shape
from stemma.proof.keys import KeyRing
from stemma.provenance.authority import Authority
from stemma.storage import storage
from stemma.training.presets import PRESETS, Preset
from support.session import Session

PIECES = 6
SHAPE: Shape = PRESETS["up"].shape
SHORT = Preset("realtime", SHAPE, context=PRESETS["up"].context, steps=20, captions=1, samples=1)
"""As large as the model of `make up`; its speed does not depend on how long it was trained."""


def main() -> None:
    """Measure and print."""
    session = Session()
    try:
        for engine in ("s3", "mlflow"):
            session.start(engine)
        measure(session)
    finally:
        session.close()


def measure(session: Session) -> None:
    """One piece after another."""
    bucket, keys = storage(), KeyRing(settings().keys_path)
    bucket.ensure_bucket()
    Authority(keys.folder).create()
    key, _ = licensee.publish(bucket, keys)
    with tempfile.TemporaryDirectory() as folder:
        run = releases.train(bucket, keys, Path(folder), SHORT)
        releases.publish(releases.build(run, bucket, keys, Path(folder)), bucket, keys)
    own = {name: value for name, value in os.environ.items() if name.startswith("STEMMA_")}
    served = Served(environment(own), session.folder / "serving.log")
    served.start()
    try:
        served.until(served.healthy, 120, "Serving is not ready")
        ratios = []
        for seed in range(PIECES):
            start = time.perf_counter()
            answer = served.post(key, {"style": "chorale", "bars": 16, "seed": seed})
            wall = time.perf_counter() - start
            assert answer.status_code == 201, answer.text
            sound = answer.json()["duration_ms"] / 1000
            ratios.append(sound / wall)
            print(f"{sound:.1f} s of sound, {len(answer.json()['parts'])} parts, in {wall:.2f} s", flush=True)
        tree = served.tree()
        used = sum(process.memory_full_info().pss for process in tree) / (1 << 20)
        print(f"serving at rest: {used:.0f} MiB in {len(tree)} processes (proportional share of what they share)")
    finally:
        served.stop()
    ours = round(statistics.median(ratios), 2)
    claim = {"claim": "generate-realtime", "ours": ours, "peer": 1.0, "ratio": ours, "unit": "s of sound per s"}
    print(json.dumps(claim))


if __name__ == "__main__":
    main()
