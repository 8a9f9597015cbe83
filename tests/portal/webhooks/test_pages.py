"""The pages of webhooks."""

import re

import pytest
from django.test import Client

from stemma_portal.webhooks.models import Endpoint
from stemma_portal.webhooks.services import endpoint_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def local(settings_changed):
    settings_changed(webhook_private_hosts="localhost")


@pytest.fixture
def owner(cast, redis):
    client = Client()
    signed = client.post("/accounts/login/", {"login": cast.owner.email, "password": "correct horse"})
    assert signed.status_code == 302
    assert client.post("/accounts/reauthenticate/", {"password": "correct horse"}).status_code == 302
    return client


@pytest.fixture
def teammate(cast):
    client = Client()
    client.force_login(cast.teammate)
    return client


def test_an_owner_adds_an_address_and_sees_its_secret_once(owner, cast):
    assert "Nobody is told yet" in owner.get("/webhooks/").content.decode()
    page = owner.post("/webhooks/new/", {"url": "https://localhost/hook", "events": ["claim.news"]}).content.decode()
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", page)[0]
    endpoint = Endpoint.objects.get(organisation=cast.label)
    later = owner.get(f"/webhooks/{endpoint.id}/").content.decode()
    assert secret not in later
    assert endpoint.secrets.get().public in later
    rotated = owner.post(f"/webhooks/{endpoint.id}/keys/").content.decode()
    assert secret not in rotated
    assert "whsec_" in rotated
    for action, active in (("off", False), ("on", True)):
        owner.post(f"/webhooks/{endpoint.id}/action/", {"action": action})
        assert Endpoint.objects.get().active is active
    owner.post(f"/webhooks/{endpoint.id}/action/", {"action": "remove"})
    assert not Endpoint.objects.exists()


def test_a_bad_address_is_told_at_its_field(owner):
    page = owner.post("/webhooks/new/", {"url": "http://10.0.0.1/"}).content.decode()
    assert "A webhook goes to an https address." in page
    assert not Endpoint.objects.exists()


def test_a_teammate_looks_and_changes_nothing(teammate, cast):
    endpoint = endpoint_create(organisation=cast.label, url="https://localhost/", by=cast.owner).endpoint
    assert endpoint.url in teammate.get("/webhooks/").content.decode()
    assert "Remove" not in teammate.get(f"/webhooks/{endpoint.id}/").content.decode()
    assert teammate.post(f"/webhooks/{endpoint.id}/action/", {"action": "remove"}).status_code == 403
    assert Endpoint.objects.exists()


def test_the_keys_are_shown_only_to_whoever_has_just_signed_in(teammate):
    answer = teammate.get("/webhooks/new/")
    assert answer.status_code == 302
    assert "reauthenticate" in answer["Location"]
