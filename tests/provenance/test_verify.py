"""The walk from a file to its consents: each kind of damage has a verdict of its own."""

import io
import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import KeyRing
from stemma.proof.log import Entry, receipt, sign_head
from stemma.proof.merkle import Tree
from stemma.provenance import bundle as bundles
from stemma.provenance.authority import Authority
from stemma.provenance.bundle import Bundle
from stemma.provenance.certificate import Certificate, issue, pcm_sha256
from stemma.provenance.credentials import Marker
from stemma.provenance.statement import RELEASE, ReleaseStatement
from stemma.provenance.verify import Verdict, verify_file
from stemma.rights.consent import CONSENT, RELEASE_SCOPES, STATUS, Grant, RightsStatus, Withdrawn
from stemma.rights.entitlement import ENTITLEMENT, REVOCATIONS, ApiKey, Entitlement, Revocations
from stemma.rights.shares import Share
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root

pytestmark = pytest.mark.unit

GRANTED, SNAPPED, RELEASED, MADE = (f"2026-0{month}-01T00:00:00.000Z" for month in (1, 2, 3, 4))
COVENANT = "c" * 64


class Installation:
    """One installation with its keys, one snapshot, one release and one licensee."""

    def __init__(self, folder):
        self.keys = KeyRing(folder / "keys")
        self.keys.create()
        self.authority = Authority(folder / "keys")
        self.authority.create()
        self.samples = (np.sin(np.arange(44_100)[:, None] / (20, 25)) * 9000).astype(np.int16)
        self.grant = Grant(
            id="grant", party="ann", party_name="Ann", recordings=("r",), scopes=RELEASE_SCOPES, covenant=COVENANT,
            granted_at=GRANTED, signed_by="ann@example.org",
        )  # fmt: skip
        self.entitlement = Entitlement(
            id="e", license="license", licensee="org", licensee_name="Studio", tier="professional",
            uses=("api_outputs",), covenant=COVENANT, requests_per_minute=60, not_before=GRANTED,
            expires_at="2027-01-01T00:00:00.000Z", keys=(ApiKey(id="k", sha256="0" * 64),),
        )  # fmt: skip
        self.withdrawn = ()
        self.revoked = ()

    def file(self, path, **changes):
        """A generated file as serving delivers it."""
        entitlement = self.keys.sign("license", ENTITLEMENT, self.entitlement)
        certificate = Certificate(**{
            "generation": "g", "at": MADE, "license": "license", "licensee": "org", "licensee_name": "Studio",
            "tier": "professional", "indemnified": False, "covenant": COVENANT,
            "entitlement_sha256": sha256(entitlement.encode()), "model_release": "house/1", "snapshot": "s",
            "snapshot_root": self.manifest().root, "style": "chorale", "seed": 1, "prompt_sha256": "0" * 64,
            "pcm_sha256": pcm_sha256(self.samples), "midi_sha256": "0" * 64, "duration_ms": 1000, **changes,
        })  # fmt: skip
        raw = io.BytesIO()
        soundfile.write(raw, self.samples, 44_100, format=path.suffix[1:], subtype="PCM_16")
        mime = f"audio/{path.suffix[1:]}"
        marked = Marker(self.keys.folder).mark(
            raw.getvalue(), mime, title="A piece", certificate=issue(certificate, self.keys), entitlement=entitlement,
            model_release="house/1",
        )  # fmt: skip
        path.write_bytes(marked)
        return path

    def manifest(self):
        one = SnapshotRecording(
            recording="r", isrc="QZST20000001", work="w", iswc="T-034.524.680-1", title="Song", composer="Anon.",
            style="chorale", tempo=80, key="C major", midi_sha256="0" * 64, audio_sha256="1" * 64, duration_ms=1000,
            shares=tuple(Share(party="ann", side=side, ppm=1_000_000) for side in ("master", "publishing")),
            consents=("grant",),
        )  # fmt: skip
        return Manifest(
            id="s", name="s", created_at=SNAPPED, scopes=RELEASE_SCOPES, covenant=COVENANT, recordings=(one,),
            consents={"grant": self.keys.sign("rights", CONSENT, self.grant)}, root=snapshot_root([one]),
        )  # fmt: skip

    def bundle(self):
        manifest = self.manifest()
        consent = manifest.consents["grant"]
        statement = self.keys.sign(
            "release",
            RELEASE,
            ReleaseStatement(
                name="house",
                version="1",
                snapshot="s",
                snapshot_root=manifest.root,
                covenant=COVENANT,
                created_at=RELEASED,
                files={"model.safetensors": "0" * 64},
            ),
        )
        documents = [
            ("consent", "grant", sha256(consent.encode())),
            ("snapshot", "s", digest(manifest)),
            ("release", "house/1", sha256(statement.encode())),
        ]
        entries = [
            Entry(id=str(i), kind=kind, subject=subject, at=RELEASED, digest=hashed)
            for i, (kind, subject, hashed) in enumerate(documents)
        ]
        tree = Tree(entry.leaf() for entry in entries)
        head = sign_head(tree, "log", RELEASED, self.keys)
        consent_receipt, snapshot_receipt, release_receipt = (
            receipt(tree, i, entry, head) for i, entry in enumerate(entries)
        )
        return Bundle(
            at=MADE, jwks=self.keys.jwks(), anchors=self.authority.anchors(), statement=statement,
            release_receipt=release_receipt, manifest=manifest, snapshot_receipt=snapshot_receipt,
            consent_receipts={"grant": consent_receipt},
            status=self.keys.sign("rights", STATUS, RightsStatus(at=MADE, withdrawn=self.withdrawn)),
            revocations=self.keys.sign("license", REVOCATIONS, Revocations(at=MADE, licenses=self.revoked)),
        )  # fmt: skip


