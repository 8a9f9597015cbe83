from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.licensee import entitlement
from stemma.errors import ProofError
from stemma.ids import new_id
from stemma.proof.canonical import canonical, digest
from stemma.proof.keys import KeyRing, verify
from stemma.proof.log import Entry, receipt, sign_head
from stemma.proof.merkle import Tree
from stemma.rights.entitlement import (
    ENTITLEMENT,
    KEY_SCOPES,
    SERVING,
    ApiKey,
    Entitlement,
    Revocations,
    Terms,
    check_logged,
    hash_api_key,
    new_api_key,
)

pytestmark = pytest.mark.unit
AT = "2026-06-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    made = KeyRing(tmp_path_factory.mktemp("keys"))
    made.create()
    return made


@pytest.fixture(scope="module")
def token(ring: KeyRing) -> str:
    return ring.sign("license", ENTITLEMENT, entitlement("stm_secret"))


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def logged(ring: KeyRing, terms: Terms, **changes: Any) -> Any:
    tree = Tree()
    fields = {"kind": "license", "subject": terms.license, "digest": digest(terms), **changes}
    entry = Entry(id=new_id(), at=AT, **fields)
    for leaf in (b"\0" * 32, entry.leaf(), b"\1" * 32):
        tree.append(leaf)
    return receipt(tree, 1, entry, sign_head(tree, "log", AT, ring))


def test_an_entitlement_of_before_scopes_audience_and_proof_is_read_as_it_was_meant() -> None:
    old = {
        "id": "e", "license": "l", "licensee": "o", "licensee_name": "Studio", "tier": "professional",
        "uses": ["api_outputs"], "covenant": "ab" * 32, "model_releases": ["*"], "requests_per_minute": 60,
        "not_before": AT, "expires_at": AT, "keys": [{"id": "k", "sha256": "0" * 64, "expires_at": None}],
        "indemnified": False,
    }  # fmt: skip
    read = Entitlement.model_validate(old)
    assert (read.audience, read.receipt, read.keys[0].scopes) == (SERVING, None, KEY_SCOPES)
    assert Revocations.model_validate({"at": AT, "licenses": [], "keys": []}).sequence == 0


def test_what_says_nothing_new_is_written_as_before_there_was_anything_new_to_say() -> None:
    """Hashes in the log stay, and a serving of before reads it."""
    plain = entitlement("stm_secret")
    assert not {"territories", "models"} & plain.model_dump(mode="json").keys()
    assert set(plain.terms().model_dump()) == {
        "license", "licensee", "tier", "covenant", "not_before", "expires_at",
    }  # fmt: skip
    told = entitlement("stm_secret", territories=("DE",), model_releases=("a/1",))
    assert told.model_dump()["territories"] == ("DE",)
    assert told.terms().models == ("a/1",)
    assert Entitlement.model_validate_json(canonical(told)) == told


def test_a_key_is_random_and_kept_as_its_hash() -> None:
    keys = {new_api_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("stm_") and len(key) > 40 for key in keys)
    key = keys.pop()
    assert key not in ApiKey(id="k", sha256=hash_api_key(key)).model_dump_json()


def test_the_log_proves_the_terms_of_a_license_and_of_no_other(ring: KeyRing) -> None:
    terms = entitlement("stm_secret").terms()
    assert check_logged(terms, None, ring.jwks()) is None
    assert check_logged(terms, logged(ring, terms), ring.jwks()) == 1
    longer = terms.model_copy(update={"expires_at": "2099-01-01T00:00:00.000Z"})
    with pytest.raises(ProofError, match="another license document"):
        check_logged(longer, logged(ring, terms), ring.jwks())
    for changes in ({"kind": "covenant"}, {"subject": "another"}):
        with pytest.raises(ProofError, match="something else"):
            check_logged(terms, logged(ring, terms, **changes), ring.jwks())


def test_what_is_logged_stays_when_keys_come_and_go(ring: KeyRing) -> None:
    """Keys, names and rates change; what was granted does not, so one receipt proves every later document."""
    one = entitlement("stm_a", license="l", licensee="o")
    other = entitlement("stm_b", license="l", licensee="o", requests_per_minute=5)
    assert one.terms() == other.terms()


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "ES256", "RS256", ""])
def test_no_other_algorithm_is_taken(ring: KeyRing, token: str, algorithm: str) -> None:
    header, payload, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(header + "=="))
    for end in ("", signature):
        with pytest.raises(ProofError):
            verify(f"{part({**said, 'alg': algorithm})}.{payload}.{end}", ring.jwks(), "license", ENTITLEMENT)


def test_the_public_key_is_no_shared_secret(ring: KeyRing, token: str) -> None:
    """The old trick: HS256 with the public key as its secret."""
    from joserfc import jws
    from joserfc.jwk import OctKey

    public = next(key for key in ring.jwks()["keys"] if key["stemma_role"] == "license")
    secret = OctKey.import_key(public["x"].encode())
    forged = jws.serialize_compact(
        {"alg": "HS256", "kid": public["kid"], "typ": ENTITLEMENT}, b'{"license": "mine"}', secret, algorithms=["HS256"]
    )
    with pytest.raises(ProofError):
        verify(forged, ring.jwks(), "license", ENTITLEMENT)


def test_a_key_that_travels_in_the_token_is_not_believed(ring: KeyRing, tmp_path: Path) -> None:
    foreign = KeyRing(tmp_path)
    foreign.create()
    header = {"alg": "Ed25519", "kid": foreign.public("license")["kid"], "typ": ENTITLEMENT}
    _, payload, signature = foreign.sign("license", ENTITLEMENT, {"license": "mine"}).split(".")
    for kid in (header["kid"], ring.public("license")["kid"]):
        told = part({**header, "kid": kid, "jwk": foreign.public("license")})
        with pytest.raises(ProofError):
            verify(f"{told}.{payload}.{signature}", ring.jwks(), "license", ENTITLEMENT)


def test_other_roles_and_types_do_not_speak_for_licenses(ring: KeyRing) -> None:
    said = entitlement("stm_secret")
    for role, typ in (("certificate", ENTITLEMENT), ("log", ENTITLEMENT), ("license", "stemma-revocations+jws")):
        with pytest.raises(ProofError):
            verify(ring.sign(role, typ, said), ring.jwks(), "license", ENTITLEMENT)  # type: ignore[arg-type]


@given(st.data())
@settings(max_examples=60)
def test_a_token_cut_or_changed_anywhere_is_refused(ring: KeyRing, token: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(token) - 1))
    with pytest.raises(ProofError):
        verify(token[:place], ring.jwks(), "license", ENTITLEMENT)
    other = data.draw(st.sampled_from("AbZ09-_.=\n "))
    changed = token[:place] + other + token[place + 1 :]
    try:
        same = verify(changed, ring.jwks(), "license", ENTITLEMENT)
    except ProofError:
        return
    # The last character of a part has bits that mean nothing: what is read must be the same then.
    assert same == verify(token, ring.jwks(), "license", ENTITLEMENT)


def test_a_rotated_key_signs_at_once_and_the_old_one_still_verifies(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    ring.create()
    old = ring.sign("license", ENTITLEMENT, {"a": 1})
    kid = KeyRing(tmp_path).rotate("license")  # by another process
    new = ring.sign("license", ENTITLEMENT, {"a": 1})
    assert new != old
    assert ring.public("license")["kid"] == kid
    assert verify(new, ring.jwks(), "license", ENTITLEMENT) == verify(old, ring.jwks(), "license", ENTITLEMENT)
