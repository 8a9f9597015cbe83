"""A dossier checks itself: whole it says what each proof came to, and nothing can be changed, taken out or put in."""

import io
import json
import zipfile

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from provenance.test_verify import MADE, RELEASED, Installation
from stemma.cli.verify import verify
from stemma.music import audio
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import KeyRing
from stemma.proof.log import Entry, receipt, sign_head
from stemma.proof.merkle import Tree
from stemma.provenance import certificate as certificates
from stemma.provenance import credentials, dossier
from stemma.provenance.dossier import Dossier, Finding, Likeness, Member, Near, pack, seal, verify_dossier
from stemma.provenance.verify import Verdict
from stemma.rights.consent import Withdrawn
from stemma.rights.covenant import Cover, house_covenant
from stemma.rights.indemnity import Evidence, coverage

pytestmark = pytest.mark.unit
RATE = 44_100


class Desk(Installation):
    """An installation that also answers claims."""

    def __init__(self, folder, **terms):
        super().__init__(folder)
        rng = np.random.default_rng(7)
        steps = rng.choice([220, 262, 294, 330, 392, 440, 523], size=44)
        tone = np.concatenate([np.sin(2 * np.pi * f * np.arange(RATE // 2) / RATE) for f in steps])
        self.samples = (np.stack([tone, tone], axis=1) * 9000).astype(np.int16)
        house = house_covenant()
        tiers = tuple(
            tier.model_copy(update={"indemnity": (Cover(use="api_outputs", **terms),)})
            if tier.name == "enterprise"
            else tier
            for tier in house.tiers
        )
        self.terms = house.model_copy(update={"tiers": tiers})
        self.entitlement = self.entitlement.model_copy(
            update={"tier": "enterprise", "covenant": digest(self.terms), "indemnified": True}
        )
        path = self.file(
            folder / "made.flac", tier="enterprise", covenant=digest(self.terms), indemnified=True, duration_ms=22_000
        )
        self.original = path.read_bytes()

    def logged(self, kind, subject, document):
        entry = Entry(id=subject, kind=kind, subject=subject, at=RELEASED, digest=document)
        tree = Tree([entry.leaf()])
        return receipt(tree, 0, entry, sign_head(tree, "log", RELEASED, self.keys))

    def dossier(self, submitted=None, *, evidence=None, name="submitted.flac", **changes):
        """The archive of a claim over a sound; without one, over the original."""
        submitted = submitted or self.original
        evidence = evidence or Evidence(altered=False, served=True)
        marked = credentials.read(self.original, "audio/flac", self.authority.anchors())
        made = certificates.read(marked.certificate, self.keys.jwks())
        usage = {
            "id": "g", "at": MADE, "license": made.license, "licensee": made.licensee, "key": "k", "tier": made.tier,
            "covenant": made.covenant, "model_release": made.model_release, "snapshot": made.snapshot, "style": "x",
            "prompt_sha256": made.prompt_sha256, "seed": made.seed, "billable_ms": made.duration_ms,
            "audio_sha256": sha256(self.original), "midi_sha256": made.midi_sha256,
        }  # fmt: skip
        shares = {"r": 600_000_000, "commons": 400_000_000}
        attribution = {
            "generation": "g", "snapshot": "s", "method": "exact-dual/1", "lds": 0.4, "lds_low": 0.3, "lds_high": 0.5,
            "shares": shares,
        }  # fmt: skip
        likeness = Likeness(
            method="score-sketch/1", compared=1, nearest=(Near(recording="r", title="Song", shared_ppm=31_000),),
            longest_run=8, run_recording="r", run_among=1,
        )  # fmt: skip
        logged = self.logged("covenant", self.terms.version, digest(self.terms)).model_dump(mode="json")
        members = {
            dossier.KEYS: json.dumps(self.keys.jwks()).encode(),
            dossier.BUNDLE: self.bundle().model_dump_json().encode(),
            dossier.COVENANT: json.dumps({"document": self.terms.model_dump(mode="json"), "receipt": logged}).encode(),
            dossier.USAGE: json.dumps(usage).encode(),
            dossier.ATTRIBUTION: json.dumps(attribution).encode(),
            dossier.LIKENESS: likeness.model_dump_json().encode(),
            dossier.ORIGINAL: self.original,
            dossier.CERTIFICATE: marked.certificate.encode(),
            dossier.REPORT: b"%PDF-1.7 %%EOF",
            name: submitted,
        }
        values = {
            "claim": "claim", "number": 1, "at": MADE, "received_at": MADE, "claimant": "Acme", "licensee": "org",
            "licensee_name": "Studio", "generation": "g", "use": "api_outputs", "submitted": name,
            "letter_sha256": "0" * 64, "evidence": evidence,
            "finding": Finding(by="credentials", sure_ppm=1_000_000, said="By its credentials."),
            "coverage": coverage(self.terms, "enterprise", "api_outputs", evidence),
            "members": {key: Member(sha256=sha256(body), bytes=len(body)) for key, body in members.items()},
        }  # fmt: skip
        said = Dossier.model_validate({**values, **changes})
        token = seal(said, self.keys)
        return pack(token, self.logged("claim", "claim", sha256(token.encode())), members)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("desk"), cap=1_000_000, exclusions=("altered_after", "prompted_likeness"))


def told(tmp_path, archive, keys=None):
    path = tmp_path / "dossier.zip"
    path.write_bytes(archive)
    report = verify_dossier(path, keys)
    return report, {step.name: step for step in report.steps}


def again(archive, *, change=(), drop=(), add=()):
    """The archive with members changed, taken out or put in."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            if info.filename not in drop:
                new.writestr(info.filename, dict(change).get(info.filename, old.read(info)))
        for name, body in dict(add).items():
            new.writestr(name, body)
    return out.getvalue()


def test_a_whole_dossier_says_what_each_proof_came_to(desk, tmp_path):
    report, steps = told(tmp_path, desk.dossier())
    assert report.verdict is Verdict.VERIFIED, report.steps
    assert list(steps) == [
        "Archive", "Log", "Content credentials", "Certificate", "License", "Model release", "Snapshot", "Consents",
        "Withdrawn since", "License then", "Sound under claim", "Usage fact", "Covenant", "Attribution", "Likeness",
        "Indemnity",
    ]  # fmt: skip
    assert "fidelity (LDS) 0.40, 0.30 to 0.50" in steps["Attribution"].detail
    assert steps["Indemnity"].detail.startswith("Open, USD 1,000,000 a year. People have to say")


def test_what_was_withdrawn_or_revoked_later_does_not_undo_what_was(desk, tmp_path):
    desk.withdrawn, desk.revoked = (Withdrawn(consent="grant", at=MADE),), ("license",)
    try:
        report, steps = told(tmp_path, desk.dossier(license_revoked_at="2026-09-01T00:00:00.000Z"))
    finally:
        desk.withdrawn, desk.revoked = (), ()
    assert report.verdict is Verdict.VERIFIED, report.steps
    assert steps["Withdrawn since"].detail.startswith("1 withdrawals")
    assert "afterwards" in steps["License then"].detail
    before, steps = told(tmp_path, desk.dossier(license_revoked_at="2026-03-01T00:00:00.000Z"))
    assert before.verdict is Verdict.BROKEN
    assert not steps["License then"].holds


def altered(desk):
    """The piece with a new voice above it."""
    rng = np.random.default_rng(3)
    voice = np.concatenate(
        [np.sin(2 * np.pi * f * np.arange(RATE // 3) / RATE) for f in rng.choice([660, 880, 1175], size=66)]
    )
    mixed = desk.samples.astype(np.int32) + (voice[: len(desk.samples), None] * 1200).astype(np.int32)
    raw = io.BytesIO()
    soundfile.write(raw, np.clip(mixed, -32768, 32767).astype(np.int16), RATE, format="FLAC", subtype="PCM_16")
    return raw.getvalue()


def test_an_altered_sound_is_known_by_its_fingerprint_and_its_indemnity_lapses(desk, tmp_path):
    evidence = Evidence(altered=True, served=True)
    report, steps = told(tmp_path, desk.dossier(altered(desk), evidence=evidence))
    assert report.verdict is Verdict.VERIFIED, report.steps
    assert "the same piece, altered" in steps["Sound under claim"].detail
    assert steps["Indemnity"].detail.startswith("Lapsed. ")
    # Whoever says that it is the original is found out, and so is whoever shows another sound.
    lied, steps = told(tmp_path, desk.dossier(altered(desk)))
    assert lied.verdict is Verdict.BROKEN
    assert not steps["Sound under claim"].holds
    noise = audio.encode(np.random.default_rng(1).integers(-9000, 9000, (RATE * 22, 2), dtype=np.int16), RATE, "flac")
    assert not told(tmp_path, desk.dossier(noise, evidence=evidence))[1]["Sound under claim"].holds


def test_a_statement_that_does_not_follow_from_the_members_is_found(desk, tmp_path):
    kind = Evidence(altered=False, judged={"prompted_likeness": False})
    generous = coverage(desk.terms, "enterprise", "api_outputs", kind)
    assert not told(tmp_path, desk.dossier(coverage=generous))[1]["Indemnity"].holds
    assert not told(tmp_path, desk.dossier(generation="other"))[1]["Usage fact"].holds
    assert not told(tmp_path, desk.dossier(licensee="other"))[1]["License then"].holds


@pytest.mark.parametrize(
    ("damage", "verdict", "why"),
    [
        ({"change": {"usage.json": b"{}"}}, Verdict.CHANGED, "usage.json was changed"),
        ({"change": {"original.flac": b"fLaC"}}, Verdict.CHANGED, "original.flac was changed"),
        ({"drop": {"bundle.json"}}, Verdict.CHANGED, "bundle.json was taken out"),
        ({"drop": {"dossier.jws"}}, Verdict.CHANGED, "dossier.jws was taken out"),
        ({"drop": {"receipt.json"}}, Verdict.CHANGED, "receipt.json was taken out"),
        ({"add": {"more.txt": b"x"}}, Verdict.CHANGED, "more.txt was put in"),
        ({"add": {"../../etc/passwd": b"x"}}, Verdict.CHANGED, "../../etc/passwd was put in"),
        ({"drop": {"usage.json"}, "add": {"usage.json": bytes(9 << 20)}}, Verdict.UNREADABLE, "usage.json would"),
        ({"change": {"keys.json": bytes(9 << 20)}}, Verdict.UNREADABLE, "keys.json would unpack"),
        ({"add": {f"{n}": b"" for n in range(40)}}, Verdict.UNREADABLE, "at most 32"),
    ],
)  # fmt: skip
def test_damage_is_refused_by_name(desk, tmp_path, damage, verdict, why):
    report, _ = told(tmp_path, again(desk.dossier(), **damage))
    assert report.verdict is verdict
    assert len(report.steps) == 1
    assert why in report.steps[0].detail


def test_a_member_that_stands_in_it_twice_is_refused(desk, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = again(desk.dossier(), add={"usage.json": b"{}"})
    assert "usage.json stands in it twice" in told(tmp_path, twice)[0].steps[0].detail


def test_another_installation_cannot_pass_for_the_one_that_is_trusted(desk, tmp_path):
    other = KeyRing(tmp_path / "other")
    other.create()
    assert told(tmp_path, desk.dossier(), other.jwks())[0].verdict is Verdict.FOREIGN_KEY
    assert told(tmp_path, b"PK\x03\x04 and no archive")[0].verdict is Verdict.UNREADABLE


def test_the_command_line_walks_a_dossier(desk, tmp_path):
    app, path = typer.Typer(), tmp_path / "dossier.zip"
    app.command()(verify)
    path.write_bytes(desk.dossier())
    done = CliRunner().invoke(app, [str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["steps"][0]["link"] == "Archive"
    path.write_bytes(again(desk.dossier(), drop={"usage.json"}))
    done = CliRunner().invoke(app, [str(path)])
    assert done.exit_code == Verdict.CHANGED.exit_code
    assert "usage.json was taken out" in done.output
