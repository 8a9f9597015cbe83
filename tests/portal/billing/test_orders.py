"""From a quote to a license: once, whoever presses twice, and only what was paid."""

import hmac
import json
import threading
from datetime import date, timedelta
from urllib.parse import urlencode

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from billing.making import ACCOUNT, statement
from portal.billing.shop import dollars
from portal.making import problem
from stemma.errors import InvalidError, ProofError
from stemma.ids import now
from stemma.rights.covenant import house_covenant
from stemma_portal.billing.banking import payment_assign, payments_queued
from stemma_portal.billing.invoicing import (
    credit_note_issue,
    credited,
    invoice_issue,
    open_amount,
    order_cancel,
    order_place,
    paid,
    quote_make,
)
from stemma_portal.billing.models import CreditNote, Invoice, InvoiceLine, Match, Order, Payment, Quote, Seller
from stemma_portal.billing.provider import Received, payment_begin, payment_called
from stemma_portal.billing.refunding import payment_return, refund_send
from stemma_portal.billing.tables import buyer_set, tax_table
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.models import AuditEvent
from stemma_portal.dashboards.queues import queues
from stemma_portal.licensing.models import License
from stemma_portal.licensing.selectors import terms as terms_of
from stemma_portal.licensing.services import covenant_publish
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]
YEAR = 12 * 990_000_000
"""A year of the enterprise tier."""


def test_a_quote_is_what_the_terms_say_with_tax(shop):
    quote = shop.quote()
    assert (quote.net, quote.tax, quote.total) == (YEAR, YEAR * 19 // 100, YEAR * 119 // 100)
    assert quote.document["tax"]["category"] == "S"


def test_an_order_is_invoiced_paid_and_licensed(shop):
    order = shop.order()
    invoice = order.invoices.get()
    assert invoice.name == f"S-{now().year}-000001"
    assert sum(line.amount for line in invoice.lines.all()) == invoice.net
    assert not License.objects.filter(organisation=shop.studio).exists()
    done = shop.bank(dollars(invoice.total, invoice.reference, servicer="B1"))
    assert (done.new, done.matched, done.queued) == (1, 1, 0)
    order.refresh_from_db()
    assert order.state == Order.State.ACTIVE
    assert (order.license.tier, order.license.covenant_id) == ("enterprise", order.quote.covenant_id)
    assert open_amount(invoice) == 0
    titles = set(Notice.objects.filter(user=shop.cast.licensee).values_list("title", flat=True))
    assert titles == {f"Invoice {invoice.name}", "Your license is active"}
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"billing.quote", "billing.order", "billing.invoice", "billing.match", "billing.order-active"} <= actions


def test_the_terms_that_were_quoted_are_granted(shop):
    order = shop.order()
    covenant_publish(covenant=house_covenant().model_copy(update={"version": "1.0.1"}), by=None)
    invoice = order.invoices.get()
    shop.bank(dollars(invoice.total, invoice.reference))
    order.refresh_from_db()
    assert order.license.covenant_id == order.quote.covenant_id


