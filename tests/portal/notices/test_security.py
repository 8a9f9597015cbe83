"""People hear of every change to how they sign in."""

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import hotp_value
from django.test import Client

from stemma_portal.accounts.services import membership_set
from stemma_portal.notices.models import Notice, Topic

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def browser(cast, redis):
    client = Client()
    assert client.post("/accounts/login/", {"login": cast.owner.email, "password": "correct horse"}).status_code == 302
    assert client.post("/accounts/reauthenticate/", {"password": "correct horse"}).status_code == 302
    return client


def test_a_changed_password_is_told_with_where_it_came_from(browser, cast):
    new = {"oldpassword": "correct horse", "password1": "another long horse", "password2": "another long horse"}
    assert browser.post("/accounts/password/change/", new, REMOTE_ADDR="203.0.113.7").status_code == 302
    notice = Notice.objects.get()
    assert (notice.user, notice.topic, notice.mail) == (cast.owner, Topic.ACCOUNT, "at-once")
    assert notice.title == "Your password was changed"
    assert "203.0.113.7" in notice.text


def test_a_second_step_that_comes_or_goes_is_told(browser, cast, committed):
    page = browser.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r"[A-Z2-7]{32}", page)[0]
    code = f"{hotp_value(secret, int(time.time()) // 30):06d}"
    with committed():
        assert browser.post("/accounts/2fa/totp/activate/", {"code": code}).status_code == 302
    assert [notice.title for notice in Notice.objects.all()] == ["A new authenticator app can sign you in"]
    with committed():
        browser.post("/accounts/2fa/totp/deactivate/")
    assert "An authenticator app of yours was removed" in [notice.title for notice in Notice.objects.all()]


def test_other_payment_details_are_told_to_every_owner(cast, catalog):
    from stemma_portal.royalties.payees import Payee, payment_details_set

    membership_set(user=cast.licensee, organisation=cast.label, role="owner", by=None)
    payee = Payee(holder="Label GmbH", iban="DE89370400440532013000", bic="", address="Street 1", tax_country="DE")
    payment_details_set(party=catalog["Label"], payee=payee, by=cast.owner)
    told = Notice.objects.filter(topic=Topic.ACCOUNT, href="/royalties/payment/")
    assert {notice.user for notice in told} == {cast.owner, cast.licensee}
    assert "3000" in told[0].text
    assert "0532" not in told[0].text
