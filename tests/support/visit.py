"""Looking at pages with a real browser, as a person would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from support.browser import ARGUMENTS, executable


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser for as long as it is needed."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield opened
        finally:
            opened.close()


def sign_in(page: Page, url: str, login: dict[str, str]) -> None:
    """Sign in by the form."""
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Email").fill(login["email"])
    page.get_by_label("Password").fill(login["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{url}/")


def confirm(page: Page, login: dict[str, str]) -> None:
    """Give the password once more, where a page asks for it."""
    if "/accounts/reauthenticate/" in page.url:
        page.get_by_label("Password").fill(login["password"])
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(lambda url: "/accounts/reauthenticate/" not in url)