@pytest.fixture
def house(tmp_path):
    return Installation(tmp_path)


@pytest.mark.parametrize("name", ["piece.flac", "piece.wav"])
def test_an_untouched_file_is_verified_to_its_consents(house, tmp_path, name):
    report = verify_file(house.file(tmp_path / name), house.bundle())
    assert [(step.name, step.holds) for step in report.steps] == [
        (link, True)
        for link in ("Content credentials", "Certificate", "License", "Model release", "Snapshot", "Consents")
    ], report.steps
    assert report.verdict is Verdict.VERIFIED
    assert report.verdict.exit_code == 0


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_changed_byte_is_found(house, tmp_path, place):
    path = house.file(tmp_path / "piece.wav")
    data = bytearray(path.read_bytes())
    data[44 + int((house.samples.nbytes - 1) * place)] ^= 1
    path.write_bytes(data)
    assert verify_file(path, house.bundle()).verdict is Verdict.CHANGED


def test_a_file_of_another_installation_is_foreign(house, tmp_path):
    other = Installation(tmp_path / "other")
    path = other.file(tmp_path / "piece.flac")
    assert verify_file(path, house.bundle()).verdict is Verdict.FOREIGN_KEY


def test_keys_one_trusts_outrank_those_of_the_bundle(house, tmp_path):
    path = house.file(tmp_path / "piece.flac")
    trusted = Installation(tmp_path / "other").keys.jwks()
    assert verify_file(path, house.bundle(), trusted).verdict is Verdict.FOREIGN_KEY


def test_a_withdrawn_consent_is_told(house, tmp_path):
    path = house.file(tmp_path / "piece.flac")
    house.withdrawn = (Withdrawn(consent="grant", at=MADE),)
    report = verify_file(path, house.bundle())
    assert report.verdict is Verdict.WITHDRAWN
    assert "Song" in report.steps[-1].detail


def test_an_expired_license_is_told(house, tmp_path):
    house.entitlement = house.entitlement.model_copy(update={"expires_at": MADE})
    assert verify_file(house.file(tmp_path / "piece.flac"), house.bundle()).verdict is Verdict.EXPIRED


def test_a_piece_of_a_model_outside_its_license_breaks_the_chain(house, tmp_path):
    house.entitlement = house.entitlement.model_copy(update={"model_releases": ("house/*",), "territories": ("CH",)})
    report = verify_file(house.file(tmp_path / "piece.flac"), house.bundle())
    assert any("for use in CH alone" in step.detail for step in report.steps)
    house.entitlement = house.entitlement.model_copy(update={"model_releases": ("house/2", "other/*")})
    report = verify_file(house.file(tmp_path / "other.flac"), house.bundle())
    assert (report.verdict, report.steps[-1].name) == (Verdict.BROKEN, "License")