def test_a_license_is_renewed_under_the_terms_that_it_holds(shop):
    def bought(**more):
        invoice = order_place(quote=quoted(**more), by=shop.cast.licensee).invoices.get()
        shop.bank(dollars(invoice.total, invoice.reference), identifier=invoice.name)
        return Order.objects.get(invoices=invoice).license

    def quoted(tier="professional", **more):
        return quote_make(organisation=shop.studio, tier=tier, months=6, by=shop.cast.licensee, **more)

    shop.declare(5_000_000)
    held = bought()
    house = house_covenant()
    tier = house.tier("professional")
    cheaper = tier.model_copy(update={"monthly_fee": tier.monthly_fee - 1_000_000})
    tiers = tuple(cheaper if each.name == tier.name else each for each in house.tiers)
    later = covenant_publish(covenant=house.model_copy(update={"version": "1.0.1", "tiers": tiers}), by=None)
    assert quoted().covenant == later
    again, other = quoted(renews=held), quoted(renews=held)
    assert (again.covenant_id, again.net) == (held.covenant_id, 6 * tier.monthly_fee)
    with pytest.raises(InvalidError, match="another one"):
        quoted(tier="enterprise", renews=held)
    invoice = order_place(quote=again, by=shop.cast.licensee).invoices.get()
    with pytest.raises(ConflictError, match="renewed already"):
        order_place(quote=other, by=shop.cast.licensee)
    shop.bank(dollars(invoice.total, invoice.reference), identifier="again")
    renewal = Order.objects.get(quote=again).license
    assert (renewal.covenant_id, renewal.not_before) == (held.covenant_id, held.expires_at)
    License.objects.filter(pk=renewal.pk).update(state="revoked")
    renewal.refresh_from_db()
    with pytest.raises(InvalidError, match="has ended"):
        quoted(renews=renewal)


def test_what_costs_nothing_is_licensed_at_once(shop):
    order = shop.order("research")
    assert order.state == Order.State.ACTIVE
    assert not order.invoices.exists()


def test_who_orders_gets_the_models_of_the_tier_and_a_renewal_too(shop):
    house = house_covenant()
    tiers = tuple(t.model_copy(update={"models": ("a/*",)}) if t.name == "research" else t for t in house.tiers)
    changes = {"format": "stemma.covenant/3", "version": "3.1.0", "tiers": tiers}
    covenant_publish(covenant=house.model_copy(update=changes), by=None)
    first = shop.order("research").license
    ask = {"organisation": shop.studio, "tier": "research", "months": 12, "by": shop.cast.licensee}
    again = order_place(quote=quote_make(**ask, renews=first), by=shop.cast.licensee)
    for license_ in (first, again.license):
        assert terms_of(license_=license_).models == ("a/*",)


def test_an_old_quote_or_one_of_old_terms_is_not_ordered(shop, monkeypatch):
    quote = shop.quote()
    monkeypatch.setattr("stemma_portal.billing.invoicing.now", lambda: now() + timedelta(days=31))
    with pytest.raises(ConflictError, match="no longer valid"):
        order_place(quote=quote, by=shop.cast.licensee)
    monkeypatch.undo()
    covenant_publish(covenant=house_covenant().model_copy(update={"version": "1.0.1"}), by=None)
    with pytest.raises(ConflictError, match="newer version"):
        order_place(quote=quote, by=shop.cast.licensee)


def test_a_tier_with_a_limit_asks_for_revenue(shop):
    with pytest.raises(InvalidError, match="asks for your yearly revenue"):
        shop.quote("professional")
    shop.declare(5_000_000)
    assert shop.quote("professional").net == 12 * 49_000_000
    with pytest.raises(InvalidError, match="past the limit"):
        shop.quote("community")


@pytest.mark.parametrize(("tier", "months"), [("gold", 1), ("enterprise", 0), ("enterprise", 1000)])
def test_what_cannot_be_quoted(shop, tier, months):
    with pytest.raises(InvalidError):
        shop.quote(tier, months)


def test_nothing_is_quoted_before_it_is_said_who_buys(shop):
    with pytest.raises(InvalidError, match="who buys"):
        quote_make(organisation=shop.cast.label, tier="enterprise", months=1, by=shop.cast.owner)


def test_reverse_charge_needs_a_number_that_checks(shop):
    address = {
        "name": "Atelier",
        "street": "Rue 1",
        "postcode": "75001",
        "city": "Paris",
        "country": "FR",
        "email": "a@b.fr",
    }
    with pytest.raises(InvalidError, match="not a tax number"):
        buyer_set(organisation=shop.studio, by=shop.cast.licensee, vat="FR00000000000", **address)
    buyer_set(organisation=shop.studio, by=shop.cast.licensee, **address)
    assert shop.quote().tax == YEAR * 20 // 100
    buyer_set(organisation=shop.studio, by=shop.cast.licensee, vat="FR40303265045", **address)
    quote = shop.quote()
    assert (quote.tax, quote.document["tax"]["category"]) == (0, "AE")
    assert tax_table().rate("FR", now().date()) == 200_000


