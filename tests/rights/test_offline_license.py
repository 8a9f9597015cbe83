from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemma.errors import InvalidError, ProofError, StemmaError
from stemma.ids import timestamp
from stemma.proof.keys import KeyRing
from stemma.rights.entitlement import ENTITLEMENT, REVOCATIONS, Revocations
from stemma.rights.offline import (
    BEGIN,
    END,
    LICENSE_FILE,
    Binding,
    OfflineLicense,
    Seen,
    armour,
    binding_of,
    check,
    issue,
    open_license,
    peek,
    public_key,
    seen_read,
    seen_write,
    token_of,
)

pytestmark = pytest.mark.unit
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MACHINE = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    made = KeyRing(tmp_path_factory.mktemp("keys"))
    made.create()
    return made


def license_(**changes: Any) -> OfflineLicense:
    fields: dict[str, Any] = {
        "id": "f1",
        "license": "l",
        "sequence": 1,
        "issued_at": "2026-01-01T00:00:00.000Z",
        "licensee": "o",
        "licensee_name": "Studio",
        "tier": "professional",
        "uses": ("open_weights", "fine_tuning"),
        "covenant": "ab" * 32,
        "not_before": "2026-01-01T00:00:00.000Z",
        "expires_at": "2027-01-01T00:00:00.000Z",
    }
    return OfflineLicense(**{**fields, **changes})


def code(refused: pytest.ExceptionInfo[StemmaError]) -> str:
    assert refused.value.message
    return refused.value.code


def test_a_file_says_to_people_what_it_says_to_machines(ring: KeyRing) -> None:
    given = license_(binding=Binding(kind="machine", sha256=binding_of("machine", MACHINE, "l")))
    text = issue(given, ring)
    assert text.startswith(BEGIN)
    assert text.endswith(END + "\n")
    assert "Licensee: Studio" in text
    assert max(map(len, text.splitlines())) <= 120
    assert open_license(text, ring.jwks()) == peek(text) == given


def test_a_file_that_a_mail_program_had_in_hand_still_opens(ring: KeyRing) -> None:
    text = issue(license_(), ring)
    for changed in ("\n\n" + text + "\n", text.replace("\n", "\r\n"), text.replace("\n", "  \n"), "\ufeff" + text):
        assert open_license(changed, ring.jwks()) == license_()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Licensee: Studio", "Licensee: Somebody else"),
        ("Valid: 2026", "Valid: 1926"),
        ("Tier: professional", "Tier: enterprise"),
        ("Bound to: any machine", "Bound to: any machine\nIndemnity: yes"),
        ("Models: all releases\n", ""),
    ],
)
def test_text_that_is_not_what_was_signed_is_refused(ring: KeyRing, old: str, new: str) -> None:
    text = issue(license_(), ring)
    assert old in text
    with pytest.raises(ProofError) as refused:
        open_license(text.replace(old, new), ring.jwks())
    assert code(refused) == "changed-text"


def test_a_name_cannot_write_a_header_of_its_own(ring: KeyRing) -> None:
    sly = license_(licensee_name="Studio\nTier: enterprise\n\n")
    text = issue(sly, ring)
    assert [line for line in text.splitlines() if line.startswith("Tier:")] == ["Tier: professional"]
    assert open_license(text, ring.jwks()) == sly


@given(st.data())
@settings(max_examples=80)
def test_a_file_changed_anywhere_is_refused(ring: KeyRing, data: st.DataObject) -> None:
    text = issue(license_(), ring)
    place = data.draw(st.integers(0, len(text) - 2))
    changed = text[:place] + data.draw(st.sampled_from("AbZ09-_.=\n é")) + text[place + 1 :]
    try:
        opened = open_license(changed, ring.jwks())
    except (InvalidError, ProofError):
        return
    assert opened == license_()


@given(st.text(max_size=300))
@settings(max_examples=80)
def test_anything_else_is_no_license_and_no_crash(ring: KeyRing, text: str) -> None:
    for tried in (text, f"{BEGIN}\n\n{text}\n{END}\n", f"{BEGIN}\nTier: x\n\n{text}.{text}.{text}\n{END}"):
        with pytest.raises((InvalidError, ProofError)):
            open_license(tried, ring.jwks())
        with pytest.raises(InvalidError):
            peek(tried)


