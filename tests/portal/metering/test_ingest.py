"""Facts come in once each: repeated, late, in any order, broken or contradicting one another."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import IntegrityError, connection, transaction

from music.sounds import RATE, tune
from portal.making import sha
from portal.royalties.world import World
from stemma.errors import NotFoundError, UnavailableError
from stemma.ids import new_id, now
from stemma.music.audio import encode
from stemma.royalties.facts import (
    ATTRIBUTION_SCHEMA,
    COMMONS,
    PPB,
    USAGE_SCHEMA,
    attribution_table,
    to_parquet,
    usage_table,
)
from stemma_portal.catalog.models import Recording
from stemma_portal.metering import selectors
from stemma_portal.metering.access import generation_access
from stemma_portal.metering.models import Attribution, FactConflict, FactObject, Generation, GenerationShare
from stemma_portal.metering.services import LATELY, RECENT, facts_ingest, quarantine_release

pytestmark = pytest.mark.services


@pytest.fixture
def world(db: None, storage) -> World:
    return World(storage)


def ingest(world: World, **options: timedelta | None):
    return facts_ingest(lake=world.lake, **options)


def test_facts_become_generations_with_their_shares(world: World) -> None:
    fact = world.usage(ms=12_345)
    world.put_usage(fact)
    world.put_attribution(world.attribution(fact, {0: 600_000_000, 3: 100_000_000, 4: 0}))
    found = ingest(world)
    assert (found.objects, found.taken, found.conflicts, found.quarantined) == (2, 2, 0, [])
    generation = Generation.objects.get(pk=fact.id)
    assert (generation.billable_ms, generation.license_id) == (12_345, world.licenses[0].pk)
    shares = [(s.recording_id, s.ppb) for s in selectors.generation_shares(generation=generation)]
    assert shares == [
        (world.recordings[0].pk, 600_000_000),
        (None, 300_000_000),
        (world.recordings[3].pk, 100_000_000),
    ]
    assert generation.attribution.method == "exact-dual/1"


def test_intervals_come_in_with_their_shares(world: World) -> None:
    fact = world.usage()
    names = [world.recordings[0].pk, COMMONS]
    spread = dict(zip(names, [(1, PPB), (0, 5)], strict=True))
    world.put_usage(fact)
    world.put_attribution(world.attribution(fact, {0: PPB}, version=2, intervals=spread))
    assert ingest(world).quarantined == []
    rows = GenerationShare.objects.order_by("-ppb").values_list("recording_id", "ppb", "low", "high")
    assert list(rows) == [(names[0], PPB, 1, PPB), (None, 0, 0, 5)]
    assert Attribution.objects.get().version == 2


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"checkpoints": 4, "intervals": True}, "asked at 4 moments of its training"),
        ({"checkpoints": 1}, "asked at one moment of its training only"),
        ({"version": 1}, "intervals were not kept yet"),
    ],
)
def test_the_page_of_a_generation_says_how_sure_its_shares_are(world: World, client, fields, told) -> None:
    fact = world.usage()
    if "intervals" in fields:
        spread = {world.recordings[0].pk: (210_000_000, 390_000_000), COMMONS: (0, 790_000_000)}
        fields = {**fields, "intervals": spread}
    world.put_usage(fact)
    world.put_attribution(world.attribution(fact, {0: 300_000_000}, **{"version": 2, **fields}))
    ingest(world)
    client.force_login(world.staff)
    page = client.get(f"/generations/{fact.id}/").content.decode()
    assert told in page
    assert (
        ("Single moments</th>" in page) == ("intervals" in fields) == ("21 % to 39 %".replace(" %", "\u202f%") in page)
    )
    assert "Owned by Beech &amp; Sons, =Cedar, writer" in page
    assert page.count('class="whisker"') == (4 if "intervals" in fields else 0)


def test_the_page_of_sound_alone_says_what_it_shares_and_shows_no_score(world: World, storage, redis, client) -> None:
    sound, piece = tune(12, seed=1), tune(12, seed=2)
    piece[RATE * 5 : RATE * 10] = sound[RATE * 3 : RATE * 8]
    flac, digest = encode(sound, RATE, "flac"), sha("its sound")
    storage.put(f"audio/{digest}.flac", flac)
    Recording.objects.filter(pk=world.recordings[0].pk).update(audio_sha256=digest)
    fact = world.usage()
    world.put_usage(fact)
    world.put_attribution(world.attribution(fact, {0: 300_000_000}))
    ingest(world)
    folder = f"generations/{fact.id}"
    storage.put(f"{folder}/audio.flac", encode(piece, RATE, "flac"))
    files = {
        "flac": {"object": f"{folder}/audio.flac", "sha256": sha("piece"), "bytes": 1},
        "midi": {"object": f"{folder}/score.mid", "sha256": sha(""), "bytes": 0},
    }
    record = {"id": fact.id, "style": "jig", "key": "", "tempo": 0.0, "bars": 0, "duration_ms": 12_000, "files": files}
    storage.put_json(f"{folder}/generation.json", record)
    client.force_login(world.staff)
    page = " ".join(client.get(f"/generations/{fact.id}/").content.decode().split())
    assert "the longest stretch of sound that both hold nearly as it is" in page
    assert re.search(r"[45]\.\d s of this piece, from 0:0[45] on, stand nearly as they are in the recording", page)
    assert "♩" not in page
    assert "Score (MIDI)" not in page


def test_owners_of_a_generation_are_summed_exactly(world: World) -> None:
    fact = world.usage()
    world.put_usage(fact)
    world.put_attribution(world.attribution(fact, {0: 300_000_001, 1: 200_000_000, 2: 100_000_000}))
    ingest(world)
    shares = list(selectors.generation_shares(generation=Generation.objects.get(pk=fact.id)))
    names = [each.pk for each in world.recordings]
    found = selectors.generation_owners(shares=shares, seen={names[0], names[1]}, top=2)
    beech = 194_999_851  # of the first, all of the master and 299,999 of a million of the work
    assert found.named == [("Beech & Sons", beech), ("=Cedar, writer", 105_000_150 + 70_000_100)]
    assert (found.rest, found.others, found.unseen) == (129_999_900, 1, 100_000_000)
    assert found.beside[names[1]] == "Alder Records, =Cedar, writer"


def test_an_object_written_before_there_were_intervals_is_read_and_known_again(world: World) -> None:
    fact = world.usage()
    shares = world.attribution(fact)
    world.put_usage(fact)
    world.put("attribution", to_parquet(attribution_table([shares]).drop_columns(["version", "low", "high"])))
    ingest(world)
    world.put_attribution(shares)
    found = ingest(world)
    assert (found.repeated, found.conflicts) == (1, 0)
    assert set(GenerationShare.objects.values_list("low", "high")) == {(None, None)}


def test_looking_again_finds_nothing_new(world: World) -> None:
    world.made(3)
    assert ingest(world).taken == 6
    assert ingest(world).objects == 0


def test_the_same_fact_in_another_object_counts_once(world: World) -> None:
    fact = world.usage()
    shares = world.attribution(fact)
    world.put_usage(fact, fact)
    world.put_usage(fact)
    world.put_attribution(shares)
    world.put_attribution(shares)
    found = ingest(world)
    assert (found.taken, found.repeated, found.conflicts) == (2, 3, 0)
    assert Generation.objects.count() == Attribution.objects.count() == 1


def test_the_same_identifier_with_another_body_is_a_conflict_and_changes_nothing(world: World) -> None:
    fact = world.usage(ms=1000)
    world.put_usage(fact)
    ingest(world)
    key = world.put_usage(fact.model_copy(update={"billable_ms": 1}))
    found = ingest(world)
    assert (found.taken, found.conflicts) == (0, 1)
    assert Generation.objects.get(pk=fact.id).billable_ms == 1000
    [conflict] = selectors.conflicts()
    assert (str(conflict.fact), conflict.source.key, conflict.body["billable_ms"]) == (fact.id, key, 1)


def test_a_second_attribution_of_a_generation_is_a_conflict(world: World) -> None:
    fact = world.usage()
    world.put_usage(fact)
    world.put_attribution(world.attribution(fact, {0: PPB}))
    ingest(world)
    world.put_attribution(world.attribution(fact, {1: PPB}))
    assert ingest(world).conflicts == 1
    assert [s.recording_id for s in GenerationShare.objects.all()] == [world.recordings[0].pk]


def test_usage_may_come_after_its_attribution(world: World) -> None:
    fact = world.usage()
    world.put_attribution(world.attribution(fact))
    ingest(world)
    assert not selectors.recording_influence(recording=world.recordings[0].pk).exists()
    world.put_usage(fact)
    ingest(world)
    assert Generation.objects.get(pk=fact.id).shares.count() == 3
    assert selectors.recording_influence(recording=world.recordings[0].pk).count() == 1


def broken(schema: pa.Schema, rows: list[dict], **changes: object) -> bytes:
    return to_parquet(pa.Table.from_pylist([{**row, **changes} for row in rows], schema))


def test_an_object_that_cannot_be_read_is_set_aside_and_stops_no_other(world: World) -> None:
    fact = world.usage()
    usage, shares = usage_table([fact]).to_pylist(), attribution_table([world.attribution(fact)]).to_pylist()
    bad = {
        world.put("usage", b"no parquet"): "no Parquet object",
        world.put("usage", b""): "no Parquet object",
        world.put("usage", to_parquet(pa.table({"id": ["1"]}))): "no Parquet object",
        world.put("usage", broken(USAGE_SCHEMA, usage, id="one")): "Usage fact one is malformed",
        world.put("usage", broken(USAGE_SCHEMA, usage, billable_ms=-1)): "billable_ms",
        world.put("usage", broken(USAGE_SCHEMA, usage, audio_sha256="x")): "audio_sha256",
        world.put("usage", broken(USAGE_SCHEMA, usage, seed=2**60)): "no canonical form",
        world.put(
            "attribution", broken(ATTRIBUTION_SCHEMA, shares, low=0, high=1, version=2)
        ): "does not hold its share",
        world.put("attribution", broken(ATTRIBUTION_SCHEMA, shares, high=1, version=2)): "intervals",
        world.put("attribution", broken(ATTRIBUTION_SCHEMA, shares, ppb=1)): "sum to 3 ppb",
        world.put("attribution", broken(ATTRIBUTION_SCHEMA, shares[:1], ppb=-1)): "sum to -1 ppb",
        world.put("attribution", broken(ATTRIBUTION_SCHEMA, shares, recording="what")): "twice",
        world.put("attribution", broken(ATTRIBUTION_SCHEMA, shares[:1], recording="what", ppb=PPB)): "badly formed",
        world.put("attribution", broken(ATTRIBUTION_SCHEMA, shares[:1], lds=float("nan"), ppb=PPB)): "finite number",
        world.put("attribution", usage_bytes := to_parquet(usage_table([fact]))): "no Parquet object",
    }
    assert usage_bytes
    good = world.put_usage(fact)
    found = ingest(world)
    assert set(found.quarantined) == set(bad)
    assert found.taken == 1
    for key, reason in bad.items():
        assert reason in FactObject.objects.get(key=key).reason, key
    assert FactObject.objects.get(key=good).state == "taken"
    assert selectors.objects_quarantined().count() == len(bad)


def test_a_mended_object_is_taken_once_it_is_released(world: World) -> None:
    key = world.put("usage", b"half")
    ingest(world)
    world.lake.put(key, to_parquet(usage_table([world.usage()])))
    assert ingest(world).objects == 0
    quarantine_release(key=key)
    assert ingest(world).taken == 1
    with pytest.raises(NotFoundError):
        quarantine_release(key=key)


def test_rows_of_one_fact_written_twice_are_one_fact(world: World) -> None:
    fact = world.usage()
    world.put_usage(fact)
    rows = attribution_table([world.attribution(fact)]).to_pylist()
    world.put("attribution", broken(ATTRIBUTION_SCHEMA, [*rows, *rows]))
    assert ingest(world).taken == 2


def test_one_row_more_or_less_hides_nothing(world: World) -> None:
    fact = world.usage()
    rows = attribution_table([world.attribution(fact, {0: PPB})]).to_pylist()
    stranger = {**rows[0], "recording": world.recordings[1].pk, "ppb": 1, "method": "other/1"}
    world.put("attribution", broken(ATTRIBUTION_SCHEMA, [*rows, stranger]))
    assert len(ingest(world).quarantined) == 1


def test_the_frequent_look_sees_the_last_days_and_the_whole_look_all(world: World) -> None:
    old = world.usage()
    world.lake.put(f"usage/day={now() - timedelta(days=9):%Y-%m-%d}/{new_id()}.parquet", to_parquet(usage_table([old])))
    world.put_usage(world.usage())
    assert ingest(world, since=LATELY).taken == 1
    assert ingest(world, since=RECENT).objects == 0
    assert ingest(world, since=None).taken == 1


def test_other_files_in_the_lake_are_left_alone(world: World) -> None:
    world.lake.put("usage/README.md", b"facts")
    assert ingest(world).objects == 0


def test_storage_away_loses_nothing(world: World, s3_away: Callable) -> None:
    from stemma.storage import storage

    world.made(1)
    with s3_away(), pytest.raises(UnavailableError):
        facts_ingest(lake=storage())
    assert ingest(world).taken == 2


def test_facts_are_never_changed(world: World) -> None:
    world.made(1)
    ingest(world)
    for model in (Generation, Attribution, GenerationShare):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            model.objects.update(generation=new_id()) if model is not Generation else model.objects.update(seed=2)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            model.objects.all()._raw_delete("default")


def test_counters_of_a_license(world: World) -> None:
    world.made(3, ms=1000)
    world.made(2, of=1)
    ingest(world)
    usage = selectors.license_usage(license_=world.licenses[0].pk)
    assert (usage.generations, usage.billable_ms) == (3, 3003)
    assert usage.latest is not None
    assert selectors.license_usage(license_=world.licenses[0].pk, since=now() + timedelta(hours=1)).generations == 0
    [(_, n, ms)] = selectors.license_usage_by_day(license_=world.licenses[0].pk, since=now() - timedelta(days=2))
    assert (n, ms) == (3, 3003)


def test_only_the_licensee_and_staff_see_a_generation(world: World) -> None:
    from stemma_portal.accounts.models import Membership
    from stemma_portal.accounts.services import membership_set

    [fact] = world.made(1)
    ingest(world)
    with pytest.raises(NotFoundError):
        generation_access(user=world.stranger, generation_id=fact.id)
    assert generation_access(user=world.staff, generation_id=fact.id).pk == fact.id
    with pytest.raises(NotFoundError):
        generation_access(user=world.staff, generation_id="nonsense")
    organisation = world.licenses[0].organisation
    membership_set(user=world.stranger, organisation=organisation, role=Membership.Role.MEMBER, by=None)
    assert [g.pk for g in selectors.generation_list(user=world.stranger)] == [fact.id]


def test_ingestions_beside_one_another_take_each_fact_once(transactional_db: None, storage) -> None:
    world = World(storage)
    for _ in range(6):
        world.made(5)

    def look(_: int) -> int:
        try:
            return ingest(world).taken
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(look, range(3))) == 60
    assert Generation.objects.count() == Attribution.objects.count() == 30
    assert FactConflict.objects.count() == 0


def test_ten_thousand_facts_in_seconds(world: World) -> None:
    """Batched: one round trip per few thousand rows, not per fact."""
    import time

    world.put_usage(*(world.usage() for _ in range(10_000)))
    begun = time.perf_counter()
    assert ingest(world).taken == 10_000
    assert time.perf_counter() - begun < 30


def test_the_schema_may_carry_more_columns(world: World) -> None:
    import io

    table = usage_table([world.usage()])
    sink = io.BytesIO()
    pq.write_table(table.append_column("later", pa.array(["x"])), sink)
    world.put("usage", sink.getvalue())
    assert ingest(world).taken == 1
    assert COMMONS
