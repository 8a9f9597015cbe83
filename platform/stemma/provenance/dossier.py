"""The dossier of a claim against an output: everything that speaks for it, in one archive that checks itself.

`dossier.jws` names every member with its size and hash, so that nothing can be changed, taken away or put
in; `receipt.json` proves that the log holds it.  `checks` walks every proof there is and says what each
came to, with nothing but the archive at hand; the same walk is printed in `report.pdf` before it is signed.
"""

from __future__ import annotations

import io
import json
import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import soundfile
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stemma.errors import InvalidError, ProofError, StemmaError
from stemma.music.form import open_zip
from stemma.music.likeness import SAME_SOUND, bit_error
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import Jwks, KeyRing, verify
from stemma.proof.log import Receipt, check_receipt
from stemma.provenance import certificate as certificates
from stemma.provenance.bundle import Bundle
from stemma.provenance.bundle import parse as parse_bundle
from stemma.provenance.certificate import Certificate, pcm_sha256
from stemma.provenance.verify import Report, Step, Verdict, verify_file
from stemma.rights.consent import STATUS, RightsStatus
from stemma.rights.covenant import AnyCovenant, Use, read_covenant
from stemma.rights.indemnity import Coverage, Evidence, coverage

DOSSIER = "stemma-dossier+jws"
LOGGED = "claim"
"""Kind of its entry in the log; the subject is the claim."""
SEAL, RECEIPT = "dossier.jws", "receipt.json"
KEYS, BUNDLE, COVENANT, USAGE, ATTRIBUTION, LIKENESS = (
    *("keys.json", "bundle.json", "covenant.json"),
    *("usage.json", "attribution.json", "likeness.json"),
)
ORIGINAL, CERTIFICATE, REPORT = "original.flac", "certificate.jws", "report.pdf"
OPTIONAL = frozenset({ATTRIBUTION, LIKENESS, REPORT})
"""Members that a dossier may lack: a sound without a score has no likeness, one just made no attribution."""
PPB = 1_000_000_000
MOST_BYTES = 512 << 20
MOST_MEMBERS = 32
MOST_SMALL = 8 << 20
"""Bytes of what is read before its size is known from the seal."""
MOST_RATIO = 100
CONVERTED = 0.02
"""Bits in which a conversion to MP3 differs at most; a fingerprint cannot tell it from a light edit."""
SAME_LENGTH = 500
"""Milliseconds by which a conversion may change how long a sound is."""
_UNPACKING = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, RuntimeError, NotImplementedError)

