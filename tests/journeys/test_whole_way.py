"""One piece of music travels the whole way, and every station can be asked through its own door."""

import csv
import io
import json
from pathlib import Path

import pytest

from stemma.config import load
from stemma.provenance.bundle import parse
from stemma.provenance.verify import Verdict

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]


def told(stack, *words, code=0):
    """What `stemma WORDS` prints."""
    done = stack.run(*words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def recordings(stack):
    lines = (stack.home.path / "catalog.jsonl").read_text().splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


def test_every_chapter_is_told(stack):
    assert list(stack.story["chapters"]) == [
        "catalog", "consent", "refusal", "snapshot", "training", "release", "attribution", "generations", "facts",
        "period", "output claim", "verification",
    ]  # fmt: skip


def test_the_gate_refuses_what_was_not_granted_and_says_what_to_do(stack, recordings):
    said = told(stack, "train", "--snapshot", stack.story["everything"], "--preset", "tiny", code=5)
    offenders = {
        name: record["title"] for name, record in recordings.items() if not record["source"]["free"]
    } | {stack.story[name]["recording"]: stack.story[name]["title"] for name in ("withdrawal", "claim")}  # fmt: skip
    for title in offenders.values():
        assert title[:20] in said
    assert "Ask the owner to consent in the portal." in said


def test_what_was_trained_on_is_what_was_granted(stack, recordings):
    manifest = parse(next(stack.listen.glob("*.proof.json")).read_bytes()).manifest
    trained = {recording.recording for recording in manifest.recordings}
    assert trained <= {name for name, record in recordings.items() if record["source"]["free"]}
    assert not trained & {stack.story[name]["recording"] for name in ("withdrawal", "claim")}


def test_a_piece_made_on_the_command_line_is_verified_and_the_same_seed_gives_the_same_music(stack, tmp_path):
    files = [tmp_path / "once.flac", tmp_path / "again.flac"]
    for file in files:
        told(
            stack, "generate", "--prompt", "a solemn chorale in G minor", "--bars", "4", "--seed", "7", "-o", str(file)
        )
        report = json.loads(told(stack, "verify", str(file), "--json"))
        assert report["verdict"] == "verified", report
    once, again = (file.with_suffix(".mid").read_bytes() for file in files)
    assert once == again


def test_a_changed_file_is_not_verified(stack, tmp_path):
    original = next(stack.listen.glob("*.flac"))
    data = bytearray(original.read_bytes())
    data[-1000] ^= 1
    changed = tmp_path / original.name
    changed.write_bytes(data)
    bundle = original.with_name(original.name + ".proof.json")
    told(stack, "verify", str(changed), "--bundle", str(bundle), code=Verdict.CHANGED.exit_code)


def test_the_ledger_holds_and_statements_sum_to_the_creators_money(stack, tmp_path):
    assert "✓" in told(stack, "ledger", "verify")
    period = stack.story["period"]
    told(stack, "period", "statements", period, "--to", str(tmp_path))
    sheets = sorted(tmp_path.rglob("*.csv"))
    assert len(sheets) == len(sorted(tmp_path.rglob("*.pdf"))) > 5
    assert all(path.read_bytes().startswith(b"%PDF") for path in tmp_path.rglob("*.pdf"))
    assert sum(_earned(sheet) for sheet in sheets) == _creators(stack, period)


def test_a_withdrawal_after_the_release_is_told_by_a_fresh_bundle(stack, tmp_path):
    from stemma.provenance import bundle
    from stemma.provenance.authority import Authority
    from stemma.storage import Storage

    original = next(stack.listen.glob("*.flac"))
    old = parse(original.with_name(original.name + ".proof.json").read_bytes())
    told(stack, "consent", "withdraw", next(iter(old.manifest.consents)))
    settings = load(stack.environ)
    fresh = bundle.collect(Storage(settings), stack.story["release"], Authority(settings.keys_path).anchors())
    path = tmp_path / "fresh.json"
    path.write_text(fresh.model_dump_json())
    said = told(stack, "verify", str(original), "--bundle", str(path), code=Verdict.WITHDRAWN.exit_code)
    assert "withdrawn" in said
    # What was handed out before still says what was true then.
    told(stack, "verify", str(original))


def _creators(stack, period: str) -> int:
    from stemma.cli.portal_client import Portal

    found = {row["id"]: row for row in Portal(load(stack.environ)).get("periods")}
    return found[period]["creators"] - found[period]["reserve"]


def _earned(sheet: Path) -> int:
    """Micro-units that a statement's lines sum to."""
    rows = csv.DictReader(io.StringIO(sheet.read_text(encoding="utf-8-sig")))
    return sum(int(row["amount_micro"]) for row in rows if row["kind"] != "opening")
