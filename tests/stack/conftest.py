"""A local stack of its own for tests that break it: in a short folder, on free ports, always ended."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemma.config import settings
from stemma.stack.home import Home
from stemma.stack.local import Stack
from support.installation import Installation
from support.session import free_ports


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
