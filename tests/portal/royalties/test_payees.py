"""Payment details: checked, sealed, shown by four characters, versioned, told of, and not used at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from portal.royalties.world import World
from stemma.errors import InvalidError
from stemma.ids import now
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.models import AuditEvent
from stemma_portal.royalties import selectors
from stemma_portal.royalties.models import PaymentDetails
from stemma_portal.royalties.payees import (
    COOLING,
    Payee,
    payee_checked,
    payment_details_open,
    payment_details_set,
    payment_details_usable,
    payout_minimum,
    payout_minimum_set,
)

pytestmark = [pytest.mark.services, pytest.mark.django_db]
GERMAN, BRITISH = "DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19"
FORM = {"holder": "Label GmbH", "iban": GERMAN, "address": "Weg 1\n10115 Berlin", "tax_country": "DE"}


def payee(**changes: str) -> Payee:
    return Payee(**{**FORM, "bic": "", **changes})


def test_an_iban_is_checked_and_names_its_bank() -> None:
    assert payee_checked(payee()).iban == "DE89370400440532013000"
    assert payee_checked(payee()).bic == "COBADEFFXXX"
    assert payee_checked(payee(iban=BRITISH)).bic == "NWBKGB2LXXX"
    for wrong in ({"iban": "DE89370400440532013001"}, {"iban": "x"}, {"bic": "COBADEFF"[:7]}, {"bic": "NWBKGB2LXXX"}):
        with pytest.raises(InvalidError):
            payee_checked(payee(**wrong))


@given(st.integers(0, 21), st.sampled_from("0123456789"))
def test_a_single_wrong_digit_never_passes(place: int, digit: str) -> None:
    plain = GERMAN.replace(" ", "")
    changed = plain[:place] + digit + plain[place + 1 :]
    if changed != plain:
        with pytest.raises(InvalidError):
            payee_checked(payee(iban=changed))


@pytest.fixture
def party(redis, cast, catalog):
    return catalog["Label"]


def test_a_change_is_a_version_that_cools_and_is_sealed(party, cast, committed) -> None:
    with committed():
        first = payment_details_set(party=party, payee=payee(), by=cast.owner)
    assert payment_details_set(party=party, payee=payee(), by=cast.owner) == first
    assert (first.version, first.usable_from - first.at) == (1, COOLING)
    assert payment_details_usable(party_id=party.pk) is None
    second = payment_details_set(party=party, payee=payee(iban=BRITISH), by=cast.owner)
    later = first.usable_from
    assert payment_details_usable(party_id=party.pk, at=later) == first
    assert payment_details_usable(party_id=party.pk, at=second.usable_from) == second
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(d::text, ' ') FROM royalties_paymentdetails d")
        kept = cursor.fetchone()[0]
        cursor.execute("SELECT string_agg(a::text, ' ') FROM core_auditevent a")
        trail = cursor.fetchone()[0]
    for secret in ("532013000", "Label GmbH", "Berlin", "NWBK", "601613"):
        assert secret not in kept
        assert secret not in trail
    assert "…3000" in trail
    opened = payment_details_open(details=second, by=None, purpose="test")
    assert (opened.iban, opened.holder) == ("GB29NWBK60161331926819", "Label GmbH")
    assert AuditEvent.objects.filter(action="payment-details.open", subject=party.pk).exists()
    with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
        PaymentDetails.objects.update(last4="0000")


def test_every_owner_is_told_by_mail(party, cast, committed, monkeypatch) -> None:
    from stemma_portal.accounts.services import membership_set
    from stemma_portal.notices.tasks import notice_mail

    monkeypatch.setattr(notice_mail, "apply_async", lambda args, **_: notice_mail(*args))
    membership_set(user=cast.licensee, organisation=cast.label, role="owner", by=None)
    with committed():
        payment_details_set(party=party, payee=payee(), by=cast.owner)
    assert {address for message in mail.outbox for address in message.to} == {
        "owner@stemma.test", "licensee@stemma.test",
    }  # fmt: skip
    assert "ends with 3000 (DE), but not before" in mail.outbox[0].body
    assert "0532" not in mail.outbox[0].body


def entered(client, user, address: str = "/royalties/payment/change/"):
    """The form, after the password was typed again."""
    client.force_login(user)
    asked = client.get(address)
    assert "/accounts/reauthenticate/" in asked.url
    back = client.post(asked.url, {"password": "correct horse"})
    assert back.url == address
    return address


def test_owners_enter_an_account_after_typing_their_password_again(client, party, cast) -> None:
    page = entered(client, cast.owner)
    wrong = client.post(page, {**FORM, "iban": "DE00370400440532013000"})
    assert wrong.status_code == 422
    assert b"is not an IBAN" in wrong.content
    assert client.post(page, FORM).url == "/royalties/payment/"
    shown = client.get("/royalties/payment/").content.decode()
    assert "•• •••• 3000" in shown
    assert "0532" not in shown
    assert "Not before" in shown


@pytest.mark.parametrize(
    ("who", "look", "change"), [("teammate", 200, 403), ("licensee", 404, 404), ("rights", 404, 404)]
)
def test_nobody_else_changes_it(client, party, cast, who, look, change) -> None:
    user = getattr(cast, who)
    page = entered(client, user)
    assert client.get("/royalties/payment/").status_code == look
    assert client.post(page, FORM).status_code == change
    assert not PaymentDetails.objects.exists()


def test_a_stranger_enters_their_own_alone(client, party, catalog, cast) -> None:
    client.post(entered(client, cast.stranger), FORM)
    assert set(PaymentDetails.objects.values_list("party__name", flat=True)) == {"Other"}


def test_the_least_that_is_paid_out_is_data(cast, db) -> None:
    assert payout_minimum(currency="USD") == 50_000_000
    assert payout_minimum(currency="JPY") == 0
    with pytest.raises(ForbiddenError):
        payout_minimum_set(currency="USD", amount=1, by=cast.owner)
    payout_minimum_set(currency="USD", amount=20_000_000, by=cast.operator)
    payout_minimum_set(currency="USD", amount=10_000_000, valid_from=now() + timedelta(days=3), by=cast.operator)
    assert payout_minimum(currency="USD") == 20_000_000


def test_a_balance_says_what_is_missing_and_each_line_can_be_questioned(world: World, client) -> None:
    from stemma_portal.consent.models import Claim
    from stemma_portal.royalties.holds import holds_settle
    from stemma_portal.royalties.models import Account, Statement
    from stemma_portal.royalties.services import period_open
    from stemma_portal.royalties.verification import ledger_verify

    world.made(2)
    world.close("p1")
    [balance] = selectors.balance(party_id=world.parties[0].pk)
    assert balance.missing == max(0, 50_000_000 - balance.confirmed)
    statement = Statement.objects.get(period="p1", party=world.parties[0])
    client.force_login(world.owner)
    page = client.get(f"/royalties/statements/{statement.pk}/")
    ask = f"/royalties/statements/{statement.pk}/recordings/{world.recordings[1].pk}/correction/"
    assert ask in page.content.decode()
    assert client.get(ask).status_code == 200
    client.post(ask, {"reason": "We think it shaped more."})
    claim = Claim.objects.get()
    assert (claim.kind, claim.subject, claim.due_side) == ("correction", statement.pk, "staff")
    assert claim.detail["line"]["total"] == sum(
        line.amount for line in statement.lines.filter(recording=world.recordings[1])
    )
    assert f"/claims/{claim.pk}/" in client.get(f"/royalties/statements/{statement.pk}/").content.decode()
    assert client.get(f"/claims/{claim.pk}/").status_code == 200
    assert client.get("/royalties/").status_code == 200
    elsewhere = ask.replace(str(world.recordings[1].pk), str(world.recordings[0].pk))
    assert client.get(elsewhere).status_code == 404  # Beech's, no line of this statement
    client.force_login(world.stranger)
    assert client.post(ask, {"reason": "x"}).status_code == 404
    assert Claim.objects.count() == 1

    before = Account.objects.get(kind="payable", party=world.parties[0]).balance
    period_open(period_id="p2", by=None)
    client.force_login(world.staff)
    decided = {"outcome": "corrected", "reason": "Two pieces were missing.", "amount": "1.250001"}
    assert client.post(f"/claims/{claim.pk}/resolution/", decided).status_code == 302
    assert (holds_settle(), holds_settle()) == (1, 0)
    assert Account.objects.get(kind="payable", party=world.parties[0]).balance == before + 1_250_001
    world.close("p2")
    second = Statement.objects.get(period="p2", party=world.parties[0])
    assert (second.corrected, second.held) == (1_250_001, 0)
    assert ledger_verify().holds