def test_a_partial_payment_waits_and_its_rest_completes_it(shop):
    order = shop.order()
    invoice = order.invoices.get()
    shop.bank(dollars(1_000_000, invoice.reference, servicer="B1"))
    payment = payments_queued().get()
    assert payment.reason == Payment.Reason.PARTIAL
    order.refresh_from_db()
    assert order.state == Order.State.PLACED
    payment_assign(payment=payment, invoice=invoice, by=shop.cast.rights, note="First part")
    order.refresh_from_db()
    assert order.state == Order.State.PLACED, "a part is not the whole"
    assert (
        shop.bank(dollars(invoice.total - 1_000_000, invoice.reference, servicer="B2"), identifier="ST-2").matched == 1
    )
    order.refresh_from_db()
    assert order.state == Order.State.ACTIVE


def test_a_double_payment_waits_and_licenses_nothing_twice(shop):
    invoice = shop.invoice()
    one = dollars(invoice.total, invoice.reference, servicer="B1")
    shop.bank(one)
    again = shop.bank(one)
    assert (again.new, again.known) == (0, 1), "the same statement again changes nothing"
    shop.bank(one, identifier="ST-2")
    shop.bank(dollars(invoice.total, invoice.reference, servicer="B2"), identifier="ST-3")
    assert [p.reason for p in payments_queued()] == ["repeated", "double"]
    assert paid(invoice) == invoice.total
    assert License.objects.filter(organisation=shop.studio).count() == 1
    twice = payments_queued().last()
    with pytest.raises(ConflictError, match="settled already"):
        payment_assign(payment=twice, invoice=invoice, by=shop.cast.rights)
    refund = payment_return(payment=twice, by=shop.cast.rights, note="Paid twice", account=ACCOUNT)
    with pytest.raises(ConflictError, match="to be sent back"):
        payment_assign(payment=twice, invoice=invoice, by=shop.cast.operator)
    with pytest.raises(ForbiddenError, match="does not decide"):
        refund_send(refund=refund, by=shop.cast.rights, note="By transfer")
    refund_send(refund=refund, by=shop.cast.operator, note="By transfer")
    with pytest.raises(ConflictError, match="already said"):
        payment_return(payment=twice, by=shop.cast.rights, note="Paid twice", account=ACCOUNT)
    assert payments_queued().count() == 1


def test_a_program_brings_statements_and_two_people_send_money_back(shop, api):
    invoice = shop.invoice()
    body = statement(dollars(invoice.total + 5_000_000, invoice.reference, servicer="B1"), identifier="ST-1")
    rights = api("rights")
    done = rights.upload("billing/bank-statements", "bank.xml", body, {}).json()
    assert (done["new"], done["matched"], done["queued"]) == (1, 0, 1)
    (queued,) = rights.get("billing/payments").json()["items"]
    place = f"billing/payments/{queued['id']}"
    assert rights.post(f"{place}/invoice", {"invoice": invoice.pk}).status_code == 200
    problem(rights.post(f"{place}/refund", {"note": "x", "account": ACCOUNT}), 409)
    asked = {"amount": 5_000_000, "note": "Too much.", "account": ACCOUNT}
    refund = rights.post(f"billing/invoices/{invoice.pk}/refunds", asked).json()
    assert (refund["state"], refund["account"]) == ("waiting", ACCOUNT[-4:])
    waiting = {queue.title: (queue.count, queue.oldest) for queue in queues()}
    assert waiting["Refunds for a second person"] == (1, 0)
    assert waiting["Payments to match"] == (0, None)
    sent = {"then": "sent", "note": "By transfer."}
    problem(rights.post(f"billing/refunds/{refund['id']}/decision", sent), 403)
    assert api("operator").post(f"billing/refunds/{refund['id']}/decision", sent).json()["state"] == "sent"
    assert rights.get("billing/refunds", state="waiting").json()["items"] == []


