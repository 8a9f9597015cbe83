import json
import threading

import pytest
from django.db import DatabaseError, connection, transaction

from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.proof.keys import verify
from stemma.proof.log import TREE_HEAD, TreeHead, check_receipt
from stemma.proof.merkle import EMPTY_ROOT, verify_consistency
from stemma_portal.core.models import AuditEvent, LogEntry
from stemma_portal.core.selectors import covenant_in_force, log_consistency, log_entries, log_head, log_receipt
from stemma_portal.core.services import Fact, audit, log_append, log_append_all

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def digest(number: int) -> str:
    return f"{number:064x}"


def head_of(token: str, keyring) -> TreeHead:
    return TreeHead.model_validate(verify(token, keyring.jwks(), "log", TREE_HEAD))


def test_receipts_verify_offline_with_nothing_but_the_public_keys(keyring):
    receipts = [log_append(kind="snapshot", subject=f"s{i}", document_digest=digest(i)) for i in range(17)]
    keys = json.loads(json.dumps(keyring.jwks()))
    for i, receipt in enumerate(receipts):
        head = check_receipt(receipt, keys, digest=digest(i))
        assert (receipt.index, head.size) == (i, i + 1)
    for i, receipt in enumerate(receipts):
        fresh = log_receipt(entry_id=receipt.entry.id)
        assert check_receipt(fresh, keys, digest=digest(i)).size == 17


def test_many_facts_are_logged_at_once_and_have_their_receipts_when_asked(keyring):
    log_append(kind="covenant", subject="1", document_digest=digest(99))
    entries = log_append_all(facts=[Fact("consent", f"c{i}", digest(i)) for i in range(10)])
    assert len({entry.at for entry in entries}) == 1
    receipts = [log_receipt(entry_id=entry.id) for entry in entries]
    assert [receipt.index for receipt in receipts] == list(range(1, 11))
    for i, receipt in enumerate(receipts):
        assert check_receipt(receipt, keyring.jwks(), digest=digest(i)).size == 11
    assert log_append_all(facts=[]) == []


def test_a_receipt_of_another_document_or_entry_does_not_verify(keyring):
    log_append(kind="release", subject="r", document_digest=digest(0))
    receipt = log_append(kind="release", subject="r", document_digest=digest(1))
    with pytest.raises(ProofError, match="another release document"):
        check_receipt(receipt, keyring.jwks(), digest=digest(2))
    forged = receipt.model_copy(update={"entry": receipt.entry.model_copy(update={"subject": "other"})})
    with pytest.raises(ProofError, match="does not hold"):
        check_receipt(forged, keyring.jwks())


def test_every_head_is_the_beginning_of_every_later_one(keyring):
    heads = []
    for i in range(12):
        log_append(kind="consent", subject=str(i), document_digest=digest(i))
        heads.append(head_of(log_head(), keyring))
    last = heads[-1]
    for head in heads:
        path, token = log_consistency(first=head.size)
        assert head_of(token, keyring).root == last.root
        nodes = [bytes.fromhex(node) for node in path]
        assert verify_consistency(head.size, bytes.fromhex(head.root), 12, bytes.fromhex(last.root), nodes)


@pytest.mark.parametrize("first", [0, -1, 1, 10**12])
def test_there_is_no_consistency_with_what_never_was(first):
    with pytest.raises(InvalidError, match="no proof"):
        log_consistency(first=first)


def test_the_empty_log_has_a_head_and_no_entries(keyring):
    head = head_of(log_head(), keyring)
    assert (head.size, bytes.fromhex(head.root)) == (0, EMPTY_ROOT)
    with pytest.raises(NotFoundError):
        log_receipt(entry_id="00000000-0000-0000-0000-000000000000")


def test_entries_are_listed_in_order_and_bounded(monkeypatch):
    from stemma_portal.core import selectors

    log_append_all(facts=[Fact("consent", f"c{i}", digest(i)) for i in range(10)])
    monkeypatch.setattr(selectors, "MAX_ENTRIES", 4)
    assert [each.index for each in log_entries(start=0)] == [0, 1, 2, 3]
    assert [each.index for each in log_entries(start=3, end=4)] == [3, 4]
    assert [each.index for each in log_entries(start=8, end=10**18)] == [8, 9]
    assert [each.entry.leaf().hex() for each in log_entries(start=5)] == [each.leaf for each in log_entries(start=5)]
    for start, end, code in ((10, None, "start-unknown"), (-1, None, "start-unknown"), (4, 3, "end-before-start")):
        with pytest.raises(InvalidError) as refused:
            log_entries(start=start, end=end)
        assert refused.value.code == code


def test_a_rolled_back_entry_leaves_no_trace(keyring):
    log_append(kind="consent", subject="kept", document_digest=digest(1))

    with transaction.atomic():
        for i in range(5):
            log_append(kind="consent", subject="undone", document_digest=digest(i + 10))
        transaction.set_rollback(True)
    assert head_of(log_head(), keyring).size == 1
    receipt = log_append(kind="consent", subject="next", document_digest=digest(2))
    assert receipt.index == 1
    assert check_receipt(receipt, keyring.jwks(), digest=digest(2)).size == 2
    assert check_receipt(log_receipt(entry_id=receipt.entry.id), keyring.jwks()).size == 2


