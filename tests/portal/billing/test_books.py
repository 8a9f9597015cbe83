"""Credit is used to the micro-unit, money goes back by two people, and the ledger says what the documents say."""

import random

import pytest
from django.db import transaction

from billing.making import ACCOUNT
from portal.billing.shop import MICRO, dollars
from portal.royalties.test_verify import tamper
from portal.royalties.world import World
from stemma.errors import InvalidError, StemmaError
from stemma.ids import now
from stemma_portal.billing.banking import payment_assign, payments_queued
from stemma_portal.billing.bookkeeping import billing_verify, books_check, books_keep, books_waiting
from stemma_portal.billing.credit import credit_balance
from stemma_portal.billing.invoicing import (
    credit_note_issue,
    credit_order,
    open_amount,
    order_cancel,
    order_place,
    quote_make,
)
from stemma_portal.billing.models import CreditEntry, Invoice, Order, RateTable, Refund
from stemma_portal.billing.refunding import payment_return, refund_decline, refund_send, surplus, surplus_return
from stemma_portal.billing.spending import month_start, usage_invoice
from stemma_portal.billing.tables import buyer_set, seller_set, table_import
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.licensing.models import License
from stemma_portal.metering.services import facts_ingest
from stemma_portal.royalties.ledger import posting_reverse
from stemma_portal.royalties.models import Account, Posting
from stemma_portal.royalties.services import period_close, period_open
from stemma_portal.royalties.verification import ledger_verify

pytestmark = [pytest.mark.services, pytest.mark.django_db]


class Desk:
    """A world whose licensees buy, and the two people of the house who see to their money."""

    def __init__(self, storage) -> None:
        from portal.billing.shop import TAX
        from stemma_portal.accounts.services import user_create

        self.world = World(storage)
        self.one, self.other = self.world.staff, user_create(email="two@example.org", name="T", password=None, by=None)
        address = {"street": "Weg", "postcode": "1", "city": "Leipzig", "country": "DE", "email": "a@b.de"}
        seller_set(by=self.one, account=ACCOUNT, name="Stemma GmbH", **address)
        self.buyers = [license_.organisation for license_ in self.world.licenses]
        for buyer in self.buyers:
            buyer_set(organisation=buyer, by=self.one, name=buyer.name, **address)
        table_import(kind=RateTable.Kind.TAX, body=TAX, by=self.one)
        self.statements = 0

    def bank(self, *entries) -> None:
        from billing.making import statement
        from stemma_portal.billing.banking import statements_import

        self.statements += 1
        statements_import(body=statement(*entries, identifier=f"ST-{self.statements}"), by=self.one)

    def pay(self, invoice: Invoice, more: int = 0) -> None:
        self.bank(dollars(open_amount(invoice) + more, invoice.reference, servicer=f"B{self.statements}"))

    def credit(self, amount: int, buyer: int = 0) -> Invoice:
        return credit_order(organisation=self.buyers[buyer], amount=amount, by=self.one)

    def use(self, ms: int, of: int = 0):
        self.world.put_usage(self.world.usage(of=of, at=month_start(now()), ms=ms))
        facts_ingest(lake=self.world.lake)


@pytest.fixture
def desk(db, storage, redis) -> Desk:
    return Desk(storage)


def balances(currency: str = "USD") -> dict[str, int]:
    rows = Account.objects.filter(currency=currency)
    found: dict[str, int] = {}
    for account in rows:
        found[account.kind] = found.get(account.kind, 0) + account.balance
    return found


