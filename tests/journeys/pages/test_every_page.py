"""Each page, as its reader sees it: nothing breaks, nothing is refused by the browser, everyone can use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import axe_playwright_python
import pytest
from lxml import html
from playwright.sync_api import APIResponse, Browser
from playwright.sync_api import Page as Tab

from journeys.pages.conftest import Visit, context_of
from support.pages import PAGES, Page, named
from support.portal import LivePortal
from support.visit import confirm

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
BARRIERS = """async only => {
  const told = impact => impact === "serious" || impact === "critical";
  const rules = {};  // what finds nothing serious need not be looked for
  for (const rule of axe._audit.rules) if (rule.impact && !told(rule.impact)) rules[rule.id] = {enabled: false};
  const options = only ? {runOnly: only, preload: false} : {rules};
  const found = await axe.run({resultTypes: ["violations"], ...options});
  return found.violations.filter(each => told(each.impact)).map(each => `${each.id}: ${each.nodes[0].html}`);
}"""
"""What axe-core finds that keeps people out, in a line each; `only` names rules."""

CLICKED = """
  const listen = EventTarget.prototype.addEventListener;
  window.clicked = [];
  EventTarget.prototype.addEventListener = function (kind, ...rest) {
    if (kind === "click" && this instanceof Element) window.clicked.push(this);
    return listen.call(this, kind, ...rest);
  };
"""
"""Before a page's own scripts: what they let people click is remembered."""

OUT_OF_REACH = """() => {
  const usable = "a[href], button, input, select, textarea, summary, audio[controls], [tabindex]:not([tabindex='-1'])";
  const shown = each => each.checkVisibility({visibilityProperty: true}) && !each.matches(":disabled, [type=hidden]");
  const found = [];
  const tell = (what, each) => found.push(`${what}: ${each.outerHTML.slice(0, 200)}`);
  for (const each of window.clicked)  // a control in it or beside it does the same
    if (!each.matches(usable) && !each.closest("section, form, tr, li")?.querySelector(usable))
      tell("only a mouse can click", each);
  for (const each of document.querySelectorAll("[role=button], [role=link], [onclick]"))
    if (!each.matches(usable)) tell("only a mouse can click", each);
  for (const each of document.querySelectorAll(usable)) {
    if (!shown(each)) continue;
    if (each.tabIndex > 0) tell("comes before its turn", each);
    each.focus({preventScroll: true});
    if (document.activeElement !== each) { tell("the keyboard does not come to", each); continue; }
    const {outlineStyle, outlineWidth} = getComputedStyle(each);
    if (outlineStyle === "none" || parseFloat(outlineWidth) < 1) tell("nothing shows that the keyboard is at", each);
  }
  document.activeElement.blur();
  return found;
}"""
"""What somebody without a mouse cannot use or find, in a line each."""

WALK = """() => {
  const reached = new Set();
  document.addEventListener("focusin", event => reached.add(event.target));
  const usable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  const stops = [...document.querySelectorAll(usable)].filter(each =>
    each.checkVisibility({visibilityProperty: true}) && !each.disabled &&
    (each.type !== "radio" || each === (document.querySelector(`[name="${each.name}"]:checked`) ?? each)));
  window.missed = () => stops.filter(each => !reached.has(each)).map(each => each.outerHTML.slice(0, 200));
  return stops.length;
}"""

TOLD = ("h1", "h2", "h3", "th", "td", "dt", "dd", "figcaption")
"""What carries the words of a page."""


def barriers(tab: Tab, *only: str) -> list[str]:
    return list(tab.evaluate(BARRIERS, list(only) or None))


