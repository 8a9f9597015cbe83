"""A period settles: what licensees owe goes to whom the facts name, to the micro-unit, once."""

from __future__ import annotations

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from portal.royalties.world import World
from stemma.errors import InvalidError, NotFoundError
from stemma.ids import now
from stemma.proof.canonical import digest
from stemma.proof.log import Receipt, check_receipt
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.metering.models import Generation
from stemma_portal.notices.models import Notice
from stemma_portal.royalties import selectors
from stemma_portal.royalties.models import Account, Estimate, Period, Posting, Settled, Statement
from stemma_portal.royalties.services import estimates_refresh, period_close, period_ensure, period_open
from stemma_portal.royalties.verification import ledger_verify

pytestmark = pytest.mark.services
MICRO = 1_000_000


def test_money_goes_from_licensees_to_parties(world: World) -> None:
    world.made(3, of=0, ms=60_000)
    period = world.close("p1")

    summary = selectors.period_summary(period=period)
    # Two licenses began in the period: their fees fall due; three generations of a minute and 0, 1, 2 ms.
    metered = 180_003 * 50_000 // 60_000
    assert summary.totals["revenue"] == 49 * MICRO + 990 * MICRO + metered
    assert summary.totals["creators"] + summary.totals["platform"] == summary.totals["revenue"]
    earned = sum(summary.totals[kind] for kind in ("training", "attribution", "commons"))
    assert earned == summary.totals["creators"]
    assert earned == sum(s.earned for s in Statement.objects.all())
    assert {a.kind: a.balance for a in Account.objects.filter(kind__in=["pool", "reserve"])}["pool"] == 0
    assert sum(a.balance for a in Account.objects.filter(kind="receivable")) == summary.totals["revenue"]
    report = ledger_verify()
    assert report.holds, report


def test_owners_are_told_of_their_statement_once(world: World) -> None:
    world.made(2)
    world.close("p1")
    period_close(period_id="p1", by=None, early=True)
    notice = Notice.objects.get()
    statement = Statement.objects.get(party=world.parties[0])
    assert (notice.user, notice.href) == (world.owner, f"/royalties/statements/{statement.pk}/")
    assert notice.title == "The statement of Alder Records for p1 is there"


def test_closing_twice_changes_nothing(world: World) -> None:
    world.made(2)
    first = world.close("p1")
    before = list(Posting.objects.order_by("pk").values())
    world.made(1)
    again = period_close(period_id="p1", by=None, early=True)
    assert again.document == first.document
    assert list(Posting.objects.order_by("pk").values()) == before


def test_late_fact_goes_to_the_next_period_and_is_said_so(world: World) -> None:
    world.made(1)
    world.close("p1")
    late = world.usage(at=Period.objects.get(pk="p1").ends - timedelta(seconds=1))
    world.put_usage(late)
    world.put_attribution(world.attribution(late))
    second = world.close("p2")
    assert Settled.objects.get(generation=late.id).period_id == "p2"
    assert Settled.objects.get(generation=late.id).late
    assert second.document["facts"]["late"] == 1
    assert ledger_verify().holds


def test_generation_waits_for_its_attribution_one_period_then_the_commons_is_paid(world: World) -> None:
    fact = world.usage()
    world.put_usage(fact)
    first = world.close("p1")
    assert first.document["waiting"] == {"attribution": 1}
    assert not Settled.objects.exists()
    second = world.close("p2")
    assert second.document["waiting"] == {}
    assert Settled.objects.get(generation=fact.id).basis == "commons"
    assert second.document["facts"]["commons"] == 1
    # An attribution that comes too late changes nothing that was settled.
    world.put_attribution(world.attribution(fact))
    world.close("p3")
    report = ledger_verify()
    assert report.holds, report


def test_facts_of_unknown_terms_wait_and_stop_nobody(world: World) -> None:
    from stemma.ids import new_id

    world.made(1)
    world.put_usage(
        world.usage(covenant="f" * 64), world.usage(of=0, tier="imperial"), world.usage(snapshot=new_id()),
        world.usage(of=0).model_copy(update={"license": new_id()}),
    )  # fmt: skip
    period = world.close("p1")
    assert period.document["waiting"] == {"license": 1, "snapshot": 1, "terms": 2}
    assert Settled.objects.count() == 1


