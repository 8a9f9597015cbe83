"""From a file back to the consents: every link checked, offline, with a verdict of its own.

credentials → certificate → license → model → snapshot → log → consents
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import soundfile

from stemma.errors import InvalidError, ProofError, StemmaError
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import Jwks
from stemma.proof.keys import verify as verify_jws
from stemma.proof.log import check_receipt
from stemma.provenance import certificate as certificates
from stemma.provenance import credentials
from stemma.provenance.bundle import Bundle
from stemma.provenance.certificate import Certificate, pcm_sha256
from stemma.provenance.statement import RELEASE, ReleaseStatement
from stemma.rights.consent import STATUS, RightsStatus
from stemma.rights.entitlement import ENTITLEMENT, REVOCATIONS, Entitlement, Revocations, check_logged
from stemma.rights.model_names import covers
from stemma.rights.snapshot import offences

MAX_BYTES = 512 * 1024 * 1024


class Verdict(Enum):
    """What a verification found: a name for programs and the exit code of `stemma verify`."""

    VERIFIED = ("verified", 0, "Everything holds.")
    UNREADABLE = ("unreadable", 2, "The file or the bundle cannot be read.")
    NO_CREDENTIALS = ("no-credentials", 10, "The file carries no content credentials.")
    CHANGED = ("changed", 11, "The file is not what was signed: bytes were changed.")
    FOREIGN_KEY = ("foreign-key", 12, "Something was signed by a key that is not this installation's.")
    WITHDRAWN = ("withdrawn", 13, "A consent behind the model has been withdrawn.")
    EXPIRED = ("expired", 14, "The license was not in force when this was made.")
    REVOKED = ("revoked", 15, "The license has been revoked.")
    BROKEN = ("broken", 16, "A proof does not hold.")
    LAPSED = ("lapsed", 17, "What was signed is genuine, but its indemnity does not hold.")

    def __init__(self, code: str, exit_code: int, text: str) -> None:
        self.code, self.exit_code, self.text = code, exit_code, text


@dataclass(frozen=True)
class Step:
    """One link of the chain."""

    name: str
    verdict: Verdict
    detail: str

    @property
    def holds(self) -> bool:
        """Whether this link holds."""
        return self.verdict is Verdict.VERIFIED


@dataclass
class Report:
    """All links, in order.  The first that does not hold gives the verdict; later ones may be missing."""

    steps: list[Step] = field(default_factory=list)
    certificate: Certificate | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict over all."""
        return next((step.verdict for step in self.steps if not step.holds), Verdict.VERIFIED)


class _Break(Exception):  # noqa: N818 - it ends a walk; it is no error
    """A link does not hold, and what follows it cannot be judged."""


