"""What licensees declare of their revenue, and that growth stops nobody suddenly."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from portal.billing.shop import MICRO, pdf, today
from stemma.errors import InvalidError
from stemma.proof.canonical import sha256
from stemma.rights.covenant import house_covenant
from stemma_portal.billing.declaring import (
    declaration_decide,
    declaration_standing,
    declarations_remind,
    declarations_waiting,
    standing_of,
)
from stemma_portal.billing.models import RevenueDeclaration
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.models import AuditEvent
from stemma_portal.licensing.models import License
from stemma_portal.licensing.services import covenant_publish
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def licensed(shop):
    shop.declare(500_000)
    return shop.order("community").license


def test_a_declaration_counts_at_once_with_its_evidence(shop, storage):
    row = shop.declare(evidence=pdf(), evidence_name="accounts 2025.pdf")
    assert (row.state, row.doubts, row.converted) == ("accepted", [], 5_000_000 * MICRO)
    assert row.renew_on == today() + timedelta(days=365)
    assert sha256(storage.get(row.evidence_key)) == row.evidence_sha256
    assert AuditEvent.objects.filter(action="billing.declare", subject=row.pk).exists()


def test_another_currency_is_converted_by_the_rate_of_the_day(shop):
    assert shop.declare(800_000, currency="EUR").converted == 1_000_000 * MICRO
    row = shop.declare(900_000, currency="GBP")
    assert (row.state, row.doubts, row.converted) == ("review", ["no-rate"], None)
    with pytest.raises(InvalidError, match="no rate"):
        declaration_decide(declaration=row, accept=True, why="fine", by=shop.cast.rights)


def test_a_lowered_declaration_goes_to_review_and_the_old_one_stands(shop):
    first = shop.declare(5_000_000)
    lower = shop.declare(900_000)
    assert (lower.state, lower.doubts) == ("review", ["lowered"])
    assert declaration_standing(shop.studio) == first
    assert list(declarations_waiting()) == [lower]
    with pytest.raises(InvalidError, match="says why"):
        declaration_decide(declaration=lower, accept=True, why="", by=shop.cast.rights)
    with pytest.raises(ForbiddenError):
        declaration_decide(declaration=lower, accept=True, why="mine", by=shop.cast.licensee)
    declaration_decide(declaration=lower, accept=True, why="The audited accounts say so.", by=shop.cast.rights)
    assert declaration_standing(shop.studio) == lower
    with pytest.raises(ConflictError, match="decided already"):
        declaration_decide(declaration=lower, accept=False, why="x", by=shop.cast.rights)
    event = AuditEvent.objects.get(action="billing.decide")
    assert (event.detail["before"], event.detail["after"]) == ("review", "accepted")


def test_a_declined_declaration_changes_nothing(shop):
    first = shop.declare(5_000_000)
    declaration_decide(declaration=shop.declare(1), accept=False, why="No evidence.", by=shop.cast.rights)
    assert declaration_standing(shop.studio) == first


def test_companies_of_one_group_declare_one_revenue(shop):
    shop.declare(5_000_000, group="Big Holding", organisation=shop.cast.label)
    assert shop.declare(5_000_000, group="big holding").state == "accepted"
    assert shop.declare(6_000_000, group="Big Holding").doubts == ["group-differs"]


def test_revenue_is_counted_in_the_currency_that_the_terms_count_it_in(shop):
    terms = house_covenant()
    counting = terms.revenue.model_copy(update={"currency": "EUR"})
    covenant_publish(covenant=terms.model_copy(update={"version": "9.0", "revenue": counting}), by=None)
    limit = terms.tier("community").revenue_limit
    row = shop.declare(limit * 5 // 4)  # dollars, 1.25 for a euro
    assert (row.converted, row.converted_currency) == (limit * MICRO, "EUR")
    assert shop.quote("community")
    shop.declare(limit * 5 // 4 + 2)
    with pytest.raises(InvalidError, match="past the limit"):
        shop.quote("community")


def test_a_year_is_whole_over_and_the_last(shop):
    def wrong(starts, ends, **more):
        with pytest.raises(InvalidError) as refused:
            shop.declare(starts=today() - timedelta(days=starts), ends=today() - timedelta(days=ends), **more)
        assert refused.value.remedy
        return refused.value.details[0]["field"]

    assert wrong(2, 1) == "short", "two days"
    assert wrong(372, 1) == "starts"
    assert wrong(364, 0) == "ends", "the day is not over"
    assert wrong(365 * 3, 365 * 2) == "ends", "long ago"
    for weeks in (52, 53):
        assert shop.declare(starts=today() - timedelta(weeks=weeks), ends=today() - timedelta(days=1)).doubts == []
    founded = shop.declare(starts=today() - timedelta(days=90), ends=today() - timedelta(days=1), short="Founded then.")
    assert (founded.state, founded.doubts, founded.short) == ("review", ["short-year"], "Founded then.")


def test_a_declaration_is_due_again_after_a_year(shop, licensed):
    RevenueDeclaration.objects.update(renew_on=today() - timedelta(days=1))
    assert standing_of(licensed).state == "due"
    with pytest.raises(InvalidError, match="more than a year old"):
        shop.quote("community")


def test_owners_are_reminded_a_month_a_week_and_a_day_before_once_each(shop, licensed):
    def due_in(days):
        RevenueDeclaration.objects.update(renew_on=today() + timedelta(days=days))
        return declarations_remind(), declarations_remind()

    assert due_in(31) == (0, 0)
    assert due_in(30) == (1, 0)
    assert due_in(12) == (0, 0)
    assert due_in(7) == (1, 0)
    assert due_in(0) == (1, 0)
    assert due_in(-3) == (0, 0)
    told = Notice.objects.filter(user=shop.cast.licensee, key__startswith="declaration-due:").order_by("id")
    assert [each.href for each in told] == ["/billing/revenue/new/"] * 3
    assert told.last().title == "Your revenue declaration is due now"
    License.objects.update(state="revoked")
    RevenueDeclaration.objects.update(renew_on=today())
    assert declarations_remind() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"ends": today()} | {"starts": today()},
        {"ends": today() + timedelta(days=1)},
        {"starts": today() - timedelta(days=800)},
        {"entity": " "},
        {"amount": -1},
    ],
)
def test_what_is_no_declaration(shop, changes):
    with pytest.raises(InvalidError):
        shop.declare(**changes)


def test_what_was_declared_is_never_changed(shop):
    row = shop.declare()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        RevenueDeclaration.objects.filter(pk=row.pk).update(amount=1)
