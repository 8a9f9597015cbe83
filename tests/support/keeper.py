"""Ends the local stack of a test session when it is told to: see `support.session.Session.keep`."""

import signal
import subprocess
import sys


def down(*_: object) -> None:
    subprocess.run([sys.executable, "-c", "from stemma.cli import main; main()", "down"], check=False)
    sys.exit(0)


signal.signal(signal.SIGTERM, down)
print("ready", flush=True)
signal.pause()
