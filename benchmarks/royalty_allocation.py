"""Claim `royalty-allocation`: a period's facts to parties' totals, against the same sums in bare DuckDB.

Ours divides integers exactly, keeps a line per license, recording, party, side and kind, and checks
that it conserves.  The peer multiplies and sums floating-point numbers straight to parties' totals:
what one would write by hand, and what does not add up to the micro-unit.
"""

# ruff: noqa: S608 - the query is put together from our own constants only
from __future__ import annotations

import json
import random
import time

import duckdb
import pyarrow as pa

from stemma.proof.canonical import digest
from stemma.rights.covenant import house_covenant
from stemma.rights.shares import Share
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root
from stemma.royalties.allocation import allocate
from stemma.royalties.facts import ATTRIBUTION_SCHEMA, COMMONS, PPB, USAGE_SCHEMA
from stemma.royalties.lake import Facts
from stemma.royalties.pools import Subscription

LICENSES, GENERATIONS, RECORDINGS, EXPLAINED, OWNERS = 100, 20_000, 700, 30, 40
HASH = "0" * 64

PEER = f"""
WITH pool AS (
    SELECT license, (49e6 + sum(billable_ms) / 60000 * 50000) * 0.5 AS creators, sum(billable_ms * 1.0) AS total
    FROM usage GROUP BY license
), money AS (
    SELECT a.recording, sum(p.creators * 0.7 * u.billable_ms * a.ppb / (p.total * {PPB})) AS amount
    FROM attribution a JOIN usage u ON u.id = a.generation JOIN pool p USING (license) GROUP BY ALL
), equal AS (
    SELECT ((SELECT sum(creators) * 0.3 FROM pool) + (SELECT amount FROM money WHERE recording = '{COMMONS}'))
           / {RECORDINGS} AS amount
), recordings AS (
    SELECT o.recording, (SELECT amount FROM equal) + coalesce(any_value(m.amount), 0) AS amount
    FROM owners o LEFT JOIN money m USING (recording) GROUP BY o.recording
)
SELECT party, sum(amount * 0.5 * ppm / 1e6) AS amount FROM recordings JOIN owners USING (recording) GROUP BY party
"""


def world() -> tuple[Facts, Manifest, str]:
    """Facts of a month: random lengths and shares over a catalog of two owners each side."""
    draw = random.Random(0)  # noqa: S311 - no secret
    terms = digest(house_covenant())
    recordings = tuple(
        SnapshotRecording(
            recording=f"r{i:04}",
            isrc="QZTST2600001",
            work=f"w{i:04}",
            iswc="T-034.524.680-1",
            title="",
            composer="",
            style="chorale",
            tempo=100,
            key="C major",
            midi_sha256=HASH,
            audio_sha256=HASH,
            duration_ms=1000,
            shares=tuple(
                Share(party=f"{side}-{(i * k) % OWNERS}-{k}", side=side, ppm=ppm)
                for side in ("master", "publishing")
                for k, ppm in ((1, 650_000), (2, 350_000))
            ),
            consents=(),
        )
        for i in range(RECORDINGS)
    )
    manifest = Manifest(
        id="s1",
        name="",
        created_at="2026-11-01T00:00:00.000Z",
        scopes=(),
        covenant=terms,
        recordings=recordings,
        consents={},
        root=snapshot_root(recordings),
    )
    usage, shares = [], []
    fixed = {"key": "k", "tier": "professional", "covenant": terms, "model_release": "house-symbolic/1"}
    hashes = {"prompt_sha256": HASH, "audio_sha256": HASH, "midi_sha256": HASH, "style": "chorale", "seed": 0}
    for g in range(GENERATIONS):
        owner = f"l{draw.randrange(LICENSES)}"
        about = {"id": f"g{g}", "at": 1_793_600_000_000, "license": owner, "licensee": owner, "snapshot": "s1"}
        usage.append({**about, **fixed, **hashes, "billable_ms": draw.randrange(2_000, 180_000)})
        picked = [(f"r{i:04}", draw.randrange(10**7)) for i in draw.sample(range(RECORDINGS), EXPLAINED)]
        picked.append((COMMONS, PPB - sum(ppb for _, ppb in picked)))
        evidence = {"id": f"a{g}", "generation": f"g{g}", "at": 1_793_600_000_000, "snapshot": "s1", "checkpoints": 4}
        evidence |= {"model_release": "house-symbolic/1", "method": "exact-dual/1", "store": "x"}
        shares += [{**evidence, "recording": recording, "ppb": ppb} for recording, ppb in picked]
    facts = Facts(pa.Table.from_pylist(usage, USAGE_SCHEMA), pa.Table.from_pylist(shares, ATTRIBUTION_SCHEMA))
    return facts, manifest, terms


def main() -> None:
    """Measure and print the claim."""
    facts, manifest, terms = world()
    subscriptions = [Subscription(f"l{i}", f"l{i}", "professional", terms) for i in range(LICENSES)]

    def ours() -> dict[str, float]:
        allocation = allocate(
            facts=facts,
            subscriptions=subscriptions,
            covenants={terms: house_covenant()},
            manifests={"s1": manifest},
            current="s1",
        )
        return {party: amount for (party, _), amount in allocation.party_totals().items()}

    owners = pa.Table.from_pylist(
        [{"recording": r.recording, "party": s.party, "ppm": s.ppm} for r in manifest.recordings for s in r.shares]
    )

    def peer() -> dict[str, float]:
        with duckdb.connect() as db:
            for name, table in (("usage", facts.usage), ("attribution", facts.attribution), ("owners", owners)):
                db.register(name, table)
            return dict(db.execute(PEER).fetchall())

    exact, near = ours(), peer()
    assert exact.keys() == near.keys()
    assert all(abs(exact[p] - near[p]) < 1e-3 * near[p] for p in near)
    our_seconds, peer_seconds = (min(_times(call)) for call in (ours, peer))
    print(
        f"{GENERATIONS} generations, {facts.attribution.num_rows} shares: "
        f"{our_seconds:.2f} s, peer {peer_seconds:.2f} s"
    )
    result = {
        "claim": "royalty-allocation",
        "ours": GENERATIONS / our_seconds,
        "peer": GENERATIONS / peer_seconds,
        "ratio": peer_seconds / our_seconds,
        "unit": "generations/s",
    }
    print(json.dumps(result))


def _times(call: object, rounds: int = 3) -> list[float]:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
