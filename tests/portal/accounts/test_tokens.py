"""Tokens, with which programs act as a person."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from portal.making import Api, problem
from stemma.ids import now
from stemma_portal.accounts.models import Token
from stemma_portal.accounts.selectors import user_of_token
from stemma_portal.accounts.services import MOST_TOKENS, token_create, token_revoke
from stemma_portal.core.models import AuditEvent
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_a_token_speaks_for_its_account_and_is_kept_as_a_hash(cast):
    token, secret = token_create(user=cast.operator, name="laptop", by=cast.operator)
    assert secret.startswith("stp_")
    assert len(secret) > 40
    assert user_of_token(secret) == cast.operator
    assert secret not in str(Token.objects.values().get(id=token.id))
    assert Token.objects.get(id=token.id).last_used is not None


@pytest.mark.parametrize("secret", ["", "stp_", "stp_nothing", "x" * 10_000, "\x00"])
def test_nonsense_speaks_for_nobody(cast, secret):
    assert user_of_token(secret) is None


def test_a_token_ends(cast):
    token, secret = token_create(user=cast.operator, name="a", by=None)
    token_revoke(token=token, by=None)
    assert user_of_token(secret) is None
    _, secret = token_create(user=cast.operator, name="b", expires_at=now() - timedelta(seconds=1), by=None)
    assert user_of_token(secret) is None
    _, secret = token_create(user=cast.operator, name="c", by=None)
    cast.operator.is_active = False
    cast.operator.save()
    assert user_of_token(secret) is None


def test_using_a_token_often_writes_seldom(cast, django_assert_num_queries):
    _, secret = token_create(user=cast.operator, name="a", by=None)
    user_of_token(secret)
    with django_assert_num_queries(1):
        user_of_token(secret)


# --- The pages --------------------------------------------------------------------------------------


@pytest.fixture
def browser(cast, redis) -> Client:
    """A browser whose owner has just shown again who they are."""
    client = Client()
    client.force_login(cast.owner)
    client.post("/accounts/reauthenticate/", {"password": "correct horse"})
    return client


def made(browser: Client, **said) -> str:
    """The secret of a new token, as the page shows it this once."""
    page = browser.post("/tokens/new/", {"name": "script", "days": "30", **said}).content.decode()
    found = re.search(r"<pre[^>]*>(stp_[^<]+)</pre>", page)
    assert found, page
    return found[1]


def test_a_person_makes_a_token_and_their_program_acts_as_them(browser, cast):
    assert "No program speaks for you" in browser.get("/tokens/").content.decode()
    secret = made(browser)
    assert Api(secret).get("members").json()["items"]
    token = Token.objects.get(user=cast.owner)
    assert timedelta(days=29) < token.expires_at - now() <= timedelta(days=30)
    page = browser.get("/tokens/").content.decode()
    assert ">script<" in page
    assert secret not in page
    notice = Notice.objects.get()
    assert (notice.user, notice.topic, notice.mail) == (cast.owner, "account", "at-once")
    assert (notice.href, "“script”" in notice.title) == ("/tokens/", True)
    event = AuditEvent.objects.get(action="token.create")
    assert (event.actor, event.subject, secret in str(event.detail)) == (cast.owner.email, token.id, False)


def test_who_makes_a_token_shows_again_who_they_are(cast, redis):
    browser = Client()
    browser.force_login(cast.owner)
    answer = browser.post("/tokens/new/", {"name": "script", "days": "30"})
    assert "/accounts/reauthenticate/" in answer["Location"]
    assert not Token.objects.exists()


def test_a_token_is_ended_on_its_page_or_by_a_program(browser, cast):
    first, second = made(browser), made(browser, name="other")
    token = Token.objects.get(name="script")
    assert browser.post(f"/tokens/{token.id}/revocation/").status_code == 302
    problem(Api(first).get("members"), 401)
    rows = {row["name"]: row for row in Api(second).get("tokens").json()["items"]}
    assert {name: row["state"] for name, row in rows.items()} == {"script": "revoked", "other": "active"}
    assert not {"secret", "sha256"} & rows["other"].keys()
    for _ in range(2):
        assert browser.post(f"/tokens/{token.id}/revocation/").status_code == 302
    assert AuditEvent.objects.filter(action="token.revoke").count() == 1, "ending it again changes nothing"
    assert Api(second).send("DELETE", f"tokens/{rows['other']['id']}").status_code == 204
    problem(Api(second).get("tokens"), 401)


@pytest.mark.parametrize("who", ["stranger", "teammate", "rights", "operator"])
def test_nobody_else_sees_or_ends_a_token(browser, cast, api, who):
    secret = made(browser)
    token = Token.objects.get(name="script")
    assert token.id not in api(who).get("tokens").content.decode()
    problem(api(who).send("DELETE", f"tokens/{token.id}"), 404)
    other = Client(raise_request_exception=False)
    other.force_login(getattr(cast, who))
    assert other.post(f"/tokens/{token.id}/revocation/").status_code == 404
    assert user_of_token(secret) == cast.owner


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "a\u202eb"}, "turn the direction"),
        ({"days": "367"}, "less than or equal to 366"),
        ({"days": "0"}, "greater than or equal to 1"),
        ({"days": ""}, "This field is required"),
    ],
)
def test_what_is_no_token_is_told_at_its_field(browser, said, told):
    page = browser.post("/tokens/new/", {"name": "script", "days": "30", **said}).content.decode()
    assert told in page
    assert not Token.objects.exists()


def test_no_more_tokens_than_one_can_know(browser, cast):
    for number in range(MOST_TOKENS):
        token_create(user=cast.owner, name=str(number), by=cast.owner)
    page = browser.post("/tokens/new/", {"name": "script", "days": "30"}).content.decode()
    assert "tokens speak for you already" in page
    token_revoke(token=Token.objects.first(), by=cast.owner)
    made(browser)
    assert browser.get("/tokens/").content.decode().count("<tr>") == 26, "the list comes in pages"
