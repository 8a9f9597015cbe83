"""What the API answers: to good requests, to bad ones, and while something is away."""

import json
import re

import pytest
from django.test import Client

from portal.making import SCOPES, Api, ident, problem, record
from stemma.ids import new_id
from stemma.proof.keys import verify
from stemma.proof.log import TREE_HEAD, Listed, Receipt, TreeHead, check_receipt
from stemma.proof.merkle import verify_consistency
from stemma.proof.monitor import audit
from stemma.provenance.statement import RELEASE
from stemma.rights.snapshot import Manifest
from stemma_portal.catalog.models import Recording
from stemma_portal.core.models import LogEntry
from stemma_portal.core.services import Fact, log_append, log_append_all
from stemma_portal.licensing.models import License
from stemma_portal.operations.models import Snapshot

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_the_way_from_a_record_to_a_release(covenant, api, cast, storage, keyring):
    ops, keys = api("operator"), keyring.jwks()
    records = [record(n) for n in range(8)]
    answer = ops.post("catalog/recordings", {"records": [*records, {"id": "x"}]}).json()
    assert (answer["created"], answer["same"], [r["row"] for r in answer["rejected"]]) == (8, 0, [8])

    parties = {s["party"]["id"] for r in records for s in r["shares"]}
    grants = [ops.post("consents", {"party": p, "recordings": "all", "scopes": SCOPES}).json() for p in parties]
    for grant in grants:
        check_receipt(Receipt.model_validate(grant["receipt"]), keys)
    listed = ops.get("consents").json()["items"]
    assert {row["id"] for row in listed} == {grant["id"] for grant in grants}
    assert ops.get(f"consents/{grants[0]['id']}").json()["document"] == grants[0]["document"]

    withdrawal = ops.post(f"consents/{grants[0]['id']}/withdrawals", {"recording": records[0]["id"]})
    assert withdrawal.status_code == 201
    claim = ops.post("claims", {"recording": records[1]["id"], "claimant": "Somebody", "reason": "Mine."}).json()
    assert ops.get(f"claims/{claim['id']}").json()["state"] == "open"

    snapshot = ops.post("snapshots", {"name": "s", "scopes": SCOPES, "territory": "WORLD"}).json()
    assert snapshot["recordings"] == 6
    assert ops.get(f"snapshots/{snapshot['id']}").json() == snapshot
    manifest = Manifest.model_validate(storage.get_json(snapshot["manifest"]))
    assert manifest.root == snapshot["root"]
    check_receipt(Receipt.model_validate(storage.get_json(f"snapshots/{snapshot['id']}/receipt.json")), keys)
    assert [row["id"] for row in ops.get("snapshots").json()["items"]] == [snapshot["id"]]

    said = {
        "format": "stemma.release/1",
        "name": "house-symbolic",
        "version": "1",
        "snapshot": snapshot["id"],
        "snapshot_root": snapshot["root"],
        "covenant": snapshot["covenant"],
        "created_at": "2026-11-21T00:00:00.000Z",
        "files": {"model.safetensors": "0" * 64},
    }
    body = {"name": "house-symbolic", "version": "1", "run_id": "r", "metrics": {"loss": 0.7}}
    body["statement"] = keyring.sign("release", RELEASE, said)
    release = ops.post("releases", body).json()
    check_receipt(Receipt.model_validate(release["receipt"]), keys)
    assert ops.get("releases/house-symbolic/1").json()["metrics"] == {"loss": 0.7}

    resolved = ops.post(f"claims/{claim['id']}/resolution", {"resolution": "Not theirs."}).json()
    assert resolved["state"] == "resolved"
    assert ops.post("snapshots", {"name": "later", "scopes": SCOPES}).json()["recordings"] == 7


def test_licenses_and_keys(covenant, api, cast, storage):
    rights, licensee = api("rights"), api("licensee")
    made = rights.post("licenses", {"organisation": "studio", "tier": "professional", "months": 12}).json()
    assert rights.get(f"licenses/{made['id']}").json()["state"] == "active"
    key = licensee.post(f"licenses/{made['id']}/keys", {"name": "game"}).json()
    assert key["key"].startswith("stm_")
    assert License.objects.get(id=made["id"]).published
    [shown] = licensee.get("licenses").json()[0]["keys"]
    assert key["key"].startswith(shown["prefix"])
    assert key["key"] not in licensee.get("licenses").content.decode()
    gone = licensee.post(f"licenses/{made['id']}/keys/{key['id']}/revocation").json()
    assert gone["revoked_at"] is not None
    assert rights.post(f"licenses/{made['id']}/revocation").json()["state"] == "revoked"
    problem(licensee.post(f"licenses/{made['id']}/keys", {"name": "late"}), 422, "license-ended")
    problem(rights.post("licenses", {"organisation": "nobody", "tier": "community", "months": 1}), 404)
    problem(rights.post("licenses", {"organisation": "studio", "tier": "gold", "months": 1}), 422, "unknown-tier")
    assert {o["slug"] for o in rights.get("organisations").json()} >= {"studio", "label"}


