"""An organisation's people, domains and trail, as a program keeps them."""

import pytest
from django.test import Client

from portal.making import problem
from stemma_portal.accounts.models import Domain, Membership, SignOn
from stemma_portal.accounts.signing_on import sign_on_set
from stemma_portal.core.models import AuditEvent

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def member(user) -> Membership:
    return Membership.objects.get(user=user)


# --- People -----------------------------------------------------------------------------------------


def test_an_owner_gives_a_teammate_another_role(api, cast):
    address = f"members/{member(cast.teammate).id}"
    changed = api("owner").send("PATCH", address, {"role": "editor"})
    assert (changed.status_code, changed.json()["role"]) == (200, "editor")
    event = AuditEvent.objects.get(request=changed["X-Request-Id"])
    assert (event.action, event.detail["before"], event.detail["after"]) == ("membership.set", "member", "editor")
    problem(api("owner").send("PATCH", address, {"role": "king"}), 422, "invalid")
    problem(api("owner").send("PATCH", address, {}), 422, "invalid")
    assert member(cast.teammate).role == "editor"


def test_no_token_makes_an_owner(redis, api, cast):
    """Whoever owns an organisation says where its money goes, which no token may."""
    address = f"members/{member(cast.teammate).id}"
    problem(api("owner").send("PATCH", address, {"role": "owner"}), 403, "page-only")
    asked = {"organisation": cast.label.id, "email": "a@b.test", "role": "owner"}
    problem(api("owner").post("invitations", asked), 403, "page-only")
    problem(api("stranger").send("PATCH", address, {"role": "owner"}), 404)
    assert member(cast.teammate).role == "member"
    browser = Client()
    browser.force_login(cast.owner)
    address = f"/api/v1/{address}"
    problem(browser.patch(address, {"role": "owner"}, content_type="application/json"), 403, "show-again")
    browser.post("/accounts/reauthenticate/", {"password": "correct horse"})
    assert browser.patch(address, {"role": "owner"}, content_type="application/json").status_code == 200


def test_an_owner_parts_with_a_teammate(api, cast):
    gone = api("owner").send("DELETE", f"members/{member(cast.teammate).id}")
    assert gone.status_code == 204
    assert AuditEvent.objects.get(request=gone["X-Request-Id"]).action == "membership.remove"
    assert [row["email"] for row in api("owner").get("members").json()["items"]] == [cast.owner.email]


def test_everybody_may_leave_and_change_nothing_else(api, cast):
    own, owners = member(cast.teammate), member(cast.owner)
    problem(api("teammate").send("PATCH", f"members/{own.id}", {"role": "owner"}), 403)
    problem(api("teammate").send("DELETE", f"members/{owners.id}"), 403)
    assert api("teammate").send("DELETE", f"members/{own.id}").status_code == 204
    problem(api("teammate").send("DELETE", f"members/{own.id}"), 404)


def test_an_organisation_keeps_an_owner(api, cast):
    address = f"members/{member(cast.owner).id}"
    problem(api("owner").send("DELETE", address), 422, "last-owner")
    problem(api("owner").send("PATCH", address, {"role": "member"}), 422, "last-owner")
    assert member(cast.owner).role == "owner"


# --- Domains ----------------------------------------------------------------------------------------


def test_a_domain_is_named_and_removed_and_counts_once_it_is_proved(api, cast):
    owner = api("owner")
    made = owner.post("domains", {"organisation": cast.label.id, "name": "Label.Invalid"})
    assert made.status_code == 201, made.content
    said = made.json()
    assert (said["name"], said["proved_at"], said["proved_by"]) == ("label.invalid", None, "")
    assert said["file"] == "https://label.invalid/.well-known/stemma-domain.txt"
    assert said["line"].startswith("stemma-domain=")
    assert owner.post("domains", {"organisation": cast.label.id, "name": "label.invalid"}).json() == said
    problem(owner.post(f"domains/{said['id']}/proof"), 422, "host")
    assert owner.get("domains", organisation=cast.label.id).json()["items"] == [said]
    assert owner.send("DELETE", f"domains/{said['id']}").status_code == 204
    assert owner.get("domains").json()["items"] == []
    actions = AuditEvent.objects.filter(subject=cast.label.id, action__startswith="domain.").order_by("id")
    assert [event.action for event in actions] == ["domain.add", "domain.remove"]


@pytest.mark.parametrize("name", ["gmail.com", "label", "a b.example", "-.example", "x" * 250 + ".example", "\x00.de"])
def test_what_is_nobodys_own_domain_is_refused(api, cast, name):
    problem(api("owner").post("domains", {"organisation": cast.label.id, "name": name}), 422)
    assert not Domain.objects.exists()