def test_credit_is_there_when_it_is_paid_and_drawn_to_the_micro_unit(desk):
    with pytest.raises(InvalidError, match="no amount"):
        desk.credit(1)
    first, second = desk.credit(2 * MICRO), desk.credit(5 * MICRO)
    assert (first.total, credit_balance(desk.buyers[0])) == (2 * MICRO * 119 // 100, {})
    desk.pay(first)
    desk.pay(second)
    assert credit_balance(desk.buyers[0]) == {"USD": 7 * MICRO}
    until = month_start(now())
    desk.use(3 * 60_000_000 // 1000 + 1)  # three thousand minutes cost 150.00; a part of them is credit
    invoice = usage_invoice(license_=desk.world.licenses[0], until=now())
    use = 50_000 * (3 * 60_000_000 // 1000 + 1) // 60_000
    assert invoice.net == max(0, use - 7 * MICRO)
    drawn = {entry.purchase_id: entry.amount for entry in invoice.drawn.all()}
    assert sum(drawn.values()) == -min(use, 7 * MICRO)
    assert sum(line.amount for line in invoice.lines.all()) == invoice.net
    assert credit_balance(desk.buyers[0])["USD"] == 7 * MICRO - min(use, 7 * MICRO)
    assert until < now()


def test_an_invoice_that_credit_has_paid_asks_for_nothing(desk):
    desk.pay(desk.credit(10 * MICRO))
    desk.use(61_003)
    invoice = usage_invoice(license_=desk.world.licenses[0], until=now())
    assert (invoice.total, open_amount(invoice)) == (0, 0)
    assert credit_balance(desk.buyers[0]) == {"USD": 10 * MICRO - 50_000 * 61_003 // 60_000}
    assert usage_invoice(license_=desk.world.licenses[0], until=now()) is None, "the facts are covered"


def test_unused_credit_is_given_back_with_its_tax_by_two_people(desk):
    bought = desk.credit(10 * MICRO)
    desk.pay(bought)
    desk.use(60_000)
    usage_invoice(license_=desk.world.licenses[0], until=now())
    with pytest.raises(InvalidError, match="are left"):
        credit_note_issue(invoice=bought, total=bought.total, reason="All of it", by=desk.one)
    credit_note_issue(invoice=bought, total=1_190_000 * 5, reason="Half of it", by=desk.one)
    assert credit_balance(desk.buyers[0]) == {"USD": 10 * MICRO - 50_000 - 5 * MICRO}
    assert surplus(bought) == 5_950_000
    refund = surplus_return(invoice=bought, amount=5_950_000, note="Not needed", account=ACCOUNT, by=desk.one)
    with pytest.raises(InvalidError, match="at most 0"):
        surplus_return(invoice=bought, amount=10_000, note="More", account=ACCOUNT, by=desk.one)
    with pytest.raises(ForbiddenError):
        refund_send(refund=refund, by=desk.one, note="Sent")
    refund_decline(refund=refund, by=desk.other, note="Wrong account")
    again = surplus_return(invoice=bought, amount=5_950_000, note="Not needed", account=ACCOUNT, by=desk.one)
    refund_send(refund=again, by=desk.other, note="Sent")
    assert (surplus(bought), open_amount(bought)) == (0, 0)


def test_what_was_overpaid_goes_back_and_an_order_paid_in_part_can_be_cancelled(desk):
    order = order_place(
        quote=quote_make(organisation=desk.buyers[0], tier="enterprise", months=1, by=desk.one), by=desk.one
    )
    invoice = order.invoices.get()
    desk.pay(invoice, more=-100 * MICRO)
    payment_assign(payment=payments_queued().get(), invoice=invoice, by=desk.one, note="Part")
    with pytest.raises(StemmaError, match="paid in part"):
        order_cancel(order=order, by=desk.one, reason="No")
    part = invoice.total - 100 * MICRO
    credit_note_issue(invoice=invoice, total=invoice.total, reason="Cancelled", by=desk.one)
    refund_send(
        refund=surplus_return(invoice=invoice, amount=part, note="Cancelled", account=ACCOUNT, by=desk.one),
        by=desk.other, note="Sent",
    )  # fmt: skip
    assert order_cancel(order=order, by=desk.one, reason="No").state == Order.State.CANCELLED
    period_open(period_id="p1", by=None)
    books_keep()
    assert books_check() == []
    assert {kind: amount for kind, amount in balances().items() if amount} == {}


def test_the_ledger_follows_the_documents_once(desk):
    period_open(period_id="p1", by=None)
    quote = quote_make(organisation=desk.buyers[0], tier="enterprise", months=3, by=desk.one)
    order = order_place(quote=quote, by=desk.one)
    invoice = order.invoices.get()
    desk.pay(invoice, more=7 * MICRO)
    payment_assign(payment=payments_queued().get(), invoice=invoice, by=desk.one)
    desk.pay(desk.credit(20 * MICRO, buyer=1))
    assert books_waiting() > 0
    assert (billing_verify().looked_at, billing_verify().holds) == (0, True), "nothing is said before it is posted"
    assert (books_keep(), books_waiting(), books_keep()) != (0, 0, 0)
    assert books_check() == []
    found = billing_verify()
    assert found.holds
    assert found.looked_at > 2
    with transaction.atomic():
        tamper("UPDATE royalties_account SET debits = debits + 1 WHERE kind = 'tax'")
        assert "its documents" in billing_verify().faults[0]
        transaction.set_rollback(True)
    found = balances()
    net = 3 * 990 * MICRO
    assert (found["cash"], found["tax"]) == (
        invoice.total + 7 * MICRO + 20 * MICRO * 119 // 100,
        invoice.tax + 3_800_000,
    )
    assert (found["billed"], found["prepaid"], found["deferred"]) == (-7 * MICRO, 20 * MICRO, 0)
    assert found["receivable"] == -net, "paid before it accrued"
    order.refresh_from_db()
    count = Posting.objects.count()
    books_keep()
    assert Posting.objects.count() == count
    with pytest.raises(InvalidError, match="as its documents say"):
        posting_reverse(posting=Posting.objects.filter(kind="tax").first().pk, reason="x", by=desk.one)
    period_close(period_id="p1", by=None, early=True, lake=desk.world.lake)
    report = ledger_verify(lake=desk.world.lake)
    assert report.holds, report


def test_a_license_that_has_run_its_time_owes_nothing_more(desk):
    """A license of three months accrues three fees: what was paid before and what accrued meet."""
    from stemma_portal.royalties.settlement import subscriptions_due

    quote = quote_make(organisation=desk.buyers[0], tier="enterprise", months=3, by=desk.one)
    order = order_place(quote=quote, by=desk.one)
    desk.pay(order.invoices.get())
    order.refresh_from_db()
    license_ = License.objects.get(pk=order.license_id)
    due = subscriptions_due(currency="USD", starts=license_.not_before, ends=license_.expires_at)
    assert [each.months for each in due if each.license == license_.pk] == [3]


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_nothing_is_lost(desk, seed):  # noqa: PLR0912, PLR0915 - one branch for each that happens
    """Random orders of everything that moves money, against a purse that only counts what crosses the counter."""
    chance, purse = random.Random(seed), 0  # noqa: S311 - not a secret
    period_open(period_id="p1", by=None)

    def some(rows):
        rows = list(rows)
        return chance.choice(rows) if rows else None

    for _ in range(50):
        match chance.randrange(10):
            case 0:
                quote = quote_make(organisation=chance.choice(desk.buyers), tier="enterprise", months=1, by=desk.one)
                order_place(quote=quote, by=desk.one)
            case 1:
                desk.credit(chance.randrange(1, 2000) * 10_000, buyer=chance.randrange(2))
            case 2 | 3 | 4:
                if invoice := some(i for i in Invoice.objects.all() if open_amount(i) > 0):
                    amount = max(10_000, open_amount(invoice) + chance.choice([0, 0, -10_000, 50_000]))
                    desk.bank(dollars(amount, invoice.reference, servicer=f"R{desk.statements}"))
                    purse += amount
            case 5:
                of = chance.randrange(2)
                desk.use(chance.randrange(1, 10**8), of=of)
                usage_invoice(license_=desk.world.licenses[of], until=now())
            case 6:
                if payment := some(payments_queued()):
                    named = Invoice.objects.filter(reference=payment.reference).first()
                    try:
                        payment_assign(payment=payment, invoice=named, by=desk.one)
                    except StemmaError:
                        payment_return(payment=payment, by=desk.one, note="Why", account=ACCOUNT)
            case 7:
                if refund := some(Refund.objects.filter(state="waiting")):
                    if chance.random() < 0.7:
                        refund_send(refund=refund, by=desk.other, note="Sent")
                        purse -= refund.amount
                    else:
                        refund_decline(refund=refund, by=desk.other, note="No")
            case 8:
                if invoice := some(Invoice.objects.all()):
                    try:
                        part = chance.randrange(1, 101) * invoice.total // 100 // 10_000 * 10_000
                        credit_note_issue(invoice=invoice, total=part, reason="Why", by=desk.one)
                    except StemmaError:
                        continue
            case 9:
                if invoice := some(i for i in Invoice.objects.all() if surplus(i)):
                    surplus_return(invoice=invoice, amount=surplus(invoice), note="Why", account=ACCOUNT, by=desk.one)
        if chance.random() < 0.1:
            books_keep()
    books_keep()
    assert books_waiting() == 0
    assert books_check() == []
    found = balances()
    assert found.get("cash", 0) == purse
    assert sum(each.debits - each.credits for each in Account.objects.all()) == 0
    assert min(credit_balance(buyer).get("USD", 0) for buyer in desk.buyers) >= 0
    for entry in CreditEntry.objects.filter(kind="bought"):
        assert sum(CreditEntry.objects.filter(purchase=entry.purchase).values_list("amount", flat=True)) >= 0
