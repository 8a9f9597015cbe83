"""A local installation of a test's own: a home, ports, and the command line in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemma.stack.home import Home
from stemma.stack.local import Stack
from stemma.stack.ports import PORT_PREFIX, Ports

STEMMA = (sys.executable, "-c", "from stemma.cli import main; main()")


@dataclass
class Installation:
    """Where it is, how it is addressed, and what its commands say."""

    home: Home
    ports: Ports

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its commands, free of whatever else this process is told."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STEMMA_") or k == "STEMMA_SOUNDFONT"}
        ports = {f"{PORT_PREFIX}{name.upper()}": str(port) for name, port in self.ports}
        return {**kept, **ports, "STEMMA_HOME": str(self.home.path), "COLUMNS": "200"}

    def run(self, *words: str, seconds: float = 200, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `stemma WORDS` and wait for its end."""
        environ = {**self.environ, **more}
        return subprocess.run(
            [*STEMMA, *words], env=environ, capture_output=True, text=True, check=False, timeout=seconds
        )

    def stack(self, *names: str) -> Stack:
        """The stack as its commands see it, or only some of its processes."""
        stack = Stack(self.home)
        if names:
            stack.services = {name: stack.services[name] for name in names}
        return stack

    @property
    def url(self) -> str:
        """Address of its portal."""
        return f"http://127.0.0.1:{self.ports.portal}"

    @property
    def demo(self) -> dict[str, Any]:
        """Logins and API keys of its demo."""
        return json.loads((self.home.path / "demo.json").read_text())

    @property
    def story(self) -> dict[str, Any]:
        """What its story has told."""
        return json.loads((self.home.path / "story.json").read_text())

    @property
    def listen(self) -> Path:
        """Folder of the pieces made."""
        return self.home.path / "listen"