def test_anyone_may_check_the_log(granted, keyring):
    anyone, keys = Api(), keyring.jwks()
    entry = LogEntry.objects.order_by("position").first()
    receipt = Receipt.model_validate(anyone.get(f"log/entries/{entry.id}/receipt").json())
    head = check_receipt(receipt, keys)
    proof = anyone.get("log/consistency", first=1).json()
    later = TreeHead.model_validate(verify(proof["head"], keys, "log", TREE_HEAD))
    nodes = [bytes.fromhex(node) for node in proof["path"]]
    assert verify_consistency(1, entry.leaf, later.size, bytes.fromhex(later.root), nodes)
    newest = TreeHead.model_validate(verify(anyone.get("log/head").json()["head"], keys, "log", TREE_HEAD))
    assert newest.root == head.root == later.root
    problem(anyone.get("log/consistency", first=99), 422)
    problem(anyone.get(f"log/entries/{ident('none')}/receipt"), 404)


def test_anyone_may_list_the_log_and_finds_no_certificate_by_it(granted, keyring):
    """Whoever knows a certificate's subject may open its page: the list names none."""
    anyone, secret, digest = Api(), ident("generation"), "c" * 64
    log_append(kind="certificate", subject=secret, document_digest=digest)
    hidden = LogEntry.objects.get(subject=secret)
    answer = anyone.get("log/entries", start=0)
    rows = [Listed.model_validate(row) for row in answer.json()["entries"]]
    head = TreeHead.model_validate(verify(anyone.get("log/head").json()["head"], keyring.jwks(), "log", TREE_HEAD))
    assert audit(head, rows).holds
    assert (rows[-1].kind, rows[-1].entry) == ("certificate", None)
    assert rows[0].entry == LogEntry.objects.get(position=0).entry()
    assert [row.index for row in rows] == list(range(LogEntry.objects.count()))
    pages = [Client().get("/log/", query) for query in ({}, {"kind": "certificate"}, {"kind": "consent"})]
    assert [page.status_code for page in pages] == [200] * 3
    assert [secret[:8] in page.content.decode() for page in pages] == [False] * 3
    for text in (answer.content.decode(), *(page.content.decode() for page in pages)):
        assert not any(word in text for word in (secret, hidden.id, digest))
    problem(anyone.get("log/entries", start=99), 422, "start-unknown")
    problem(anyone.get("log/entries", start=1, end=0), 422, "end-before-start")
    problem(anyone.get("log/entries"), 422)


def test_the_log_is_paged_by_position_from_the_newest_on(db):
    log_append_all(facts=[Fact("consent", f"subject-{n:02d}", f"{n:064x}") for n in range(60)])
    log_append(kind="certificate", subject=ident("last"), document_digest="c" * 64)
    reader, address, seen = Client(), "/log/", []
    while address:
        text = reader.get(address).content.decode()
        assert not any(
            found in text for found in LogEntry.objects.filter(kind="certificate").values_list("id", flat=True)
        )
        seen += re.findall(r"subject-\d\d", re.sub(r'title="[^"]*"', "", text))
        later = re.search(r'href="(\?after=\d+)" rel="next"', text)
        address = f"/log/{later[1]}" if later else ""
    assert seen == [f"subject-{n:02d}" for n in reversed(range(60))]
    assert "subject-59" in reader.get("/log/?after=no-number&kind=x").content.decode()


