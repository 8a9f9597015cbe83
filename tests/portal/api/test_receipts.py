"""What a program takes away as proof verifies offline."""

import json

import pytest

from portal.making import SCOPES, ident, problem
from stemma.provenance.documents import verify_document
from stemma_portal.consent.services import consent_withdraw
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.services import snapshot_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def verdict(answer) -> str:
    assert answer.status_code == 200, answer.content
    return verify_document(answer.content, None).verdict.code


def snapshot(name: str) -> Snapshot:
    return snapshot_create(name=name, include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)


def test_receipts_of_grants_and_withdrawals_verify_as_json_and_as_pdf(granted, api, recordings, cast):
    owner, consent = api("owner"), granted["Label"]
    assert verdict(owner.get(f"consents/{consent.id}/receipt")) == "verified"
    paper = owner.get(f"consents/{consent.id}/receipt.pdf")
    assert paper["Content-Type"] == "application/pdf"
    assert f"consent-{consent.id}.pdf" in paper["Content-Disposition"]
    assert verdict(paper) == "verified"
    assert owner.get(f"consents/{consent.id}/withdrawals").json() == {"items": [], "next": None}
    gone = owner.post(f"consents/{consent.id}/withdrawals", {"recording": recordings[0].id}).json()
    [listed] = owner.get(f"consents/{consent.id}/withdrawals").json()["items"]
    assert listed == gone
    address = f"consents/{consent.id}/withdrawals/{gone['id']}/receipt"
    assert owner.get(address).json()["withdrawal"]["recording"] == recordings[0].id
    assert verdict(owner.get(address)) == verdict(owner.get(f"{address}.pdf")) == "verified"
    problem(owner.get(f"consents/{consent.id}/withdrawals", cursor="x"), 422, "cursor")


def test_receipts_of_others_are_not_there(granted, api, recordings, cast):
    consent, other = granted["Label"], granted["Other"]
    withdrawal = consent_withdraw(consent=consent, recording_id=recordings[0].id, by=cast.owner)
    for end in ("receipt", "receipt.pdf", "withdrawals"):
        problem(api("stranger").get(f"consents/{consent.id}/{end}"), 404)
        problem(api("owner").get(f"consents/{ident('none')}/{end}"), 404)
    for end in ("receipt", "receipt.pdf"):
        problem(api("stranger").get(f"consents/{consent.id}/withdrawals/{withdrawal.id}/{end}"), 404)
        # Under the grant of somebody else it is not there either.
        problem(api("stranger").get(f"consents/{other.id}/withdrawals/{withdrawal.id}/{end}"), 404)
        problem(api("owner").get(f"consents/{consent.id}/withdrawals/{ident('none')}/{end}"), 404)


def test_what_was_withdrawn_is_proved_to_be_in_no_later_snapshot(granted, api, recordings, cast):
    owner, gone = api("owner"), recordings[0]
    before = snapshot("before")
    consent_withdraw(consent=granted["Label"], recording_id=gone.id, by=cast.owner)
    after = snapshot("after")
    where = owner.get(f"catalog/recordings/{gone.id}/carried").json()
    assert [each["name"] for each in where["snapshots"]] == ["before"]
    assert [each["name"] for each in where["without"]] == ["after"]
    assert (where["snapshots_in_all"], where["releases"], where["generations"]) == (1, [], 0)
    assert where["terms"]
    assert [each["name"] for each in where["grants"]] == ["Artist", "Label"]
    [_, mine] = where["grants"]
    assert mine["withdrawn_at"] == where["withdrawn_at"] == mine["prompting_ends"]
    assert mine["earns"] == "The owner keeps earning from what was licensed before."
    assert owner.get(f"catalog/recordings/{gone.id}/carried/pieces").json() == {"items": [], "next": None}
    assert verdict(owner.get(f"catalog/recordings/{gone.id}/absence/{after.id}")) == "verified"
    told = owner.get(f"catalog/recordings/{gone.id}/absence/{before.id}")
    assert "holds the recording" in problem(told, 422, "present")["detail"]
    problem(owner.get(f"catalog/recordings/{gone.id}/absence/{ident('none')}"), 404)
    problem(owner.get(f"catalog/recordings/{ident('none')}/absence/{after.id}"), 404)
    stranger = api("stranger")
    problem(stranger.get(f"catalog/recordings/{gone.id}/absence/{after.id}"), 404)
    problem(stranger.get(f"catalog/recordings/{gone.id}/carried"), 404)


def test_a_proof_while_storage_is_away_is_a_503(granted, api, recordings, cast, s3_away):
    consent_withdraw(consent=granted["Label"], recording_id=recordings[0].id, by=cast.owner)
    after = snapshot("after")
    with s3_away():
        told = problem(api("owner").get(f"catalog/recordings/{recordings[0].id}/absence/{after.id}"), 503)
    assert json.dumps(told)
