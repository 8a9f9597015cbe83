"""`stemma license` on a machine without a connection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stemma.cli import build
from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.ids import new_id, now, timestamp
from stemma.proof.keys import KeyRing
from stemma.rights.entitlement import REVOCATIONS, Revocations
from stemma.rights.offline import OfflineLicense, Seen, binding_of, issue
from stemma.royalties.receipts import read_batch

pytestmark = pytest.mark.unit
APP = build({"license"})


def stemma(*words: object) -> str:
    """What a command prints; its errors come as they are."""
    done = CliRunner().invoke(APP, ["license", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


class Ground:
    """A licensor's public keys and a license file, carried to this machine."""

    def __init__(self, folder: Path) -> None:
        self.ring = KeyRing(folder / "licensor")
        self.ring.create()
        self.folder = folder
        self.keys = folder / "jwks.json"
        self.keys.write_text(json.dumps(self.ring.jwks()))
        self.key = json.loads(stemma("receipts", "key", "--folder", folder / "own"))
        self.file = self.write("one.license")

    def write(self, name: str, **changes: object) -> Path:
        fields = {
            "id": "f1", "license": "l", "sequence": 1, "issued_at": "2026-01-01T00:00:00.000Z", "licensee": "o",
            "licensee_name": "Studio [bold]", "tier": "professional", "uses": ("open_weights",), "covenant": "ab" * 32,
            "not_before": "2026-01-01T00:00:00.000Z", "expires_at": "2090-01-01T00:00:00.000Z",
            "receipt_keys": (self.key,),
        }  # fmt: skip
        path = self.folder / name
        path.write_text(issue(OfflineLicense(**{**fields, **changes}), self.ring))  # type: ignore[arg-type]
        return path


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_a_file_is_shown_and_verified_without_a_network(ground: Ground) -> None:
    assert "Not checked" in stemma("show", ground.file)
    said = stemma("verify", ground.file, "--keys", ground.keys)
    assert "Studio [bold]" in said
    assert "holds here and now" in said
    seen = Seen.model_validate_json((ground.folder / "one.license.seen.json").read_text())
    assert (seen.license, seen.sequence) == ("l", 1)


def test_what_was_seen_makes_older_files_and_clocks_be_refused(ground: Ground) -> None:
    seen = ground.folder / "seen.json"
    newer = ground.write("two.license", sequence=2, supersedes="f1")
    stemma("verify", newer, "--keys", ground.keys, "--seen", seen)
    with pytest.raises(ProofError, match="superseded"):
        stemma("verify", ground.file, "--keys", ground.keys, "--seen", seen)
    seen.write_text(Seen(license="l", sequence=2, at="2080-01-01T00:00:00.000Z").model_dump_json())
    with pytest.raises(ProofError, match="it was 2080"):
        stemma("verify", newer, "--keys", ground.keys, "--seen", seen)


def test_a_tampered_file_is_refused_and_leaves_nothing(ground: Ground) -> None:
    ground.file.write_text(ground.file.read_text().replace("Tier: professional", "Tier: enterprise"))
    with pytest.raises(ProofError, match="not what was signed"):
        stemma("verify", ground.file, "--keys", ground.keys)
    assert not (ground.folder / "one.license.seen.json").exists()


def test_a_file_is_bound_to_the_cluster_it_was_made_for(ground: Ground) -> None:
    uid = "3a6f0000-1111-4222-8333-444455556666"
    digest = stemma("machine", "l", "--cluster", uid).strip()
    assert digest == binding_of("cluster", uid, "l")
    bound = ground.write("bound.license", binding={"kind": "cluster", "sha256": digest})
    assert "cluster" in stemma("verify", bound, "--keys", ground.keys, "--cluster", uid)
    with pytest.raises(ProofError, match="another cluster"):
        stemma("verify", bound, "--keys", ground.keys)


def test_a_list_of_revocations_is_brought(ground: Ground) -> None:
    given = Revocations(at=timestamp(now()), licenses=("l",), sequence=1)
    path = ground.folder / "revocations.jws"
    path.write_text(ground.ring.sign("license", REVOCATIONS, given))
    with pytest.raises(ProofError, match="revoked"):
        stemma("verify", ground.file, "--keys", ground.keys, "--revocations", path)


def test_receipts_are_written_and_exported(ground: Ground) -> None:
    folder, journal = ground.folder / "own", ground.folder / "receipts.jws"
    use = ground.folder / "use.json"
    common = ("--folder", folder, "--journal", journal, "--keys", ground.keys)
    for n in range(2):
        made = {
            "generation": new_id(), "at": timestamp(now()), "model_release": "house-symbolic/1", "snapshot": "s",
            "style": "fiddle", "seed": n, "billable_ms": 16_000, "prompt_sha256": "0" * 64, "audio_sha256": "1" * 64,
            "midi_sha256": "2" * 64,
        }  # fmt: skip
        use.write_text(json.dumps(made))
        assert f"Receipt {n + 1}" in stemma("receipts", "add", ground.file, use, *common)
    use.write_text('{"billable_ms": -1}')
    with pytest.raises(InvalidError, match="malformed"):
        stemma("receipts", "add", ground.file, use, *common)
    medium = ground.folder / "medium.jws"
    assert "2 receipts" in stemma("receipts", "export", ground.file, "-o", medium, *common)
    keys = {"keys": [{**ground.key, "stemma_role": "receipt"}]}
    assert len(read_batch(medium.read_bytes(), "l", keys).lines) == 2


def test_the_private_receipt_key_stays_private(ground: Ground) -> None:
    assert "d" not in ground.key
    assert json.loads(stemma("receipts", "key", "--folder", ground.folder / "own")) == ground.key
    assert (ground.folder / "own" / "receipt.json").stat().st_mode & 0o077 == 0


def test_what_is_missing_is_told(ground: Ground) -> None:
    with pytest.raises(NotFoundError, match="cannot be read"):
        stemma("show", ground.folder / "none")
    with pytest.raises(InvalidError, match="no license file"):
        stemma("show", ground.keys)
    ground.keys.write_text("{}")
    with pytest.raises(ProofError, match="no public keys"):
        stemma("verify", ground.file, "--keys", ground.keys)