def test_operators_vouch_for_a_domain_and_other_staff_only_look(api, cast):
    made = api("owner").post("domains", {"organisation": cast.label.id, "name": "label.example"}).json()
    assert [row["id"] for row in api("rights").get("domains").json()["items"]] == [made["id"]]
    problem(api("rights").post(f"domains/{made['id']}/proof"), 403)
    problem(api("teammate").send("DELETE", f"domains/{made['id']}"), 403)
    problem(api("stranger").send("DELETE", f"domains/{made['id']}"), 404)
    assert api("teammate").get("domains").json()["items"] == []
    vouched = api("operator").post(f"domains/{made['id']}/proof").json()
    assert vouched["proved_by"] == cast.operator.email
    assert api("rights").get("domains").json()["items"] == []
    other = api("stranger").post("domains", {"organisation": cast.other.id, "name": "label.example"}).json()
    problem(api("operator").post(f"domains/{other['id']}/proof"), 409, "conflict")


def test_a_browser_shows_again_who_it_is_before_domains_change(redis, cast):
    browser = Client()
    browser.force_login(cast.owner)
    asked = {"organisation": cast.label.id, "name": "label.example"}
    refused = browser.post("/api/v1/domains", asked, content_type="application/json")
    problem(refused, 403, "show-again")
    browser.post("/accounts/reauthenticate/", {"password": "correct horse"})
    assert browser.post("/api/v1/domains", asked, content_type="application/json").status_code == 201


# --- Sign-on ----------------------------------------------------------------------------------------


def test_owners_read_their_sign_on_and_no_answer_holds_its_secret(redis, api, cast):
    address = f"organisations/{cast.label.id}/sign-on"
    before = api("owner").get(address).json()
    assert before["provider"] is None
    for name in ("callback", "acs", "metadata"):
        assert before[name].startswith("http://testserver/accounts/"), before
        assert "/label/" in before[name]
    given = {"issuer": "https://id.label.example", "client_id": "stemma", "secret": "hush-hush"}
    sign_on_set(organisation=cast.label, kind="oidc", by=cast.owner, **given)
    answer = api("owner").get(address)
    told = answer.json()["provider"]
    assert (told["kind"], told["issuer"], told["client_id"]) == ("oidc", given["issuer"], "stemma")
    assert (told["required"], told["enabled"], told["certificate"]) == (False, True, "")
    assert "hush" not in answer.content.decode()
    assert {"secret"}.isdisjoint(told)
    assert {name: answer.json()[name] for name in ("callback", "acs", "metadata")}.items() <= before.items()
    page = Client()
    page.force_login(cast.owner)
    page.post("/accounts/reauthenticate/", {"password": "correct horse"})
    shown = page.get("/organisation/sign-on/").content.decode()
    for name in ("callback", "acs", "metadata"):
        assert f"<code>{before[name]}</code>" in shown, "the page says the same"


@pytest.mark.parametrize(("who", "status"), [("teammate", 403), ("stranger", 404), ("rights", 403), ("operator", 403)])
def test_nobody_else_reads_a_sign_on(api, cast, who, status):
    problem(api(who).get(f"organisations/{cast.label.id}/sign-on"), status)


def test_no_token_says_who_signs_in(api, cast):
    said = {"kind": "oidc", "issuer": "https://id.evil.example", "client_id": "x", "secret": "x"}
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        assert api("owner").send(method, f"organisations/{cast.label.id}/sign-on", said).status_code == 405
    assert not SignOn.objects.exists()


# --- What was done ----------------------------------------------------------------------------------


@pytest.fixture
def done(api, cast):
    for who, organisation in (("owner", cast.label), ("stranger", cast.other)):
        for name in (f"{who}.example", f"{who}s.example"):
            api(who).post("domains", {"organisation": organisation.id, "name": name})


def test_an_owner_reads_what_their_people_did_and_nobody_elses(api, cast, done):
    items = api("owner").get("trail", action="domain.").json()["items"]
    assert [row["detail"]["domain"] for row in items] == ["owners.example", "owner.example"]
    assert {(row["actor"], row["channel"]) for row in items} == {(cast.owner.email, "api")}
    assert api("teammate").get("trail").json()["items"] == []
    problem(api("teammate").get("trail", organisation=cast.label.id), 403)
    problem(api("owner").get("trail", organisation=cast.other.id), 404)
    own = api("owner").get("trail", organisation=cast.label.id, action="domain.").json()["items"]
    assert own == items


def test_rights_staff_read_everything_or_one_organisation(api, cast, done):
    staff = api("rights")
    assert len(staff.get("trail", action="domain.").json()["items"]) == 4
    named = staff.get("trail", action="domain.", organisation=cast.other.id).json()["items"]
    assert {row["actor"] for row in named} == {cast.stranger.email}
    assert len(staff.get("trail", who="stranger", action="domain.").json()["items"]) == 2
    assert len(staff.get("trail", subject=cast.label.id, action="domain.").json()["items"]) == 2


def test_the_trail_comes_in_pages_and_refuses_what_is_no_filter(api, cast, done):
    seen, cursor = [], {}
    while cursor is not None:
        answer = api("owner").get("trail", action="domain.", limit=1, **cursor).json()
        seen += [row["detail"]["domain"] for row in answer["items"]]
        cursor = {"cursor": answer["next"]} if answer["next"] else None
    assert seen == ["owners.example", "owner.example"]
    problem(api("owner").get("trail", cursor="x"), 422, "cursor")
    problem(api("owner").get("trail", who="a\x00"), 422, "invalid")
    problem(api("owner").get("trail", action="x" * 201), 422, "invalid")
