"""What may be used is decided from signed documents alone, and every refusal says what to do."""

import pytest

from stemma.errors import ProofError
from stemma.proof.canonical import canonical, digest
from stemma.proof.keys import KeyRing
from stemma.rights.consent import CONSENT, Condition, Grant, Held, RightsStatus, Withdrawn
from stemma.rights.covenant import house_covenant
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


def manifest(recordings, consents, **given):
    return Manifest(
        id="s", name="s", created_at=NOW, scopes=SCOPES, recordings=tuple(recordings),
        consents=consents, root=snapshot_root(recordings), **({"covenant": "c" * 64} | given),
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


TERMS = house_covenant()


@pytest.mark.parametrize(
    ("condition", "purpose", "said"),
    [
        ({"families": ["symbolic"]}, {"family": "symbolic"}, None),
        ({"families": ["symbolic"]}, {"family": "latent"}, "only for symbolic models"),
        ({"families": ["symbolic"]}, {}, "only for symbolic models"),
        ({"territories": ["DE", "FR"]}, {"territory": "FR"}, None),
        ({"territories": ["DE", "FR"]}, {}, "only in DE, FR"),
        ({"until": NOW}, {}, "only until 2026-06-01"),
        ({"until": "2026-06-01T00:00:00.001Z"}, {}, None),
        ({"same_covenant": True}, {}, None),
        ({"same_covenant": True}, {"covenant": "d" * 64}, "only under the covenant of the grant"),
        ({"creators_ppm": 500_000}, {"covenant": digest(TERMS), "terms": TERMS}, None),
        (
            {"creators_ppm": 500_001},
            {"covenant": digest(TERMS), "terms": TERMS},
            "only where creators get at least 50.0001 %",
        ),
        ({"creators_ppm": 1}, {}, "only where creators get at least 0.0001 %"),
        ({"minute_fee": 40_000}, {"covenant": digest(TERMS), "terms": TERMS}, None),
        (
            {"minute_fee": 40_001},
            {"covenant": digest(TERMS), "terms": TERMS},
            "only where a minute costs at least 0.040001",
        ),
    ],
)
def test_a_condition_holds_or_the_scope_is_refused(keys, condition, purpose, said):
    token = grant(keys, "a", "ann", ["r"], conditions={"open_weights_release": Condition(**condition)})
    given = manifest([recording("r", "ann", consents=("a",))], {"a": token}, **purpose)
    found = judge(keys, given)
    assert [o.rule for o in found] == (["scope"] if said else [])
    assert said is None or f"open_weights_release {said}" in found[0].reason


def test_a_wider_grant_beside_a_narrow_one_is_enough(keys):
    narrow = grant(keys, "b", "ann", ["r"], conditions={SCOPES[0]: Condition(families=("latent",))})
    given = manifest([recording("r", "ann", consents=("a", "b"))], {"a": grant(keys, "a", "ann", ["r"]), "b": narrow})
    assert judge(keys, given) == []


def test_each_scope_is_allowed_constrained_or_refused():
    terms = {"scopes": SCOPES, "covenant": "c" * 64, "granted_at": NOW, "signed_by": "a@b"}
    given = {"id": "a", "party": "p", "party_name": "p", "recordings": ()}
    plain = Grant(**given, **terms)
    bound = Grant(**given, **terms, conditions={SCOPES[1]: Condition(same_covenant=True)})
    assert [bound.use(scope) for scope in (*SCOPES, "data_mining")] == ["allowed", "constrained", "refused"]
    assert "conditions" not in plain.model_dump(), "what has no condition is signed as it always was"
    assert Grant.model_validate_json(bound.model_dump_json()) == bound
    with pytest.raises(ValueError, match="data_mining, which are not granted"):
        Grant(**given, **terms, conditions={"data_mining": Condition(same_covenant=True)})
    with pytest.raises(ValueError, match="names at least one thing"):
        Condition()


def test_a_manifest_that_names_no_family_keeps_its_old_form():
    given = manifest([recording("r", "ann")], {})
    assert not {"family", "terms"} & given.model_dump().keys()
    named = manifest([recording("r", "ann")], {}, family="symbolic", terms=TERMS, covenant=digest(TERMS))
    named.check_root()
    assert Manifest.model_validate_json(canonical(named)) == named
    with pytest.raises(ProofError, match="not those of covenant"):
        manifest([recording("r", "ann")], {}, terms=TERMS).check_root()


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
