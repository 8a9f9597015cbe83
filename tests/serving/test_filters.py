"""What leaves serving was held against the works of its release, and its prompt against the list of names."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from music.sounds import tune as melody
from music.test_ngrams import midi
from serving.licensee import entitlement
from stemma.ids import new_id
from stemma.models.protocol import Example, GenerationRequest, Piece
from stemma.music.audio import encode
from stemma.music.echoes import FILE as ECHOES
from stemma.music.echoes import Echoes
from stemma.music.reference import FILE, Reference
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import KeyRing
from stemma.provenance import lapse
from stemma.provenance.authority import Authority
from stemma.provenance.certificate import Filters, LicenseState, Tuned, read
from stemma.rights.covenant import Covenant, Cover, house_covenant
from stemma.rights.prompting import PROMPTING, PROMPTING_KEY, Prompting, pack
from stemma.storage import Storage
from stemma_serving.config import FiltersConfig
from stemma_serving.filters import Sieve, alarm, refusal
from stemma_serving.marks import Marks, Release
from stemma_serving.problems import RefusedError
from stemma_serving.prompts import Prompts
from stemma_serving.records import Order

EXCLUDING = ("altered_after", "filters_off", "other_training_data")
STATE = LicenseState(not_before="2024", expires_at="2090", revocations_sequence=7, revocations_at="2026")


def tune(seed: int) -> list[tuple[int, int]]:
    draw = random.Random(seed)  # noqa: S311 - no secret
    return [(draw.randrange(55, 80), draw.choice([12, 24])) for _ in range(60)]


SOUND = np.random.default_rng(1).uniform(-0.3, 0.3, (2, 44_100 * 12)).astype(np.float32)


def piece(score: bytes) -> Piece:
    """A piece with its sound, so that nothing is rendered."""
    return Piece("fiddle", 100.0, "D major", 8, 7, score, Example(()), SOUND)


def excluding() -> Covenant:
    """Terms that end the indemnity of the enterprise tier for everything that can be told mechanically."""
    terms = house_covenant()
    cover = Cover(use="api_outputs", cap=1_000_000, exclusions=EXCLUDING)
    tiers = tuple(t.model_copy(update={"indemnity": (cover,)}) if t.name == "enterprise" else t for t in terms.tiers)
    return terms.model_copy(update={"version": "9.9.9", "tiers": tiers})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a release that serving reads for certificates."""
    folder = tmp_path_factory.mktemp("bundle")
    Reference.build((f"work-{n}", midi(tune(n))) for n in range(8)).save(folder / FILE)
    said = '{"name": "house", "version": "3", "snapshot": "s", "snapshot_root": "' + "ab" * 32 + '"}'
    (folder / "stemma.json").write_text(said)
    (folder / "statement.jws").write_text("signed\n")
    (folder / "manifest.json").write_text('{"territory": "DE"}')
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    ring = KeyRing(tmp_path_factory.mktemp("keys"))
    ring.create()
    Authority(ring.folder).create()
    return ring


@pytest.mark.unit
def test_a_piece_that_repeats_a_work_is_refused_with_its_figures(bundle: Path) -> None:
    sieve = Sieve.open(bundle, FiltersConfig(verbatim_notes=30))
    stolen = sieve.hold(piece(midi(tune(100)[:10] + tune(5)[5:50])), None)
    assert stolen.verbatim is not None
    assert (stolen.verbatim.notes, stolen.verbatim.recording, stolen.verbatim.works) == (45, "work-5", 8)
    problem = refusal(stolen)
    assert problem is not None
    assert problem.code == "too-close"
    assert alarm(stolen) == "45 notes on end of recording work-5; limit 30"
    own = sieve.hold(piece(midi(tune(100))), None)
    assert refusal(own) is None
    assert alarm(own) == ""
    assert own.verbatim is not None
    assert own.verbatim.index_sha256 == sha256((bundle / FILE).read_bytes())


