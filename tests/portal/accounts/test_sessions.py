"""Where somebody is signed in, and what happens to sign-in when its memory is away."""

import pytest
from django.core.cache import cache
from django.test import Client

from stemma_portal.core.models import AuditEvent

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def signed_in(agent: str, email: str = "owner@stemma.test") -> Client:
    client = Client(headers={"user-agent": agent})
    client.post("/accounts/login/", {"login": email, "password": "correct horse"})
    assert "_auth_user_id" in client.session
    client.get("/")
    return client


@pytest.fixture(autouse=True)
def _fresh(redis):
    cache.clear()


def test_somebody_sees_where_they_are_signed_in_and_ends_the_others(cast):
    here, there = signed_in("Here/1.0"), signed_in("There/2.0")
    signed_in("Theirs/3.0", "stranger@stemma.test")
    page = here.get("/accounts/sessions/").content.decode()
    assert "Here/1.0" in page
    assert "There/2.0" in page
    assert "Theirs/3.0" not in page
    here.post("/accounts/sessions/")
    assert there.get("/organisation/team/").status_code == 302
    [event] = AuditEvent.objects.filter(action="session.end")
    assert (event.actor, event.subject, event.detail["agent"]) == (cast.owner.email, cast.owner.id, "There/2.0")
    assert here.get("/organisation/team/").status_code == 200


def test_without_its_memory_nobody_signs_in(cast, settings, closed_port):
    """Guesses are counted in Redis: while it is away there is no sign-in rather than one without limit."""
    settings.CACHES = {
        **settings.CACHES,
        "default": {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{closed_port}/0"},
    }
    client = Client(raise_request_exception=False)
    answer = client.post("/accounts/login/", {"login": "owner@stemma.test", "password": "correct horse"})
    assert answer.status_code == 503
    assert "sessionid" not in client.cookies
