"""Each page, as its reader sees it: nothing breaks, nothing is refused by the browser, everyone can use it."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page as Tab

from support.pages import PAGES, Page
from support.visit import confirm

AXE = Axe()
SERIOUS = {"serious", "critical"}


def violations(tab: Tab, **options: Any) -> list[str]:
    """What axe-core finds that keeps people out, in a line each."""
    found = AXE.run(tab, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in SERIOUS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(house, visit, page: Page) -> None:
    here = visit(page.role)
    assert page.open(here.tab, house.url) == 200
    if "reauthenticate" in here.tab.url:
        assert violations(here.tab) == []
        confirm(here.tab, house.logins[page.role])
    assert here.tab.locator("h1").count() == 1
    assert here.tab.title().endswith("· Stemma")
    assert violations(here.tab) == []

    # The same tab on a telephone in the dark: nothing sticks out, everything can still be read.
    here.tab.emulate_media(color_scheme="dark")
    here.tab.set_viewport_size({"width": 360, "height": 740})
    assert here.tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(here.tab, runOnly=["color-contrast", "scrollable-region-focusable"]) == []
    assert here.complaints == []


def test_every_answer_has_a_strict_policy(house, visit) -> None:
    tab = visit(None).tab
    for address in ("/", "/accounts/login/", "/no-such-page"):
        answer = tab.goto(house.url + address)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("owner", "page", "stranger", "status"),
    [
        ("label", "consent", "label-two", 404),
        ("label", "consent", "enterprise", 404),
        ("enterprise", "generation", "indie", 404),
        ("enterprise", "generation", "label", 404),
        ("label", "statement", "label-two", 404),
        ("rights", "snapshot-refused", "label", 404),
        ("ops", "status", "rights", 403),
    ],
)
def test_a_stranger_is_turned_away(house, visit, owner: str, page: str, stranger: str, status: int) -> None:
    tab = visit(owner).tab
    next(each for each in PAGES if each.name == page).open(tab, house.url)
    other = visit(stranger).tab
    assert other.goto(tab.url).status == status
    assert other.locator("h1").inner_text() in {"Nothing here", "Not allowed"}


def test_who_is_not_signed_in_is_asked_to(house, visit) -> None:
    tab = visit(None).tab
    public = {page.address for page in PAGES if page.role is None}
    for page in PAGES:
        if page.role and page.address not in public:
            tab.goto(house.url + page.address)
            assert "/accounts/login/" in tab.url, page.name


def test_without_scripts_everything_can_be_read(house, visit) -> None:
    tab = visit("enterprise", scripts=False).tab
    next(page for page in PAGES if page.name == "generation").open(tab, house.url)
    player = tab.locator(".player")
    assert player.locator("audio[controls]").is_visible()
    assert player.locator("svg.roll").is_visible()
    assert tab.locator("svg.treemap").is_visible()
    assert tab.locator("table").first.is_visible()
