"""A certificate as a file: what proves it, what breaks it, and when its indemnity has lapsed."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from stemma.cli import build
from stemma.proof.canonical import canonical, digest, sha256
from stemma.proof.keys import KeyRing
from stemma.proof.log import Entry, receipt, sign_head
from stemma.proof.merkle import Tree
from stemma.provenance.certificate import (
    Authorship,
    Certificate,
    Contribution,
    Filters,
    LicenseState,
    PromptRules,
    Similarity,
    Tuned,
    Verbatim,
    issue,
    pcm_sha256,
    read,
    restate,
)
from stemma.provenance.disclosure import disclosure
from stemma.provenance.documents import verify_document
from stemma.provenance.statement import RELEASE, ReleaseStatement
from stemma.rights.covenant import Cover, house_covenant

pytestmark = pytest.mark.unit

AT = "2026-04-01T00:00:00.000Z"
SOUND = np.random.default_rng(3).integers(-9000, 9000, (44_100, 2)).astype(np.int16)
FILTERS = Filters(
    prompt=PromptRules(sequence=4, at=AT, names=120),
    verbatim=Verbatim(notes=9, limit=32, recording="r", works=300, index_sha256="a" * 64),
    similarity=Similarity(shared_ppm=31_000, limit_ppm=600_000),
)
PEOPLE = Authorship(
    contributions=(
        Contribution(name="Ada Example", deed="played", what="the fiddle over it"),
        Contribution(name="Bo Sample", deed="arranged"),
    ),
    stated_by="ada@example.org",
    at=AT,
)


def terms(*exclusions: str):
    house = house_covenant()
    cover = Cover(use="api_outputs", cap=500_000, exclusions=tuple(sorted(exclusions)))
    tiers = tuple(t.model_copy(update={"indemnity": (cover,)}) if t.name == "enterprise" else t for t in house.tiers)
    return house.model_copy(update={"version": "7.0.0", "tiers": tiers})


class House:
    """One installation that has issued a certificate."""

    def __init__(self, folder):
        self.keys = KeyRing(folder / "keys")
        self.keys.create()
        self.terms = terms()
        self.statement = self.keys.sign(
            "release", RELEASE,
            ReleaseStatement(
                name="house", version="1", snapshot="s", snapshot_root="b" * 64, covenant="c", created_at=AT, files={}
            ),
        )  # fmt: skip

    def certificate(self, **changes) -> Certificate:
        fields = {
            "generation": "g", "at": AT, "license": "l", "licensee": "o", "licensee_name": "Studio",
            "tier": "enterprise", "indemnified": True, "covenant": digest(self.terms),
            "covenant_version": self.terms.version,
            "entitlement_sha256": "d" * 64, "model_release": "house/1", "snapshot": "s", "snapshot_root": "b" * 64,
            "style": "fiddle", "seed": 7, "prompt_sha256": "e" * 64, "pcm_sha256": pcm_sha256(SOUND),
            "midi_sha256": sha256(b"score"), "duration_ms": 1000, "filters": FILTERS,
            "release_statement_sha256": sha256(self.statement.encode()),
            "license_state": LicenseState(not_before="2026-01-01", expires_at="2027-01-01", revocations_sequence=8,
                                          revocations_at=AT),
        }  # fmt: skip
        return Certificate(**{**fields, **changes})

    def file(self, *tokens: str, **changes) -> dict:
        logged = [("certificate", "g", sha256(t.encode())) for t in tokens]
        logged += [("release", "house/1", sha256(self.statement.encode())), ("covenant", "7.0.0", digest(self.terms))]
        entries = [
            Entry(id=str(n), kind=kind, subject=subject, at=AT, digest=mark)
            for n, (kind, subject, mark) in enumerate(logged)
        ]
        tree = Tree(entry.leaf() for entry in entries)
        head = sign_head(tree, "log", AT, self.keys)
        proofs = [receipt(tree, n, entry, head).model_dump(mode="json") for n, entry in enumerate(entries)]
        return {
            "certificates": list(tokens),
            "receipts": proofs[: len(tokens)],
            "release": {"statement": self.statement, "receipt": proofs[-2]},
            "covenant": {"document": self.terms.model_dump(mode="json"), "receipt": proofs[-1]},
            "keys": self.keys.jwks(),
            **changes,
        }

    def report(self, *tokens: str, output=None, keys=None, **changes):
        tokens = tokens or (issue(self.certificate(), self.keys),)
        return verify_document(json.dumps(self.file(*tokens, **changes)).encode(), keys, output=output)


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture
def clauses(house):
    """Terms with these exclusions while the test lasts."""
    before = house.terms

    def use(*exclusions: str) -> None:
        house.terms = terms(*exclusions)

    yield use
    house.terms = before


def detail(report, name: str) -> str:
    return next(step.detail for step in report.steps if step.name == name)


def test_every_link_holds_and_is_told_with_its_figures(house):
    report = house.report(keys=house.keys.jwks())
    assert report.verdict.code == "verified", report
    names = [step.name for step in report.steps]
    assert names == ["Certificate", "License", "Log", "Model release", "Filters", "Indemnity"]
    assert "9 notes, 32 allowed" in detail(report, "Filters")
    assert "up to USD 500,000 a year" in detail(report, "Indemnity")
    assert "number 8" in detail(report, "License")


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-6] + "AAAAAA",
        lambda token: token[: len(token) // 2],
        lambda token: token + ".more",
        lambda token: ".".join((_part({"alg": "none", "typ": "stemma-certificate+jws"}), token.split(".")[1], "")),
        lambda token: ".".join((token.split(".")[0], _part({"generation": "g"}), token.split(".")[2])),
        lambda _: "",
    ],
)
def test_a_forged_or_truncated_certificate_does_not_verify(house, change):
    token = issue(house.certificate(), house.keys)
    report = house.report(change(token))
    assert report.verdict.code in {"broken", "foreign-key", "unreadable"}
    assert [step for step in report.steps if step.holds] == []


def _part(value: dict) -> str:
    return base64.urlsafe_b64encode(canonical(value)).decode().rstrip("=")


def test_another_installations_certificate_or_another_kind_of_key_is_foreign(house, tmp_path):
    other = House(tmp_path)
    assert house.report(issue(house.certificate(), other.keys)).verdict.code == "foreign-key"
    as_license = house.keys.sign("license", "stemma-certificate+jws", house.certificate())
    assert house.report(as_license).verdict.code == "foreign-key"
    assert house.report(keys=other.keys.jwks()).verdict.code == "foreign-key"


def test_proofs_of_something_else_break_it(house):
    mine, other = (issue(house.certificate(seed=seed), house.keys) for seed in (7, 8))
    assert house.report(mine, receipts=house.file(other)["receipts"]).verdict.code == "broken"
    assert house.report(mine, receipts=[]).verdict.code == "broken"
    assert (
        house.report(issue(house.certificate(release_statement_sha256="f" * 64), house.keys)).verdict.code == "broken"
    )
    assert house.report(issue(house.certificate(covenant="f" * 64), house.keys)).verdict.code == "broken"


def test_an_output_is_compared_sample_by_sample_and_by_ear(house, clauses, tmp_path):
    clauses("altered_after")
    same, other, score = tmp_path / "same.wav", tmp_path / "other.flac", tmp_path / "score.mid"
    soundfile.write(same, SOUND, 44_100, subtype="PCM_16")
    soundfile.write(other, SOUND[::-1], 44_100)
    score.write_bytes(b"score")
    assert "on the conditions named" in detail(house.report(), "Indemnity")
    for file in (same, score):
        report = house.report(output=file)
        assert report.verdict.code == "verified", report
        assert "It holds up to" in detail(report, "Indemnity")
    report = house.report(output=other)
    assert report.verdict.code == "changed"
    assert report.steps[-1].verdict.code == "lapsed"
    assert "altered after it was handed over" in detail(report, "Indemnity")


@pytest.mark.parametrize(
    ("exclusion", "changes", "words"),
    [
        (
            "filters_off",
            {"filters": Filters(prompt=FILTERS.prompt)},
            "filters were off (verbatim passages and similarity)",
        ),
        ("other_training_data", {"tuned": Tuned(data_sha256="a" * 64, attested=False)}, "without attested rights"),
        ("altered_after", {"tier": "community"}, "community tier comes without indemnity"),
    ],
)
def test_the_indemnity_lapses_for_what_the_covenant_excludes_and_says_why(house, clauses, exclusion, changes, words):
    clauses(exclusion)
    report = house.report(issue(house.certificate(**changes), house.keys))
    assert (report.verdict.code, report.verdict.exit_code) == ("lapsed", 17)
    assert words in detail(report, "Indemnity")
    assert all(step.holds for step in report.steps[:-1]), "the certificate itself is genuine"


def test_what_the_covenant_does_not_exclude_ends_nothing(house, clauses):
    clauses()
    token = issue(house.certificate(filters=Filters(), tuned=Tuned(data_sha256="a" * 64, attested=False)), house.keys)
    report = house.report(token)
    assert report.verdict.code == "verified"
    assert "Off: prompt rules, verbatim passages, similarity" in detail(report, "Filters")


def test_a_statement_makes_a_version_that_names_the_one_before(house):
    first = issue(house.certificate(), house.keys)
    second = restate(first, PEOPLE, house.keys)
    report = house.report(first, second)
    assert report.verdict.code == "verified", report
    assert "Ada Example played the fiddle over it; Bo Sample arranged" in detail(report, "People")
    told = disclosure(read(second, house.keys.jwks()))
    assert (told.contains_ai, told.source_type.rsplit("/", 1)[-1]) == ("Partly", "compositeWithTrainedAlgorithmicMedia")
    assert [c.ai_contribution for c in told.contributors] == ["All", "None", "None"]
    assert disclosure(house.certificate()).contains_ai == "All"
    for wrong in ((second,), (first, first), (second, first), (first, second, second)):
        assert house.report(*wrong).verdict.code == "broken"
    other = issue(
        house.certificate(seed=9, version=2, supersedes=sha256(first.encode()), authorship=PEOPLE), house.keys
    )
    assert house.report(first, other).verdict.code == "broken", "a version may not say otherwise of the output"


def test_a_certificate_of_before_is_read_and_says_what_it_does_not_say(house, clauses):
    clauses("filters_off")
    fields = house.certificate().model_dump(mode="json", exclude_defaults=True) | {"format": "stemma.certificate/1"}
    for later in ("filters", "license_state", "covenant_version", "release_statement_sha256"):
        fields.pop(later)
    report = house.report(house.keys.sign("certificate", "stemma-certificate+jws", fields))
    assert report.verdict.code == "verified", report
    assert "does not say" in detail(report, "Filters")
    assert "does not say" in detail(report, "Indemnity")


def test_the_command_takes_json_and_the_bare_certificate(house, tmp_path):
    token = issue(house.certificate(), house.keys)
    (tmp_path / "certificate.json").write_text(json.dumps(house.file(token)))
    (tmp_path / "certificate.jws").write_text(token + "\n")
    (tmp_path / "keys.json").write_text(json.dumps(house.keys.jwks()))
    (tmp_path / "score.mid").write_bytes(b"another score")
    run = lambda *words: CliRunner().invoke(build(["verify"]), ["verify", *map(str, words)])  # noqa: E731
    assert run(tmp_path / "certificate.json").exit_code == 0
    assert run(tmp_path / "certificate.jws").exit_code == 2, "it carries no keys"
    assert run(tmp_path / "certificate.jws", "--keys", tmp_path / "keys.json").exit_code == 0
    done = run(tmp_path / "certificate.json", "--output", tmp_path / "score.mid")
    assert done.exit_code == 11
    assert "another score" in done.output
