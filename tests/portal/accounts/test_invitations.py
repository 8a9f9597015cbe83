"""Invitations as their reader meets them: a mail, a link, and what it opens."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from portal.making import problem
from stemma.ids import now
from stemma_portal.accounts.invitations import (
    invitation_revoke,
    invite,
    invite_for_party,
    link_of,
    links_waiting,
)
from stemma_portal.accounts.models import Invitation, Membership, Organisation, User
from stemma_portal.accounts.services import user_create
from stemma_portal.accounts.tasks import invitation_tell
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.models import AuditEvent

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch, redis):
    """A worker that takes each mail as soon as it is committed."""
    monkeypatch.setattr(invitation_tell, "delay", invitation_tell)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def surely(user: User) -> Client:
    """A browser whose owner has just shown again who they are."""
    client = signed_in(user)
    assert client.post("/accounts/reauthenticate/", {"password": "correct horse"}).status_code == 302
    return client


def path_of(invitation: Invitation) -> str:
    return re.sub(r"^https?://[^/]+", "", link_of(invitation))


def newcomer(email: str = "new@stemma.test") -> User:
    return user_create(email=email, name="New", password="correct horse", by=None)


def test_an_owner_invites_and_the_one_invited_joins(cast, committed, mailoutbox):
    with committed():
        response = signed_in(cast.owner).post("/organisation/team/", {"email": "New@Stemma.test", "role": "editor"})
    assert response.status_code == 302
    (mail,) = mailoutbox
    assert mail.to == ["new@stemma.test"]
    link = re.search(r"http\S+/invitations/\S+/", mail.body)[0]
    user = newcomer()
    page = signed_in(user)
    assert "Join Label" in page.get(re.sub(r"^https?://[^/]+", "", link)).content.decode()
    assert page.post(re.sub(r"^https?://[^/]+", "", link)).status_code == 302
    assert cast.label.memberships.get(user=user).role == Membership.Role.EDITOR
    told = AuditEvent.objects.filter(action="invitation.accept").get()
    assert told.actor == user.email


def test_accepting_again_changes_nothing(cast):
    invitation = invite(organisation=cast.label, email="new@stemma.test", role="member", by=cast.owner)
    page = signed_in(newcomer())
    for _ in range(2):
        assert page.post(path_of(invitation)).status_code == 302
    assert cast.label.memberships.filter(user__email="new@stemma.test").count() == 1


def test_somebody_else_cannot_accept(cast):
    invitation = invite(organisation=cast.label, email="new@stemma.test", role="owner", by=cast.owner)
    response = signed_in(cast.stranger).post(path_of(invitation))
    assert response.status_code == 403
    assert "This invitation is for new@stemma.test" in response.content.decode()
    assert not cast.label.memberships.filter(user=cast.stranger).exists()


def test_a_link_that_was_sent_anew_run_out_or_taken_back_opens_nothing(cast, committed, mailoutbox):
    invitation = invite(organisation=cast.label, email="new@stemma.test", role="member", by=cast.owner)
    first = path_of(invitation)
    with committed():
        signed_in(cast.owner).post(f"/organisation/invitations/{invitation.id}/", {"action": "resend"})
    assert len(mailoutbox) == 1
    page = signed_in(newcomer())
    assert page.post(first).status_code == 409
    invitation.refresh_from_db()
    second = path_of(invitation)
    assert page.get(second).status_code == 200
    Invitation.objects.filter(id=invitation.id).update(expires_at=now() - timedelta(seconds=1))
    assert "has run out" in page.post(second).content.decode()
    Invitation.objects.filter(id=invitation.id).update(expires_at=now() + timedelta(days=1))
    invitation_revoke(invitation=invitation, by=cast.owner)
    assert page.post(second).status_code == 409
    assert not cast.label.memberships.filter(user__email="new@stemma.test").exists()


@pytest.mark.parametrize("token", ["x", "a:b:c", "%00", "é" * 300])
def test_nonsense_is_no_invitation(client, db, token):
    assert client.get(f"/invitations/{token}/").status_code == 404


def test_inviting_the_same_person_twice_is_one_invitation(cast):
    one = invite(organisation=cast.label, email="new@stemma.test", role="member", by=cast.owner)
    two = invite(organisation=cast.label, email="NEW@stemma.test", role="owner", by=cast.owner)
    assert one.id == two.id
    assert Invitation.objects.get().role == Membership.Role.OWNER
    with pytest.raises(ConflictError, match="belongs to Label already"):
        invite(organisation=cast.label, email="teammate@stemma.test", role="owner", by=cast.owner)


@pytest.mark.parametrize("who", ["teammate", "stranger", "rights"])
def test_only_owners_invite(cast, who):
    response = surely(getattr(cast, who)).post("/organisation/team/", {"email": "a@b.test", "role": "owner"})
    assert not Invitation.objects.filter(organisation=cast.label).exists()
    if who == "teammate":
        assert response.status_code == 403


def test_roles_change_and_an_organisation_keeps_an_owner(cast):
    mine, theirs = (cast.label.memberships.get(user=user) for user in (cast.owner, cast.teammate))
    page = surely(cast.owner)
    answer = page.post(f"/organisation/team/{mine.id}/", {"role": "member"}, follow=True)
    assert "keeps at least one owner" in answer.content.decode()
    answer = page.post(f"/organisation/team/{mine.id}/", {"action": "remove"}, follow=True)
    assert "keeps at least one owner" in answer.content.decode()
    page.post(f"/organisation/team/{theirs.id}/", {"role": "owner"})
    page.post(f"/organisation/team/{mine.id}/", {"action": "remove"})
    assert set(cast.label.memberships.values_list("user__email", "role")) == {("teammate@stemma.test", "owner")}
    assert signed_in(cast.owner).get(f"/organisation/team/{theirs.id}/").status_code in {404, 405}


def test_who_makes_an_owner_shows_again_who_they_are(cast):
    """Owners see to money: a browser that somebody left open must not be enough to become one."""
    theirs, page = cast.label.memberships.get(user=cast.teammate), signed_in(cast.owner)
    for address, said in (
        (f"/organisation/team/{theirs.id}/", {"role": "owner"}),
        ("/organisation/team/", {"email": "a@b.test", "role": "owner"}),
    ):
        assert "/accounts/reauthenticate/" in page.post(address, said)["Location"]
    theirs.refresh_from_db()
    assert theirs.role == Membership.Role.MEMBER
    assert not Invitation.objects.exists()
    answer = page.post("/accounts/reauthenticate/?next=/organisation/team/", {"password": "correct horse"})
    assert answer["Location"] == "/organisation/team/"
    assert Invitation.objects.get().role == Membership.Role.OWNER, "what was written is done then, once"


def test_members_may_leave_and_change_nobody(cast):
    mine, theirs = (cast.label.memberships.get(user=user) for user in (cast.teammate, cast.owner))
    page = surely(cast.teammate)
    assert page.post(f"/organisation/team/{theirs.id}/", {"action": "remove"}).status_code == 403
    assert page.post(f"/organisation/team/{mine.id}/", {"role": "owner"}).status_code == 403
    page.post(f"/organisation/team/{mine.id}/", {"action": "remove"})
    assert list(cast.label.memberships.values_list("user__email", flat=True)) == ["owner@stemma.test"]


def test_an_editor_brings_catalogs_and_signs_nothing(cast, catalog, storage):
    from django.core.files.uploadedfile import SimpleUploadedFile

    cast.label.memberships.filter(user=cast.teammate).update(role="editor")
    page = signed_in(cast.teammate)
    file = SimpleUploadedFile("a.csv", b"Title,ISRC\nTune,QZSTM0000099\n")
    assert page.post("/imports/", {"file": file}).status_code == 302
    assert page.post("/consent/new/", {"recordings": "all"}).status_code in {302, 403}
    from stemma_portal.consent.models import Consent

    assert not Consent.objects.exists()


def rights_holder(catalog, cast):
    party = catalog["Artist"]
    type(party).objects.filter(id=party.id).update(introduced_by=cast.label)
    party.refresh_from_db()
    return party


def test_a_label_invites_an_artist_whom_rights_staff_then_recognise(cast, catalog):
    party = rights_holder(catalog, cast)
    invitation = invite_for_party(
        party=party, email="artist@stemma.test", reason="", inviting=cast.label, by=cast.owner
    )
    artist = newcomer("artist@stemma.test")
    page = signed_in(artist)
    assert "rights staff look" in page.get(path_of(invitation)).content.decode()
    page.post(path_of(invitation))
    made = Organisation.objects.get(memberships__user=artist)
    assert (made.name, made.party_id) == ("Artist", None)
    assert [each.id for each in links_waiting()] == [invitation.id]

    assert (
        signed_in(cast.owner).post("/identities/", {"invitation": invitation.id, "action": "right"}).status_code == 403
    )
    staff = signed_in(cast.rights)
    assert "Artist" in staff.get("/identities/").content.decode()
    staff.post("/identities/", {"invitation": invitation.id, "action": "right"})
    made.refresh_from_db()
    assert made.party_id == party.id
    assert not links_waiting().exists()


def test_rights_staff_may_say_that_it_is_somebody_else(cast, catalog):
    party = rights_holder(catalog, cast)
    invitation = invite_for_party(party=party, email="a@stemma.test", reason="", inviting=cast.label, by=cast.owner)
    signed_in(newcomer("a@stemma.test")).post(path_of(invitation))
    signed_in(cast.rights).post("/identities/", {"invitation": invitation.id, "action": "wrong"})
    assert Organisation.objects.get(memberships__user__email="a@stemma.test").party_id is None
    assert not links_waiting().exists()


def test_rights_staff_decide_by_a_program_too(cast, catalog, api):
    party = rights_holder(catalog, cast)
    invitation = invite_for_party(party=party, email="a@stemma.test", reason="", inviting=cast.label, by=cast.owner)
    place = f"identities/{invitation.id}/decision"
    problem(api("rights").post(place, {"right": True}), 404)
    signed_in(newcomer("a@stemma.test")).post(path_of(invitation))
    for who in ("owner", "licensee"):
        problem(api(who).get("identities"), 403)
        problem(api(who).post(place, {"right": True}), 403)
    made = Organisation.objects.get(memberships__user__email="a@stemma.test")
    [told] = api("rights").get("identities").json()["items"]
    assert (told["invitation"], told["party"], told["organisation"]) == (invitation.id, party.id, made.id)
    assert (told["email"], told["invited_by"]) == ("a@stemma.test", cast.owner.email)
    assert api("rights").post(place, {"right": True}).status_code == 204
    made.refresh_from_db()
    assert made.party_id == party.id
    problem(api("rights").post(place, {"right": False}), 409)
    assert api("rights").get("identities").json()["items"] == []


def test_the_word_of_rights_staff_is_enough(cast, catalog):
    party = catalog["Artist"]
    invitation = invite_for_party(party=party, email="a@stemma.test", reason="", inviting=None, by=cast.rights)
    signed_in(newcomer("a@stemma.test")).post(path_of(invitation))
    assert Organisation.objects.get(memberships__user__email="a@stemma.test").party_id == party.id
    with pytest.raises(ConflictError, match="has an organisation here"):
        invite_for_party(party=party, email="b@stemma.test", reason="", inviting=None, by=cast.rights)


def test_nobody_speaks_for_rights_holders_that_others_brought(cast, catalog):
    party = rights_holder(catalog, cast)
    for by, inviting in ((cast.stranger, cast.other), (cast.teammate, cast.label), (cast.owner, None)):
        with pytest.raises(ForbiddenError):
            invite_for_party(party=party, email="a@stemma.test", reason="", inviting=inviting, by=by)