def test_attribution_to_a_recording_outside_the_snapshot_waits(world: World) -> None:
    from stemma.ids import new_id
    from stemma.royalties.facts import COMMONS, PPB

    fact = world.usage()
    world.put_usage(fact)
    world.put_attribution(world.attribution(fact, {}).model_copy(update={"shares": {new_id(): PPB - 1, COMMONS: 1}}))
    assert world.close("p1").document["waiting"] == {"attribution": 1}
    assert world.close("p2").document["facts"]["commons"] == 1
    assert ledger_verify().holds


def test_months_are_billed_once_however_periods_cut_them(world: World) -> None:
    first = world.close("p1")
    second = world.close("p2")
    assert int(first.document["totals"]["revenue"]) == 1039 * MICRO
    assert second.document["totals"]["revenue"] == "0"


def test_without_a_release_creators_money_is_kept_for_them(world: World) -> None:
    world.lake.delete("releases/production.json")
    period = world.close("p1")
    reserve = Account.objects.get(kind="reserve").balance
    assert reserve == int(period.document["totals"]["creators"]) > 0
    assert ledger_verify().holds


def test_statement_table_page_and_ledger_say_the_same(world: World) -> None:
    world.made(5)
    period = world.close("p1")
    statements = Statement.objects.select_related("party").filter(period=period)
    assert len(statements) == 3
    for statement in statements:
        rows = list(csv.DictReader(io.StringIO(world.lake.get(statement.csv_key).decode("utf-8-sig"))))
        assert sum(int(row["amount_micro"]) for row in rows) == statement.closing
        assert sum(int(row["amount_micro"]) for row in rows if row["kind"] != "opening") == statement.earned
        assert {row["demo"] for row in rows} == {"yes"}
        account = Account.objects.get(kind="payable", party=statement.party)
        assert account.balance == statement.closing == statement.earned
        page = PdfReader(io.BytesIO(world.lake.get(statement.pdf_key)))
        text = " ".join(p.extract_text() for p in page.pages)
        shown = f"{statement.closing // MICRO:,}.{statement.closing % MICRO:06d}"
        assert shown in re.sub(r"(?<=[\d.,])\s+(?=\d)", "", text)
        assert "demonstration" in text
        assert page.metadata is not None
        assert statement.party.name in (page.metadata.title or "")
    cedar = statements.get(party=world.parties[2])
    assert "'=Cedar, writer" in world.lake.get(cedar.csv_key).decode("utf-8-sig")


def test_period_is_in_the_log(world: World, keyring) -> None:
    world.made(1)
    first = world.close("p1")
    second = world.close("p2")
    for period in (first, second):
        check_receipt(Receipt.model_validate(period.receipt), keyring.jwks(), digest=digest(period.document))
    assert second.document["previous"] == first.digest


def test_period_ends_before_it_is_closed_unless_early(world: World) -> None:
    period_open(period_id="p1", by=None)
    with pytest.raises(InvalidError, match="ends at"):
        period_close(period_id="p1", by=None)
    with pytest.raises(NotFoundError):
        period_close(period_id="never", by=None)


def test_periods_follow_one_another(world: World) -> None:
    first, new = period_open(period_id="p1", by=None)
    assert new
    assert first.starts.day == 1
    assert period_open(period_id="p1", by=None) == (first, False)
    with pytest.raises(ConflictError, match="still open"):
        period_open(period_id="p2", by=None)
    period_close(period_id="p1", by=None, early=True)
    with pytest.raises(InvalidError, match="does not begin where"):
        period_open(period_id="p2", by=None, starts=now() + timedelta(days=1))
    with pytest.raises(ConflictError):
        period_open(period_id="p1", by=None, ends=now() + timedelta(days=90))