class Cards:
    """The least provider that there can be: it signs what it says with a shared secret."""

    name, secret = "cards-of-the-test", b"shared"

    def begin(self, *, reference, amount, currency, title, back):
        query = urlencode({"r": reference, "a": amount, "c": currency, "t": title, "b": back})
        return f"https://cards.test/pay?{query}"

    def read(self, *, body, headers):
        if not hmac.compare_digest(headers.get("Signature", ""), self.sign(body)):
            raise ProofError("The provider did not sign this.")
        said = json.loads(body)
        return Received(**{**said, "day": date.fromisoformat(said["day"])}) if "id" in said else None

    def sign(self, body):
        return hmac.new(self.secret, body, "sha256").hexdigest()


def test_a_provider_of_card_payments_activates_through_the_same_matching(shop):
    order, cards = shop.order(), Cards()
    invoice = order.invoices.get()
    address = payment_begin(provider=cards, invoice=invoice, back="https://portal.test/")
    assert f"a={invoice.total}" in address

    def called(signature=None, **changes):
        said = {"id": "ch_1", "reference": invoice.reference, "amount": invoice.total, "currency": "USD",
                "day": str(now().date()), "payer": "Studio"} | changes  # fmt: skip
        body = json.dumps(said).encode()
        headers = {"Signature": cards.sign(body) if signature is None else signature}
        done = payment_called(provider=cards, body=body, headers=headers)
        return done.new, done.known, done.matched, done.queued

    for forged in ("", "0" * 64):
        with pytest.raises(ProofError):
            called(forged)
    with pytest.raises(InvalidError, match="names the payment"):
        called(id="#1")
    assert called(id="ch_0", amount=invoice.total - 10_000) == (1, 0, 0, 1), "a part waits for people"
    assert called(id="ch_9", currency="EUR") == (1, 0, 0, 1)
    assert called() == (1, 0, 1, 0)
    assert called() == (0, 1, 0, 0), "what is told twice is one payment"
    order.refresh_from_db()
    assert order.state == Order.State.ACTIVE
    assert called(id="ch_2") == (1, 0, 0, 1)
    assert {payment.reason for payment in payments_queued()} == {"partial", "currency", "double"}
    with pytest.raises(ConflictError, match="settled already"):
        payment_begin(provider=cards, invoice=invoice, back="https://portal.test/")


def test_other_currencies_and_unknown_references_wait(shop):
    from billing.making import transaction as entry
    from stemma.billing.reference import rf_reference

    invoice = shop.invoice()
    amount = f"{invoice.total // 1_000_000}.{invoice.total % 1_000_000 // 10_000:02d}"
    found = shop.bank(
        entry(amount, invoice.reference, servicer="1"),
        dollars(5_000_000, rf_reference("UNKNOWN"), servicer="2"),
        dollars(5_000_000, servicer="3", text="for the music"),
        dollars(invoice.total + 10_000, invoice.reference, servicer="4"),
        dollars(invoice.total, invoice.reference, servicer="5", direction="DBIT"),
        dollars(invoice.total, invoice.reference, servicer="6", state="PDNG"),
    )
    assert (found.new, found.matched, found.queued, found.passed_over) == (4, 0, 4, 2)
    reasons = dict(payments_queued().values_list("servicer", "reason"))
    assert reasons == {"1": "currency", "2": "unknown-reference", "3": "no-reference", "4": "over"}
    with pytest.raises(ConflictError, match="in USD"):
        payment_assign(payment=Payment.objects.get(servicer="1"), invoice=invoice, by=shop.cast.rights)


