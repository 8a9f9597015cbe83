"""A live portal with a small house in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def house(portal):
    """The portal after `support.seed`; `.logins` by the organisation's short name."""
    path = os.pathsep.join(filter(None, (str(TESTS), portal.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "support.seed"],
        env={**portal.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "stemma_portal.config.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    known = json.loads(done.stdout.splitlines()[-1])
    portal.logins = {login["email"].split("@")[0]: login for login in known["logins"]}
    portal.api_keys, portal.links = known["api_keys"], known["links"]
    return portal
