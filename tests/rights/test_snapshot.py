"""What may be used is decided from signed documents alone, and every refusal says what to do."""

import pytest

from stemma.errors import ProofError
from stemma.proof.keys import KeyRing
from stemma.rights.consent import CONSENT, Grant, Held, RightsStatus, Withdrawn
from stemma.rights.shares import Share
from stemma.rights.snapshot import Manifest, Offence, SnapshotRecording, offences, snapshot_root

pytestmark = pytest.mark.unit

NOW = "2026-06-01T00:00:00.000Z"
SCOPES = ("ai_generative_training", "open_weights_release")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    ring = KeyRing(tmp_path_factory.mktemp("keys"))
    ring.create()
    return ring


def recording(name, *parties, consents=()):
    half = 1_000_000 // len(parties)
    shares = [Share(party=p, side=side, ppm=half) for p in parties for side in ("master", "publishing")]
    return SnapshotRecording(
        recording=name, isrc="QZST20000001", work=f"w-{name}", iswc="T-034.524.680-1", title=f"Title of {name}",
        composer="Anon.", style="chorale", tempo=80, key="C major", midi_sha256="0" * 64, audio_sha256="1" * 64,
        duration_ms=1000, shares=tuple(shares), consents=tuple(consents),
    )  # fmt: skip


def grant(keys, name, party, recordings, **changes):
    terms = {"scopes": SCOPES, "covenant": "c" * 64, "granted_at": "2026-01-01T00:00:00.000Z", "signed_by": "a@b"}
    document = Grant(
        id=name, party=party, party_name=party, recordings=tuple(sorted(recordings)), **(terms | changes)
    )  # fmt: skip
    return keys.sign("rights", CONSENT, document)


def manifest(recordings, consents):
    return Manifest(
        id="s", name="s", created_at=NOW, scopes=SCOPES, covenant="c" * 64, recordings=tuple(recordings),
        consents=consents, root=snapshot_root(recordings),
    )  # fmt: skip


def judge(keys, given, **status):
    return offences(given, RightsStatus(at=NOW, **status), keys.jwks(), NOW)


def rules(keys, given, **status):
    return [(o.recording, o.rule) for o in judge(keys, given, **status)]


def test_what_every_owner_granted_may_be_used(keys):
    given = manifest(
        [recording("r", "ann", "bob", consents=("a", "b"))],
        {"a": grant(keys, "a", "ann", ["r"]), "b": grant(keys, "b", "bob", ["r"])},
    )
    assert judge(keys, given) == []


def test_one_missing_owner_is_enough_to_refuse(keys):
    given = manifest([recording("r", "ann", "bob", consents=("a",))], {"a": grant(keys, "a", "ann", ["r"])})
    (offence,) = judge(keys, given)
    assert (offence.rule, offence.title) == ("no-consent", "Title of r")
    assert "bob" in offence.reason
    assert "consent" in offence.remedy


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"scopes": ("ai_generative_training",)}, "scope"),
        ({"territory": "FR"}, "scope"),
        ({"valid_until": NOW}, "expired"),
        ({"granted_at": "2026-06-01T00:00:00.001Z"}, "expired"),
        ({"party": "eve"}, "no-consent"),
        ({"recordings": ["other"]}, "no-consent"),
    ],
)
def test_a_grant_that_does_not_reach_is_refused(keys, changes, rule):
    terms = {"party": "ann", "recordings": ["r"], **changes}
    given = manifest([recording("r", "ann", consents=("a",))], {"a": grant(keys, "a", **terms)})
    assert rules(keys, given) == [("r", rule)]


def test_a_withdrawal_ends_one_recording_or_the_whole_grant(keys):
    both = [recording("r", "ann", consents=("a",)), recording("s", "ann", consents=("a",))]
    given = manifest(both, {"a": grant(keys, "a", "ann", ["r", "s"])})
    one = (Withdrawn(consent="a", recording="r", at=NOW),)
    assert rules(keys, given, withdrawn=one) == [("r", "withdrawn")]
    assert len(judge(keys, given, withdrawn=(Withdrawn(consent="a", at=NOW),))) == 2


def test_a_claim_holds_its_recording(keys):
    given = manifest([recording("r", "ann", consents=("a",))], {"a": grant(keys, "a", "ann", ["r"])})
    held = (Held(recording="r", claim="k", reason="Authorship is disputed.", since=NOW),)
    assert rules(keys, given, held=held) == [("r", "held")]


def test_a_forged_grant_is_seen(keys, tmp_path):
    forger = KeyRing(tmp_path)
    forger.create()
    given = manifest([recording("r", "ann", consents=("a",))], {"a": grant(forger, "a", "ann", ["r"])})
    assert rules(keys, given) == [("r", "bad-consent")]


def test_content_that_differs_is_an_offence_too(keys):
    given = manifest([recording("r", "ann", consents=("a",))], {"a": grant(keys, "a", "ann", ["r"])})
    other = Offence(recording="r", title="t", rule="content-hash", reason="bytes differ", remedy="upload again")
    found = offences(given, RightsStatus(at=NOW), keys.jwks(), NOW, content=lambda _: other)
    assert found == [other]


def test_a_changed_manifest_does_not_have_its_root(keys):
    given = manifest([recording("r", "ann")], {})
    given.check_root()
    with pytest.raises(ProofError, match="was changed"):
        given.model_copy(update={"recordings": (recording("r", "eve"),)}).check_root()


def test_many_withdrawals_and_claims_are_found_at_once_and_the_whole_grant_before_a_part():
    from stemma.rights.consent import Held, RightsStatus, Withdrawn

    parts = tuple(Withdrawn(consent=f"c{n}", recording=f"r{n}", at="") for n in range(1000))
    held = tuple(Held(recording=f"r{n}", claim=f"k{n}", reason="", since="") for n in range(1000))
    status = RightsStatus(at="", withdrawn=(*parts, Withdrawn(consent="c7", at="later")), held=held)
    assert status.withdrawal("c7", "r7").at == "later"
    assert status.withdrawal("c7", "another").at == "later"
    assert status.withdrawal("c8", "r8") == parts[8]
    assert status.withdrawal("c8", "r9") is None
    assert status.hold("r9").claim == "k9"
    assert status.hold("r1000") is None
    assert RightsStatus.model_validate_json(status.model_dump_json()) == status
