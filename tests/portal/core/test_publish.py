import pytest
from kombu.exceptions import OperationalError

from portal.making import later
from stemma.errors import UnavailableError
from stemma_portal.core.publish import after_commit, publisher

pytestmark = [pytest.mark.services, pytest.mark.django_db]

DONE: list[str] = []


@publisher
def good(name: str) -> None:
    DONE.append(name)


@publisher
def bad() -> None:
    raise UnavailableError("Storage is away.")


@publisher
def broken() -> None:
    raise RuntimeError("a mistake of ours")


def test_nothing_is_published_before_the_commit(committed):
    DONE.clear()
    with committed():
        after_commit(good, "a")
        assert DONE == []
    assert DONE == ["a"]


def test_what_cannot_be_published_now_is_tried_again(committed, monkeypatch):
    waiting = later(monkeypatch, bad)
    with committed():
        after_commit(bad)
    assert waiting == [bad.name]


def test_a_broker_that_is_away_too_breaks_nothing(committed, monkeypatch):
    def away(*_, **__):
        raise OperationalError("no broker")

    monkeypatch.setattr(bad, "apply_async", away)
    with committed():
        after_commit(bad)


@pytest.mark.django_db(transaction=True)
def test_not_even_a_mistake_undoes_what_is_committed(cast, caplog):
    from django.db import transaction

    from stemma_portal.core.models import AuditEvent
    from stemma_portal.core.services import audit

    with transaction.atomic():
        audit(by=None, action="test.kept", subject="x")
        after_commit(broken)
    assert AuditEvent.objects.filter(action="test.kept").exists()
    assert "a mistake of ours" in caplog.text
