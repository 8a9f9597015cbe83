"""Verification finds what was tampered with, wherever somebody with the database's own rights did it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import connection

from portal.royalties.world import World
from stemma_portal.royalties.models import Posting, Statement
from stemma_portal.royalties.verification import Report, ledger_verify

pytestmark = pytest.mark.services


@pytest.fixture
def closed(world: World) -> World:
    world.made(3)
    world.close("p1")
    world.made(2, of=1)
    world.close("p2")
    assert ledger_verify().holds
    return world


def tamper(statement: str, *values: object) -> None:
    """Change the past as the owner of the tables can: with its guards put aside."""
    tables = ("posting", "statement", "statementline", "settled", "period", "account")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE royalties_{table} DISABLE TRIGGER USER")
        cursor.execute(statement, values)
        assert cursor.rowcount > 0
        for table in tables:
            cursor.execute(f"ALTER TABLE royalties_{table} ENABLE TRIGGER USER")


def broken(report: Report) -> set[str]:
    return {check.name for check in report.checks if not check.holds}


def test_an_amount(closed: World) -> None:
    tamper("UPDATE royalties_posting SET amount = amount + 1 WHERE kind = 'training' AND period_id = 'p1'")
    assert {"checkpoints", "p1: postings", "p1: facts", "statements"} <= broken(ledger_verify())


def test_an_amount_and_its_checkpoints(closed: World) -> None:
    posting = Posting.objects.filter(kind="attribution", period="p1").first()
    tamper("UPDATE royalties_posting SET amount = amount + 7 WHERE id = %s", posting.pk)
    tamper("UPDATE royalties_account SET debits = debits + 7 WHERE id = %s", posting.debit_id)
    tamper("UPDATE royalties_account SET credits = credits + 7 WHERE id = %s", posting.credit_id)
    found = broken(ledger_verify())
    assert "checkpoints" not in found
    assert {"p1: postings", "p1: facts", "statements"} <= found


def test_a_posting_removed(closed: World) -> None:
    tamper("DELETE FROM royalties_posting WHERE id = (SELECT id FROM royalties_posting WHERE kind = 'usage' LIMIT 1)")
    assert {"checkpoints", "p1: postings", "p1: facts"} <= broken(ledger_verify())


def test_a_flow(closed: World) -> None:
    tamper("UPDATE royalties_posting SET kind = 'creators' WHERE kind = 'training'")
    assert "flows" in broken(ledger_verify())


def test_a_balance(closed: World) -> None:
    tamper("UPDATE royalties_account SET credits = credits + 1 WHERE kind = 'payable'")
    assert {"checkpoints", "double-entry"} <= broken(ledger_verify())


def test_a_statement(closed: World) -> None:
    tamper("UPDATE royalties_statement SET closing = closing + 1, earned = earned + 1 WHERE period_id = 'p2'")
    assert {"statements", "p2: statements"} <= broken(ledger_verify())


def test_a_line(closed: World) -> None:
    tamper("UPDATE royalties_statementline SET uses = uses + 1 WHERE kind = 'attribution'")
    assert broken(ledger_verify()) == {"p1: statements", "p2: statements"}


def test_a_file(closed: World) -> None:
    statement = Statement.objects.filter(period="p2").first()
    closed.lake.put(statement.pdf_key, b"%PDF- something else")
    assert broken(ledger_verify()) == {"p2: statements"}


def test_a_file_lost(closed: World) -> None:
    closed.lake.delete(Statement.objects.filter(period="p1").first().csv_key)
    assert broken(ledger_verify()) == {"p1: statements"}


def test_a_document(closed: World) -> None:
    tamper("UPDATE royalties_period SET document = jsonb_set(document, '{totals,revenue}', '\"1\"') WHERE id = 'p1'")
    assert {"chain", "p1: facts"} <= broken(ledger_verify())


def test_a_document_with_its_hash(closed: World) -> None:
    from stemma.proof.canonical import digest
    from stemma_portal.royalties.models import Period

    document = Period.objects.get(pk="p1").document
    document["totals"]["revenue"] = "1"
    tamper(
        "UPDATE royalties_period SET document = %s, digest = %s WHERE id = 'p1'", json.dumps(document), digest(document)
    )
    report = ledger_verify()
    assert {"chain", "p1: facts"} <= broken(report)
    [chain] = [check for check in report.checks if check.name == "chain"]
    assert any("p2: it does not continue p1" in fault for fault in chain.faults)
    assert any("another period document" in fault for fault in chain.faults)


def test_a_generation_taken_out_of_its_period(closed: World) -> None:
    tamper("DELETE FROM royalties_settled WHERE period_id = 'p1' AND generation_id = "
           "(SELECT generation_id FROM royalties_settled WHERE period_id = 'p1' LIMIT 1)")  # fmt: skip
    assert "p1: facts" in broken(ledger_verify())


@pytest.mark.parametrize("kind", ["usage", "attribution"])
def test_facts_in_the_lake(closed: World, kind: str) -> None:
    keys = list(closed.lake.keys(f"{kind}/"))
    closed.lake.put(keys[0], closed.lake.get(keys[1]))
    found = broken(ledger_verify())
    assert found & {"p1: facts", "p2: facts"}


def test_a_fact_changed_so_that_no_amount_changes(closed: World) -> None:
    """The hash of the object finds what the money does not show."""
    import pyarrow as pa

    from stemma.royalties.facts import USAGE_SCHEMA, from_parquet, to_parquet

    key = next(iter(closed.lake.keys("usage/")))
    table = from_parquet(closed.lake.get(key), USAGE_SCHEMA, key)
    place = USAGE_SCHEMA.get_field_index("seed")
    closed.lake.put(key, to_parquet(table.set_column(place, USAGE_SCHEMA.field("seed"), pa.array([9] * len(table)))))
    found = broken(ledger_verify())
    assert found & {"p1: lake", "p2: lake"}


@pytest.mark.parametrize("what", ["manifest", "usage"])
def test_something_lost_is_told_and_stops_nothing(closed: World, what: str, request: pytest.FixtureRequest) -> None:
    key = f"snapshots/{closed.snapshot}/manifest.json" if what == "manifest" else next(iter(closed.lake.keys("usage/")))
    closed.lake.delete(key)
    report = ledger_verify()
    assert broken(report) & {"p1: facts", "p2: facts"}
    faults = [fault for check in report.checks for fault in check.faults]
    assert any("holds no" in fault for fault in faults)


def test_storage_away_says_nothing_about_the_ledger(closed: World, s3_away: Callable) -> None:
    from stemma.errors import UnavailableError
    from stemma.storage import storage

    with s3_away(), pytest.raises(UnavailableError):
        ledger_verify(lake=storage())
