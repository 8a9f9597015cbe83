"""People are listed and invited by a program; where money goes is shown by four characters and changed by no token."""

import pytest
from django.core import mail

from portal.making import ident, problem
from stemma_portal.accounts import tasks
from stemma_portal.accounts.models import Invitation, Membership
from stemma_portal.royalties.payees import Payee, payment_details_set

pytestmark = [pytest.mark.services, pytest.mark.django_db]
KEY = "f0b9a7b2-7d0f-4d5f-8a55-7c1d0a6a3c55"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A worker that mails as soon as it is committed."""
    monkeypatch.setattr(tasks.invitation_tell, "delay", tasks.invitation_tell)


def asked(cast, **changes):
    return {"organisation": cast.label.id, "email": "Erika@example.com", "role": "editor", **changes}


def test_members_of_ones_own_organisations_are_listed(api, cast):
    listed = api("teammate").get("members").json()["items"]
    assert {row["email"]: row["role"] for row in listed} == {cast.owner.email: "owner", cast.teammate.email: "member"}
    assert {row["organisation"] for row in listed} == {cast.label.id}
    assert api("stranger").get("members", organisation=cast.label.id).json()["items"] == []
    first = api("owner").get("members", limit=1).json()
    assert len(api("owner").get("members", limit=1, cursor=first["next"]).json()["items"]) == 1
    problem(api("owner").get("members", cursor="x"), 422, "cursor")


def test_somebody_is_invited_again_and_taken_back(api, cast):
    owner = api("owner")
    made = owner.post("invitations", asked(cast, reason="Our catalog."))
    assert made.status_code == 201, made.content
    assert (made.json()["email"], made.json()["role"]) == ("erika@example.com", "editor")
    assert [message.to for message in mail.outbox] == [["erika@example.com"]]
    token = Invitation.objects.get().nonce
    assert token not in made.content.decode()
    assert owner.get("invitations").json()["items"] == [made.json()]
    again = owner.post(f"invitations/{made.json()['id']}/resending")
    assert again.status_code == 200
    assert Invitation.objects.get().nonce != token
    assert len(mail.outbox) == 2
    assert owner.send("DELETE", f"invitations/{made.json()['id']}").status_code == 204
    assert owner.get("invitations").json()["items"] == []
    problem(owner.post(f"invitations/{made.json()['id']}/resending"), 409, "conflict")


def test_an_invitation_sent_twice_with_one_key_is_mailed_once(api, cast):
    owner = api("owner")
    first = owner.post("invitations", asked(cast), idempotency_key=KEY)
    again = owner.post("invitations", asked(cast), idempotency_key=KEY)
    assert first.content == again.content
    assert again["Idempotent-Replayed"] == "true"
    problem(owner.post("invitations", asked(cast, role="owner"), idempotency_key=KEY), 422, "idempotency-key-reused")
    assert len(mail.outbox) == 1
    gone = owner.send("DELETE", f"invitations/{first.json()['id']}", idempotency_key="gone")
    assert owner.send("DELETE", f"invitations/{first.json()['id']}", idempotency_key="gone").content == gone.content


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "erika"},
        {"email": ""},
        {"email": "a@b.example\nBcc: c@d.example"},
        {"email": "a@" + "b" * 300 + ".example"},
        {"role": "king"},
        {"reason": "x" * 501},
        {"reason": "a\x00b"},
        {"organisation": "label"},
        {"party": ident("party")},
    ],
)
def test_invitations_that_are_none_are_refused(api, cast, wrong):
    assert problem(api("owner").post("invitations", asked(cast, **wrong)), 422, "invalid")["errors"]
    assert not Invitation.objects.exists()
    assert not mail.outbox


def test_who_belongs_already_is_not_invited(api, cast):
    problem(api("owner").post("invitations", asked(cast, email=cast.teammate.email)), 409, "conflict")


def test_only_owners_invite_and_see_who_is_invited(api, cast):
    made = api("owner").post("invitations", asked(cast)).json()
    problem(api("stranger").post("invitations", asked(cast)), 404)
    for who in ("teammate", "rights"):
        problem(api(who).post("invitations", asked(cast)), 403)
    for who in ("teammate", "stranger", "rights"):
        assert api(who).get("invitations").json()["items"] == []
        problem(api(who).post(f"invitations/{made['id']}/resending"), 404)
        problem(api(who).send("DELETE", f"invitations/{made['id']}"), 404)
    problem(api("owner").get("invitations", cursor="x"), 422, "cursor")
    Membership.objects.filter(user=cast.owner).update(role="editor")
    assert api("owner").get("invitations").json()["items"] == []
    assert Invitation.objects.get().revoked_at is None


def test_where_money_goes_is_shown_by_four_characters(redis, api, cast, catalog):
    party, owner = catalog["Label"], api("owner")
    address = f"parties/{party.id}/payment-details"
    assert owner.get(address).json() == {"party": party.id, "in_use": None, "history": []}
    payee = Payee(
        holder="Label GmbH", iban="DE89370400440532013000", bic="", address="Weg 1\n10115 Berlin", tax_country="DE"
    )
    payment_details_set(party=party, payee=payee, by=cast.owner)
    answer = owner.get(address)
    [shown] = answer.json()["history"]
    assert (shown["last4"], shown["country"], shown["version"]) == ("3000", "DE", 1)
    assert answer.json()["in_use"] is None
    for secret in ("DE8937", "Label GmbH", "Weg 1"):
        assert secret not in answer.content.decode()
    for who in ("stranger", "rights", "operator", "licensee"):
        problem(api(who).get(address), 404)


def test_no_token_changes_where_money_goes(api, catalog):
    address = f"parties/{catalog['Label'].id}/payment-details"
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        assert api("owner").send(method, address, {"iban": "DE89370400440532013000"}).status_code == 405