By = Literal["credentials", "file-hash", "sound-hash", "fingerprint"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(_Part):
    """One file of the archive."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0, le=MOST_BYTES)


class Finding(_Part):
    """How the generation was found, and how sure that is."""

    by: By
    sure_ppm: int = Field(ge=0, le=1_000_000)
    error_ppm: int | None = None
    """Bits of the fingerprints that differ; None where they were not needed."""
    said: str


class Dossier(_Part):
    """What is sealed: signed with a key of role `certificate` as type `DOSSIER`."""

    format: Literal["stemma.dossier/1"] = "stemma.dossier/1"
    claim: str
    number: int = Field(ge=1)
    """Of the claim's dossiers, counted from 1."""
    at: str
    received_at: str
    claimant: str
    """Who wrote the letter."""
    licensee: str
    licensee_name: str
    license_revoked_at: str | None = None
    generation: str
    use: Use
    submitted: str
    """Name of the member that holds the sound under claim."""
    letter_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The letter itself is between its writer, the licensee and us."""
    finding: Finding
    evidence: Evidence
    coverage: Coverage
    members: dict[str, Member]


class Near(_Part):
    """A trained work that holds something of the output."""

    recording: str
    title: str
    shared_ppm: int


class Likeness(_Part):
    """How much the output resembles what its model was trained on; measured by us, attested by the seal."""

    method: str
    compared: int
    """Works of the snapshot that could be compared."""
    nearest: tuple[Near, ...]
    """The most alike, the first the most."""
    longest_run: int
    """Notes of the longest passage shared note for note with one of `run_among` works; 0: below seven."""
    run_recording: str = ""
    run_among: int = 0


def alteration(error: float | None, submitted_ms: int, original_ms: int) -> bool | None:
    """Whether a sound with other samples was altered, by its fingerprint; None where it may just be a conversion."""
    if error is None or error > CONVERTED or abs(submitted_ms - original_ms) > SAME_LENGTH:
        return True
    return None


def seal(dossier: Dossier, keys: KeyRing) -> str:
    """The dossier as a compact JWS."""
    return keys.sign("certificate", DOSSIER, dossier)


def pack(token: str, receipt: Receipt, members: Mapping[str, bytes]) -> bytes:
    """The archive; the same parts give the same bytes."""
    out = io.BytesIO()
    whole = {SEAL: token.encode(), RECEIPT: receipt.model_dump_json().encode(), **members}
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(whole):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            plain = name.endswith((".json", ".jws", ".txt"))
            info.compress_type = zipfile.ZIP_DEFLATED if plain else zipfile.ZIP_STORED
            archive.writestr(info, whole[name])
    return out.getvalue()


def verify_dossier(path: Path, keys: Jwks | None = None) -> Report:
    """Every proof in an archive.  `keys` are those of the installation you trust; else the archive's own are used."""
    report = Report()
    try:
        dossier, members, seal_, trusted = _unpack(path, keys)
    except _Refused as refused:
        report.steps.append(Step("Archive", refused.verdict, refused.why))
        return report
    names = f"{len(members)} members, each as it was sealed"
    report.steps.append(_holds("Archive", f"{names}; sealed {dossier.at} for claim {dossier.claim}."))
    report.steps.append(_step("Log", lambda: _logged(dossier, seal_, members[RECEIPT], trusted)))
    report.steps += checks(dossier, members, trusted)
    return report


def checks(dossier: Dossier, members: Mapping[str, bytes], keys: Jwks) -> list[Step]:
    """What each proof came to, in the order in which one leads to the next."""
    return _Walk(dossier, members, keys).steps()


# --- The archive ------------------------------------------------------------------------------------


class _Refused(Exception):  # noqa: N818 - a finding, told in the report
    def __init__(self, verdict: Verdict, why: str) -> None:
        super().__init__(why)
        self.verdict, self.why = verdict, why


def _unpack(path: Path, keys: Jwks | None) -> tuple[Dossier, dict[str, bytes], str, Jwks]:
    try:
        archive = open_zip(path, remedy="Ask for the dossier again.")
    except InvalidError as error:
        raise _Refused(Verdict.UNREADABLE, str(error)) from error
    with archive:
        infos = archive.infolist()
        if len(infos) > MOST_MEMBERS:
            raise _Refused(Verdict.UNREADABLE, f"It holds {len(infos)} members; a dossier has at most {MOST_MEMBERS}.")
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            if found.setdefault(info.filename, info) is not info:
                raise _Refused(Verdict.CHANGED, f"{_shown(info.filename)} stands in it twice.")
        if missing := [name for name in (SEAL, RECEIPT, KEYS) if name not in found]:
            raise _Refused(Verdict.CHANGED, f"{missing[0]} was taken out; without it nothing can be believed.")
        token = _read(archive, found[SEAL], MOST_SMALL).decode(errors="replace").strip()
        dossier, trusted = _opened(token, _read(archive, found[KEYS], MOST_SMALL), keys)
        _whole(dossier, found)
        members = {RECEIPT: _read(archive, found[RECEIPT], MOST_SMALL)}
        for name, member in sorted(dossier.members.items()):
            body = _read(archive, found[name], member.bytes)
            if len(body) != member.bytes or sha256(body) != member.sha256:
                raise _Refused(Verdict.CHANGED, f"{name} was changed: it is not the one that was sealed.")
            members[name] = body
    return dossier, members, token, trusted


def _opened(token: str, own: bytes, keys: Jwks | None) -> tuple[Dossier, Jwks]:
    try:
        trusted = keys if keys is not None else json.loads(own)
        return Dossier.model_validate(verify(token, trusted, "certificate", DOSSIER)), trusted
    except ProofError as error:
        foreign = error.code == "foreign-key"
        raise _Refused(Verdict.FOREIGN_KEY if foreign else Verdict.CHANGED, str(error)) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _Refused(Verdict.UNREADABLE, f"{SEAL} is no seal of a dossier as we write them.") from error


def _whole(dossier: Dossier, found: Mapping[str, zipfile.ZipInfo]) -> None:
    if sum(member.bytes for member in dossier.members.values()) > MOST_BYTES:
        raise _Refused(Verdict.UNREADABLE, f"Its members are larger than {MOST_BYTES >> 20} MiB together.")
    sealed = {*dossier.members, SEAL, RECEIPT}
    needed = {KEYS, BUNDLE, COVENANT, USAGE, ORIGINAL, CERTIFICATE, dossier.submitted}
    if lacking := sorted(needed - dossier.members.keys()):
        raise _Refused(Verdict.BROKEN, f"It was sealed without {lacking[0]}.")
    if removed := sorted(sealed - found.keys()):
        raise _Refused(Verdict.CHANGED, f"{removed[0]} was taken out.")
    if added := sorted(found.keys() - sealed):
        raise _Refused(Verdict.CHANGED, f"{_shown(added[0])} was put in: it is not among what was sealed.")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """A member, never more than it may be, whatever its header says."""
    crowded = info.file_size > MOST_SMALL and info.file_size > MOST_RATIO * info.compress_size
    if info.file_size > most or crowded:
        raise _Refused(Verdict.UNREADABLE, f"{_shown(info.filename)} would unpack to far more than it should.")
    try:
        with archive.open(info) as file:
            body = file.read(most + 1)
    except _UNPACKING as error:
        raise _Refused(Verdict.CHANGED, f"{_shown(info.filename)} cannot be unpacked: it was changed.") from error
    if len(body) > most:
        raise _Refused(Verdict.UNREADABLE, f"{_shown(info.filename)} would unpack to far more than it should.")
    return body


def _shown(name: str) -> str:
    return repr(name[:80])[1:-1] or "A member without a name"


# --- The walk ---------------------------------------------------------------------------------------


def _holds(name: str, detail: str) -> Step:
    return Step(name, Verdict.VERIFIED, detail)


def _step(name: str, check: Callable[[], str]) -> Step:
    try:
        return _holds(name, check())
    except ProofError as error:
        return Step(name, Verdict.FOREIGN_KEY if error.code == "foreign-key" else Verdict.BROKEN, str(error))
    except ValidationError:
        return Step(name, Verdict.BROKEN, "It does not have the form in which we write it.")
    except (StemmaError, ValueError, TypeError, KeyError, RecursionError, soundfile.LibsndfileError) as error:
        return Step(name, Verdict.BROKEN, str(error) or type(error).__name__)


def _logged(dossier: Dossier, token: str, receipt: bytes, keys: Jwks) -> str:
    given = Receipt.model_validate_json(receipt)
    head = check_receipt(given, keys, digest=sha256(token.encode()))
    if (given.entry.kind, given.entry.subject) != (LOGGED, dossier.claim):
        raise ProofError("The receipt in it is of something else.", code="other-document")
    return f"Entry {given.index} of {head.size}, logged {given.entry.at}."


class _Walk:
    """Each method checks one thing and says in words what it found."""

    def __init__(self, dossier: Dossier, members: Mapping[str, bytes], keys: Jwks) -> None:
        self.dossier, self.members, self.keys = dossier, members, keys
        self.terms: AnyCovenant | None = None

    def steps(self) -> list[Step]:
        try:
            self.bundle: Bundle = parse_bundle(self.members[BUNDLE])
            self.certificate: Certificate = certificates.read(self.members[CERTIFICATE].decode().strip(), self.keys)
            self.samples, self.rate = soundfile.read(io.BytesIO(self.members[ORIGINAL]), dtype="int16", always_2d=True)
        except (StemmaError, ValueError, soundfile.LibsndfileError) as error:
            foreign = isinstance(error, ProofError) and error.code == "foreign-key"
            return [Step("Certificate", Verdict.FOREIGN_KEY if foreign else Verdict.BROKEN, str(error))]
        walked = self._original()
        rest: list[tuple[str, Callable[[], str]]] = [
            ("Withdrawn since", self.withdrawn),
            ("License then", self.license),
            ("Sound under claim", self.submitted),
            ("Usage fact", self.usage),
            ("Covenant", self.covenant),
            ("Attribution", self.attribution),
            ("Likeness", self.likeness),
            ("Indemnity", self.indemnity),
        ]
        return [*walked, *(_step(name, check) for name, check in rest)]

    def _original(self) -> list[Step]:
        """The walk of `stemma verify` over the file as it was handed out, with rights as they stood then."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ORIGINAL
            path.write_bytes(self.members[ORIGINAL])
            report = verify_file(path, self.bundle, self.keys, as_it_was=True)
        if report.certificate is not None and report.certificate != self.certificate:
            return [*report.steps, Step("Certificate", Verdict.BROKEN, "The file carries another certificate.")]
        return report.steps

    def withdrawn(self) -> str:
        status = RightsStatus.model_validate(verify(self.bundle.status, self.keys, "rights", STATUS))
        ours = {recording.recording: recording for recording in self.bundle.manifest.recordings}
        since = [
            fact
            for fact in status.withdrawn
            if fact.consent in self.bundle.manifest.consents and (fact.recording is None or fact.recording in ours)
        ]
        held = [fact for fact in status.held if fact.recording in ours]
        if not since and not held:
            return f"Nothing, as of {status.at}."
        return f"{len(since)} withdrawals, {len(held)} recordings under claim, as of {status.at}; none undoes what was."

    def license(self) -> str:
        revoked = self.dossier.license_revoked_at
        if (self.certificate.license, self.certificate.licensee) != (self._usage["license"], self.dossier.licensee):
            raise ProofError("The certificate is of another license or licensee than the claim.", code="other-document")
        if revoked is not None and revoked <= self.certificate.at:
            raise ProofError(f"The license was revoked {revoked}, before this was made.", code="revoked")
        told = f"; revoked {revoked}, afterwards" if revoked else ""
        return f"License {self.certificate.license} of {self.certificate.licensee_name} was in force{told}."

    def submitted(self) -> str:
        """That the sound under claim is the generation's, by what the dossier says it was found by."""
        finding, body = self.dossier.finding, self.members[self.dossier.submitted]
        same = self._same_samples(body)
        if self.dossier.evidence.altered is False and not same:
            raise ProofError("It is said to be unaltered, and its samples are others.", code="altered")
        if same:
            return f"It holds the very samples that were handed out. {finding.said}"
        error, altered = self._compared(body)
        if error is None or error > SAME_SOUND:
            raise ProofError("Its fingerprint is not that of the generation.", code="other-sound")
        if altered != self.dossier.evidence.altered:
            raise ProofError("Whether it was altered is said otherwise than its fingerprint says.", code="altered")
        how = "altered" if altered else "converted, or lightly edited"
        return f"Its fingerprint differs in {error:.1%} of bits: the same piece, {how}. {finding.said}"

    def usage(self) -> str:
        fact, said = self._usage, self.certificate
        pairs = {
            "id": said.generation, "license": said.license, "licensee": said.licensee, "tier": said.tier,
            "covenant": said.covenant, "model_release": said.model_release, "snapshot": said.snapshot,
            "prompt_sha256": said.prompt_sha256, "midi_sha256": said.midi_sha256, "seed": said.seed,
            "audio_sha256": sha256(self.members[ORIGINAL]),
        }  # fmt: skip
        if wrong := [name for name, value in pairs.items() if fact[name] != value]:
            raise ProofError(f"The fact names another {', '.join(wrong)} than certificate and file.", code="usage")
        if fact["id"] != self.dossier.generation:
            raise ProofError("The fact is of another generation than the claim.", code="usage")
        return f"{fact['billable_ms']:,} ms billed {fact['at']}, for the file in hand."

    def covenant(self) -> str:
        held = json.loads(self.members[COVENANT])
        if digest(held["document"]) != self.certificate.covenant:
            raise ProofError("These are not the terms that the certificate names.", code="covenant")
        self.terms = read_covenant(held["document"])
        given = Receipt.model_validate(held["receipt"])
        head = check_receipt(given, self.keys, digest=self.certificate.covenant)
        if (given.entry.kind, given.entry.subject) != ("covenant", self.terms.version):
            raise ProofError("The receipt is not of this covenant.", code="other-document")
        return f"Version {self.terms.version}, entry {given.index} of {head.size}."

    def attribution(self) -> str:
        if ATTRIBUTION not in self.members:
            return "None has come for it: every trained work shares equally."
        fact = json.loads(self.members[ATTRIBUTION])
        if fact["generation"] != self.dossier.generation or fact["snapshot"] != self.certificate.snapshot:
            raise ProofError("It is of another generation or snapshot.", code="attribution")
        shares: dict[str, int] = fact["shares"]
        if sum(shares.values()) != PPB or min(shares.values()) < 0:
            raise ProofError("Its shares do not add up to the whole.", code="attribution")
        trained = {recording.recording for recording in self.bundle.manifest.recordings}
        if stray := shares.keys() - trained - {"commons"}:
            raise ProofError(f"It names {min(stray)}, which the model was not trained on.", code="attribution")
        interval = f", {fact['lds_low']:.2f} to {fact['lds_high']:.2f}" if fact["lds_low"] is not None else ""
        fidelity = f"fidelity (LDS) {fact['lds']:.2f}{interval}" if fact["lds"] is not None else "fidelity not measured"
        named = len(shares.keys() - {"commons"})
        return f"{named} recordings and the commons, by {fact['method']}, {fidelity}. Signed by the seal alone."

    def likeness(self) -> str:
        if LIKENESS not in self.members:
            return "Not measured: the output has no score."
        found = Likeness.model_validate_json(self.members[LIKENESS])
        near = f"the most alike shares {found.nearest[0].shared_ppm / 10_000:.1f} %" if found.nearest else "none alike"
        run = f"longest passage note for note {found.longest_run} notes" if found.longest_run else "no passage shared"
        return f"Of {found.compared} works, {near}; {run}. Measured by the issuer; signed by the seal alone."

    def indemnity(self) -> str:
        if self.terms is None:
            raise ProofError("Without its covenant nothing can be said.", code="covenant")
        again = coverage(self.terms, self.certificate.tier, self.dossier.use, self.dossier.evidence)
        if again != self.dossier.coverage:
            raise ProofError("The indemnity is stated otherwise than the covenant says.", code="indemnity")
        cap = f"{again.currency} {again.cap:,} a year" if again.cap is not None else "without limit"
        told = f", {cap}" if again.verdict in {"covered", "open"} else ""
        return f"{again.verdict.replace('-', ' ').capitalize()}{told}. {again.why}"

    @property
    def _usage(self) -> dict[str, Any]:
        found = json.loads(self.members[USAGE])
        if not isinstance(found, dict):
            raise ProofError("The usage fact is none.", code="usage")
        return found

    def _same_samples(self, body: bytes) -> bool:
        if not self.dossier.submitted.endswith((".flac", ".wav")):
            return False  # compressed with losses: the samples are others by nature
        try:
            samples, rate = soundfile.read(io.BytesIO(body), dtype="int16", always_2d=True)
        except soundfile.LibsndfileError:
            return False
        return rate == self.rate and pcm_sha256(samples) == self.certificate.pcm_sha256

    def _compared(self, body: bytes) -> tuple[float | None, bool | None]:
        from stemma.music.probe import probe

        with tempfile.TemporaryDirectory() as folder:
            one, other = Path(folder) / self.dossier.submitted, Path(folder) / ORIGINAL
            one.write_bytes(body)
            other.write_bytes(self.members[ORIGINAL])
            here, there = probe(one), probe(other)
        error = bit_error(here.fingerprint, there.fingerprint)
        return error, alteration(error, here.duration_ms, there.duration_ms)
