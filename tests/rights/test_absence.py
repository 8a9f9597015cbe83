"""A recording that is not in a snapshot can be proved not to be, and one that is cannot."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.errors import InvalidError, ProofError
from stemma.proof.canonical import canonical, sha256
from stemma.proof.log import Entry, receipt, sign_head
from stemma.proof.merkle import Tree
from stemma.rights.absence import HEAD, Absence, absence, check_absence, snapshot_head
from stemma.rights.shares import Share
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root


def recording(name: str) -> SnapshotRecording:
    return SnapshotRecording(
        recording=name,
        isrc="",
        work="w",
        iswc="",
        title=f"Secret title of {name}",
        composer="",
        style="folk",
        tempo=90.0,
        key="C major",
        midi_sha256="0" * 64,
        audio_sha256="0" * 64,
        duration_ms=1,
        shares=(Share(party="p", side="master", ppm=1_000_000),),
        consents=(),
    )


def manifest(names, **changes) -> Manifest:
    rows = tuple(recording(name) for name in sorted(names))
    given = {"id": "s", "name": "Spring", "created_at": "", "scopes": (), "covenant": "", "consents": {}, **changes}
    return Manifest(recordings=rows, root=snapshot_root(rows), **given)


@pytest.fixture
def prove(keyring):
    def proving(found: Manifest, name: str) -> Absence:
        entry = Entry(id="e", kind="snapshot", subject=found.id, at="", digest=sha256(canonical(found)))
        log = Tree([entry.leaf()])
        logged = receipt(log, 0, entry, sign_head(log, "log", "", keyring))
        return absence(found, name, head=snapshot_head(found, keyring), receipt=logged)

    return proving


names = st.text("abcdef", min_size=1, max_size=3)


@settings(max_examples=60)
@given(present=st.sets(names, max_size=20), asked=names)
def test_absent_is_proved_and_present_is_not(keyring, present, asked):
    found = manifest(present)
    entry = Entry(id="e", kind="snapshot", subject=found.id, at="", digest=sha256(canonical(found)))
    log = Tree([entry.leaf()])
    given_ = {
        "head": snapshot_head(found, keyring),
        "receipt": receipt(log, 0, entry, sign_head(log, "log", "", keyring)),
    }
    if asked in present:
        with pytest.raises(InvalidError):
            absence(found, asked, **given_)
        return
    proof = absence(found, asked, **given_)
    assert check_absence(proof, keyring.jwks()).size == len(present)
    assert "Secret title" not in proof.model_dump_json(), "neighbours show nothing but their identifiers"
    for other in present:
        with pytest.raises(ProofError):
            check_absence(proof.model_copy(update={"recording": other}), keyring.jwks())


def test_no_proof_for_a_recording_that_is_there_can_be_put_together(prove, keyring):
    """Neighbours of any two places, of the same tree or of another one: none of them is adjacent around it."""
    found = manifest("abdeg")
    parts = [prove(found, name) for name in ("0", "c", "f", "z")]
    sides = [None, *(p.before for p in parts), *(p.after for p in parts)]
    tried = 0
    for name in "abdeg":
        for before in sides:
            for after in sides:
                forged = parts[0].model_copy(update={"recording": name, "before": before, "after": after})
                with pytest.raises(ProofError):
                    check_absence(forged, keyring.jwks())
                tried += 1
    assert tried > 300


@pytest.mark.parametrize("part", ["head", "receipt", "before", "after"])
def test_a_proof_that_was_changed_fails(prove, keyring, part):
    proof = prove(manifest("abd"), "c")
    other = prove(manifest("abx", id="t"), "c")
    with pytest.raises(ProofError):
        check_absence(proof.model_copy(update={part: getattr(other, part)}), keyring.jwks())


def test_a_head_that_was_signed_for_something_else_is_none(prove, keyring):
    proof = prove(manifest("abd"), "c")
    forged = keyring.sign("log", HEAD, {"snapshot": "s"})
    with pytest.raises(ProofError):
        check_absence(proof.model_copy(update={"head": forged}), keyring.jwks())


def test_a_manifest_out_of_order_is_refused():
    rows = tuple(recording(name) for name in "ba")
    root = Tree(row.leaf() for row in rows).root().hex()
    found = manifest("ab").model_copy(update={"recordings": rows, "root": root})
    with pytest.raises(ProofError, match="order"):
        found.check_root()


def test_snapshots_of_the_first_form_still_verify_and_prove_no_absence(prove):
    rows = tuple(recording(name) for name in "ab")
    root = Tree(row.leaf("stemma.snapshot/1") for row in rows).root().hex()
    old = manifest("ab").model_copy(update={"format": "stemma.snapshot/1", "root": root})
    old.check_root()
    with pytest.raises(InvalidError, match="form"):
        prove(old, "c")
