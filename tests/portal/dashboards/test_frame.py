"""The frame of every page: where each kind of organisation can go from anywhere."""

import pytest
from django.test import Client
from lxml import html

from stemma_portal.accounts.models import Organisation
from stemma_portal.dashboards.context import NAVIGATION

pytestmark = [pytest.mark.services, pytest.mark.django_db]
MOST = 7
"""Entries that fit into one line of 62rem, the least width that has a line of them."""


def frame(user, address: str = "/"):
    browser = Client()
    browser.force_login(user)
    return html.fromstring(browser.get(address).content)


@pytest.mark.parametrize("who", ["owner", "licensee", "rights", "operator"])
def test_the_line_and_the_menu_of_narrow_screens_lead_to_the_same_pages(cast, redis, who):
    shown = frame(getattr(cast, who))
    line, menu = shown.find(".//nav[@aria-label='Main']"), shown.find(".//nav[@aria-label='Main, as a menu']")
    assert [a.get("href") for a in line.iter("a")] == [a.get("href") for a in menu.iter("a")]
    assert 3 < len(line.findall("ul/li")) <= MOST


@pytest.mark.parametrize("kind", Organisation.Kind)
def test_no_kind_of_organisation_has_more_entries_than_fit(kind):
    assert len(NAVIGATION[kind]) <= MOST


def test_what_opens_several_pages_needs_no_script_and_says_where_one_is(cast, redis):
    shown = frame(cast.rights, "/claims/")
    assert [a.text for a in shown.findall(".//nav[@aria-label='Main']//*[@aria-current]")] == ["Claims"]
    shown = frame(cast.rights, "/royalties/")
    here = shown.findall(".//nav[@aria-label='Main']//*[@aria-current]")
    assert [(each.tag, each.text, each.get("aria-current")) for each in here] == [
        ("summary", "Money", "true"),
        ("a", "Royalties", "page"),
    ]
    assert here[0].getparent().tag == "details"


@pytest.mark.parametrize(
    ("who", "address", "titles"),
    [
        ("operator", "/training/", ["Models", "Models"]),
        ("owner", "/duplicates/", ["Catalog"]),
        ("owner", "/releases/", ["Catalog"]),
        ("rights", "/shares/", ["Catalog"]),
        ("rights", "/reservations/", ["Consent"]),
    ],
)
def test_a_page_that_another_opens_is_marked_where_it_leads_back_to(cast, redis, who, address, titles):
    shown = frame(getattr(cast, who), address)
    assert [each.text for each in shown.findall(".//nav[@aria-label='Main']//*[@aria-current]")] == titles
