"""All owners must agree: who is missing, how they are asked in, what it may earn."""

import pytest
from django.test import Client

from portal.making import SCOPES
from stemma_portal.accounts.models import Invitation, Organisation
from stemma_portal.consent.outlook import outlook
from stemma_portal.consent.selectors import owners_missing
from stemma_portal.consent.services import consent_grant, consent_withdraw
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def granted_one_side(covenant, cast, catalog):
    return consent_grant(party=catalog["Label"], recordings="all", scopes=SCOPES, by=cast.owner)


def test_an_owner_sees_whose_yes_is_missing_until_it_is_given(granted_one_side, cast, catalog, recordings):
    (missing,) = owners_missing(catalog["Label"].id)
    assert (missing.party.name, missing.recordings, missing.organisation) == ("Artist", 3, False)
    page = signed_in(cast.owner).get("/consent/missing/").content.decode()
    assert "Artist" in page
    assert "1 other owner" in signed_in(cast.owner).get("/consent/").content.decode()

    ids = [recordings[0].id, recordings[1].id]
    answer = consent_grant(party=catalog["Artist"], recordings=ids, scopes=SCOPES, by=cast.rights)
    assert owners_missing(catalog["Label"].id)[0].recordings == 1
    consent_withdraw(consent=answer, recording_id=ids[0], by=cast.rights)
    assert owners_missing(catalog["Label"].id)[0].recordings == 2
    consent_grant(party=catalog["Artist"], recordings="all", scopes=SCOPES, by=cast.rights)
    assert owners_missing(catalog["Label"].id) == []
    assert "Nobody is missing" in signed_in(cast.owner).get("/consent/missing/").content.decode()


def test_a_yes_to_something_else_is_no_yes_to_training(granted_one_side, cast, catalog):
    consent_grant(party=catalog["Artist"], recordings="all", scopes=["data_mining"], by=cast.rights)
    assert owners_missing(catalog["Label"].id)[0].recordings == 3


def test_a_missing_owner_that_the_label_brought_is_invited(granted_one_side, cast, catalog, redis):
    page = signed_in(cast.owner)
    form = {"party": catalog["Artist"].id, "email": "artist@stemma.test"}
    told = page.post("/consent/missing/", form).content.decode()
    assert "was not brought by Label" in told
    assert 'value="artist@stemma.test"' in told, "what was written is not lost"
    type(catalog["Artist"]).objects.filter(id=catalog["Artist"].id).update(introduced_by=cast.label)
    assert "no e-mail address" in page.post("/consent/missing/", {**form, "email": "x"}).content.decode()
    assert page.post("/consent/missing/", form).status_code == 302
    assert Invitation.objects.get().party_id == catalog["Artist"].id
    assert "Invite again" in page.get("/consent/missing/").content.decode()


def test_staff_invite_any_missing_owner(granted_one_side, cast, catalog, redis):
    address = f"/consent/missing/?party={catalog['Label'].id}"
    form = {"party": catalog["Artist"].id, "email": "artist@stemma.test"}
    assert signed_in(cast.rights).post(address, form).status_code == 302
    assert Invitation.objects.get().inviting is None


def test_a_missing_owner_who_is_here_is_reminded_once_a_day(granted_one_side, cast, catalog, redis):
    page = signed_in(cast.owner)
    Organisation.objects.filter(id=cast.studio.id).update(party=catalog["Artist"])
    assert "Remind" in page.get("/consent/missing/").content.decode()
    for _ in range(2):
        page.post("/consent/missing/", {"party": catalog["Artist"].id})
    notice = Notice.objects.get()
    assert (notice.user_id, notice.title) == (cast.licensee.id, "Label waits for your yes")
    assert not Invitation.objects.exists()


def test_nobody_is_asked_who_is_not_missing(granted_one_side, cast, catalog):
    told = signed_in(cast.owner).post("/consent/missing/", {"party": catalog["Other"].id, "email": "a@stemma.test"})
    assert told.status_code == 200
    assert not Invitation.objects.exists()


def test_teammates_look_and_invite_nobody(granted_one_side, cast, catalog):
    page = signed_in(cast.teammate)
    assert page.get("/consent/missing/").status_code == 200
    form = {"party": catalog["Artist"].id, "email": "a@stemma.test"}
    assert page.post("/consent/missing/", form).status_code == 403
    assert not Invitation.objects.exists()


def test_without_closed_periods_nothing_is_promised(db):
    assert outlook() is None