class _Chain:
    """The walk: each method checks one link and leaves what the next one needs."""

    def __init__(self, path: Path, bundle: Bundle, keys: Jwks, *, as_it_was: bool = False) -> None:
        self.path, self.bundle, self.keys, self.as_it_was = path, bundle, keys, as_it_was
        self.report = Report()

    def walk(self) -> Report:
        links: list[tuple[str, Callable[[], str]]] = [
            ("Content credentials", self.credentials),
            ("Certificate", self.certificate),
            ("License", self.license),
            ("Model release", self.release),
            ("Snapshot", self.snapshot),
            ("Consents", self.consents),
        ]
        for name, check in links:
            try:
                self.report.steps.append(Step(name, Verdict.VERIFIED, check()))
            except _Break as stop:
                verdict, detail = stop.args
                self.report.steps.append(Step(name, verdict, detail))
                break
            except ProofError as error:
                foreign = error.code == "foreign-key"
                verdict = Verdict.FOREIGN_KEY if foreign else Verdict.BROKEN
                self.report.steps.append(Step(name, verdict, str(error)))
                break
            except (StemmaError, ValueError) as error:
                self.report.steps.append(Step(name, Verdict.BROKEN, str(error)))
                break
        return self.report

    def credentials(self) -> str:
        mime = credentials.MIME.get(self.path.suffix.lower())
        if mime is None:
            known = ", ".join(credentials.MIME)
            raise _Break(Verdict.UNREADABLE, f"{self.path.name} is none of {known}.")
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise _Break(Verdict.UNREADABLE, f"{self.path.name} is larger than {MAX_BYTES >> 20} MiB.")
            audio = self.path.read_bytes()
            found = credentials.read(audio, mime, self.bundle.anchors)
        except (OSError, InvalidError) as error:
            raise _Break(Verdict.UNREADABLE, str(error)) from error
        except ProofError as error:
            raise _Break(Verdict.NO_CREDENTIALS, str(error)) from error
        altered = [code for code in found.problems if "mismatch" in code or "missing" in code]
        if found.state == "Invalid" or altered:
            raise _Break(Verdict.CHANGED, f"Failed: {', '.join(found.problems)}.")
        if found.state != "Trusted":
            raise _Break(Verdict.FOREIGN_KEY, f"Signed by {found.issuer!r}, whose root this bundle does not hold.")
        if found.source_type != credentials.TRAINED or not found.certificate or not found.entitlement:
            raise _Break(Verdict.BROKEN, "The credentials carry no Stemma certificate.")
        self._certificate, self._entitlement = found.certificate, found.entitlement
        try:
            self._samples, _ = soundfile.read(io.BytesIO(audio), dtype="int16", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _Break(Verdict.CHANGED, f"The sound does not decode: {error}.") from error
        return f"Signed by {found.issuer}; marked as made by a trained model."

    def certificate(self) -> str:
        self.given = certificates.read(self._certificate, self.keys)
        self.report.certificate = self.given
        if pcm_sha256(self._samples) != self.given.pcm_sha256:
            raise _Break(Verdict.CHANGED, "The certificate is for another sound than the one in the file.")
        return f"Generation {self.given.generation} of {self.given.at}."

    def license(self) -> str:
        given = self.given
        entitlement = Entitlement.model_validate(verify_jws(self._entitlement, self.keys, "license", ENTITLEMENT))
        if sha256(self._entitlement.encode()) != given.entitlement_sha256 or entitlement.license != given.license:
            raise ProofError("The entitlement in the file is not the one that its certificate names.")
        if not entitlement.not_before <= given.at < entitlement.expires_at:
            raise _Break(
                Verdict.EXPIRED,
                f"The license ran from {entitlement.not_before} to {entitlement.expires_at}; this was made {given.at}.",
            )
        if not covers(entitlement.model_releases, given.model_release):
            covered = ", ".join(entitlement.model_releases)
            raise ProofError(f"The license covers {covered}; this was made with {given.model_release}.")
        check_logged(entitlement.terms(), entitlement.receipt, self.keys)
        if self.bundle.revocations is not None and not self.as_it_was:
            revoked = Revocations.model_validate(verify_jws(self.bundle.revocations, self.keys, "license", REVOCATIONS))
            if given.license in revoked.licenses:
                raise _Break(Verdict.REVOKED, f"License {given.license} was revoked as of {revoked.at}.")
        indemnity = "with indemnity" if entitlement.indemnified else "without indemnity"
        term = f"in force until {entitlement.expires_at}"
        if entitlement.territories:
            term += f", for use in {', '.join(entitlement.territories)} alone"
        return f"{entitlement.licensee_name}, {entitlement.tier} tier, {indemnity}; {term}."

    def release(self) -> str:
        statement = ReleaseStatement.model_validate(verify_jws(self.bundle.statement, self.keys, "release", RELEASE))
        if statement.id != self.given.model_release:
            raise ProofError(
                f"The bundle is about {statement.id}, the file was made with {self.given.model_release}.",
                remedy="Use the bundle that came with the file.",
                code="other-release",
            )
        self._check_receipt("release_receipt", sha256(self.bundle.statement.encode()))
        self.statement = statement
        return f"{statement.id}, {len(statement.files)} files, in the log."

    def snapshot(self) -> str:
        manifest = self.bundle.manifest
        manifest.check_root()
        if not manifest.root == self.statement.snapshot_root == self.given.snapshot_root:
            raise ProofError("The model was trained on another snapshot than the one in the bundle.")
        head = self._check_receipt("snapshot_receipt", digest(manifest))
        return f"{len(manifest.recordings)} recordings under root {manifest.root[:16]}…, in a log of {head} entries."

    def consents(self) -> str:
        manifest = self.bundle.manifest
        for consent, token in manifest.consents.items():
            if consent not in self.bundle.consent_receipts:
                raise ProofError(f"The bundle holds no receipt for consent {consent}.")
            check_receipt(self.bundle.consent_receipts[consent], self.keys, digest=sha256(token.encode()))
        status = RightsStatus.model_validate(verify_jws(self.bundle.status, self.keys, "rights", STATUS))
        if self.as_it_was:
            status = status.as_of(self.statement.created_at)
        # Judged at the moment the model was released: a term that ended later does not undo it.
        found = offences(manifest, status, self.keys, self.statement.created_at)
        if withdrawn := [o for o in found if o.rule in ("withdrawn", "held")]:
            titles = "; ".join(f"{o.title}: {o.reason}" for o in withdrawn[:5])
            raise _Break(Verdict.WITHDRAWN, f"{len(withdrawn)} of {len(manifest.recordings)} recordings: {titles}")
        if found:
            raise ProofError(f"{len(found)} recordings lack a consent that holds: {found[0].title}: {found[0].reason}")
        return f"{len(manifest.consents)} signed grants cover every owner; state of rights as of {status.at}."

    def _check_receipt(self, name: str, document: str) -> int:
        return check_receipt(getattr(self.bundle, name), self.keys, digest=document).size


def verify_file(path: Path, bundle: Bundle, keys: Jwks | None = None, *, as_it_was: bool = False) -> Report:
    """Every link from an audio file to the consents behind it.  Reads nothing but the file.

    `keys` are the public keys of the installation you trust; without them the bundle's own are used,
    which proves that everything fits together but not who says so.  With `as_it_was` consents are judged
    as they stood when the model was released, and licenses as they stood when the sound was made: what
    was withdrawn or revoked later undoes neither.
    """
    return _Chain(path, bundle, keys or bundle.jwks, as_it_was=as_it_was).walk()
