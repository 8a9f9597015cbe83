"""Usage is invoiced once, however late it comes, and every line finds its facts again."""

from datetime import timedelta

import pytest
from django.test import Client

from portal.royalties.world import World
from stemma.billing.usage import facts_read, invoice_lines
from stemma.ids import now
from stemma.rights.covenant import house_covenant
from stemma.rights.prices import Price, Step
from stemma.royalties.facts import usage_table
from stemma_portal.billing.models import Invoice, RateTable
from stemma_portal.billing.spending import (
    Covered,
    limit_set,
    month_start,
    spending_watch,
    spent,
    spent_by_day,
    usage_invoice,
    usage_invoices_due,
)
from stemma_portal.billing.tables import buyer_set, seller_set, table_import
from stemma_portal.licensing.models import License
from stemma_portal.licensing.services import covenant_publish, license_grant
from stemma_portal.metering.services import facts_ingest
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def world(storage, redis):
    from billing.making import ACCOUNT
    from portal.billing.shop import TAX
    from stemma_portal.accounts.services import membership_set, user_create

    world = World(storage)
    address = {"street": "Weg", "postcode": "1", "city": "Leipzig", "country": "DE", "email": "a@b.de"}
    seller_set(by=world.staff, account=ACCOUNT, name="Stemma GmbH", **address)
    for license_ in world.licenses:
        buyer_set(organisation=license_.organisation, by=world.staff, name=license_.organisation.name, **address)
    table_import(kind=RateTable.Kind.TAX, body=TAX, by=world.staff)
    world.buyer = user_create(email="buyer@example.org", name="Buyer", password=None, by=None)
    membership_set(user=world.buyer, organisation=world.licenses[0].organisation, role="owner", by=None)
    return world


def taken(world, *facts):
    world.put_usage(*facts)
    facts_ingest(lake=world.lake)