def test_a_file_cut_off_is_told_so(ring: KeyRing) -> None:
    lines = issue(license_(), ring).splitlines()
    with pytest.raises(InvalidError, match="not all of one"):
        open_license("\n".join(lines[:-1]), ring.jwks())
    with pytest.raises((InvalidError, ProofError)):
        open_license("\n".join([*lines[:-2], lines[-1]]), ring.jwks())


def test_no_algorithm_no_license(ring: KeyRing) -> None:
    header, payload, signature = token_of(issue(license_(), ring)).split(".")
    said = json.loads(base64.urlsafe_b64decode(header + "=="))
    for algorithm in ("none", "HS256"):
        told = base64.urlsafe_b64encode(json.dumps({**said, "alg": algorithm}).encode()).rstrip(b"=").decode()
        for end in ("", signature):
            with pytest.raises((InvalidError, ProofError)):
                open_license(armour(license_(), f"{told}.{payload}.{end}"), ring.jwks())


def test_a_license_that_somebody_else_signed_is_none(ring: KeyRing, tmp_path: Path) -> None:
    foreign = KeyRing(tmp_path)
    foreign.create()
    with pytest.raises(ProofError) as refused:
        open_license(issue(license_(), foreign), ring.jwks())
    assert code(refused) == "foreign-key"
    for role, typ in (("certificate", LICENSE_FILE), ("license", ENTITLEMENT)):
        with pytest.raises(ProofError):
            open_license(armour(license_(), ring.sign(role, typ, license_())), ring.jwks())  # type: ignore[arg-type]


def test_a_document_for_another_audience_is_no_license_file(ring: KeyRing) -> None:
    said = {**license_().model_dump(mode="json"), "audience": "stemma:serving"}
    with pytest.raises(ProofError) as refused:
        open_license(armour(license_(), ring.sign("license", LICENSE_FILE, said)), ring.jwks())
    assert code(refused) == "other-document"


def holds(given: OfflineLicense, at: datetime = NOW, seen: Seen | None = None, **more: Any) -> Seen:
    return check(given, at=at, seen=seen or Seen(license="l"), **more)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"expires_at": timestamp(NOW)}, "expired"),
        ({"not_before": "2026-06-01T00:00:00.001Z"}, "not-yet"),
        ({"uses": ("api_outputs",)}, "use-not-licensed"),
        ({"model_releases": ("house-symbolic/1",)}, "model-not-licensed"),
        ({"binding": Binding(kind="machine", sha256="0" * 64)}, "other-machine"),
        ({"binding": Binding(kind="cluster", sha256="0" * 64)}, "other-machine"),
        ({"issued_at": "2026-06-02T00:00:00.000Z"}, "clock-set-back"),
    ],
)
def test_what_does_not_hold_is_named(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ProofError) as refused:
        holds(license_(**changes), identifiers={"machine": MACHINE}, release="house-symbolic/2")
    assert code(refused) == expected


def test_a_license_holds_on_the_machine_it_is_bound_to_and_on_no_other() -> None:
    bound = license_(binding=Binding(kind="machine", sha256=binding_of("machine", MACHINE, "l")))
    assert holds(bound, identifiers={"machine": MACHINE + "\n"})
    with pytest.raises(ProofError, match="another machine"):
        holds(bound, identifiers={"machine": MACHINE[::-1]})
    with pytest.raises(ProofError, match="another machine"):
        holds(bound)


def test_a_binding_tells_nothing_of_the_machine_to_another_licensor() -> None:
    assert binding_of("machine", MACHINE, "l") == binding_of("machine", f" {MACHINE.upper()}\n", "l")
    assert binding_of("machine", MACHINE, "l") != binding_of("machine", MACHINE, "m")
    assert binding_of("machine", MACHINE, "l") != binding_of("cluster", MACHINE, "l")
    for bad in ("", "x", "no\nlines", "z" * 32):
        with pytest.raises(InvalidError):
            binding_of("machine", bad, "l")


