"""People hear of every change to how they sign in."""

import re
import time

import pytest
from allauth.account.models import EmailAddress
from allauth.account.signals import (
    email_added,
    email_changed,
    email_confirmed,
    email_removed,
    password_reset,
    password_set,
)
from allauth.mfa.totp.internal.auth import hotp_value
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.signals import social_account_added, social_account_removed
from django.test import Client

from stemma_portal.accounts.services import membership_set
from stemma_portal.core.models import AuditEvent
from stemma_portal.notices.models import Notice, Topic

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def browser(cast, redis, settings):
    settings.MFA_TOTP_TOLERANCE = 4  # steps of half a minute, which a slow machine may let pass
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
    event = AuditEvent.objects.get(action="password.change")
    assert (event.actor, event.subject, event.channel) == (cast.owner.email, cast.owner.id, "page")
    assert event.address == "203.0.113.7"
    assert "horse" not in str(event.detail)


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
    trail = AuditEvent.objects.filter(subject=cast.owner.id, action__startswith="authenticator.").order_by("id")
    told = [(event.action, event.detail["kind"], event.actor) for event in trail]
    assert {("authenticator.add", "totp", cast.owner.email), ("authenticator.remove", "totp", cast.owner.email)} <= {
        *told
    }
    assert secret not in str(list(trail.values()))


def test_other_addresses_and_linked_accounts_stand_in_the_trail(browser, cast):
    """What django-allauth says with its signals: from which address to which, and which provider's account."""
    user, request = cast.owner, browser.get("/accounts/sessions/").wsgi_request
    old, new = (EmailAddress(user=user, email=name) for name in (user.email, "new@stemma.test"))
    account = SocialAccount(user=user, provider="label", uid="17")
    email_added.send(sender=None, request=request, user=user, email_address=new)
    email_confirmed.send(sender=None, request=request, email_address=new)
    email_changed.send(sender=None, request=request, user=user, from_email_address=old, to_email_address=new)
    email_removed.send(sender=None, request=request, user=user, email_address=old)
    password_reset.send(sender=None, request=request, user=user)
    password_set.send(sender=None, request=request, user=user)
    social_account_added.send(sender=None, request=request, sociallogin=SocialLogin(user=user, account=account))
    social_account_removed.send(sender=None, request=request, socialaccount=account)
    trail = AuditEvent.objects.filter(actor=user.email, subject=user.id).order_by("id")
    linked = {"provider": "label", "uid": "17"}
    assert [(event.action, event.detail) for event in trail] == [
        ("email.add", {"email": new.email}),
        ("email.confirm", {"email": new.email}),
        ("email.change", {"before": old.email, "after": new.email}),
        ("email.remove", {"email": old.email}),
        ("password.reset", {}),
        ("password.set", {}),
        ("sign-on.link", linked),
        ("sign-on.unlink", linked),
    ]


def test_other_payment_details_are_told_to_every_owner(cast, catalog):
    from stemma_portal.royalties.payees import Payee, payment_details_set

    membership_set(user=cast.licensee, organisation=cast.label, role="owner", by=None)
    payee = Payee(holder="Label GmbH", iban="DE89370400440532013000", bic="", address="Street 1", tax_country="DE")
    payment_details_set(party=catalog["Label"], payee=payee, by=cast.owner)
    told = Notice.objects.filter(topic=Topic.ACCOUNT, href="/royalties/payment/")
    assert {notice.user for notice in told} == {cast.owner, cast.licensee}
    assert "3000" in told[0].text
    assert "0532" not in told[0].text
