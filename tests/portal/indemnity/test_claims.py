"""From a letter to a sealed dossier, and from there to money: what a claim against an output goes through."""

from __future__ import annotations

import pytest

from portal.indemnity.desk import LETTER, altered, melody, told, wav
from stemma.provenance.dossier import verify_dossier
from stemma.provenance.verify import Verdict
from stemma_portal.indemnity.models import OutputClaim

pytestmark = [pytest.mark.services, pytest.mark.django_db]
State = OutputClaim.State


def test_from_a_file_to_a_dossier_that_anyone_verifies(desk, tmp_path, keyring):
    generation, body = desk.made(1)
    claim = desk.examined(body)
    assert (claim.state, claim.generation_id, claim.finding["by"]) == (State.READY, generation.pk, "file-hash"), told(claim)
    dossier = claim.dossiers.get()
    path = tmp_path / "dossier.zip"
    path.write_bytes(desk.storage.get(dossier.key))
    report = verify_dossier(path, keyring.jwks())
    assert report.verdict is Verdict.VERIFIED, report.steps
    assert [list(step) for step in dossier.steps] == [
        [step.name, step.verdict.code, step.detail] for step in report.steps[2:]
    ]