def test_lists_come_in_pages(api, cast):
    ops = api("operator")
    ops.post("catalog/recordings", {"records": [record(n, style="song" if n % 3 else "chorale") for n in range(25)]})
    seen, cursor = [], None
    while True:
        page = ops.get("catalog/recordings", **{"limit": 10, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    by_title = Recording.objects.order_by("title").values_list("id", flat=True)
    assert seen == [str(each) for each in by_title]
    assert len(ops.get("catalog/recordings", style="chorale").json()["items"]) == 9
    assert ops.get(f"catalog/recordings/{seen[0]}").json()["id"] == seen[0]
    problem(ops.get("catalog/recordings", cursor="x"), 422, "cursor")
    for wrong in ({"limit": 0}, {"limit": 501}, {"limit": "many"}, {"style": "No Style"}):
        assert problem(ops.get("catalog/recordings", **wrong), 422)["errors"]


def test_the_same_request_with_its_identifier_is_answered_the_same(covenant, api, cast, catalog, storage):
    ops = api("operator")
    body = {"id": new_id(), "party": catalog["Other"].id, "recordings": "all", "scopes": SCOPES}
    assert ops.post("consents", body).json() == ops.post("consents", body).json()
    problem(ops.post("consents", {**body, "territory": "NO"}), 409, "conflict")
    body = {"id": new_id(), "name": "s", "scopes": SCOPES}
    assert ops.post("snapshots", body).json() == ops.post("snapshots", body).json()
    problem(ops.post("snapshots", {**body, "name": "t"}), 409, "conflict")


BAD_BODIES = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "a number": "7",
    "NaN": '{"party": NaN}',
    "deep": "[" * 100_000,
    "other characters": '{"party": "\xff"}'.encode("latin-1"),
    "nothing in it": "{}",
    "unknown field": json.dumps({"party": ident("x"), "recordings": "all", "scopes": SCOPES, "colour": "blue"}),
    "unknown scope": json.dumps({"party": ident("x"), "recordings": "all", "scopes": ["everything"]}),
    "no scope": json.dumps({"party": ident("x"), "recordings": "all", "scopes": []}),
    "some": json.dumps({"party": ident("x"), "recordings": "some", "scopes": SCOPES}),
    "territory": json.dumps({"party": ident("x"), "recordings": "all", "scopes": SCOPES, "territory": "World"}),
    "local time": json.dumps(
        {"party": ident("x"), "recordings": "all", "scopes": SCOPES, "valid_until": "2030-01-01T00:00:00"}
    ),
    "party": json.dumps({"party": "x", "recordings": "all", "scopes": SCOPES}),
}


def test_bad_bodies_are_told_what_is_wrong_with_them(api, cast):
    ops = api("operator")
    for name, body in BAD_BODIES.items():
        answer = ops.post("consents", body)
        told = problem(answer, 422)
        assert told.get("errors") or told.get("remedy"), name
        for wrong in told.get("errors", []):
            assert set(wrong) == {"field", "rule", "remedy"}, name


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_what_is_no_text_is_refused_everywhere(api, cast, recordings, text):
    ops = api("operator")
    problem(ops.post("claims", {"recording": recordings[0].id, "claimant": text, "reason": "x"}), 422)
    problem(ops.post("claims", {"recording": recordings[0].id, "claimant": "x", "reason": text}), 422)
    problem(ops.post("snapshots", {"name": text, "scopes": SCOPES}), 422)
    problem(ops.post("licenses", {"organisation": text, "tier": "community", "months": 1}), 422)
    body = {"name": "n", "version": "1", "statement": "x", "metrics": {"a": [text]}}
    problem(ops.post("releases", body), 422)


def test_a_body_that_is_too_large_is_refused(api, cast, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    problem(api("operator").post("catalog/recordings", {"records": ["x" * 20_000]}), 413, "too-large")


def test_too_many_records_are_refused(api, cast):
    problem(api("operator").post("catalog/recordings", {"records": [{}] * 501}), 422)


def test_addresses_that_are_none(api, cast):
    ops = api("operator")
    for path in ("nothing", "consents/7", "consents/" + ident("none"), "snapshots/%00", "releases/a/b", "../v2/x"):
        problem(ops.get(path), 404)


def test_a_mistake_of_ours_is_a_problem_and_not_a_page(api, cast, monkeypatch, caplog):
    from stemma_portal.api import operations

    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(operations, "snapshot_create", broken)
    told = problem(api("operator").post("snapshots", {"name": "s", "scopes": SCOPES}), 500, "internal")
    assert "ZeroDivision" not in json.dumps(told)
    assert "ZeroDivisionError" in caplog.text


def test_storage_away_is_a_503_and_nothing_is_half_written(granted, api, cast, s3_away):
    ops, logged = api("operator"), LogEntry.objects.count()
    with s3_away():
        answer = ops.post("snapshots", {"name": "s", "scopes": SCOPES})
    told = problem(answer, 503, "unavailable")
    assert answer["Retry-After"]
    assert "does not answer" in told["detail"]
    assert (Snapshot.objects.count(), LogEntry.objects.count()) == (0, logged)
    assert ops.post("snapshots", {"name": "s", "scopes": SCOPES}).status_code == 201


def test_a_database_that_is_away_is_a_503(api, cast, monkeypatch):
    from django.db import OperationalError

    from stemma_portal.api import catalog

    def away(**_):
        raise OperationalError("connection refused")

    ops = api("operator")
    monkeypatch.setattr(catalog, "find", away)
    told = problem(ops.get("catalog/recordings"), 503, "unavailable")
    assert "refused" not in json.dumps(told)


def test_health_names_the_part_that_is_away(engines, db, settings, s3_away, closed_port):
    anyone = Api()
    well = {"status": "ok", "postgres": "ok", "redis": "ok", "s3": "ok"}
    assert anyone.get("health").json() == anyone.client.get("/healthz").json() == well
    with s3_away():
        answer = anyone.client.get("/healthz")
        assert (answer.status_code, answer.json()["s3"], answer.json()["redis"]) == (503, "ConnectError", "ok")
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{closed_port}/0"},
    }
    answer = anyone.client.get("/healthz")
    assert (answer.status_code, answer.json()["redis"], answer.json()["s3"]) == (503, "ConnectionError", "ok")


def test_the_public_keys_are_public_and_nothing_else_is(db, keyring):
    keys = Api().client.get("/.well-known/jwks.json").json()
    assert keys == keyring.jwks()
    assert all("d" not in key for key in keys["keys"])


def test_the_api_describes_itself(db):
    schema = Api().get("openapi.json").json()
    assert schema["openapi"].startswith("3.")
    assert "/api/v1/consents" in schema["paths"]
