"""Making an account: a form, a code in a mail, an organisation."""

import re

import pytest
from django.core.cache import cache
from django.test import Client

from stemma_portal.accounts.invitations import invite, link_of
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.catalog.models import Party

pytestmark = [pytest.mark.services, pytest.mark.django_db]

PASSWORD = "a long enough phrase"
GIVEN = {
    "name": "Nell Nye",
    "email": "Nell@Stemma.test",
    "kind": "artist",
    "organisation": "Nell Nye Trio",
    "password1": PASSWORD,
    "password2": PASSWORD,
}


@pytest.fixture
def browser(redis) -> Client:
    cache.clear()
    return Client()


def code_of(mail) -> str:
    return re.search(r"^\s*([A-Z0-9]{3,6}-?[A-Z0-9]{3,6})\s*$", mail.body, re.MULTILINE)[1]


def test_an_artist_signs_up_with_the_code_of_a_mail(browser, mailoutbox):
    assert browser.get("/accounts/signup/").status_code == 200
    answer = browser.post("/accounts/signup/", GIVEN)
    assert answer.status_code == 302
    assert "_auth_user_id" not in browser.session
    (mail,) = mailoutbox
    wrong = browser.post(answer["Location"], {"code": "AAAAAA"})
    assert wrong.status_code == 200
    assert "_auth_user_id" not in browser.session
    browser.post(answer["Location"], {"code": code_of(mail)})
    user = User.objects.get(email="nell@stemma.test")
    assert browser.session["_auth_user_id"] == user.id
    made = Organisation.objects.get(memberships__user=user)
    assert (made.kind, made.slug, user.name) == ("artist", "nell-nye-trio", "Nell Nye")
    assert made.party.name == "Nell Nye Trio"


def test_an_artist_takes_no_share_that_stands_under_the_same_name(browser, catalog, mailoutbox):
    browser.post("/accounts/signup/", {**GIVEN, "organisation": "Artist"})
    made = Organisation.objects.get(memberships__user__email="nell@stemma.test")
    assert made.party_id not in {None, catalog["Artist"].id}
    assert Party.objects.filter(name="Artist").count() == 2


def test_a_company_becomes_no_rights_holder(browser, mailoutbox):
    browser.post("/accounts/signup/", {**GIVEN, "kind": "enterprise"})
    assert Organisation.objects.get(memberships__user__email="nell@stemma.test").party_id is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("kind", "rights"),
        ("kind", "ops"),
        ("organisation", ""),
        ("organisation", "Nell\u202eeyN"),
        ("name", "  "),
        ("password2", "another phrase"),
        ("password1", "short"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(browser, field, value):
    answer = browser.post("/accounts/signup/", {**GIVEN, field: value})
    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not User.objects.exists()
    assert not Organisation.objects.exists()


def test_an_address_that_has_an_account_is_not_told_apart(browser, cast, mailoutbox):
    """Nobody learns here who has an account; its owner is told by mail."""
    answer = browser.post("/accounts/signup/", {**GIVEN, "email": "owner@stemma.test"})
    fresh = Client().post("/accounts/signup/", GIVEN)
    assert (answer.status_code, answer["Location"]) == (fresh.status_code, fresh["Location"])
    assert User.objects.filter(email="owner@stemma.test").count() == 1
    assert "already" in mailoutbox[0].body


def test_where_only_the_invited_sign_up_others_do_not(browser, cast, settings_changed, mailoutbox):
    settings_changed(sign_up="invited")
    page = browser.get("/accounts/signup/")
    assert "nvit" in page.content.decode()
    browser.post("/accounts/signup/", GIVEN)
    assert not User.objects.filter(email="nell@stemma.test").exists()

    invitation = invite(organisation=cast.label, email="nell@stemma.test", role="member", by=cast.owner)
    link = re.sub(r"^https?://[^/]+", "", link_of(invitation))
    browser.get(link)
    asked = {"name": "Nell", "email": "other@stemma.test", "password1": PASSWORD, "password2": PASSWORD}
    answer = browser.post("/accounts/signup/", asked)
    assert (answer.status_code, answer["Location"]) == (302, link)
    user = User.objects.get(email="nell@stemma.test")
    assert browser.session["_auth_user_id"] == user.id
    assert not mailoutbox, "the link has proved the address"
    browser.post(link)
    assert cast.label.memberships.filter(user=user).exists()


def test_an_account_that_has_not_shown_its_address_does_not_sign_in(browser, mailoutbox):
    browser.post("/accounts/signup/", GIVEN)
    other = Client()
    other.post("/accounts/login/", {"login": "nell@stemma.test", "password": PASSWORD})
    assert "_auth_user_id" not in other.session
