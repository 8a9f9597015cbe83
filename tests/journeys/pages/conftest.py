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
from support.visit import entering, sign_in


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
            context = entering(browser)
            sign_in(context.new_page(), house.url, house.logins[role])
            kept[role] = context.storage_state()
            context.close()
        return kept[role]

    return state


PICTURES = os.environ.get("JOURNEY_PICTURES")
"""Folder for pictures of the steps (`make pictures`); without it none are taken."""

WAYS_TO_LOOK = (("light", "light", 1280), ("dark", "dark", 1280), ("narrow", "dark", 360))
"""Name in a picture's file, colour scheme and width in pixels."""


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

    def step(self, name: str) -> None:
        """A journey has come this far: where pictures are wanted, keep the page as everybody sees it."""
        if not PICTURES:
            return
        test = re.split(r"::|\s", os.environ["PYTEST_CURRENT_TEST"])[1].removeprefix("test_")
        folder = Path(PICTURES) / test
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("*.light.png"))) + 1
        for kind, scheme, width in WAYS_TO_LOOK:
            self.tab.emulate_media(color_scheme=scheme)
            self.tab.set_viewport_size({"width": width, "height": 800})
            self.tab.screenshot(path=folder / f"{number:02d} {name}.{kind}.png", full_page=True)
        self.tab.emulate_media(color_scheme="light")
        self.tab.set_viewport_size({"width": 1280, "height": 800})


ABORTED = "net::ERR_ABORTED"
"""What the browser says of a sound it need not load to the end."""


def context_of(
    browser: Browser, state: dict, *, dark: bool = False, width: int = 1280, scripts: bool = True
) -> BrowserContext:
    """What a person has of the browser: who they are, how large their screen is, what they like."""
    return entering(
        browser,
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
