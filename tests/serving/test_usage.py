from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from attribution.toy import Toy, bundle, recording, tune
from stemma.attribution.manifest import Plan
from stemma.attribution.store import Store
from stemma.config import Settings, settings
from stemma.errors import UnavailableError
from stemma.ids import new_id
from stemma.royalties.facts import PPB, AttributionFact, UsageFact, attribution_facts
from stemma.royalties.lake import put_usage, read
from stemma.storage import Storage
from stemma_serving import pending
from stemma_serving.attributor import Desk
from stemma_serving.config import ServingConfig, SpoolConfig
from stemma_serving.keeper import Keeper
from stemma_serving.records import Made
from stemma_serving.spool import Journal
from stemma_serving.usage import Shipper

CONFIG = SpoolConfig(reserve_bytes=0)


def usage(**changes: object) -> UsageFact:
    fields = {
        "id": new_id(),
        "at": "2026-06-01T23:59:59.000Z",
        "license": "l",
        "licensee": "o",
        "key": "k",
        "tier": "enterprise",
        "covenant": "ab" * 32,
        "model_release": "house-symbolic/1",
        "snapshot": "s",
        "style": "chorale",
        "prompt_sha256": "cd" * 32,
        "seed": 2**53 - 1,
        "billable_ms": 30_000,
        "audio_sha256": "ef" * 32,
        "midi_sha256": "01" * 32,
    }
    return UsageFact(**{**fields, **changes})


def spooled(spool: Path, *facts: UsageFact) -> None:
    journal = Journal(spool / "usage", CONFIG)
    journal.append([fact.model_dump_json().encode() for fact in facts])
    journal.close()


def rows(storage: Storage, tmp_path: Path, prefix: str = "usage/") -> list[dict[str, object]]:
    found = []
    for key in storage.keys(prefix):
        path = tmp_path / "object.parquet"
        path.write_bytes(storage.get(key))
        # By file name, so that `day=` in the path adds no column.
        found += pq.ParquetFile(path).read().to_pylist()
    return found


def test_facts_lie_in_the_lake_by_day_and_leave_the_spool(storage: Storage, tmp_path: Path) -> None:
    late, early = usage(), usage(at="2026-06-02T00:00:00.000Z")
    spooled(tmp_path, late, early)
    assert Shipper(tmp_path, storage).ship() == {"usage": 2, "attribution": 0}
    days = [key.split("/")[1] for key in storage.keys("usage/")]
    assert days == ["day=2026-06-01", "day=2026-06-02"]
    assert {row["id"] for row in rows(storage, tmp_path)} == {late.id, early.id}
    assert list((tmp_path / "usage").iterdir()) == []


def test_a_certificate_travels_with_its_usage_fact_and_lies_in_the_lake_once(storage: Storage, tmp_path: Path) -> None:
    fact = usage()
    for _ in range(2):  # as after a kill between the upload and the end of the segment
        journal = Journal(tmp_path / "usage", CONFIG)
        journal.append([Made(fact, b"", (), "a.b.c").line()])
        journal.close()
        [segment] = (tmp_path / "usage").glob("*.ready")
        segment.rename(segment.with_name("same.ready"))
        assert Shipper(tmp_path, storage).ship()["usage"] == 1
    [row] = rows(storage, tmp_path, "certificates/")
    assert (row["id"], row["certificate"]) == (fact.id, "a.b.c")


def test_what_was_shipped_waits_for_its_attribution(storage: Storage, tmp_path: Path) -> None:
    fact = usage()
    spooled(tmp_path, fact)
    Shipper(tmp_path, storage).ship()
    assert list(pending.items(tmp_path)) == [pending.Pending(fact.id, fact.model_release, fact.at)]


