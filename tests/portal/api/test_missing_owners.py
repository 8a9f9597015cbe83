"""Whose yes is missing, and how a program asks for it."""

import pytest

from portal.making import SCOPES, ident, problem
from stemma_portal.accounts.models import Invitation, Organisation
from stemma_portal.consent.services import consent_grant
from stemma_portal.core.models import AuditEvent
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def artist(redis, covenant, cast, catalog):
    """Whose yes is missing to what the label has granted; the label's catalog brought the name."""
    consent_grant(party=catalog["Label"], recordings="all", scopes=SCOPES, by=cast.owner)
    catalog["Artist"].introduced_by = cast.label
    catalog["Artist"].save()
    return catalog["Artist"]


@pytest.fixture
def address(artist, catalog) -> str:
    return f"parties/{catalog['Label'].id}/missing-owners"


def test_who_is_missing_is_listed_with_who_was_invited(api, address, artist):
    owner = api("owner")
    [row] = owner.get(address).json()["items"]
    assert row == {"party": artist.id, "name": "Artist", "recordings": 3, "here": False, "invited": None}
    asked = owner.post(f"{address}/{artist.id}/asking", {"email": "artist@stemma.test"})
    assert (asked.status_code, asked.json()) == (201, {"party": artist.id, "invited": "artist@stemma.test"})
    assert owner.get(address).json()["items"][0]["invited"] == "artist@stemma.test"
    assert Invitation.objects.get().party_id == artist.id
    assert AuditEvent.objects.get(request=asked["X-Request-Id"]).action == "invitation.send"


def test_who_is_here_is_reminded_once_a_day(api, cast, address, artist):
    Organisation.objects.filter(id=cast.other.id).update(party=artist)
    Notice.objects.all().delete()
    owner = api("owner")
    assert owner.get(address).json()["items"][0]["here"] is True
    asked = owner.post(f"{address}/{artist.id}/asking", {})
    assert asked.json() == {"party": artist.id, "invited": None}
    assert owner.post(f"{address}/{artist.id}/asking", {}).status_code == 201
    assert Notice.objects.get(title="Label waits for your yes").user_id == cast.stranger.id
    assert AuditEvent.objects.filter(action="consent.remind").count() == 1


def test_asking_is_refused_with_what_to_do(api, cast, address, artist, catalog):
    owner = api("owner")
    problem(owner.post(f"{address}/{artist.id}/asking", {}), 422, "email")
    problem(owner.post(f"{address}/{artist.id}/asking", {"email": "artist"}), 422, "invalid")
    problem(owner.post(f"{address}/{catalog['Other'].id}/asking", {"email": "a@b.example"}), 422, "not-missing")
    problem(owner.post(f"{address}/{ident('x')}/asking", {"email": "a@b.example"}), 422, "not-missing")
    type(artist).objects.update(introduced_by=None)
    problem(owner.post(f"{address}/{artist.id}/asking", {"email": "a@b.example"}), 403)
    assert not Invitation.objects.exists()


def test_teammates_look_and_strangers_find_nothing(api, address, artist):
    assert len(api("teammate").get(address).json()["items"]) == 1
    problem(api("teammate").post(f"{address}/{artist.id}/asking", {"email": "a@b.example"}), 403)
    for who in ("stranger", "licensee"):
        problem(api(who).get(address), 404)
        problem(api(who).post(f"{address}/{artist.id}/asking", {"email": "a@b.example"}), 404)
