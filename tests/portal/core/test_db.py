import threading

import pytest
from django.db import DatabaseError, connection, transaction

from stemma_portal.core.db import lock, one_moment
from stemma_portal.core.fields import by_id, is_id
from stemma_portal.core.models import AuditEvent
from stemma_portal.core.services import audit

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def elsewhere(work) -> None:
    """Run it on another connection and wait."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_one_moment_does_not_see_what_others_commit_meanwhile(engines):
    with one_moment():
        assert AuditEvent.objects.count() == 0
        elsewhere(lambda: audit(by=None, action="test", subject="x"))
        assert AuditEvent.objects.count() == 0
    assert AuditEvent.objects.count() == 1


def test_one_moment_only_reads(engines):
    with pytest.raises(DatabaseError, match="read-only"), one_moment():
        audit(by=None, action="test", subject="x")


def test_a_lock_is_held_until_the_transaction_ends(engines):
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with transaction.atomic():
            waiting.set()
            lock("test")
            order.append("second")
        connection.close()

    with transaction.atomic():
        lock("test")
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait(5)
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("text", ["", "7", "x" * 36, "\x00", "None", "01A1FD68-1205-7186-B008-DCAE6CB3DB14"])
def test_what_is_no_identifier_names_nothing(engines, text):
    assert not is_id(text)
    assert by_id(AuditEvent.objects.all(), text) is None


def test_identifiers_are_text_and_come_in_the_order_of_making(engines):
    for n in range(5):
        audit(by=None, action="test", subject=str(n))
    rows = list(AuditEvent.objects.order_by("id"))
    assert [row.subject for row in rows] == ["0", "1", "2", "3", "4"]
    assert all(isinstance(row.id, str) and by_id(AuditEvent.objects.all(), row.id) == row for row in rows)
