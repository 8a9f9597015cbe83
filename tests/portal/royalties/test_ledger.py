"""The ledger refuses what must not be, whoever asks: the service, and the database behind it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from portal.royalties.world import World
from stemma.errors import InvalidError, NotFoundError
from stemma.ids import new_id, now
from stemma_portal.core.errors import ConflictError
from stemma_portal.royalties.flows import FLOWS
from stemma_portal.royalties.ledger import Entry, account_ensure, posting_reverse, postings_make
from stemma_portal.royalties.models import Account, Period, Posting, Settled, Statement, StatementLine
from stemma_portal.royalties.services import period_open

pytestmark = pytest.mark.services


@pytest.fixture
def period(world: World) -> Period:
    return period_open(period_id="p1", by=None)[0]


def entry(world: World, amount: int = 100, *, kind: str = "attribution", party: int = 0, **changes: object) -> Entry:
    values = {
        "id": new_id(), "kind": kind, "amount": amount, "reference": "test", "occurred_at": now(),
        "debit": account_ensure(kind="pool", currency="USD"),
        "credit": account_ensure(kind="payable", currency="USD", party=world.parties[party].pk),
    }  # fmt: skip
    return Entry(**{**values, **changes})


def test_posting_moves_money_and_advances_both_checkpoints(world: World, period: Period) -> None:
    one = entry(world, 1_234_567)
    [posting] = postings_make(period=period, entries=[one])
    debit, credit = Account.objects.get(pk=one.debit.pk), Account.objects.get(pk=one.credit.pk)
    assert (debit.debits, debit.credits, debit.postings) == (1_234_567, 0, 1)
    assert (credit.debits, credit.credits, credit.balance) == (0, 1_234_567, 1_234_567)
    assert posting.booked_at >= posting.occurred_at


def test_the_same_entry_again_changes_nothing(world: World, period: Period) -> None:
    one = entry(world)
    assert len(postings_make(period=period, entries=[one, one])) == 1
    assert postings_make(period=period, entries=[one]) == []
    assert Account.objects.get(pk=one.credit.pk).balance == 100


@pytest.mark.parametrize("change", [{"amount": 101}, {"reference": "other"}, {"kind": "training"}])
def test_the_same_identifier_with_another_body_is_refused(world: World, period: Period, change: dict) -> None:
    one = entry(world)
    postings_make(period=period, entries=[one])
    other = Entry(**{**one.__dict__, **change})
    with pytest.raises(ConflictError, match="another body"):
        postings_make(period=period, entries=[entry(world), other])
    with pytest.raises(ConflictError, match="another body"):
        postings_make(period=period, entries=[Entry(**{**one.__dict__, "id": new_id()}), one, other])
    assert Posting.objects.count() == 1


@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_is_positive(world: World, period: Period, amount: int) -> None:
    with pytest.raises(InvalidError, match="moves nothing"):
        postings_make(period=period, entries=[entry(world, amount)])


def test_every_flow_but_the_allowed_ones_is_refused(world: World, period: Period) -> None:
    kinds = Account.Kind.values
    accounts = {kind: account_ensure(kind=kind, currency="USD") for kind in kinds}
    for kind in FLOWS:
        for debit in kinds:
            for credit in kinds:
                one = entry(world, kind=kind, debit=accounts[debit], credit=accounts[credit])
                if FLOWS[kind] == (debit, credit):
                    postings_make(period=period, entries=[one])
                    continue
                with pytest.raises(InvalidError):
                    postings_make(period=period, entries=[one])
    with pytest.raises(InvalidError, match="Kinds of posting"):
        postings_make(period=period, entries=[entry(world, kind="gift")])
    assert Posting.objects.count() == len(FLOWS)


def test_a_posting_has_one_currency(world: World, period: Period) -> None:
    euros = account_ensure(kind="payable", currency="EUR", party=world.parties[0].pk)
    with pytest.raises(InvalidError, match="do not both count USD"):
        postings_make(period=period, entries=[entry(world, credit=euros)])


def test_all_entries_are_posted_or_none(world: World, period: Period) -> None:
    with pytest.raises(InvalidError):
        postings_make(period=period, entries=[entry(world), entry(world, 0)])
    assert not Posting.objects.exists()


def test_a_reversal_mirrors_its_original_once(world: World, period: Period) -> None:
    one = entry(world, 500)
    postings_make(period=period, entries=[one])
    name = new_id()
    reversal = posting_reverse(posting=one.id, reason="counted twice", by=world.staff, identifier=name)
    assert (reversal.debit_id, reversal.credit_id, reversal.amount) == (one.credit.pk, one.debit.pk, 500)
    assert Account.objects.get(pk=one.credit.pk).balance == 0
    again = posting_reverse(posting=one.id, reason="counted twice", by=world.staff, identifier=name)
    assert again.pk == reversal.pk
    with pytest.raises(ConflictError, match="reversed before"):
        posting_reverse(posting=one.id, reason="counted twice", by=world.staff)
    with pytest.raises(InvalidError, match="not reversed again"):
        posting_reverse(posting=reversal.pk, reason="undo", by=world.staff)
    with pytest.raises(NotFoundError):
        posting_reverse(posting=new_id(), reason="what", by=world.staff)
    with pytest.raises(NotFoundError):
        posting_reverse(posting="what", reason="what", by=world.staff)


def test_a_correction_after_the_close_is_on_the_next_statement(world: World) -> None:
    from stemma_portal.royalties.verification import ledger_verify

    world.made(2)
    world.close("p1")
    wrong = Posting.objects.filter(kind="attribution", credit__party=world.parties[0]).get()
    period_open(period_id="p2", by=None)
    posting_reverse(posting=wrong.pk, reason="=wrong owner", by=world.staff)
    other = entry(world, wrong.amount, party=1, reference="right owner")
    postings_make(period=Period.objects.get(pk="p2"), entries=[other])
    world.close("p2")
    taken, given = (Statement.objects.get(period="p2", party=world.parties[n]) for n in (0, 1))
    assert taken.corrected == -wrong.amount
    assert taken.opening + taken.corrected == taken.closing == Account.objects.get(party=world.parties[0]).balance
    assert given.corrected == wrong.amount
    assert [line.note for line in taken.lines.all()] == ["=wrong owner"]
    assert "'=wrong owner" in world.lake.get(taken.csv_key).decode("utf-8-sig")
    report = ledger_verify()
    assert report.holds, report


def test_a_closed_period_takes_no_posting(world: World) -> None:
    world.close("p1")
    with pytest.raises(ConflictError, match="closed"):
        postings_make(period=Period.objects.get(pk="p1"), entries=[entry(world)])


CHANGES = [
    (Posting, {"amount": 1}),
    (Statement, {"closing": 1}),
    (StatementLine, {"amount": 1}),
    (Settled, {"late": True}),
    (Period, {"closed_by": "me"}),
]


@pytest.mark.parametrize(("model", "change"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_database_refuses_to_change_or_remove(world: World, model, change: dict) -> None:
    world.made(1)
    world.close("p1")
    row = model.objects.first()
    with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
        model.objects.filter(pk=row.pk).update(**change)
    with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
        model.objects.filter(pk=row.pk)._raw_delete("default")


def test_the_database_refuses_a_posting_into_a_closed_period(world: World) -> None:
    world.made(1)
    world.close("p1")
    row = Posting.objects.first()
    row.pk = new_id()
    with pytest.raises(IntegrityError, match="closed"), transaction.atomic():
        row.save(force_insert=True)


def test_five_hundred_postings_each_reversed_twice(shared_world: World) -> None:
    """Formance's stress, as far as two cores go: of two reversals at once exactly one succeeds."""
    world = shared_world
    period = period_open(period_id="p1", by=None)[0]
    debit = account_ensure(kind="pool", currency="USD")
    credit = account_ensure(kind="payable", currency="USD", party=world.parties[0].pk)
    entries = [entry(world, n + 1, debit=debit, credit=credit) for n in range(500)]
    postings_make(period=period, entries=entries)

    def reverse(some: list[Entry]) -> int:
        done = 0
        for one in some:
            try:
                posting_reverse(posting=one.id, reason="stress", by=None)
                done += 1
            except ConflictError:
                pass
        connection.close()
        return done

    with ThreadPoolExecutor(4) as pool:
        quarters = [entries[n::2] for n in range(2)]
        assert sum(pool.map(reverse, [*quarters, *(part[::-1] for part in quarters)])) == 500
    assert Posting.objects.count() == 1000
    for account in Account.objects.all():
        assert (account.balance, account.debits, account.postings) == (0, 125_250, 1000)
