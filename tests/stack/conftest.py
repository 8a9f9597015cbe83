"""A local stack of its own for tests that break it: in a short folder, on free ports, always ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stemma.config import settings
from stemma.stack.home import Home
from stemma.stack.local import Stack
from stemma.stack.ports import PORT_PREFIX, Ports
from support.session import free_ports


@dataclass
class Installation:
    """A home, its ports, and the command line in it."""

    home: Home
    ports: Ports

    @property
    def environ(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STEMMA_") or k == "STEMMA_SOUNDFONT"}
        ports = {f"{PORT_PREFIX}{name.upper()}": str(port) for name, port in self.ports}
        return {**kept, **ports, "STEMMA_HOME": str(self.home.path), "COLUMNS": "200"}

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `stemma WORDS` and wait for its end."""
        command = [sys.executable, "-c", "from stemma.cli import main; main()", *words]
        environ = {**self.environ, **more}
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=200)

    def stack(self, *names: str) -> Stack:
        """The stack as its commands see it, or only some of its processes."""
        stack = Stack(self.home)
        if names:
            stack.services = {name: stack.services[name] for name in names}
        return stack


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    folder.chmod(0o711)
    made = Installation(Home(folder / "home"), free_ports())
    for name in [n for n in os.environ if n.startswith("STEMMA_") and n != "STEMMA_SOUNDFONT"]:
        monkeypatch.delenv(name)
    for name, value in made.environ.items():
        if name.startswith("STEMMA_"):
            monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield made
    Stack(made.home).stop()
    settings.cache_clear()
    shutil.rmtree(folder)
