"""How people come in: an artist follows an invitation and signs for themselves; a passkey replaces a password."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from stemma.proof.keys import KeyRing
from stemma.provenance.documents import verify_document
from stemma.provenance.verify import Verdict
from support.visit import confirm

PASSWORD = "a long enough phrase"


def allow_training(here) -> None:
    tab = here.tab
    tab.get_by_role("group", name="Training of generative models").get_by_label("Allowed").check()
    tab.get_by_role("button", name="Read the terms").click()
    tab.get_by_label(re.compile("I may sign for")).check()
    here.step("reads the terms")
    tab.get_by_role("button", name=re.compile("Sign as")).click()
    expect(tab.locator(".messages")).to_contain_text("Signed and logged")
    here.step("has signed")


def withdraw(here) -> None:
    tab = here.tab
    tab.get_by_role("link", name="Withdraw", exact=True).click()
    tab.get_by_label(re.compile("I withdraw it")).check()
    here.step("withdraws")
    tab.get_by_role("button", name="Withdraw").click()
    expect(tab.locator(".messages")).to_contain_text("Withdrawn and logged")
    here.step("has withdrawn")


def downloaded(tab, name: str) -> bytes:
    with tab.expect_download() as download:
        tab.get_by_role("link", name=name, exact=True).first.click()
    return download.value.path().read_bytes()


def a_writer_is_stated(house) -> None:
    """The label has granted the recording, and states now that a tenth of its publishing is Erika's."""
    house.shell(
        "from stemma.rights.shares import Share\n"
        "from stemma_portal.accounts.models import User\n"
        "from stemma_portal.catalog.models import Recording\n"
        "from stemma_portal.catalog.sharing import current, party_introduce, shares_set\n"
        "recording = Recording.objects.get(title='Jesu, meine Freude')\n"
        "owner = User.objects.get(email='label@stemma.test')\n"
        "erika = party_introduce(name='Erika Ährlich', recording=recording, by=owner)\n"
        "stated = current(recording.id)\n"
        "largest = max((each for each in stated if each['side'] == 'publishing'), key=lambda each: each['ppm'])\n"
        "largest['ppm'] -= 100_000\n"
        "stated.append({**largest, 'party': erika.id, 'ppm': 100_000})\n"
        "shares_set(recording=recording, shares=[Share(**each) for each in stated], by=owner, cause='editor: letter')"
    )


def test_an_artist_accepts_an_invitation_signs_withdraws_and_takes_the_receipt(house, visit, browser) -> None:
    a_writer_is_stated(house)
    label, staff = visit("label"), visit("rights")
    tab = label.tab
    tab.goto(f"{house.url}/consent/")
    tab.get_by_role("link", name=re.compile("other owner")).click()
    row = tab.get_by_role("row").filter(has_text="Erika Ährlich")
    label.step("who is missing")
    row.get_by_label("E-mail address of Erika Ährlich").fill("erika@stemma.test")
    row.get_by_role("button", name="Invite").click()
    expect(tab.locator(".messages")).to_contain_text("erika@stemma.test is invited to act for Erika Ährlich")
    label.step("invited")
    link = house.shell(
        "from stemma_portal.accounts.models import Invitation\n"
        "from stemma_portal.accounts.invitations import link_of\n"
        "print(link_of(Invitation.objects.get(email='erika@stemma.test')))"
    ).split()[-1]

    artist = visit(None)
    tab = artist.tab
    tab.goto(house.url + re.sub(r"^https?://[^/]+", "", link))
    expect(tab.locator("h1")).to_have_text("Act for Erika Ährlich")
    artist.step("the invitation")
    tab.get_by_role("link", name="Make an account and accept").click()
    tab.get_by_label("Your name").fill("Erika Ährlich")
    tab.get_by_label("Password", exact=True).fill(PASSWORD)
    tab.get_by_label("Password (again)").fill(PASSWORD)
    artist.step("makes an account")
    tab.get_by_role("button", name="Make it").click()
    tab.get_by_role("button", name="Accept").wait_for()
    artist.step("accepts")
    tab.get_by_role("button", name="Accept").click()
    expect(tab.locator(".messages")).to_contain_text("You belong to Erika Ährlich now")
    expect(tab.locator(".lede")).to_contain_text("Rights staff look whether you are who the label says")
    artist.step("belongs")
    tab.goto(f"{house.url}/consent/new/")
    confirm(tab, {"password": PASSWORD})
    expect(tab.locator("h1")).not_to_have_text("Choose what you allow")  # nobody signs on a label's word alone
    artist.step("waits for a confirmation")
    artist.complaints.clear()  # the browser tells of the page that is not there

    staff.tab.goto(f"{house.url}/identities/")
    staff.step("who is who")
    staff.tab.get_by_role("button", name="Confirm Erika Ährlich").click()
    expect(staff.tab.get_by_text("Nobody waits")).to_be_visible()

    tab.goto(f"{house.url}/consent/new/")
    confirm(tab, {"password": PASSWORD})
    expect(tab.locator(".page-head")).to_contain_text("For Erika Ährlich")
    artist.step("chooses what to allow")
    allow_training(artist)
    keys = KeyRing(house.home.path / "keys").jwks()
    assert verify_document(downloaded(tab, "Receipt (JSON)"), keys).verdict is Verdict.VERIFIED
    withdraw(artist)
    assert verify_document(downloaded(tab, "JSON"), keys).verdict is Verdict.VERIFIED
    assert artist.complaints == label.complaints == []


def test_a_passkey_signs_somebody_in_alone(house, visit) -> None:
    """The browser's own authenticator, made of software; passkeys need a name, so that the portal is `localhost`."""
    here = visit(None)
    tab, url = here.tab, house.url.replace("127.0.0.1", "localhost")
    wire = tab.context.new_cdp_session(tab)
    wire.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    wire.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    login = house.logins["indie"]
    tab.goto(f"{url}/accounts/login/")
    tab.get_by_label("Email").fill(login["email"])
    tab.get_by_label("Password").fill(login["password"])
    tab.get_by_role("button", name="Sign in", exact=True).click()
    tab.wait_for_url(f"{url}/")
    tab.goto(f"{url}/accounts/2fa/webauthn/add/")
    confirm(tab, login)
    tab.get_by_label(re.compile("asswordless")).check()
    tab.get_by_role("button", name="Add it").click()
    tab.wait_for_url(lambda there: "/webauthn/" not in there)  # added: the page of all second steps, or of the codes
    tab.goto(f"{url}/accounts/2fa/webauthn/")
    expect(tab.get_by_role("cell", name="signs in alone")).to_be_visible()

    tab.context.clear_cookies()
    tab.goto(f"{url}/accounts/login/")
    tab.get_by_role("button", name="Sign in with a passkey").click()
    tab.wait_for_url(f"{url}/")
    tab.goto(f"{url}/accounts/2fa/webauthn/")
    tab.get_by_role("link", name="Remove").click()
    confirm(tab, login)
    tab.get_by_role("button", name="Remove it").click()
    expect(tab.get_by_text("No passkey yet")).to_be_visible()
    assert here.complaints == []
