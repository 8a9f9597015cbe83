import time

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value
from django.contrib.auth.hashers import identify_hasher
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client

from stemma_portal.accounts.models import User
from stemma_portal.accounts.services import user_create
from stemma_portal.config import settings as project

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def browser(redis) -> Client:
    from django.core.cache import cache

    cache.clear()  # sign-in is limited in rate
    return Client()


PASSWORD = "correct horse"


def sign_in(browser: Client, email: str, password: str = PASSWORD):
    return browser.post("/accounts/login/", {"login": email, "password": password})


def test_people_sign_in_by_e_mail_in_any_case(cast, browser):
    response = sign_in(browser, "Owner@Stemma.TEST")
    assert (response.status_code, response["Location"]) == (302, "/")
    assert browser.session["_auth_user_id"] == cast.owner.id


def test_a_wrong_password_does_not_sign_in(cast, browser):
    assert sign_in(browser, "owner@stemma.test", "wrong").status_code == 200
    assert "_auth_user_id" not in browser.session


@pytest.mark.parametrize("kind", ["totp", "recovery code"])
def test_with_a_second_step_a_password_alone_signs_nobody_in(cast, browser, kind, settings):
    settings.MFA_TOTP_TOLERANCE = 4  # steps of half a minute, which a slow machine may let pass
    secret = generate_totp_secret()
    TOTP.activate(cast.owner, secret)
    codes = RecoveryCodes.activate(cast.owner)
    code = f"{hotp_value(secret, int(time.time()) // 30):06d}" if kind == "totp" else codes.get_unused_codes()[0]
    answer = sign_in(browser, "owner@stemma.test")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/authenticate/")
    assert "_auth_user_id" not in browser.session
    assert browser.get("/catalog/").status_code == 302
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
    assert browser.post("/accounts/2fa/authenticate/", {"code": wrong}).status_code == 200
    assert "_auth_user_id" not in browser.session
    answer = browser.post("/accounts/2fa/authenticate/", {"code": code})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert browser.session["_auth_user_id"] == cast.owner.id
    # Neither is good for a second time.
    again = Client()
    sign_in(again, "owner@stemma.test")
    assert again.post("/accounts/2fa/authenticate/", {"code": code}).status_code == 200
    assert "_auth_user_id" not in again.session


def test_guessing_is_limited(cast, browser):
    answers = {sign_in(browser, "owner@stemma.test", f"guess {n}").status_code for n in range(12)}
    assert sign_in(browser, "owner@stemma.test").status_code in {200, 429}
    assert "_auth_user_id" not in browser.session
    assert answers <= {200, 429}


def test_an_address_is_one_account_in_any_case(cast):
    with pytest.raises(IntegrityError), transaction.atomic():
        user_create(email="OWNER@stemma.test", name="", password=None, by=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(id=cast.owner.id).update(email="Owner@stemma.test")


def test_passwords_are_kept_with_argon2(settings, db):
    settings.PASSWORD_HASHERS = project.PASSWORD_HASHERS
    user = user_create(email="a@stemma.test", name="A", password="correct horse", by=None)
    assert identify_hasher(user.password).algorithm == "argon2"
    assert user.check_password("correct horse")


def test_somebody_without_a_password_cannot_sign_in_with_one(browser, db):
    user_create(email="a@stemma.test", name="A", password=None, by=None)
    for password in ("", "None", "!"):
        sign_in(browser, "a@stemma.test", password)
        assert "_auth_user_id" not in browser.session


def test_migrations_say_all_that_the_models_say(db):
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