def test_a_clock_set_back_brings_nothing_back() -> None:
    given = license_()
    seen = holds(given, NOW)
    assert seen.at == timestamp(NOW)
    assert holds(given, NOW - timedelta(minutes=4), seen).at == timestamp(NOW), "clocks differ by minutes"
    with pytest.raises(ProofError) as refused:
        holds(given, NOW - timedelta(hours=1), seen)
    assert code(refused) == "clock-set-back"
    ended = datetime(2027, 1, 1, 0, 1, tzinfo=UTC)
    late = Seen(license="l", sequence=1, at=timestamp(ended))
    with pytest.raises(ProofError) as refused:
        holds(given, ended - timedelta(minutes=3), late)
    assert code(refused) == "expired", "within the skew, time stands still rather than going back"


def test_a_renewal_takes_the_place_of_the_file_before() -> None:
    old, new = license_(), license_(sequence=2, supersedes="f1", expires_at="2028-01-01T00:00:00.000Z")
    seen = holds(new, NOW, holds(old))
    assert seen.sequence == 2
    with pytest.raises(ProofError) as refused:
        holds(old, NOW, seen)
    assert code(refused) == "superseded"


def test_a_list_of_revocations_that_is_brought_ends_a_license(ring: KeyRing, tmp_path: Path) -> None:
    def signed(by: KeyRing, **said: Any) -> str:
        return by.sign("license", REVOCATIONS, Revocations(**said))

    at = timestamp(NOW)
    with pytest.raises(ProofError) as refused:
        holds(license_(), revocations=signed(ring, at=at, licenses=("l",)), keys=ring.jwks())
    assert code(refused) == "revoked"
    assert holds(license_(), revocations=signed(ring, at=at, licenses=("m",)), keys=ring.jwks())
    foreign = KeyRing(tmp_path)
    foreign.create()
    with pytest.raises(ProofError):
        holds(license_(), revocations=signed(foreign, at=at), keys=ring.jwks())
    with pytest.raises(ProofError) as refused:
        holds(license_(), revocations=signed(ring, at="2026-07-01T00:00:00.000Z"), keys=ring.jwks())
    assert code(refused) == "clock-set-back", "a list of tomorrow says that the clock is wrong"


@given(st.lists(st.tuples(st.integers(-100_000, 100_000), st.integers(1, 4)), max_size=30))
@settings(max_examples=100)
def test_neither_time_nor_number_ever_goes_back(steps: list[tuple[int, int]]) -> None:
    seen = Seen(license="l")
    for minutes, sequence in steps:
        at = NOW + timedelta(minutes=minutes)
        try:
            after = holds(license_(sequence=sequence), at, seen)
        except ProofError:
            continue
        assert after.at >= max(seen.at, timestamp(at))
        assert after.sequence >= seen.sequence
        assert after.at < license_().expires_at
        seen = after


def test_what_was_seen_is_kept_and_not_forgotten_when_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "l.json"
    assert seen_read(path, "l") == Seen(license="l")
    seen = holds(license_())
    seen_write(path, seen)
    assert seen_read(path, "l") == seen
    path.write_text("{")
    with pytest.raises(InvalidError, match="cannot be read"):
        seen_read(path, "l")
    with pytest.raises(InvalidError):
        check(license_(), at=NOW, seen=Seen(license="m"))


@pytest.mark.parametrize("change", [{"kty": "EC"}, {"crv": "X25519"}, {"d": "x"}, {"x": "short"}, {"x": None}])
def test_only_a_public_ed25519_key_is_a_receipt_key(tmp_path: Path, change: dict[str, Any]) -> None:
    ring = KeyRing(tmp_path)
    ring.rotate("receipt")
    good = ring.public("receipt")
    assert public_key(good)["kid"] == good["kid"]
    with pytest.raises(ValueError, match="receipt key"):
        public_key({**good, **change})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(name=st.text(min_size=1, max_size=80), releases=st.lists(st.text("ab/1", min_size=1), min_size=1, max_size=3))
def test_every_license_survives_its_file(ring: KeyRing, name: str, releases: list[str]) -> None:
    given = license_(licensee_name=name, model_releases=tuple(releases))
    assert open_license(issue(given, ring), ring.jwks()) == given
