"""A live portal with a small house in it, and people who look at it with a browser."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext
from playwright.sync_api import Page as Tab

from support.visit import browser as opened
from support.visit import sign_in


# A browser's event loop must not outlive the module: Django refuses its database beside a running one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as it:
        yield it


@pytest.fixture(scope="module")
def entered(browser: Browser, house) -> Callable[[str | None], dict]:
    """The browser's state after a role has signed in, once a module."""
    kept: dict[str, dict] = {}

    def state(role: str | None) -> dict:
        if role is None:
            return {"cookies": [], "origins": []}
        if role not in kept:
            context = browser.new_context()
            sign_in(context.new_page(), house.url, house.logins[role])
            kept[role] = context.storage_state()
            context.close()
        return kept[role]

    return state


class Visit:
    """A tab with a complaint for everything that the browser complains about."""

    def __init__(self, context: BrowserContext) -> None:
        self.tab: Tab = context.new_page()
        self.complaints: list[str] = []
        self.tab.on("console", lambda m: self._note(m.text) if m.type in {"error", "warning"} else None)
        self.tab.on("pageerror", lambda error: self._note(str(error)))
        self.tab.on("requestfailed", lambda r: self._note(f"{r.url} {r.failure}") if r.failure != ABORTED else None)

    def _note(self, text: str) -> None:
        self.complaints.append(text)

    def step(self, done: str) -> None:
        """Something is done: where `JOURNEY_PICTURES` names a folder, a picture of the page goes there."""
        if folder := os.environ.get("JOURNEY_PICTURES"):
            journey = re.split(r"::test_| ", os.environ["PYTEST_CURRENT_TEST"])[1][:40]
            number = len(list(Path(folder).glob(f"{journey}.*"))) + 1
            self.tab.screenshot(path=Path(folder) / f"{journey}.{number:02} {done}.png", full_page=True)


ABORTED = "net::ERR_ABORTED"
"""What the browser says of a sound it need not load to the end."""


def context_of(
    browser: Browser, state: dict, *, dark: bool = False, width: int = 1280, scripts: bool = True
) -> BrowserContext:
    """What a person has of the browser: who they are, how large their screen is, what they like."""
    return browser.new_context(
        storage_state=state,
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",  # colours are what they are at once
    )


@pytest.fixture
def visit(browser: Browser, entered) -> Iterator[Callable[..., Visit]]:
    """A fresh tab of a role: `visit("label", dark=True, width=360)`."""
    contexts = []

    def start(role: str | None, **how: Any) -> Visit:
        contexts.append(context_of(browser, entered(role), **how))
        return Visit(contexts[-1])

    yield start
    for context in contexts:
        context.close()
