"""Schemathesis asks the real server everything that its own description allows, and much that it does not.

What it is asked changes the house, so the pages are looked at before (see `WEB` in the Makefile).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.journey
EXAMPLES = int(os.environ.get("API_EXAMPLES", "0"))
"""Requests by operation and phase, where `make test-api` asks for long: then everybody asks everything."""
OF_MUSIC = (
    "/(catalog|claims|consents|custody|duplicates|imports|invitations|share-questions|statements|uploads|webhooks)"
)
"""What a label uses; otherwise it asks this and the operators the rest."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
KNOWN = """
import json
from stemma_portal.accounts.models import Invitation, Organisation, User
from stemma_portal.accounts.services import token_create
from stemma_portal.catalog.models import Likeness, Recording, Release, ShareQuestion
from stemma_portal.consent.models import Claim, Consent, Withdrawal
from stemma_portal.core.models import LogEntry
from stemma_portal.intake.models import Import
from stemma_portal.licensing.models import License
from stemma_portal.operations.models import ModelRelease, Snapshot
user = User.objects.get(email__startswith=who + "@")
party = Organisation.objects.exclude(party=None).first().party_id
release = ModelRelease.objects.first()
found = {
    "token": token_create(user=user, name="asked", by=None)[1],
    "recording": Recording.objects.first().id,
    "consent": Consent.objects.first().id,
    "claim": Claim.objects.first().id,
    "entry": LogEntry.objects.first().id,
    "license_id": License.objects.first().id,
    "snapshot": Snapshot.objects.first().id,
    "party": party,
    "party_id": party,
    "name": release.name,
    "version": release.version,
}
perhaps = {
    "import_id": Import,
    "duplicate": Likeness,
    "question": ShareQuestion,
    "release": Release,
    "invitation": Invitation,
    "withdrawal": Withdrawal,
}
found |= {name: row.id for name, model in perhaps.items() if (row := model.objects.first()) is not None}
print(json.dumps(found))
"""


@pytest.mark.parametrize(("who", "what"), [("ops", "--exclude-path-regex"), ("label", "--include-path-regex")])
def test_every_answer_is_as_described(house, who, what, tmp_path):
    known = json.loads(house.shell(KNOWN, who=who).splitlines()[-1])
    token = known.pop("token")
    named = "".join(f'"path.{name}" = {json.dumps(value)}\n' for name, value in known.items())
    (tmp_path / "schemathesis.toml").write_text(f"[parameters]\n{named}")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{house.url}/api/v1/openapi.json"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing"),
        *(() if EXAMPLES else (what, OF_MUSIC)),
        *("--max-examples", str(EXAMPLES or 4), "--seed", "1", "--generation-deterministic"),
        *("--request-timeout", "20", "--no-color"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-3000:]
    made = re.search(r"([\d,]+) generated, \1 passed", done.stdout)
    assert made, done.stdout[-2000:]
    assert int(made[1].replace(",", "")) > 500