def test_a_tree_is_built_anew_from_what_is_stored(keyring, monkeypatch):
    from stemma.proof.merkle import Tree
    from stemma_portal.core import tree

    receipts = [log_append(kind="consent", subject=str(i), document_digest=digest(i)) for i in range(9)]
    before = head_of(log_head(), keyring).root
    monkeypatch.setattr(tree, "_tree", Tree())
    assert head_of(log_head(), keyring).root == before
    monkeypatch.setattr(tree, "_tree", Tree([b"\x00" * 32] * 20))
    assert check_receipt(log_receipt(entry_id=receipts[3].entry.id), keyring.jwks()).root == before


def test_a_row_changed_behind_our_back_is_noticed(monkeypatch):
    from stemma.proof.merkle import Tree
    from stemma_portal.core import tree

    for i in range(5):
        log_append(kind="consent", subject=str(i), document_digest=digest(i))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_logentry DISABLE TRIGGER USER")
        cursor.execute("UPDATE core_logentry SET leaf = decode(repeat('00', 32), 'hex') WHERE position = 2")
        cursor.execute("ALTER TABLE core_logentry ENABLE TRIGGER USER")
    monkeypatch.setattr(tree, "_tree", Tree())
    with pytest.raises(ProofError, match="do not lead to the root"):
        log_head()


@pytest.mark.django_db(transaction=True)
def test_writers_beside_each_other_leave_no_gap_and_no_fork(keyring):
    receipts, errors = [], []

    def write(worker: int) -> None:
        try:
            for i in range(10):
                receipts.append(log_append(kind="consent", subject=f"{worker}-{i}", document_digest=digest(i)))  # noqa: PERF401 - the list is shared
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(receipt.index for receipt in receipts) == list(range(40))
    roots = {}
    for receipt in receipts:
        head = check_receipt(receipt, keyring.jwks())
        assert roots.setdefault(head.size, head.root) == head.root
    assert head_of(log_head(), keyring).size == 40


def test_the_covenant_in_force_is_the_one_logged_last():
    with pytest.raises(InvalidError, match="No covenant"):
        covenant_in_force()
    for i in (1, 2):
        log_append(kind="covenant", subject=f"{i}.0.0", document_digest=digest(i))
    assert covenant_in_force() == digest(2)


APPEND_ONLY = (
    "core_logentry",
    "core_auditevent",
    "consent_consent",
    "consent_consentrecording",
    "consent_withdrawal",
    "licensing_covenantversion",
    "licensing_covenantacceptance",
    "operations_snapshotmember",
)


def _accepted(cast) -> None:
    """A license holds a later version of the terms."""
    from stemma.rights.covenant import house_covenant
    from stemma_portal.licensing.services import covenant_accept, covenant_publish, license_grant

    held = license_grant(organisation=cast.studio, tier="community", months=1, by=None)
    later = covenant_publish(covenant=house_covenant().model_copy(update={"version": "3.1.0"}), by=None)
    covenant_accept(license_=held, covenant=later, replaces=held.covenant_id, by=cast.licensee)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_the_database_refuses_to_change_what_is_append_only(table, statement, granted, cast, recordings):
    """ASVS 16.4.2: the log, the audit trail and the facts of consent cannot be modified."""
    from stemma_portal.consent.services import consent_withdraw
    from stemma_portal.operations.services import snapshot_create

    _accepted(cast)
    snapshot_create(name="s", include="all", scopes=["ai_generative_training"], by=cast.operator)
    consent_withdraw(consent=granted["Label"], recording_id=recordings[0].id, by=cast.rights)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
        assert cursor.fetchone()[0] > 0
        column = "digest" if table == "licensing_covenantversion" else "id"
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement.format(table, column, column))


def test_truncation_is_refused_in_a_fresh_table():
    from stemma_portal.core.db import append_only

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (id integer)")
        cursor.execute(append_only("kept").sql)
        cursor.execute("INSERT INTO kept VALUES (1)")
        for statement in ("UPDATE kept SET id = 2", "DELETE FROM kept", "TRUNCATE kept"):
            with pytest.raises(DatabaseError, match="kept is append-only"), transaction.atomic():
                cursor.execute(statement)


def test_who_did_what_is_written_down(cast):
    audit(by=cast.owner, action="test.act", subject="thing", much=3)
    event = AuditEvent.objects.get(action="test.act")
    assert (event.actor, event.actor_id, event.detail) == ("owner@stemma.test", cast.owner.id, {"much": 3})
    audit(by=None, action="test.own", subject="thing")
    assert AuditEvent.objects.get(action="test.own").actor == "system"
    assert LogEntry.objects.count() == 0