def test_a_period_is_always_open(world: World) -> None:
    first = period_ensure()
    assert first is not None
    assert first.pk == f"{now():%Y-%m}"
    assert period_ensure() == first
    assert period_open(period_id=first.pk, by=None) == (first, False)
    period_close(period_id=first.pk, by=None, early=True)
    second, month = period_ensure(), first.pk
    assert second is not None
    assert (second.pk, second.ends) == (f"{month}.2", first.ends)
    assert second.starts == Period.objects.get(pk=month).ends


def test_without_a_covenant_no_period_opens_by_itself(db: None) -> None:
    assert period_ensure() is None


def test_only_staff_open_and_close(world: World) -> None:
    with pytest.raises(ForbiddenError):
        period_open(period_id="p1", by=world.owner)
    period_open(period_id="p1", by=world.staff)
    with pytest.raises(ForbiddenError):
        period_close(period_id="p1", by=world.owner, early=True)


def test_estimates_are_kept_apart_and_vanish_with_the_close(world: World) -> None:
    world.made(3)
    period_open(period_id="p1", by=None)
    from stemma_portal.metering.services import facts_ingest

    facts_ingest(lake=world.lake)
    assert estimates_refresh(lake=world.lake) == 3
    party = world.parties[0].pk
    [balance] = selectors.balance(party_id=party)
    assert balance.confirmed == 0
    assert balance.estimated is not None
    expected = balance.estimated.amount
    assert estimates_refresh(lake=world.lake) == 0  # nothing has changed
    period_close(period_id="p1", by=None, early=True)
    [balance] = selectors.balance(party_id=party)
    assert balance.confirmed == expected
    assert balance.estimated is None
    assert not Estimate.objects.exists()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    generations=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(0, 400_000),
            st.dictionaries(st.integers(0, 5), st.integers(0, 166_666_666), max_size=6),
        ),
        max_size=12,
    )
)
def test_whatever_is_generated_money_is_conserved(world: World, generations) -> None:
    from django.db import transaction

    with transaction.atomic():
        facts = [(world.usage(of=of, ms=ms), shares) for of, ms, shares in generations]
        if facts:
            world.put_usage(*(fact for fact, _ in facts))
            world.put_attribution(*(world.attribution(fact, shares) for fact, shares in facts))
        period = world.close("p1")
        totals = {name: int(amount) for name, amount in period.document["totals"].items()}
        assert totals["creators"] + totals["platform"] == totals["revenue"]
        paid = sum(a.balance for a in Account.objects.filter(kind="payable"))
        assert paid == totals["training"] + totals["attribution"] + totals["commons"] == totals["creators"]
        assert Settled.objects.count() == len(facts) == Generation.objects.count()
        report = ledger_verify(lake=world.lake)
        assert report.holds, report
        transaction.set_rollback(True)
    for key in [*world.lake.keys("usage/"), *world.lake.keys("attribution/")]:
        world.lake.delete(key)


def test_many_closers_close_once(shared_world: World) -> None:
    shared_world.made(4)
    period_open(period_id="p1", by=None)

    def close(_: int) -> str:
        try:
            return period_close(period_id="p1", by=None, early=True).digest
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        digests = set(pool.map(close, range(4)))
    assert len(digests) == 1
    assert Statement.objects.count() == 3
    assert ledger_verify().holds


def test_a_close_that_fails_leaves_the_period_open_and_is_taken_up_again(world: World, monkeypatch) -> None:
    from stemma.errors import UnavailableError
    from stemma_portal.royalties import statements

    world.made(2)
    period_open(period_id="p1", by=None)
    real = statements.sheet_pdf
    calls = []

    def breaks_at_the_second(sheet):
        calls.append(sheet)
        if len(calls) == 2:
            raise UnavailableError("The lamp went out.")
        return real(sheet)

    monkeypatch.setattr(statements, "sheet_pdf", breaks_at_the_second)
    with pytest.raises(UnavailableError):
        period_close(period_id="p1", by=None, early=True)
    assert Period.objects.get(pk="p1").state == "open"
    assert not Posting.objects.exists()
    period_close(period_id="p1", by=None, early=True)
    assert ledger_verify().holds
