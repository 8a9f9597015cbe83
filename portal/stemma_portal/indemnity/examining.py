"""From a sound under claim to a sealed dossier: a job that can be stopped, killed and gone on with.

Each part is an object under `indemnity/<claim>/<round>/`: one that is there is not made again.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from django.db import transaction

from stemma.errors import InvalidError, NotFoundError, StemmaError
from stemma.ids import new_id, now, timestamp
from stemma.music.likeness import jaccard, score_sketch
from stemma.music.ngrams import Index
from stemma.proof.canonical import canonical, digest, sha256
from stemma.proof.log import Receipt
from stemma.provenance import dossier as parts
from stemma.provenance.bundle import collect
from stemma.provenance.dossier import Dossier, Finding, Likeness, Member, Near
from stemma.royalties.facts import COMMONS, USAGE_SCHEMA, AttributionFact, from_parquet, usage_facts
from stemma.storage import storage
from stemma_portal.catalog.models import Print
from stemma_portal.core.jobs import job_advance, job_end, job_log
from stemma_portal.core.keys import keyring
from stemma_portal.core.models import Job
from stemma_portal.core.services import audit, log_append
from stemma_portal.indemnity.models import ClaimDossier, ClaimPaper, OutputClaim
from stemma_portal.indemnity.report import readme, report_pdf
from stemma_portal.indemnity.search import Heard, anchors, output_find
from stemma_portal.indemnity.selectors import coverage_of, evidence_of, terms_of
from stemma_portal.indemnity.services import STEPS, claim_found, claim_ready, claim_stuck, claim_unknown
from stemma_portal.metering.models import Generation
from stemma_portal.metering.selectors import generation_shares

log = logging.getLogger(__name__)
State = OutputClaim.State
NEAREST = 10
MEASURED = "score-sketch/1, verbatim/1"


class StoppedError(Exception):
    """Somebody asked the job to stop."""


def examine(claim: OutputClaim) -> None:
    """Find the output and put its dossier together; what is done already is passed over.

    Raises `UnavailableError` while storage is away: it is tried again.  Everything else that goes wrong is
    told in the job and to staff.
    """
    assert claim.job is not None  # noqa: S101 - whoever starts the work makes its job
    try:
        _examine(claim, _Work(claim))
    except StoppedError:
        job_end(job_id=claim.job.pk, state=Job.State.CANCELLED, message="Stopped on request.")
    except StemmaError as error:
        if error.code == "unavailable":
            raise
        job_end(job_id=claim.job.pk, state=Job.State.FAILED, message=str(error))
        claim_stuck(claim=claim, text=str(error))
    except Exception as error:
        log.exception("The dossier of claim %s failed", claim.pk)
        told = f"Something is wrong on our side ({type(error).__name__})."
        job_end(job_id=claim.job.pk, state=Job.State.FAILED, message=told)
        claim_stuck(claim=claim, text=told)


class _Work:
    """The parts of a dossier that are there, and how far it is."""

    def __init__(self, claim: OutputClaim) -> None:
        self.claim, self.folder = claim, f"indemnity/{claim.pk}/{claim.round}/"
        self.done, self.note = 0, ""

    def begin(self, note: str) -> None:
        """Go on to the next step.  Raises `StoppedError` when somebody asked for it."""
        self.note = note
        self.tell(note)
        job_log(job_id=self.claim.job_id, line=note)
        self.done += 1

    def tell(self, note: str) -> None:
        """Say what is being done within a step."""
        if not job_advance(job_id=self.claim.job_id, progress=self.done, total=STEPS, message=note):
            raise StoppedError

    def part(self, name: str, make: Callable[[], bytes | None]) -> bytes | None:
        """A part as it was made before, or made now; None for one that there is not."""
        try:
            return storage().get(self.folder + name) or None
        except NotFoundError:
            body = make()
            storage().put(self.folder + name, body or b"")
            return body


def _examine(claim: OutputClaim, work: _Work) -> None:
    work.begin("Looking for the output")
    if claim.state == State.RECEIVED and not _identify(claim, work):
        job_end(job_id=str(claim.job_id), state=Job.State.DONE, message="No output of the licensee was found.")
        return
    claim.refresh_from_db()
    generation = claim.generation
    if claim.state != State.IDENTIFIED or generation is None:
        raise StoppedError  # it was closed meanwhile
    sealed = claim.dossiers.filter(number=claim.round).first()
    members = _gather(claim, generation, work)
    work.begin("Checking and sealing it")
    if sealed is None:
        sealed = _seal(claim, members)
    else:  # a worker before us was lost after it had logged the seal
        report = work.part(parts.REPORT, lambda: None)
        members = {**members, "README.txt": readme(claim), **({parts.REPORT: report} if report else {})}
    work.begin("Packing it")
    archive = parts.pack(sealed.seal, Receipt.model_validate(sealed.receipt), members)
    storage().put(sealed.report_key, members[parts.REPORT], "application/pdf")
    storage().put(sealed.key, archive, "application/zip")
    claim_ready(claim=claim, number=sealed.number)
    job_end(job_id=str(claim.job_id), state=Job.State.DONE, message="The dossier is there.")


def _identify(claim: OutputClaim, work: _Work) -> bool:
    paper = _sound(claim)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sound.{paper.format}"
        storage().download(paper.key, path)
        heard = Heard(path, paper.format, paper.sha256)  # type: ignore[arg-type]
        try:
            match, note = output_find(heard=heard, organisation=claim.organisation, told=work.tell)
        except InvalidError as error:
            match, note = None, str(error)
    if match is None:
        claim_unknown(claim=claim, note=note)
        return False
    claim_found(claim=claim, generation=match.generation, finding=match.finding, altered=match.altered)
    return True


def _gather(claim: OutputClaim, generation: Generation, work: _Work) -> dict[str, bytes]:
    """Every part but the report."""
    paper = _sound(claim)
    steps: tuple[tuple[str, dict[str, Callable[[], bytes | None]]], ...] = (
        (
            "Fetching the sound, the original and its certificate",
            {
                f"submitted.{paper.format}": lambda: storage().get(paper.key),
                parts.ORIGINAL: lambda: _object(generation, "audio.flac"),
                parts.CERTIFICATE: lambda: _object(generation, "certificate.jws"),
            },
        ),
        ("Finding its usage fact in the lake", {parts.USAGE: lambda: _usage(generation)}),
        ("Covenant of that day", {parts.COVENANT: lambda: _covenant(claim)}),
        (
            "Model release, snapshot and consents",
            {
                parts.BUNDLE: lambda: _bundle(generation),
                parts.KEYS: lambda: json.dumps(keyring().jwks()).encode(),
            },
        ),
        ("Attribution", {parts.ATTRIBUTION: lambda: _attribution(generation)}),
        ("Likeness with what it was trained on", {parts.LIKENESS: lambda: _likeness(generation, work)}),
    )
    members: dict[str, bytes] = {}
    for note, wanted in steps:
        work.begin(note)
        for name, make in wanted.items():
            body = work.part(name, make)
            if body is not None:
                members[name] = body
    return members


def _seal(claim: OutputClaim, members: dict[str, bytes]) -> ClaimDossier:
    """Sign and log what was gathered, with the report of every check; adds the report and the notes to `members`."""
    found, generation = coverage_of(claim=claim), claim.generation
    assert found is not None and generation is not None  # noqa: S101, PT018 - it was found
    revoked = generation.license.revoked_at
    keys, moment = keyring(), now()
    said = Dossier(
        claim=claim.pk,
        number=claim.round,
        at=timestamp(moment),
        received_at=timestamp(claim.received_at),
        claimant=claim.claimant,
        licensee=claim.organisation_id,
        licensee_name=claim.organisation.name,
        license_revoked_at=timestamp(revoked) if revoked else None,
        generation=generation.pk,
        use=claim.use,  # type: ignore[arg-type]
        submitted=f"submitted.{_sound(claim).format}",
        letter_sha256=claim.letter_sha256,
        finding=Finding.model_validate(claim.finding),
        evidence=evidence_of(claim=claim),
        coverage=found,
        members={},
    )
    steps = [(step.name, step.verdict.code, step.detail) for step in parts.checks(said, members, keys.jwks())]
    members["README.txt"] = readme(claim)
    members[parts.REPORT] = report_pdf(claim, said, steps, members, at=moment)
    storage().put(f"indemnity/{claim.pk}/{claim.round}/{parts.REPORT}", members[parts.REPORT])
    said = said.model_copy(
        update={"members": {name: Member(sha256=sha256(body), bytes=len(body)) for name, body in members.items()}}
    )
    token = parts.seal(said, keys)
    with transaction.atomic():
        receipt = log_append(kind=parts.LOGGED, subject=claim.pk, document_digest=sha256(token.encode()), at=moment)
        audit(by=None, action="output-claim.seal", subject=claim.pk, number=claim.round, seal=sha256(token.encode()))
        return ClaimDossier.objects.create(
            id=new_id(),
            claim=claim,
            number=claim.round,
            at=moment,
            document=said.model_dump(mode="json"),
            seal=token,
            receipt=receipt.model_dump(mode="json"),
            steps=steps,
        )


def _sound(claim: OutputClaim) -> ClaimPaper:
    return claim.papers.get(kind=ClaimPaper.Kind.SOUND)


def _object(generation: Generation, name: str) -> bytes:
    try:
        return storage().get(generation.prefix + name)
    except NotFoundError as error:
        raise NotFoundError(
            f"Object storage has no {name} of output {generation.pk}.",
            remedy="Restore it from a backup, and look again.",
            code="output-gone",
        ) from error


def _usage(generation: Generation) -> bytes:
    """The fact as it lies in the lake, not as a row tells it."""
    source = generation.source
    body = storage().get(source.key)
    if sha256(body) != source.sha256:
        raise InvalidError(f"{source.key} was changed since it was taken in.", remedy="Restore it.", code="bad-facts")
    for fact in usage_facts(from_parquet(body, USAGE_SCHEMA, source.key)):
        if fact.id == generation.pk and digest(fact) == generation.digest:
            return canonical(fact)
    raise NotFoundError(f"{source.key} does not hold the fact of output {generation.pk}.", code="bad-facts")


def _covenant(claim: OutputClaim) -> bytes:
    version = terms_of(claim=claim)
    if version is None:
        raise NotFoundError("The terms under which this was made are not known here.", code="covenant")
    return json.dumps({"document": version.document, "receipt": version.receipt}).encode()


def _bundle(generation: Generation) -> bytes:
    release = generation.model_release
    return collect(storage(), release, anchors(release=release)).model_dump_json().encode()


def _attribution(generation: Generation) -> bytes | None:
    row = getattr(generation, "attribution", None)
    if row is None:
        return None
    rows = {str(s.recording_id) if s.recording_id else COMMONS: s for s in generation_shares(generation=generation)}
    spread = row.version > 1 and row.checkpoints > 1
    fact = AttributionFact(
        id=row.pk, generation=generation.pk, at=timestamp(row.at), model_release=row.model_release,
        snapshot=row.snapshot, method=row.method, store=row.store, checkpoints=row.checkpoints, lds=row.lds,
        lds_low=row.lds_low, lds_high=row.lds_high, shares={name: s.ppb for name, s in rows.items()},
        version=row.version, intervals={name: (s.low, s.high) for name, s in rows.items()} if spread else None,
    )  # fmt: skip
    if digest(fact) != row.digest:
        raise InvalidError("The attribution was changed since it was taken in.", code="bad-facts")
    return canonical(fact)


def _likeness(generation: Generation, work: _Work) -> bytes | None:
    """How much of the output's score stands in what its model was trained on."""
    try:
        midi = storage().get(f"{generation.prefix}score.mid")
        sketch = score_sketch(midi)
    except (NotFoundError, InvalidError):
        return None
    rows = Print.objects.filter(recording__snapshot_items__snapshot=generation.snapshot).exclude(score=[])
    compared, shared = 0, []
    for held in rows.select_related("recording").iterator(chunk_size=500):
        compared += 1
        shared.append((jaccard(sketch, held.score), held.recording_id, held.recording))
    near = sorted(shared, key=lambda each: (-each[0], each[1]))[:NEAREST]
    shaped = [s.recording for s in generation_shares(generation=generation)[: NEAREST + 1] if s.recording is not None]
    among: dict[str, bytes] = {}
    for recording in {each.pk: each for each in (*(each[2] for each in near), *shaped)}.values():
        work.tell(f"Comparing with {recording.title}")
        try:
            among[recording.pk] = storage().get(recording.midi_key)
        except NotFoundError:
            continue
    run = Index(among).longest(midi)
    found = Likeness(
        method=MEASURED,
        compared=compared,
        nearest=tuple(
            Near(recording=key, title=row.title, shared_ppm=round(part * 1_000_000)) for part, key, row in near if part
        ),
        longest_run=run.notes,
        run_recording=run.work,
        run_among=len(among),
    )
    return found.model_dump_json().encode()
