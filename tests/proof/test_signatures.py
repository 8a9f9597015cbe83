"""Signatures say who, what for, and over which bytes; anything else is refused."""

import base64
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OKPKey

from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.proof.canonical import canonical, digest
from stemma.proof.keys import KeyRing, verify
from stemma.proof.log import Entry, check_receipt, receipt, sign_head
from stemma.proof.merkle import Tree

pytestmark = pytest.mark.unit


@pytest.fixture
def keys(tmp_path):
    ring = KeyRing(tmp_path / "keys")
    ring.create()
    return ring


def test_a_signed_document_is_read_back(keys):
    token = keys.sign("rights", "stemma-test+jws", {"b": 1, "a": "ü"})
    assert verify(token, keys.jwks(), "rights", "stemma-test+jws") == {"a": "ü", "b": 1}


@pytest.mark.parametrize("payload", [{}, {"b": 1, "a": "ü"}, {"long": "x" * 5000}])
def test_a_token_is_what_the_library_for_jws_writes(keys, payload):
    """Byte for byte, and for each kind and key its own."""
    for _ in range(2):
        for role, typ in (("rights", "stemma-test+jws"), ("rights", "stemma-other+jws"), ("log", "stemma-tést+jws")):
            key = OKPKey.import_key(json.loads((keys.folder / f"{role}.json").read_text())["keys"][-1])
            header = {"alg": "Ed25519", "kid": key.kid, "typ": typ}
            wanted = jws.serialize_compact(header, canonical(payload), key, algorithms=["Ed25519"])
            assert keys.sign(role, typ, payload) == wanted
        keys.rotate("rights")


def test_a_signature_speaks_only_for_its_role_and_type(keys):
    token = keys.sign("rights", "stemma-test+jws", {})
    with pytest.raises(ProofError, match="not a known license key") as refusal:
        verify(token, keys.jwks(), "license", "stemma-test+jws")
    assert refusal.value.code == "foreign-key"
    with pytest.raises(ProofError, match="not as 'stemma-other"):
        verify(token, keys.jwks(), "rights", "stemma-other+jws")


def test_keys_of_another_installation_are_foreign(keys, tmp_path):
    other = KeyRing(tmp_path / "other")
    other.create()
    with pytest.raises(ProofError) as refusal:
        verify(other.sign("log", "t", {}), keys.jwks(), "log", "t")
    assert refusal.value.code == "foreign-key"


def test_a_rotated_key_signs_and_the_old_one_still_verifies(keys):
    old = keys.sign("log", "t", {"n": 1})
    kid = keys.rotate("log")
    new = keys.sign("log", "t", {"n": 2})
    assert [verify(token, keys.jwks(), "log", "t")["n"] for token in (old, new)] == [1, 2]
    assert kid in json.dumps(keys.jwks())


def test_private_keys_stay_private(keys):
    assert all("d" not in key for key in keys.jwks()["keys"])
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.folder.iterdir())


def test_a_missing_key_is_named_with_its_remedy(tmp_path):
    with pytest.raises(NotFoundError, match="stemma keys create"):
        KeyRing(tmp_path).sign("log", "t", {})


def test_unsigned_tokens_are_refused(keys):
    kid = keys.jwks()["keys"][0]["kid"]
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": kid, "typ": "t"}).encode()).rstrip(b"=")
    with pytest.raises(ProofError):
        verify(f"{header.decode()}.e30.", keys.jwks(), "log", "t")


@given(st.data())
def test_no_changed_token_is_believed(tmp_path_factory, data):
    keys = KeyRing(tmp_path_factory.getbasetemp() / "shared-keys")
    keys.create()
    token = keys.sign("log", "t", {"amount": 1})
    # The very last character of base64 also carries bits that decoding drops: leave it alone.
    place = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.sampled_from("ABCXYZ019-_."))
    changed = token[:place] + other + token[place + 1 :]
    assume(changed != token)
    with pytest.raises(ProofError):
        verify(changed, keys.jwks(), "log", "t")


@given(st.text(max_size=200))
def test_rubbish_is_refused_as_a_bad_signature(tmp_path_factory, text):
    keys = KeyRing(tmp_path_factory.getbasetemp() / "shared-keys")
    keys.create()
    with pytest.raises(ProofError):
        verify(text, keys.jwks(), "log", "t")


def test_canonical_form_is_the_one_of_the_standard():
    # RFC 8785, 3.2.2 and 3.2.3: numbers as ECMAScript prints them, keys by UTF-16 code units.
    assert canonical({"b": [56.0, 1e30, 4.50], "a": '€$\u000f\nA\'B"\\\\"/'}) == (
        b'{"a":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/","b":[56,1e+30,4.5]}'
    )
    assert digest({"x": 1, "y": 2}) == digest({"y": 2, "x": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60])
def test_numbers_without_a_canonical_form_are_refused(value):
    with pytest.raises(InvalidError):
        canonical({"x": value})


class TestReceipts:
    @pytest.fixture
    def log(self, keys):
        entries = [
            Entry(id=str(i), kind="consent", subject=f"c{i}", at="2026-01-01T00:00:00.000Z", digest=digest(i))
            for i in range(5)
        ]
        tree = Tree(e.leaf() for e in entries)
        head = sign_head(tree, "test", "2026-01-02T00:00:00.000Z", keys)
        return entries, tree, head

    def test_a_receipt_proves_its_entry(self, keys, log):
        entries, tree, head = log
        given = receipt(tree, 3, entries[3], head)
        assert check_receipt(given, keys.jwks(), digest=digest(3)).size == 5

    def test_a_receipt_does_not_prove_another_document(self, keys, log):
        entries, tree, head = log
        with pytest.raises(ProofError, match="another consent document"):
            check_receipt(receipt(tree, 3, entries[3], head), keys.jwks(), digest=digest(4))

    def test_a_receipt_at_another_place_is_refused(self, keys, log):
        entries, tree, head = log
        moved = receipt(tree, 3, entries[3], head).model_copy(update={"index": 2})
        with pytest.raises(ProofError, match="path leads elsewhere"):
            check_receipt(moved, keys.jwks())

    def test_a_receipt_for_an_entry_never_logged_is_refused(self, keys, log):
        entries, tree, head = log
        forged = receipt(tree, 3, entries[3].model_copy(update={"subject": "mine"}), head)
        with pytest.raises(ProofError, match="path leads elsewhere"):
            check_receipt(forged, keys.jwks())


def test_a_document_as_large_as_a_catalog_is_signed_and_verified(tmp_path):
    ring = KeyRing(tmp_path)
    ring.create()
    payload = {"recordings": [f"{n:036d}" for n in range(100_000)]}
    token = ring.sign("rights", "stemma-consent+jws", payload)
    assert verify(token, ring.jwks(), "rights", "stemma-consent+jws") == payload