def test_a_statement_of_another_account_is_refused_whole(shop):
    invoice = shop.invoice()
    with pytest.raises(InvalidError, match="not of our account"):
        shop.bank(dollars(invoice.total, invoice.reference), account="DE02120300000000202051")
    assert not Payment.objects.exists()


def test_credit_notes_never_take_back_more_than_was_asked(shop):
    invoice = shop.invoice()
    for total in (0, -10_000, 5_000, invoice.total + 10_000):
        with pytest.raises(InvalidError):
            credit_note_issue(invoice=invoice, total=total, reason="Goodwill", by=shop.cast.rights)
    with pytest.raises(InvalidError, match="says why"):
        credit_note_issue(invoice=invoice, total=10_000, reason=" ", by=shop.cast.rights)
    credit_note_issue(invoice=invoice, total=3_330_000, reason="Goodwill", by=shop.cast.rights)
    credit_note_issue(invoice=invoice, total=open_amount(invoice), reason="Cancelled", by=shop.cast.rights)
    assert credited(invoice) == invoice.total
    assert sum(note.tax for note in CreditNote.objects.all()) == invoice.tax
    assert [note.name for note in CreditNote.objects.order_by("number")] == [
        f"C-{now().year}-000001",
        f"C-{now().year}-000002",
    ]


def test_a_cancelled_order_is_credited_and_a_late_payment_waits(shop):
    order = shop.order()
    invoice = order.invoices.get()
    order_cancel(order=order, by=shop.cast.rights, reason="Changed their mind")
    assert open_amount(invoice) == 0
    shop.bank(dollars(invoice.total, invoice.reference))
    payment = payments_queued().get()
    assert payment.reason == Payment.Reason.DOUBLE
    with pytest.raises(ConflictError, match="cancelled"):
        payment_assign(payment=payment, invoice=invoice, by=shop.cast.rights)
    assert not License.objects.filter(organisation=shop.studio).exists()


def test_a_licensed_order_is_not_cancelled(shop):
    order = shop.order("research")
    with pytest.raises(ConflictError):
        order_cancel(order=order, by=shop.cast.rights, reason="x")


def test_what_went_out_is_never_changed(shop):
    invoice = shop.invoice()
    shop.bank(dollars(invoice.total, invoice.reference))
    for model in (Invoice, InvoiceLine, Payment, Match, Quote, Seller):
        rows = model.objects.all()
        for change in (lambda rows: rows._raw_delete(rows.db), lambda rows: rows.update(id=F("id"))):
            with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
                change(rows)


def test_a_number_is_taken_back_with_what_failed(shop):
    first = shop.invoice()
    with transaction.atomic():
        shop.invoice()
        transaction.set_rollback(True)
    assert shop.invoice().number == first.number + 1


def test_the_same_key_is_the_same_invoice(shop):
    invoice = shop.invoice()
    from stemma.rights.prices import Line
    from stemma_portal.billing.invoicing import figures

    made, document = figures(organisation=shop.studio, lines=[Line("flat", "x", 1, 1)], currency="USD", at=now())
    again = invoice_issue(
        key=invoice.key, kind=Invoice.Kind.ORDER, organisation=shop.studio, made=made, document=document,
        traces=[{}], by=None, at=now(),
    )  # fmt: skip
    assert again == invoice
    assert Invoice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_ordering_at_once_is_ordering_once_and_numbers_have_no_gap(shop):
    quotes = [shop.quote(months=n) for n in (1, 2, 3)] * 4
    orders, start = [], threading.Barrier(len(quotes))

    def press(quote):
        try:
            start.wait()
            orders.append(order_place(quote=quote, by=shop.cast.licensee).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(quote,)) for quote in quotes]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(orders) == 12
    assert len(set(orders)) == 3
    assert sorted(Invoice.objects.values_list("number", flat=True)) == [1, 2, 3]
