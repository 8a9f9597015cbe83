"""The command line for rights, against a live portal."""

import json
import re

import httpx
import pytest
from typer.testing import CliRunner

from portal.bundling import bundle_make, bundle_upload
from portal.making import SCOPES, ident, record
from stemma.cli import billing, build, covenant, log, model, rights
from stemma.cli.portal_client import Portal
from stemma.config import load
from stemma.errors import InvalidError, NotFoundError, ProofError, UnavailableError
from stemma.ids import now
from stemma.proof.keys import KeyRing, verify
from stemma.rights.entitlement import ENTITLEMENT, REVOCATIONS, REVOCATIONS_KEY, hash_api_key
from stemma.storage import Storage

pytestmark = pytest.mark.services

UUID = r"[0-9a-f]{8}-[0-9a-f-]{27}"


@pytest.fixture(scope="module")
def config(portal):
    portal.manage("seed_demo")
    return load(portal.environ)


@pytest.fixture(scope="module")
def client(config) -> Portal:
    return Portal(config)


@pytest.fixture
def stemma(client, monkeypatch):
    """Runs `stemma …` in this process; gives what it printed, or raises the error the root would show."""
    monkeypatch.setattr(rights, "Portal", lambda: client)
    monkeypatch.setattr(billing, "Portal", lambda: client)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> str:
        return CliRunner().invoke(build([words[0]]), words, catch_exceptions=False).stdout

    return run


def test_rights_over_the_command_line(stemma, client):
    records = [record(n) for n in range(6)]
    assert client.post("catalog/recordings", {"records": records})["created"] == 6
    assert len(list(client.items("catalog/recordings", limit=4))) == 6
    label, artist = ident("party Label"), ident("party Artist")

    said = stemma("consent", "grant", label)
    assert "for 6 recordings" in said
    consent = re.search(rf"Consent ({UUID})", said)[1]
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    stemma("consent", "grant", artist, *scopes, "--until", "2099-12-31", "--recording", records[0]["id"])
    stemma("consent", "grant", artist)
    assert "Withdrawn at" in stemma("consent", "withdraw", consent, "--recording", records[0]["id"])
    assert consent in stemma("consent", "list")

    said = stemma("claim", "open", records[1]["id"], "--claimant", "Somebody", "--reason", "It is mine.")
    assert "is held" in said
    claim = re.search(rf"Claim ({UUID})", said)[1]

    said = stemma("snapshot", "create", "First")
    assert "First, 4 recordings (eligible)" in said
    snapshot = re.search(rf"Snapshot ({UUID})", said)[1]
    assert "6 recordings (all)" in stemma("snapshot", "create", "All", "--all")
    assert "resolved" in stemma("claim", "resolve", claim, "--resolution", "It was not.")
    assert "5 recordings" in stemma("snapshot", "create", "Second")
    assert "First, 4 recordings" in stemma("snapshot", "show", snapshot)
    assert snapshot in stemma("snapshot", "list")


