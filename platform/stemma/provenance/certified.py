"""A certificate as a file that anyone checks offline: every version, its place in the log, terms and release."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile

from stemma.errors import InvalidError, ProofError
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import Jwks, verify
from stemma.proof.log import Receipt, check_receipt
from stemma.provenance import certificate as certificates
from stemma.provenance import lapse
from stemma.provenance.certificate import Certificate, pcm_sha256
from stemma.provenance.disclosure import disclosure
from stemma.provenance.statement import RELEASE, ReleaseStatement
from stemma.provenance.verify import Step, Verdict
from stemma.rights.covenant import AnyCovenant, read_covenant

FORM = "stemma.certified/1"
MOST_VERSIONS = 1000


def check(found: dict[str, Any], keys: Jwks, output: Path | None = None) -> Iterator[Step]:
    """Every link of a certificate's file.  Raises `ProofError` at the first that does not hold.

    `output` is a sound or a score to compare with what was certified.
    """
    tokens = found["certificates"]
    said = _versions(tokens, keys)
    yield _step("Certificate", _told(said))
    yield _step("License", license_told(said))
    if "receipts" in found:
        yield _step("Log", _logged(found["receipts"], tokens, said, keys))
    if "release" in found:
        yield _step("Model release", _release(found["release"], said, keys))
    yield _step("Filters", filters_told(said))
    if said.authorship is not None:
        yield _step("People", f"{disclosure(said).sentence} Stated by {said.authorship.stated_by}.")
    altered: bool | None = None
    if output is not None:
        compared, altered = compare(said, output)
        yield compared
    if "covenant" in found:
        yield _indemnity(said, _terms(found["covenant"], said, keys), altered)


def _versions(tokens: list[str], keys: Jwks) -> Certificate:
    """The newest of the versions, each of which names the one before and says the same of the output."""
    if not isinstance(tokens, list) or not 0 < len(tokens) <= MOST_VERSIONS:
        raise InvalidError("This file holds no certificate.", remedy="Give it as it was downloaded.")
    read = [certificates.read(token, keys) for token in tokens]
    for number, said in enumerate(read, 1):
        before = sha256(tokens[number - 2].encode()) if number > 1 else None
        if (said.version, said.supersedes) != (number, before):
            raise ProofError(f"Version {number} does not follow the one before.", code="other-document")
        if not certificates.same_but_for_statement(read[0], said):
            raise ProofError(f"Version {number} says otherwise of the output than the first.", code="other-document")
    return read[-1]


def _told(said: Certificate) -> str:
    version = f", version {said.version}" if said.version > 1 else ""
    return f"Generation {said.generation} of {said.at}{version}, made with {said.model_release}."


def license_told(said: Certificate) -> str:
    """The license and its state when the sound was made, in words."""
    text = f"{said.licensee_name}, {said.tier} tier, license {said.license}"
    if (state := said.license_state) is None:
        return f"{text}."
    text += f": in force when it was made, {state.not_before[:10]} to {state.expires_at[:10]}"
    return f"{text}, on no list of revocations up to number {state.revocations_sequence}."


def filters_told(said: Certificate) -> str:
    """What the filters found, in words."""
    if said.filters is None:
        return "The certificate is of a form that does not say."
    found, told = said.filters, []
    if found.prompt is not None:
        told.append(f"the prompt named none of {found.prompt.names:,} names that may not be named")
    if (run := found.verbatim) is not None:
        longest = f"{run.notes} notes" if run.notes else "none"
        told.append(f"longest passage shared with one of {run.works:,} works: {longest}, {run.limit} allowed")
    if (stretch := found.heard) is not None:
        longest = f"{stretch.ms / 1000:.1f} s" if stretch.ms else "none"
        allowed = f"{stretch.limit_ms / 1000:.1f} s allowed"
        told.append(f"longest stretch shared with one of {stretch.works:,} recordings: {longest}, {allowed}")
    if (alike := found.similarity) is not None:
        told.append(f"most alike: {alike.shared_ppm / 10_000:.1f} %, {alike.limit_ppm / 10_000:.0f} % allowed")
    if found.off:
        told.append(f"off: {', '.join(found.off)}")
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}."


def _logged(receipts: list[Any], tokens: list[str], said: Certificate, keys: Jwks) -> str:
    if len(receipts) != len(tokens):
        raise ProofError("The file does not prove the place of every version.", code="not-in-log")
    for token, value in zip(tokens, receipts, strict=True):
        receipt = Receipt.model_validate(value)
        head = check_receipt(receipt, keys, digest=sha256(token.encode()))
        if (receipt.entry.kind, receipt.entry.subject) != ("certificate", said.generation):
            raise ProofError("The receipt is not of this certificate.", code="other-document")
    return f"Entry {receipt.index} of {head.size}, logged {receipt.entry.at}."


def _release(given: dict[str, Any], said: Certificate, keys: Jwks) -> str:
    token = str(given["statement"])
    statement = ReleaseStatement.model_validate(verify(token, keys, "release", RELEASE))
    named = said.release_statement_sha256
    if statement.id != said.model_release or (named is not None and named != sha256(token.encode())):
        raise ProofError("The release in the file is not the one that made the sound.", code="other-release")
    if statement.snapshot_root != said.snapshot_root:
        raise ProofError("The release was trained on another snapshot than the certificate says.", code="other-release")
    head = check_receipt(Receipt.model_validate(given["receipt"]), keys, digest=sha256(token.encode()))
    return f"{statement.id}, signed, in a log of {head.size} entries; snapshot root {said.snapshot_root[:16]}…."


def _terms(given: dict[str, Any], said: Certificate, keys: Jwks) -> AnyCovenant:
    terms = read_covenant(given["document"])
    if digest(terms) != said.covenant:
        raise ProofError("The covenant in the file is not the one of the certificate.", code="other-document")
    check_receipt(Receipt.model_validate(given["receipt"]), keys, digest=said.covenant)
    return terms


def _indemnity(said: Certificate, terms: AnyCovenant, altered: bool | None) -> Step:
    found = lapse.standing(said, terms, altered=altered)
    text = " ".join((found.said, *(reason.text for reason in found.depends)))
    holds = found.state in {"holds", "conditional"}
    return Step("Indemnity", Verdict.VERIFIED if holds else Verdict.LAPSED, f"{text} Covenant {terms.version}.")


def compare(said: Certificate, path: Path) -> tuple[Step, bool | None]:
    """A file beside what was certified, and whether it is altered; None: that cannot be told."""
    body = path.read_bytes()
    if path.suffix.lower() in {".mid", ".midi"}:
        same = sha256(body) == said.midi_sha256
        return _compared(same, "It is the score that was handed over, byte for byte.", "It is another score.")
    try:
        samples, _ = soundfile.read(io.BytesIO(body), dtype="int16", always_2d=True)
    except soundfile.LibsndfileError:
        samples = None
    if samples is not None and pcm_sha256(samples) == said.pcm_sha256:
        return _compared(True, "It is the sound that was handed over, sample by sample.", "")
    return _by_ear(said, path)


def _by_ear(said: Certificate, path: Path) -> tuple[Step, bool | None]:
    from stemma.music.form import LOSSY
    from stemma.music.likeness import SAME_SOUND, bit_error
    from stemma.music.probe import probe

    try:
        heard = probe(path)
    except InvalidError as error:
        return Step("Output", Verdict.UNREADABLE, str(error)), None
    error_ = bit_error(heard.fingerprint, base64.b64decode(said.fingerprint)) if said.fingerprint else None
    if error_ is None or error_ > SAME_SOUND:
        return _compared(False, "", "It is another sound than the one that was certified.")
    alike = f"It is the same piece by its fingerprint ({error_:.1%} of bits differ)"
    if heard.format in LOSSY:
        text = f"{alike}, converted with losses: that it is otherwise unaltered cannot be proved."
        return Step("Output", Verdict.CHANGED, text), None
    return _compared(False, "", f"{alike}, but its samples were changed.")


def _compared(same: bool, yes: str, no: str) -> tuple[Step, bool]:
    return Step("Output", Verdict.VERIFIED if same else Verdict.CHANGED, yes if same else no), not same


def _step(name: str, detail: str) -> Step:
    return Step(name, Verdict.VERIFIED, detail)
