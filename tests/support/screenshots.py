"""Pictures of the real pages for the README: `make screenshots`, with the stack running after `make up`.

Each page in light and in dark, into `docs/img/<page>.<light|dark>.png`.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserContext
from playwright.sync_api import Page as Tab

from stemma.config import settings
from support.pages import PAGES
from support.visit import browser, confirm, entering, sign_in

FOLDER = Path(__file__).parents[2] / "docs" / "img"
WIDTH, TALLEST = 1200, 1500
LARGEST = 150_000
"""Bytes of a picture."""
SHOWN = (
    "landing",
    "home-label",
    "catalog",
    "recording",
    "grant",
    "snapshot-refused",
    "release",
    "generation",
    "playground",
    "statement",
    "traced",
    "log",
)


def main() -> int:
    """Take all of them, or those whose names are given."""
    url = settings().portal_url
    demo = json.loads((settings().home / "demo.json").read_text())
    logins = {login["email"].split("@")[0]: login for login in demo["logins"]}
    wanted = sys.argv[1:] or SHOWN
    FOLDER.mkdir(parents=True, exist_ok=True)
    with browser() as opened:
        contexts: dict[str | None, BrowserContext] = {}
        for page in (each for each in PAGES if each.name in wanted):
            if page.role not in contexts:
                contexts[page.role] = entering(
                    opened, viewport={"width": WIDTH, "height": 800}, reduced_motion="reduce"
                )
                if page.role:
                    sign_in(contexts[page.role].new_page(), url, logins[page.role])
            tab = contexts[page.role].new_page()
            if (status := page.open(tab, url)) != 200:
                raise SystemExit(f"{page.name} answers {status}: is the story of `make up` complete?")
            if page.role:
                confirm(tab, logins[page.role])
            if page.name == "playground":
                ask(tab)
            if page.name in {"recording", "generation"}:
                listen(tab)
            for scheme in ("light", "dark"):
                tab.emulate_media(color_scheme=scheme)
                path = FOLDER / f"{page.name}.{scheme}.png"
                path.write_bytes(small(shot(tab)))
                print(f"{path.relative_to(FOLDER.parents[1])}  {path.stat().st_size // 1000} kB")
            tab.close()
    return 0


def ask(tab: Tab) -> None:
    """Make a piece in the playground."""
    if tab.get_by_role("button", name="Make one for this session").count():
        tab.get_by_role("button", name="Make one for this session").click()
    tab.get_by_label("In words").fill("A slow chorale in a minor key, ending in the major")
    tab.get_by_label("Bars").fill("8")
    tab.get_by_label("Seed").fill("7")
    tab.get_by_role("button", name="Make it").click()
    tab.locator("[data-answer] [data-player]").wait_for()
    for message in tab.locator(".messages").all():
        message.evaluate("each => each.remove()")


def listen(tab: Tab) -> None:
    """Let the player be in the middle of the piece, so that the picture shows what it does."""
    tab.locator("[data-seek]").evaluate(
        "seek => { seek.value = seek.max / 3; for (const n of ['input', 'change']) seek.dispatchEvent(new Event(n)); }"
    )
    tab.wait_for_timeout(300)


def shot(tab: Tab) -> Image.Image:
    """The page from its top, as far down as a picture may go."""
    tab.evaluate("document.fonts.ready")
    height = min(TALLEST, int(tab.evaluate("document.documentElement.scrollHeight")))
    tab.set_viewport_size({"width": WIDTH, "height": height})
    found = Image.open(io.BytesIO(tab.screenshot()))
    tab.set_viewport_size({"width": WIDTH, "height": 800})
    return found.convert("RGB")


def small(image: Image.Image) -> bytes:
    """A PNG with as many colours as fit into its size."""
    for colours in (256, 128, 64, 32):
        file = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= LARGEST:
            return file.getvalue()
    raise SystemExit(f"A picture of {image.width} × {image.height} does not fit into {LARGEST} bytes.")


if __name__ == "__main__":
    sys.exit(main())