def words(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


@pytest.fixture(scope="module")
def at_home(browser: Browser, entered) -> Callable[[str | None], Visit]:
    """The tab that a role keeps over the module, with what the browser knows already."""

    @cache
    def tab_of(role: str | None) -> Visit:
        context = context_of(browser, entered(role))
        context.add_init_script(CLICKED)
        return Visit(context)

    return tab_of


class Post:
    """What the portal sends to each role, as it is sent: HTML that no script has touched."""

    def __init__(self, house: LivePortal, at_home: Callable[[str | None], Visit]) -> None:
        self.url, self.links, self.at_home = house.url, house.links, at_home
        self.kept: dict[tuple[str | None, str], str] = {}

    def answer(self, role: str | None, address: str, *, follow: bool = False) -> APIResponse:
        """The answer to an address itself, or of where it leads to."""
        request = self.at_home(role).tab.context.request
        return request.get(self.url + address, max_redirects=20 if follow else 0)

    def sent(self, role: str | None, address: str) -> str:
        """The HTML of an address, asked for once."""
        if (role, address) not in self.kept:
            self.kept[role, address] = self.answer(role, address, follow=True).text()
        return self.kept[role, address]

    def find(self, page: Page) -> str:
        """The address of a page."""
        return page.find(partial(self.sent, page.role), self.links)


@pytest.fixture(scope="module")
def post(house, at_home) -> Post:
    return Post(house, at_home)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(house, at_home, post: Post, page: Page) -> None:
    address = post.find(page)
    here = at_home(page.role)
    tab = here.tab
    here.complaints.clear()
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size({"width": 1280, "height": 800})
    answer = tab.goto(house.url + address)
    if "reauthenticate" in tab.url and page.name != "once-more":
        confirm(tab, house.logins[page.role])
        answer = tab.goto(house.url + address)
    assert answer.status == page.status
    post.kept[page.role, address] = answer.text()
    assert tab.title().endswith("· Stemma")
    tab.evaluate(AXE)
    assert barriers(tab) == []
    assert tab.evaluate(OUT_OF_REACH) == []

    # What scripts add is comfort: everything that the page tells was sent.
    sent = html.fromstring(post.kept[page.role, address]).find(".//main")
    assert [bool(words(each)) for each in sent.iter("h1")] == [True]
    told = {words(each) for each in sent.iter(*TOLD)}
    shown = tab.locator("main").locator(",".join(TOLD)).all_text_contents()
    assert [text for text in shown if " ".join(text.split()) not in told] == []
    for player in sent.xpath(".//*[@data-player]"):
        assert player.xpath(".//audio[@controls]") or player.xpath(".//*[@class='player-silent']")

    # The same tab on a telephone in the dark: nothing sticks out, everything can still be read.
    tab.emulate_media(color_scheme="dark")
    tab.set_viewport_size({"width": 360, "height": 740})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert barriers(tab, "color-contrast", "scrollable-region-focusable") == []
    refused = f"the server responded with a status of {page.status}"  # the browser tells of what was meant to be so
    assert [each for each in here.complaints if page.status == 200 or refused not in each] == []


WALKED = ("sign-in", "grant", "shares", "generation", "imports")


@pytest.mark.parametrize("name", WALKED)
def test_the_keyboard_alone_goes_through(house, visit, post: Post, name: str) -> None:
    """From the top to the end in the order in which it is read, past nothing and into no trap."""
    page = named(name)
    tab = visit(page.role).tab
    tab.goto(house.url + post.find(page))
    if page.role:
        confirm(tab, house.logins[page.role])
    stops = tab.evaluate(WALK)
    for _ in range(stops + 20):  # a date has several stops, and what scrolls is one
        tab.keyboard.press("Tab")
    assert tab.evaluate("window.missed()") == []


ONE_LINE = 80
"""Pixels of a masthead of one line, at most."""


@pytest.mark.parametrize("role", ["rights", "ops", "enterprise", "label"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "none"])
def test_the_masthead_is_one_line_and_leads_everywhere(house, visit, role: str, scripts: bool) -> None:
    """As links from 62rem on, some of them in menus; on narrower screens all of them in one."""
    tab = visit(role, scripts=scripts).tab
    tab.goto(f"{house.url}/notices/")
    line = tab.get_by_role("navigation", name="Main", exact=True)
    pages = line.locator("a").evaluate_all("all => all.map(each => each.pathname)")
    for width in (1280, 1024, 1000, 768, 360):
        tab.set_viewport_size({"width": width, "height": 740})
        assert tab.locator(".masthead").bounding_box()["height"] <= ONE_LINE, width
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        narrow = width < 992
        assert line.is_visible() != narrow
        inside = tab.locator(".nav-menu") if narrow else line
        seen = []
        for summary in inside.locator("summary").all():
            summary.press("Enter")
            sheet = summary.locator("xpath=following-sibling::*[1]")
            assert sheet.bounding_box()["x"] >= 0
            seen += [link.get_attribute("href") for link in sheet.locator("a").all() if link.is_visible()]
            summary.press("Enter")
        seen += [link.get_attribute("href") for link in inside.locator("a").all() if link.is_visible()]
        assert sorted(seen) == sorted(pages), width


def test_every_answer_has_a_strict_policy(post: Post) -> None:
    for address in ("/", "/accounts/login/", "/no-such-page"):
        headers = post.answer(None, address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


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
def test_a_stranger_is_turned_away(post: Post, owner: str, page: str, stranger: str, status: int) -> None:
    assert named(page).role == owner
    answer = post.answer(stranger, post.find(named(page)))
    assert answer.status == status
    assert words(html.fromstring(answer.text()).find(".//h1")) in {"Nothing here", "Not allowed"}


def test_who_is_not_signed_in_is_asked_to(post: Post) -> None:
    public = {page.address for page in PAGES if page.role is None} | {named("sign-out").address}
    for page in PAGES:
        if page.role and page.address.startswith("/") and page.status == 200 and page.address not in public:
            answer = post.answer(None, page.address)
            assert answer.status == 302, page.name
            assert "/accounts/login/" in answer.headers["location"], page.name


def test_without_scripts_everything_can_be_read(house, visit) -> None:
    tab = visit("enterprise", scripts=False).tab
    named("generation").open(tab, house.url)
    player = tab.locator(".player")
    assert player.locator("audio[controls]").is_visible()
    assert player.locator("svg.roll").is_visible()
    assert tab.locator("svg.treemap").is_visible()
    assert tab.locator("table").first.is_visible()
