"""What people do on the pages: listen, grant, withdraw, claim, make keys, change the light."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from support.pages import PAGES
from support.visit import confirm


def use(tab, scope: str, said: str) -> None:
    tab.get_by_role("group", name=scope).get_by_label(said).check()


def page(name: str):
    return next(each for each in PAGES if each.name == name)


def test_listening_with_the_keyboard(house, visit) -> None:
    here = visit("enterprise")
    page("generation").open(here.tab, house.url)
    tab = here.tab
    expect(tab.locator("[data-play]")).to_be_visible()
    for _ in range(40):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.hasAttribute('data-play')"):
            break
    tab.keyboard.press("Enter")
    expect(tab.locator("[data-player]")).to_have_attribute("data-playing", "yes")
    expect(tab.locator("[data-now]")).to_have_text("0:01")
    assert tab.locator("svg.roll rect.sounding").count() > 0
    assert float(tab.locator("[data-played]").get_attribute("width")) > 0

    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.getAttribute('type')") == "range"
    tab.keyboard.press("End")
    expect(tab.locator("[data-now]")).not_to_have_text("0:01")
    tab.get_by_label("Alto").check()
    expect(tab.locator("[data-player]")).to_have_attribute("data-solo", "yes")
    assert here.complaints == []


def test_the_light_is_remembered(house, visit) -> None:
    here = visit(None)
    here.tab.goto(house.url)
    paper = "getComputedStyle(document.body).backgroundColor"
    before = here.tab.evaluate(paper)
    here.tab.get_by_role("button", name="Change between light and dark").click()
    assert here.tab.evaluate(paper) != before
    here.tab.reload()
    assert here.tab.locator("html").get_attribute("data-theme") == "dark"
    assert here.complaints == []


def test_granting_one_recording(house, visit) -> None:
    tab = visit("label").tab
    tab.goto(f"{house.url}/catalog/?q=Ade zur guten Nacht")
    tab.get_by_role("link", name="Ade zur guten Nacht").click()
    tab.get_by_role("link", name="Grant consent for it").click()
    confirm(tab, house.logins["label"])
    expect(tab.get_by_label("Only the 1 chosen")).to_be_checked()
    use(tab, "Training of generative models", "Allowed")
    tab.get_by_role("button", name="Read the terms").click()
    expect(tab.locator(".terms")).to_contain_text("1 recording")
    expect(tab.get_by_text("Ade zur guten Nacht")).to_be_visible()


def test_signing_needs_a_yes_and_a_scope(house, visit) -> None:
    tab = visit("label-two").tab
    tab.goto(f"{house.url}/consent/new/")
    confirm(tab, house.logins["label-two"])
    tab.get_by_role("button", name="Read the terms").click()
    expect(tab.locator(".error")).to_contain_text("Choose at least one")
    use(tab, "Style prompting", "Allowed")
    tab.get_by_role("button", name="Read the terms").click()
    tab.locator("#id_agree").evaluate("box => box.removeAttribute('required')")
    tab.get_by_role("button", name=re.compile("Sign as")).click()
    expect(tab.locator("#agree-error")).to_contain_text("Without your yes nothing is granted")


def test_a_case_is_opened_answered_and_resolved(house, visit) -> None:
    claimant, owner, staff = visit("label-two"), visit("label"), visit("rights")
    tab = claimant.tab
    tab.goto(f"{house.url}/claims/new/")
    tab.get_by_label("The recording or its work is ours").check()
    tab.get_by_label("Recording", exact=True).fill("QZ-TST-26-99999")
    tab.get_by_label("Why").fill("It is ours.")
    tab.get_by_role("button", name="Open the case").click()
    expect(tab.locator(".error")).to_contain_text("There is no recording with this ISRC")
    claimant.step("says what is theirs")
    tab.get_by_label("Recording", exact=True).fill("QZ-TST-26-00005")
    tab.get_by_role("button", name="Open the case").click()
    tab.get_by_text("Bring evidence").click()
    tab.get_by_label("What it shows").fill("Our contract")
    tab.locator("#id_file").set_input_files(
        {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1\n%%EOF"}
    )
    tab.get_by_role("button", name="Bring it").click()
    expect(tab.get_by_role("link", name="Our contract")).to_be_visible()
    claimant.step("brings evidence")
    case = tab.url

    tab = owner.tab
    tab.goto(f"{house.url}/")
    expect(tab.get_by_role("heading", name="Your word is asked: Ein feste Burg")).to_be_visible()
    owner.step("the owner is asked")
    tab.goto(case)
    tab.get_by_label("Message").fill("That contract ended in 1990.")
    tab.get_by_role("button", name="Send as our answer").click()
    expect(tab.get_by_text("That contract ended in 1990.")).to_be_visible()
    owner.step("the owner answers")

    tab = staff.tab
    tab.goto(f"{house.url}/claims/")
    staff.step("the queue of the staff")
    tab.goto(case)
    tab.get_by_label("Everything stays as it is").check()
    tab.get_by_label("Reason", exact=True).fill("They were shown that it ended.")
    staff.step("resolves")
    tab.get_by_role("button", name="Resolve the case").click()
    expect(tab.get_by_role("heading", name="Everything stays as it is")).to_be_visible()
    staff.step("resolved")
    assert owner.complaints == staff.complaints == []


def test_a_key_is_shown_once_and_revoked(house, visit) -> None:
    here = visit("indie")
    tab = here.tab
    tab.goto(f"{house.url}/license/")
    tab.get_by_role("link", name="Make a key").click()
    confirm(tab, house.logins["indie"])
    tab.get_by_label("Name of the key").fill("Build server")
    tab.get_by_role("button", name="Make it").click()
    secret = tab.locator("[data-secret]").inner_text()
    assert secret.startswith("stm_")
    tab.goto(f"{house.url}/license/")
    assert secret not in tab.content()
    tab.get_by_role("button", name="Revoke Build server").click()
    expect(tab.locator("tr", has_text="Build server")).to_contain_text("Revoked")
    assert here.complaints == []


def test_finding_and_paging(house, visit) -> None:
    tab = visit("rights").tab
    tab.goto(f"{house.url}/catalog/")
    tab.get_by_label("Search").fill("palestrina kyrie")
    tab.get_by_role("button", name="Find").click()
    expect(tab.locator("tbody tr")).to_have_count(1)
    tab.goto(f"{house.url}/catalog/?source=not-free")
    expect(tab.locator("tbody tr")).to_have_count(2)
    expect(tab.locator("tbody")).to_contain_text("reserves commercial use")


def test_the_playground_says_what_is_wrong(house, visit) -> None:
    here = visit("enterprise")
    tab = here.tab
    tab.goto(f"{house.url}/playground/")
    tab.get_by_text("Use a key I have").click()
    tab.get_by_label("API key").fill("stm_not-a-real-one")
    tab.get_by_role("button", name="Use it").click()
    tab.get_by_label("Tempo").fill("900")
    tab.get_by_role("button", name="Make it").click()
    expect(tab.locator(".field.has-error .error")).to_contain_text("240")
    tab.get_by_label("Tempo").fill("90")
    tab.get_by_role("button", name="Make it").click()
    # Nothing serves in this test: the page says so and keeps what was asked for.
    expect(tab.locator("[data-answer]")).to_contain_text("Not answering")
    expect(tab.get_by_label("Tempo")).to_have_value("90")


def test_stating_shares(house, visit) -> None:
    here = visit("label")
    tab = here.tab
    page("shares").open(tab, house.url)
    master = tab.get_by_role("group", name="Master")
    share = master.get_by_label("Master, row 1: share in per cent")
    share.fill("66.6667")
    expect(master.locator(".share-sum")).to_contain_text("33.3333 % missing")
    expect(master.locator("svg.pie.under .pie-sum")).to_have_text("66.6667 %")
    tab.get_by_role("button", name="State these shares").click()
    expect(tab.locator(".share-sum .error")).to_contain_text("33.3333 % missing")
    assert share.input_value() == "66.6667"

    master.get_by_label("Master, row 2: rights-holder").fill("A demo guitarist")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    tab.keyboard.type("33.3333")
    expect(master.locator(".share-sum")).to_contain_text("It sums.")
    for row in range(3, 6):  # a row follows the last one that is used
        master.get_by_label(f"Master, row {row}: rights-holder").fill("x")
        master.get_by_label(f"Master, row {row}: rights-holder").fill("")
    tab.get_by_label("Why").fill("contract 41")
    tab.get_by_role("button", name="State these shares").click()
    expect(tab.locator(".messages")).to_contain_text("1 owner is asked to confirm")
    expect(tab.locator("tr", has_text="A demo guitarist")).to_contain_text("33.3333")
    assert [each for each in here.complaints if "422" not in each] == []


def test_a_share_is_confirmed(house, visit) -> None:
    here = visit("artist")
    tab = here.tab
    page("share-questions").open(tab, house.url)
    tab.get_by_role("button", name="It is right").first.click()
    expect(tab.locator(".messages")).to_contain_text("Confirmed.")
    assert here.complaints == []


def test_duplicates_are_heard_side_by_side_and_separated(house, visit) -> None:
    here = visit("rights")
    tab = here.tab
    page("duplicate").open(tab, house.url)
    players = tab.locator("[data-player]")
    players.nth(0).locator("[data-play]").click()
    expect(players.nth(0)).to_have_attribute("data-playing", "yes")
    players.nth(1).locator("[data-play]").click()
    expect(players.nth(1)).to_have_attribute("data-playing", "yes")
    expect(players.nth(0)).not_to_have_attribute("data-playing", "yes")
    tab.get_by_role("button", name="They are not: separate").click()
    expect(tab.locator(".messages")).to_contain_text("will not be shown as duplicates again")
    tab.get_by_role("button", name="Open the question again").click()
    expect(tab.locator(".messages")).to_contain_text("open again")
    assert here.complaints == []