def test_anyone_audits_the_log_over_the_command_line_and_a_changed_one_is_found(portal, config, monkeypatch, tmp_path):
    """No token; pages of three; and what an operator changes in the database does not pass."""
    sent = []

    def stemma(*words: str):
        return CliRunner().invoke(build(["log"]), ["log", "audit", *words], env={"COLUMNS": "200"})

    class Anyone(Portal):
        def get(self, path, **asked):
            sent.append((path, dict(self._http.headers)))
            if path == "log/entries":
                asked["end"] = min(asked["end"], asked["start"] + 2)
            return super().get(path, **asked)

    monkeypatch.setattr(log, "Portal", lambda *, anyone: Anyone(config, anyone=anyone))
    head, keys = tmp_path / "head.jws", tmp_path / "keys.json"
    first = stemma("--json", "--keep", str(head))
    told = json.loads(first.stdout)
    assert (first.exit_code, told["holds"], told["since"]) == (0, True, None)
    assert told["read"] == told["size"] >= told["kinds"]["covenant"] >= 1
    assert sum(path == "log/entries" for path, _ in sent) == -(-told["size"] // 3)
    assert not any("authorization" in headers for _, headers in sent)

    same = json.loads(stemma("--json", "--since", str(head), "--keep", str(head)).stdout)
    assert (same["holds"], same["read"]) == (True, 0)
    Portal(config).post("catalog/recordings", {"records": [record(n) for n in range(3)]})
    Portal(config).post("consents", {"party": ident("party Label"), "recordings": "all", "scopes": SCOPES})
    said = stemma("--since", str(head), "--keep", str(tmp_path / "later.jws"))
    assert (said.exit_code, "Read 1 entries after" in said.stdout, "only grew" in said.stdout) == (0, True, True)
    assert "There is no file" in str(stemma("--since", str(tmp_path / "none")).exception)
    keys.write_text('{"keys": []}')
    assert isinstance(stemma("--keys", str(keys)).exception, ProofError)

    change = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("ALTER TABLE core_logentry DISABLE TRIGGER USER")
    cursor.execute("UPDATE core_logentry SET subject = '{}' || substr(subject, 2) WHERE position = {}")
    cursor.execute("ALTER TABLE core_logentry ENABLE TRIGGER USER")
"""
    place, was = told["size"], Portal(config).get("log/entries", start=told["size"])["entries"][0]["entry"]["subject"]
    portal.shell(change.format("x", place))
    try:
        found = stemma("--since", str(head), "--keep", str(tmp_path / "wrong.jws"))
    finally:
        portal.shell(change.format(was[0], place))
    assert found.exit_code == 4
    assert f"Entry {place} (consent x" in found.stdout
    assert not (tmp_path / "wrong.jws").exists()
    assert stemma().exit_code == 0


def test_licenses_over_the_command_line(stemma, config):
    said = stemma("license", "grant", "indie", "--tier", "professional", "--months", "1")
    license_ = re.search(rf"License ({UUID})", said)[1]
    key = stemma("license", "key", license_, "--name", "game").strip()
    assert key.startswith("stm_")
    storage, jwks = Storage(config), httpx.get(f"{config.portal_url}/.well-known/jwks.json").json()
    entitlement = storage.get(f"licenses/entitlements/{license_}.jws").decode()
    [entry] = verify(entitlement, jwks, "license", ENTITLEMENT)["keys"]
    assert entry["sha256"] == hash_api_key(key)
    assert "is revoked" in stemma("license", "revoke-key", license_, "game")
    with pytest.raises(InvalidError, match="0 keys of this license"):
        stemma("license", "revoke-key", license_, "nothing")
    stemma("license", "revoke", license_)
    revoked = verify(storage.get(REVOCATIONS_KEY).decode(), jwks, "license", REVOCATIONS)
    assert license_ in revoked["licenses"]
    assert entry["id"] in revoked["keys"]
    assert license_ in stemma("license", "list")


def test_weights_over_the_command_line(stemma, client, config, monkeypatch, tmp_path):
    for module in (covenant, model):
        monkeypatch.setattr(module, "Portal", lambda **_: client)
    client.post("catalog/recordings", {"records": [record(n) for n in range(6)]})
    stemma("snapshot", "create", "Weights", "--all")
    snapshot = client.get("snapshots")["items"][0]
    store, folder = Storage(config), tmp_path / "house"
    statement = bundle_make(
        tmp_path / "made", snapshot, store.get(snapshot["manifest"]), KeyRing(config.keys_path), b"w"
    )
    body = {"name": "house-symbolic", "version": "1", "run_id": "r", "statement": statement}
    bundle_upload(tmp_path / "made", client.post("releases", body)["receipt"], store)
    assert "house-symbolic/1" in stemma("model", "list")
    assert "model.safetensors" in stemma("model", "show", "house-symbolic/1")
    with pytest.raises(InvalidError, match="covers open weights"):
        stemma("model", "download", "house-symbolic/1", "--to", str(folder))
    license_ = re.search(UUID, stemma("license", "grant", "ops", "--tier", "community"))[0]
    with pytest.raises(InvalidError, match="Nobody has accepted"):
        stemma("model", "download", "house-symbolic/1", "--to", str(folder))
    stemma("covenant", "accept", license_, "3.0.0", "--yes")
    for said in (stemma("model", "download", "house-symbolic/1", "--to", str(folder)) for _ in range(2)):
        assert "signed and unchanged" in said
    assert (folder / "model.safetensors").read_bytes() == b"w"
    with pytest.raises(InvalidError, match="names no release"):
        stemma("model", "download", "house-symbolic")


def test_refusals_are_told_with_what_to_do(stemma):
    with pytest.raises(NotFoundError, match="There is no snapshot"):
        stemma("snapshot", "show", ident("none"))
    with pytest.raises(InvalidError, match="no tier") as refused:
        stemma("license", "grant", "indie", "--tier", "gold")
    assert "Choose one of community" in refused.value.remedy
    with pytest.raises(InvalidError, match="party: "):
        stemma("consent", "grant", "nonsense")


def test_the_client_tells_what_is_wrong(config, closed_port, tmp_path, monkeypatch):
    with pytest.raises(NotFoundError):
        Portal(config).get("snapshots/" + ident("none"))
    with pytest.raises(InvalidError, match="needs an account") as refused:
        Portal(config, token="stp_wrong").get("consents")
    assert refused.value.code == "not-signed-in"
    with pytest.raises(UnavailableError, match="does not answer"):
        Portal(config.model_copy(update={"portal_url": f"http://127.0.0.1:{closed_port}"})).get("health")
    with pytest.raises(UnavailableError, match="not JSON"):
        Portal(config.model_copy(update={"portal_url": config.s3_endpoint})).get("health")
    monkeypatch.delenv("STEMMA_PORTAL_TOKEN", raising=False)
    with pytest.raises(InvalidError, match="There is no token"):
        Portal(load({"STEMMA_HOME": str(tmp_path)}))
    (tmp_path / "demo.json").write_text('{"operator_token": "from the demonstration"}')
    Portal(load({"STEMMA_HOME": str(tmp_path)}))
    assert Portal(config).fetch("openapi.json").startswith(b"{")
    with pytest.raises(NotFoundError):
        Portal(config).fetch("nothing")


def test_billing_over_the_command_line(stemma, tmp_path):
    """The demonstration has an invoice and a declaration; the rest of the way is bought here."""
    [number] = re.findall(r"S-\d{4}-\d{6}", stemma("billing", "invoices", "--open"))
    assert "Enterprise license" in stemma("billing", "invoice", number)
    for form, head in (("pdf", b"%PDF-"), ("xml", b"<?xml")):
        stemma("billing", "invoice", number, "--to", str(tmp_path / f"a.{form}"))
        assert (tmp_path / f"a.{form}").read_bytes().startswith(head)
    assert "follows from no usage" in stemma("billing", "facts", number)
    with pytest.raises(InvalidError, match="neither"):
        stemma("billing", "invoice", number, "--to", str(tmp_path / "a.doc"))
    assert "over USD 1.190000" in stemma("billing", "credit-note", number, "1.19", "--reason", "Goodwill")
    assert "Wide Screen Games" in stemma("billing", "declarations")
    last = now().year - 1
    year = ("--starts", f"{last}-01-01", "--ends", f"{last}-12-31", "--entity", "Games")
    said = stemma("billing", "declare", "enterprise", "1000", *year)
    assert "review (lowered)" in said
    with pytest.raises(InvalidError, match="does not decide"):  # the operator made it
        stemma("billing", "decide", re.search(UUID, said)[0], "--why", "Fine", "--accept")
    quote = re.search(rf"Quote ({UUID})", stemma("billing", "quote", "enterprise", "enterprise", "--months", "2"))[1]
    assert re.search(r"Pay USD 2,356.200000 with the reference RF\d", stemma("billing", "order", quote))
    assert len(re.findall(r"placed +20\d\d-", stemma("billing", "orders"))) == 2
    assert "There is no credit" in stemma("billing", "credit", "enterprise")
    assert "pay USD 595.000000" in stemma("billing", "credit", "enterprise", "--buy", "500")
    with pytest.raises(NotFoundError):
        stemma("billing", "credit", "nobody")
    for amount in ("x", "0.0000001", "nan"):
        with pytest.raises(InvalidError, match="no amount"):
            stemma("billing", "credit", "enterprise", "--buy", amount)