@pytest.fixture(scope="module")
def sounding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a release of a model that makes sound, as far as filters read them."""
    folder = tmp_path_factory.mktemp("sounding")
    Echoes.build((f"r{n}", encode(melody(20, seed=n), 44_100, "flac")) for n in range(3)).save(folder / ECHOES)
    return folder


def heard(samples: np.ndarray) -> Piece:
    """A piece that is sound alone."""
    return Piece("fiddle", 0.0, "", 0, 7, None, Example(()), (samples.T / 32767).astype(np.float32))


@pytest.mark.unit
def test_sound_that_stands_in_a_recording_is_refused_with_its_place(sounding: Path) -> None:
    sieve = Sieve.open(sounding, FiltersConfig())
    stolen = melody(20, seed=9)
    stolen[44_100 * 8 : 44_100 * 14] = melody(20, seed=1)[44_100 * 3 : 44_100 * 9]
    found = sieve.hold(heard(stolen), None)
    assert found.heard is not None
    assert (found.heard.recording, found.heard.works, found.off) == ("r1", 3, ("prompt rules",))
    assert found.heard.ms == pytest.approx(6000, abs=700)
    assert found.heard.index_sha256 == sha256((sounding / ECHOES).read_bytes())
    problem = refusal(found)
    assert problem is not None
    assert problem.code == "too-close"
    assert "s of it stand nearly as they are in a recording" in problem.detail
    assert alarm(found).startswith(f"{found.heard.ms} ms from {found.heard.start_ms} ms on, of recording r1 from ")
    own = sieve.hold(heard(melody(20, seed=10)), None)
    assert (refusal(own), alarm(own)) == (None, "")
    whole = Sieve.open(sounding, FiltersConfig(heard_ms=0)).hold(heard(melody(20, seed=2)), None)
    assert whole.off == ("prompt rules", "verbatim passages")
    problem = refusal(whole)
    assert problem is not None
    assert "it shares" in problem.detail


@pytest.mark.unit
def test_what_is_said_of_sound_is_said_of_sound_alone(bundle: Path, sounding: Path) -> None:
    """Filters of a piece with a score have the bytes that they had, and readers of before read them."""
    scored = Sieve.open(bundle, FiltersConfig()).hold(piece(midi(tune(100))), None)
    assert scored.model_dump().keys() == {"prompt", "verbatim", "similarity"}
    found = Sieve.open(sounding, FiltersConfig()).hold(heard(melody(20, seed=0)), None)
    assert Filters.model_validate_json(found.model_dump_json()) == found


@pytest.mark.unit
def test_a_whole_work_is_too_alike_even_where_passages_are_not_looked_for(bundle: Path) -> None:
    found = Sieve.open(bundle, FiltersConfig(verbatim_notes=0)).hold(piece(midi(tune(2))), None)
    assert found.off == ("prompt rules", "verbatim passages")
    problem = refusal(found)
    assert problem is not None
    assert "100 %" in problem.detail


@pytest.mark.unit
@pytest.mark.parametrize(
    ("config", "tuned", "state", "code"),
    [
        (FiltersConfig(), None, "conditional", "altered_after"),
        (FiltersConfig(similarity_ppm=0), None, "lapsed", "filters_off"),
        (FiltersConfig(), Tuned(data_sha256="cd" * 32, attested=False), "lapsed", "other_training_data"),
        (FiltersConfig(), Tuned(data_sha256="cd" * 32, attested=True), "conditional", "altered_after"),
    ],
)
def test_what_serving_certifies_decides_whether_the_indemnity_holds(
    bundle: Path, keys: KeyRing, config: FiltersConfig, tuned: Tuned | None, state: str, code: str
) -> None:
    terms = excluding()
    given = entitlement("secret", covenant=digest(terms))
    order = Order(
        id=new_id(), at="2026-06-01T00:00:00.000Z", request=GenerationRequest(seed=7), format="flac",
        prompt_sha256=sha256(b""), license=given.license, licensee=given.licensee, licensee_name=given.licensee_name,
        tier=given.tier, indemnified=True, covenant=given.covenant, key="k", entitlement="e",
        entitlement_sha256=sha256(b"e"), model_releases=("*",), license_state=STATE, prompt_rules=None, seed_given=True,
    )  # fmt: skip
    found = Sieve.open(bundle, config).hold(piece(midi(tune(100))), None)
    rules = {"sequence": 1, "at": "2026", "names": 3}
    filters = Filters.model_validate({**found.model_dump(), "prompt": rules})
    release = replace(Release.read(bundle), tuned=tuned)
    assert release.territory == "DE"
    made = Marks(keys.folder).finish(order, piece(midi(tune(100))), release, filters, terms)
    said = read(made.certificate, keys.jwks())
    assert (said.covenant_version, said.license_state, said.release_statement_sha256) == (
        *("9.9.9", STATE),
        sha256(b"signed"),
    )
    assert said.cover is not None
    assert said.cover.exclusions == EXCLUDING
    assert len(said.fingerprint) > 100
    found_ = lapse.standing(said, terms)
    assert found_.state == state
    assert code in [reason.code for reason in (*found_.lapsed, *found_.depends)]
    assert lapse.standing(said, terms, altered=True).state == "lapsed"


@pytest.mark.services
def test_a_newer_list_of_names_is_taken_an_older_or_forged_one_is_not(
    storage: Storage, tmp_path: Path, keys: KeyRing
) -> None:
    def publish(sequence: int, *names: str, ring: KeyRing = keys) -> None:
        listed = Prompting(at="2026", sequence=sequence, names={"refused": pack(names)})
        storage.put(PROMPTING_KEY, ring.sign("rights", PROMPTING, listed).encode())

    prompts = Prompts(storage, tmp_path / "prompting.jws", keys.jwks())
    prompts.check("in the style of Ada Example")  # no list yet
    assert prompts.rules is None
    publish(2, "Ada Example")
    prompts.refresh(keys.jwks())
    with pytest.raises(RefusedError) as refused:
        prompts.check("a jig in the style of Ada Example")
    assert refused.value.problem.code == "prompt-names"
    other = KeyRing(tmp_path / "other")
    other.create()
    publish(9, ring=other)
    prompts.refresh(keys.jwks())
    publish(1)
    prompts.refresh(keys.jwks())
    again = Prompts(storage, tmp_path / "prompting.jws", keys.jwks())  # as after a restart without storage
    for each in (prompts, again):
        assert each.rules is not None
        assert each.rules.sequence == 2
        with pytest.raises(RefusedError):
            each.check("like Example")
