"""Looking at pages with a real browser, as a person would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from support.browser import ARGUMENTS, executable
from support.patience import PATIENCE

expect.set_options(timeout=1000 * PATIENCE)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser for as long as it is needed."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield opened
        finally:
            opened.close()


def entering(browser: Browser, **how: Any) -> BrowserContext:
    """A context of the browser in which nothing is given up early."""
    context = browser.new_context(**how)
    context.set_default_timeout(1000 * PATIENCE)
    return context


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
