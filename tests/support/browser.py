"""The browser of the journeys: the system's Chromium, else Playwright's; `python browser.py` installs one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
]
"""Quiet and alone: nothing is fetched from its makers."""


def executable() -> str | None:
    """Path of the browser; None when Playwright's own is to be used."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


def ensure() -> None:
    """Install a browser unless there is one: with the system's packages as root, else with Playwright."""
    if executable() or _playwright_has_one():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing chromium …", flush=True)
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
        # A fresh machine has no lists of packages yet; one that has them need not fetch them.
        if subprocess.run(install, env=environ, capture_output=True, check=False).returncode == 0:
            return
        subprocess.run(["apt-get", "update", "-q"], env=environ, capture_output=True, check=False)
        if subprocess.run(install, env=environ, check=False).returncode == 0:
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def _playwright_has_one() -> bool:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return os.path.exists(playwright.chromium.executable_path)  # noqa: PTH110 - a string of Playwright's


if __name__ == "__main__":
    ensure()