def test_a_shipper_killed_after_the_upload_leaves_no_duplicate(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled(tmp_path, usage())

    class KilledError(BaseException):
        """Stands for the moment of a kill."""

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as context:
        context.setattr(pending, "add", killed)
        with pytest.raises(KilledError):
            Shipper(tmp_path, storage).ship()
    assert Shipper(tmp_path, storage).ship()["usage"] == 1
    assert len(rows(storage, tmp_path)) == 1


def test_storage_that_is_down_delays_facts_and_loses_none(storage: Storage, tmp_path: Path) -> None:
    fact = usage()
    spooled(tmp_path, fact)
    down = Storage(Settings(**{**settings().model_dump(), "s3_endpoint": "http://127.0.0.1:9"}))
    with pytest.raises(UnavailableError):
        Shipper(tmp_path, down).ship()
    Shipper(tmp_path, storage).ship()
    assert [row["id"] for row in rows(storage, tmp_path)] == [fact.id]


def test_a_damaged_segment_is_set_aside_and_holds_nobody_up(storage: Storage, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "usage", CONFIG)
    journal.append([b"\x00\x00"])
    journal.close()
    fact = usage()
    spooled(tmp_path, fact)
    assert Shipper(tmp_path, storage).ship()["usage"] == 1
    assert len(list((tmp_path / "usage").glob("*.damaged"))) == 1


def test_attributions_are_shipped_like_usage(storage: Storage, tmp_path: Path) -> None:
    fact = AttributionFact(
        id=new_id(),
        generation=new_id(),
        at="2026-06-01T00:00:00.000Z",
        model_release="house-symbolic/1",
        snapshot="s",
        method="exact-dual/1",
        store="1",
        checkpoints=4,
        lds=None,
        lds_low=None,
        lds_high=None,
        shares={"r1": 400_000_000, "commons": 600_000_000},
    )
    journal = Journal(tmp_path / "attribution", CONFIG)
    journal.append([fact.model_dump_json().encode()])
    journal.close()
    assert Shipper(tmp_path, storage).ship()["attribution"] == 1
    found = rows(storage, tmp_path, "attribution/")
    assert {(row["recording"], row["ppb"]) for row in found} == {("r1", 400_000_000), ("commons", 600_000_000)}


def test_a_generation_attributed_twice_is_one_fact(storage: Storage, tmp_path: Path) -> None:
    """By two machines at once, and again after a crash: one fact, word for word, however often it is shipped."""
    rng = np.random.default_rng(0)
    tunes = {f"r{i}": tune(rng, i) for i in range(6)}
    released = bundle(tmp_path / "bundle", tunes, held_out=["r4", "r5"])
    given = [(recording(name, midi), midi) for name, midi in tunes.items()]
    made = [
        Store.build(released, tmp_path / str(n), given, load=Toy.load, plan=Plan(checkpoints=n, keep=256))
        for n in (2, 3)
    ]
    fact = usage(model_release="toy/1")
    storage.put_json(f"generations/{fact.id}/example.json", {"tokens": list(tunes["r1"]), "condition": []})
    waiting = pending.Pending(fact.id, "toy/1", fact.at)
    for number, store in enumerate([*made, made[0]]):  # the second has another store meanwhile
        spool = tmp_path / f"spool{number % 2}"
        pending.add(spool, waiting)
        desk = Desk(spool, storage, tmp_path, CONFIG)
        desk._store = ("toy/1", store)
        assert desk.work() == 1
        assert pending.count(spool) == 0
        desk.close()
        assert Shipper(spool, storage).ship()["attribution"] == 1
    put_usage(storage, [fact])
    day = datetime.fromisoformat(fact.at)
    found = read(storage, starts=day - timedelta(days=1), ends=day + timedelta(days=1))
    [stated] = attribution_facts(found.attribution)
    assert len(list(storage.keys("attribution/"))) == 3
    assert (stated.generation, stated.store, sum(stated.shares.values())) == (fact.id, made[0].version, PPB)
    assert stated.intervals.keys() == stated.shares.keys()


def test_what_cannot_be_attributed_is_laid_aside_and_holds_up_nothing(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No notes, a lost example, one that says nothing, a damaged file; and what only waits stays."""
    rng = np.random.default_rng(0)
    tunes = {f"r{i}": tune(rng, i) for i in range(6)}
    released = bundle(tmp_path / "bundle", tunes, held_out=["r4", "r5"])
    given = [(recording(name, midi), midi) for name, midi in tunes.items()]
    plan = Plan(checkpoints=1, keep=256)
    store = Store.build(released, tmp_path / "store", given, load=Toy.load, plan=plan)
    spool, names = tmp_path / "spool", sorted(new_id() for _ in range(5))
    empty, lost, vague, odd, good = names
    examples = {empty: {"tokens": []}, vague: {"notes": []}, odd: {"tokens": [99]}, good: {"tokens": list(tunes["r1"])}}
    for name, example in examples.items():
        storage.put_json(f"generations/{name}/example.json", {"condition": [], **example})
    for name in names:
        pending.add(spool, pending.Pending(name, "toy/1", "2026-06-01T00:00:00.000Z"))
    (spool / pending.FOLDER / "0.json").write_text("{")
    desk = Desk(spool, storage, tmp_path, CONFIG)
    desk._store = ("toy/1", store)

    away = Settings(**{**settings().model_dump(), "s3_endpoint": "http://127.0.0.1:9"})
    with monkeypatch.context() as context:
        context.setattr(desk, "_storage", Storage(away))
        with pytest.raises(UnavailableError):
            desk.work()
    assert pending.count(spool) == 5  # all that can be read

    assert desk.work() == 1
    assert [item.generation for item in pending.items(spool)] == [odd]  # nobody foresaw a token that does not exist
    desk.work()
    desk.work()
    assert pending.count(spool) == 0
    said = {path.stem: json.loads(path.read_text()) for path in (spool / pending.ASIDE).iterdir()}
    assert {name: each["code"] for name, each in said.items()} == {
        "0": "damaged",
        empty: "empty-generation",
        lost: "not-found",
        vague: "bad-example",
        odd: "failed",
    }
    assert all(each["reason"] for each in said.values())
    keeper = Keeper(spool, storage, tmp_path, ServingConfig(keepers="sidecar", spool=CONFIG))
    assert "stemma_keeper_attributions_aside 5" in keeper.figures()

    (spool / pending.ASIDE / f"{lost}.json").rename(spool / pending.FOLDER / f"{lost}.json")  # it was found again
    storage.put_json(f"generations/{lost}/example.json", {"tokens": list(tunes["r2"]), "condition": []})
    assert desk.work() == 1
    desk.close()
    assert Shipper(spool, storage).ship()["attribution"] == 2


def test_a_keeper_that_is_stopped_ships_what_a_killed_gateway_left(storage: Storage, tmp_path: Path) -> None:
    fact = usage()
    journal = Journal(tmp_path / "usage", CONFIG)
    journal.append([fact.model_dump_json().encode()])
    keeper = Keeper(tmp_path, storage, tmp_path, ServingConfig(keepers="sidecar", spool=CONFIG))
    assert keeper.waiting() == 1
    # The gateway's process is gone, and with it the lock on its segment.
    assert journal._descriptor is not None
    os.close(journal._descriptor)
    keeper.stop()
    left = keeper.run(patience=2)
    assert [row["id"] for row in rows(storage, tmp_path) if row["id"] == fact.id] == [fact.id]
    # What it could not do is told: this release has no store that would explain the piece.
    assert left == pending.count(tmp_path) == 1
    assert 'stemma_keeper_facts_shipped_total{kind="usage"} 1' in keeper.figures()