def test_a_revoked_license_is_told(house, tmp_path):
    path = house.file(tmp_path / "piece.flac")
    house.revoked = ("license",)
    assert verify_file(path, house.bundle()).verdict is Verdict.REVOKED


def test_a_certificate_moved_to_another_sound_is_found(house, tmp_path):
    path = house.file(tmp_path / "piece.flac", pcm_sha256="e" * 64)
    assert verify_file(path, house.bundle()).verdict is Verdict.CHANGED


def test_a_plain_file_has_no_credentials(house, tmp_path):
    path = tmp_path / "plain.wav"
    soundfile.write(path, house.samples, 44_100, subtype="PCM_16")
    assert verify_file(path, house.bundle()).verdict is Verdict.NO_CREDENTIALS


@pytest.mark.parametrize(
    ("field", "value", "link"),
    [
        ("model_release", "house/2", "Model release"),
        ("snapshot_root", "d" * 64, "Snapshot"),
        ("entitlement_sha256", "d" * 64, "License"),
    ],
)
def test_a_certificate_that_names_something_else_breaks_the_chain(house, tmp_path, field, value, link):
    report = verify_file(house.file(tmp_path / "piece.flac", **{field: value}), house.bundle())
    assert (report.verdict, report.steps[-1].name) == (Verdict.BROKEN, link)


def test_a_consent_that_was_never_logged_breaks_the_chain(house, tmp_path):
    path = house.file(tmp_path / "piece.flac")
    bundle = house.bundle()
    bundle = bundle.model_copy(update={"consent_receipts": {"grant": bundle.snapshot_receipt}})
    report = verify_file(path, bundle)
    assert (report.verdict, report.steps[-1].name) == (Verdict.BROKEN, "Consents")


def test_a_tampered_manifest_breaks_the_chain(house, tmp_path):
    path = house.file(tmp_path / "piece.flac")
    bundle = house.bundle()
    stranger = bundle.manifest.recordings[0].model_copy(update={"title": "Another song"})
    bundle = bundle.model_copy(update={"manifest": bundle.manifest.model_copy(update={"recordings": (stranger,)})})
    report = verify_file(path, bundle)
    assert (report.verdict, report.steps[-1].name) == (Verdict.BROKEN, "Snapshot")


@pytest.mark.parametrize("rubbish", [b"", b"{}", b"[" * 100_000, b"\xff\xfe"])
def test_rubbish_is_unreadable(house, tmp_path, rubbish):
    path = tmp_path / "piece.flac"
    path.write_bytes(rubbish)
    assert verify_file(path, house.bundle()).verdict in {Verdict.UNREADABLE, Verdict.NO_CREDENTIALS}
    with pytest.raises(bundles.InvalidError, match="cannot be read"):
        bundles.parse(rubbish)


class TestCommand:
    @pytest.fixture
    def run(self):
        from typer import Typer

        from stemma.cli.verify import verify

        app = Typer()
        app.command()(verify)
        return lambda *words: CliRunner().invoke(app, [str(word) for word in words])

    def test_it_finds_the_bundle_beside_the_file(self, house, tmp_path, run):
        path = house.file(tmp_path / "piece.flac")
        (tmp_path / "piece.flac.proof.json").write_text(house.bundle().model_dump_json())
        result = run(path)
        assert result.exit_code == 0, result.output
        assert "verified" in result.output

    def test_it_speaks_to_programs_and_leaves_with_the_verdict(self, house, tmp_path, run):
        path = house.file(tmp_path / "piece.flac")
        house.revoked = ("license",)
        (tmp_path / "proof.json").write_text(house.bundle().model_dump_json())
        result = run(path, "--bundle", tmp_path / "proof.json", "--json")
        assert result.exit_code == Verdict.REVOKED.exit_code
        assert json.loads(result.output)["verdict"] == "revoked"