def test_a_line_is_its_facts(world):
    until = month_start(now())
    facts = [world.usage(at=until - timedelta(days=2), ms=61_003 + n) for n in range(7)]
    taken(world, *facts, world.usage(at=until, ms=60_000), world.usage(of=1, at=until - timedelta(days=1)))
    license_ = world.licenses[0]
    invoice = usage_invoice(license_=license_, until=until)
    line = invoice.lines.get()
    total = sum(fact.billable_ms for fact in facts)
    assert (line.quantity, line.amount) == (total, 50_000 * total // 60_000)
    assert (line.trace["facts"], line.trace["ms"]) == (7, total)
    assert Covered.of(line.trace).trace() == line.trace
    browser = Client()
    browser.force_login(world.buyer)
    place = f"/billing/invoices/{invoice.pk}/"
    assert "Its usage facts" in browser.get(place).content.decode()
    table = b"".join(browser.get(f"{place}facts.csv"))
    assert facts_read(table) == (7, total, line.trace["sha256"])
    assert facts_read(table.replace(b",61003", b",61004"))[2] != line.trace["sha256"]
    # The same hash and amount from the facts in the lake, with no database at all.
    schedule = license_.covenant.covenant().schedule(license_.tier)
    ((used, lines),) = invoice_lines(
        usage_table(facts), starts=until - timedelta(days=40), ends=until,
        schedules={(license_.covenant_id, license_.tier): schedule},
    )  # fmt: skip
    assert (used.facts, used.ms, used.digest) == (7, total, line.trace["sha256"])
    assert [each.amount for each in lines] == [line.amount]


def test_releases_and_a_minimum_are_invoiced_by_the_terms(world):
    house, license_ = house_covenant(), world.licenses[0]
    prices = (
        Price(unit="minute", title="Music", steps=(Step(up_to=2, price=90_000), Step(price=50_000))),
        Price(unit="release", title="Model", steps=(Step(price=5_000_000),)),
    )
    priced = {"monthly_fee": 1_000_000, "minute_fee": 0, "prices": prices, "minimum": 20_000_000}
    tiers = tuple(each.model_copy(update=priced) if each.name == license_.tier else each for each in house.tiers)
    terms = house.model_copy(update={"format": "stemma.covenant/3", "version": "9.1", "tiers": tiers})
    # Nobody may publish dearer terms over those who hold the house's, so this is a license of its own.
    License.objects.update(state="revoked", revoked_at=now())
    license_ = license_grant(
        organisation=license_.organisation, tier=license_.tier, months=6, by=None,
        covenant=covenant_publish(covenant=terms, by=None), not_before=now() - timedelta(days=70),
    )  # fmt: skip
    world.licenses[0] = license_
    two = {"ms": 120_000, "model_release": "house-symbolic/2"}
    at = now() - timedelta(days=5)
    taken(world, world.usage(at=at), world.usage(at=at), world.usage(at=at, **two))
    invoice = usage_invoice(license_=license_, until=now())
    lines = {line.unit: (line.quantity, line.amount) for line in invoice.lines.all()}
    months = 3  # begun: each owes its minimum
    assert lines["minute"] == (240_000, 2 * 90_000 + 2 * 50_000)
    assert lines["release"] == (2, 10_000_000)
    assert lines["sum"][1] == months * (20_000_000 - 1_000_000) - 280_000 - 10_000_000
    assert sum(amount for _, amount in lines.values()) == invoice.net


def test_late_facts_are_invoiced_once_and_months_have_no_gap(world):
    license_, until = world.licenses[0], month_start(now())
    after = until + timedelta(days=3)
    taken(world, world.usage(at=until - timedelta(days=2)), world.usage(at=until + timedelta(days=1)))
    first = usage_invoice(license_=license_, until=until)
    assert usage_invoice(license_=license_, until=until) == first
    taken(world, world.usage(at=until - timedelta(days=9), ms=120_000), world.usage(at=until + timedelta(days=2)))
    second = usage_invoice(license_=license_, until=after)
    assert first.lines.get().trace["facts"] == 1
    assert second.lines.get().trace["facts"] == 3
    assert first.net + second.net == 5 * 50_000
    assert second.number == first.number + 1


def test_every_license_is_invoiced_and_one_without_a_buyer_stops_no_other(world):
    until = month_start(now())
    taken(world, world.usage(at=until - timedelta(days=1)), world.usage(of=1, at=until - timedelta(days=1)))
    from stemma_portal.billing.models import Buyer

    Buyer.objects.filter(organisation=world.licenses[0].organisation).delete()
    (invoice,) = usage_invoices_due()
    assert invoice.license_id == world.licenses[1].pk
    assert usage_invoices_due() == [invoice]
    assert Invoice.objects.count() == 1


def test_owners_are_warned_once_at_eighty_and_at_a_hundred_percent(world):
    license_ = world.licenses[0]
    limit_set(license_=license_, amount=100_000, by=world.staff)
    taken(world, world.usage(ms=60_000))
    assert spending_watch() == 0
    taken(world, world.usage(ms=40_000))
    assert (spending_watch(), spending_watch()) == (1, 0)
    taken(world, world.usage(ms=30_000))
    assert (spending_watch(), spending_watch()) == (1, 0)
    titles = list(Notice.objects.filter(user=world.buyer).order_by("created_at").values_list("title", flat=True))
    assert titles == ["80 % of your spending limit is used", "100 % of your spending limit is used"]
    rows = spent_by_day(license_=license_)
    assert (
        sum(row[3] for row in rows) == spent(license_=license_, since=month_start(now())) == 130_000 * 50_000 // 60_000
    )
    limit_set(license_=license_, amount=None, by=world.staff)
    assert spending_watch() == 0


def test_a_cap_reaches_serving_in_the_entitlement_and_follows_the_terms(world):
    from stemma.config import settings
    from stemma.quota import Quota
    from stemma_portal.licensing.models import License
    from stemma_portal.licensing.selectors import entitlement

    license_ = world.licenses[0]

    def told():
        return entitlement(license_=License.objects.get(pk=license_.pk)).monthly_ms

    limit_set(license_=license_, amount=100_000, by=world.staff)
    assert told() is None, "a limit alone stops nothing"
    limit_set(license_=license_, amount=100_000, stops=True, by=world.staff)
    assert told() == 120_001, "two minutes cost 0.10; the next micro-unit is one millisecond further"
    taken(world, world.usage(ms=60_000))
    spending_watch()
    counted = Quota(settings().redis_url.get_secret_value())
    assert counted.used(license_=license_.pk, month=f"{now():%Y-%m}") == 60_000
    License.objects.filter(pk=license_.pk).update(monthly_ms=1)
    spending_watch()
    assert told() == 120_001, "what the limit comes to is found anew"
    limit_set(license_=license_, amount=None, by=world.staff)
    assert told() is None
