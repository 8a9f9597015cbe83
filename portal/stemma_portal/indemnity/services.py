"""Claims against outputs: the only writer of what comes in, is said, and is decided.

    received → identified → evidence ready → accepted → settled
        ↓                     ↓   ↑      ↘ declined → closed
     unknown              needs more

Each step is a `ClaimEvent`, which the database refuses to change.  `examining` finds the output and puts
the evidence together; `reserves` moves the money.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import BinaryIO

from django.db import transaction

from stemma.errors import InvalidError
from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import digest
from stemma.provenance.dossier import Finding
from stemma.rights.covenant import EXCLUSIONS, USES
from stemma.rights.wording import words
from stemma_portal.accounts.models import Organisation
from stemma_portal.consent.evidence import TYPES
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.jobs import job_cancel, job_start
from stemma_portal.core.services import Actor, audit, log_append
from stemma_portal.indemnity.deadlines import ACKNOWLEDGE, DOSSIER, working_days_after
from stemma_portal.indemnity.models import ClaimEvent, ClaimPaper, OutputClaim
from stemma_portal.indemnity.papers import Brought, paper_brought, paper_keep, sound_brought
from stemma_portal.indemnity.reserves import reserve_left, reserve_open
from stemma_portal.indemnity.selectors import coverage_of
from stemma_portal.indemnity.tasks import examine_soon
from stemma_portal.indemnity.telling import PORTAL, STAFF, claim_told, event_write
from stemma_portal.metering.models import Generation

State, Event = OutputClaim.State, ClaimEvent.Kind

MOST_PAPERS = 30
MOST_PENDING = 100
STEPS = 9
"""Of `examining`: the search, and the parts of a dossier."""
TRANSITIONS: dict[str, frozenset[str]] = {
    State.RECEIVED: frozenset({State.IDENTIFIED, State.UNKNOWN, State.CLOSED}),
    State.UNKNOWN: frozenset({State.RECEIVED, State.CLOSED}),
    State.IDENTIFIED: frozenset({State.READY, State.RECEIVED, State.CLOSED}),
    State.READY: frozenset({State.ACCEPTED, State.DECLINED, State.NEEDS_MORE, State.RECEIVED, State.CLOSED}),
    State.NEEDS_MORE: frozenset({State.READY, State.DECLINED, State.RECEIVED, State.CLOSED}),
    State.ACCEPTED: frozenset({State.SETTLED}),
    State.DECLINED: frozenset({State.CLOSED}),
    State.SETTLED: frozenset(),
    State.CLOSED: frozenset(),
}
"""Where a claim may go from where it is."""


def claim_submit(
    *,
    organisation: Organisation,
    claimant: str,
    use: str,
    story: str,
    sound: BinaryIO,
    sound_name: str,
    letter: BinaryIO,
    letter_name: str,
    by: Actor,
    letter_due: datetime | None = None,
) -> tuple[OutputClaim, bool]:
    """Take in a claim, and whether it is new: the same files again are the same claim while it is pending.

    Raises `InvalidError` for files that are too large or not what they must be by their content, and for what
    is missing; `ConflictError` where the organisation has no license or too many claims pending.
    """
    claimant, story = claimant.strip(), story.strip()
    if not claimant or not story:
        raise InvalidError("A claim needs who made it, and what happened.", remedy="Say both.", code="story")
    if use not in USES:
        raise InvalidError(f"{use[:40]!r} is no use of an output.", remedy=f"Choose one of {', '.join(USES)}.")
    if letter_due is not None and letter_due.year > now().year + 10:
        raise InvalidError("The letter's deadline is too far away.", remedy="Leave it out.", code="letter-due")
    if not organisation.licenses.exists():
        raise ConflictError(
            f"{organisation.name} has no license.", remedy="Claims are answered for licensees.", code="no-license"
        )
    with sound_brought(sound, sound_name) as heard, paper_brought(letter, letter_name) as read:
        return _submit(
            OutputClaim(
                id=new_id(),
                organisation=organisation,
                claimant=claimant[:200],
                use=use,
                story=story,
                file_sha256=heard.sha256,
                letter_sha256=read.sha256,
                letter_due=letter_due,
                submitted_by=by.email,
            ),
            {ClaimPaper.Kind.SOUND: heard, ClaimPaper.Kind.LETTER: read},
            by,
        )


@transaction.atomic
def _submit(claim: OutputClaim, brought: dict[str, Brought], by: Actor) -> tuple[OutputClaim, bool]:
    lock(f"output-claims:{claim.organisation_id}")
    pending = OutputClaim.objects.filter(organisation=claim.organisation).exclude(state__in=OutputClaim.ENDED)
    same = pending.filter(file_sha256=claim.file_sha256, letter_sha256=claim.letter_sha256).first()
    if same is not None:
        return same, False
    if pending.count() >= MOST_PENDING:
        raise ConflictError(
            f"{claim.organisation.name} has {MOST_PENDING} claims that are not over.",
            remedy="Wait until some are, or write to rights staff.",
            code="claims-many",
        )
    moment = now()
    claim.received_at = moment
    claim.acknowledge_due = working_days_after(moment, ACKNOWLEDGE)
    claim.dossier_due = moment + timedelta(days=DOSSIER)
    claim.receipt = log_append(
        kind="claim", subject=claim.pk, document_digest=digest(logged(claim)), at=moment
    ).model_dump(mode="json")
    claim.save(force_insert=True)
    for kind, file in brought.items():
        paper_keep(claim, kind, file, by)
    event_write(
        claim, Event.RECEIVED, speaker=claim.organisation.name, by=by, text=claim.story, after=State.RECEIVED, at=moment
    )
    audit(by=by, action="output-claim.submit", subject=claim.pk, claimant=claim.claimant, file=claim.file_sha256)
    _examine(claim, by)
    until = f"Acknowledge it by {claim.acknowledge_due.day} {claim.acknowledge_due:%B %Y}."
    claim_told(claim, staff=True, title=f"Claim against an output: {claim.claimant}", text=f"{claim.story}\n\n{until}")
    return claim, True


def logged(claim: OutputClaim) -> dict[str, str]:
    """What the log holds of a claim that came in: hashes of both files, and when."""
    return {
        "output_claim": claim.pk,
        "licensee": claim.organisation_id,
        "file_sha256": claim.file_sha256,
        "letter_sha256": claim.letter_sha256,
        "received_at": timestamp(claim.received_at),
    }


@transaction.atomic
def claim_acknowledge(*, claim: OutputClaim, by: Actor) -> OutputClaim:
    """Tell the licensee that somebody has read it; doing it again changes nothing."""
    claim = _locked(claim)
    if claim.acknowledged_at is not None:
        return claim
    _pending(claim)
    _acknowledged(claim, by)
    return claim


@transaction.atomic
def claim_found(*, claim: OutputClaim, generation: Generation, finding: Finding, altered: bool | None) -> None:
    """Note which output it is about."""
    claim = _locked(claim)
    claim.generation, claim.finding, claim.altered = generation, finding.model_dump(mode="json"), altered
    claim.save(update_fields=["generation", "finding", "altered"])
    _move(claim, State.IDENTIFIED, Event.FOUND, text=finding.said, detail={"generation": generation.pk})
    claim_told(claim, licensee=True, title=f"The output was found: {claim.claimant}", text=finding.said)


@transaction.atomic
def claim_unknown(*, claim: OutputClaim, note: str) -> None:
    """Note that it is about no output of the licensee; `note` is for staff alone."""
    claim = _locked(claim)
    claim.generation = claim.finding = claim.altered = None
    claim.save(update_fields=["generation", "finding", "altered"])
    text = "No output of yours has this sound. If you have the file as it was handed out to you, send that."
    _move(claim, State.UNKNOWN, Event.UNKNOWN, text=text)
    if note:
        event_write(claim, Event.NOTE, text=note)
    claim_told(claim, licensee=True, staff=True, title=f"No output was found: {claim.claimant}", text=text)


@transaction.atomic
def claim_ready(*, claim: OutputClaim, number: int) -> None:
    """Note that its dossier is there."""
    claim = _locked(claim)
    text = f"Dossier {number} is there: it can be taken away, and anyone can verify it."
    _move(claim, State.READY, Event.READY, text=text, detail={"number": number})
    claim_told(claim, licensee=True, staff=True, title=f"Evidence ready: {claim.claimant}", text=text)


@transaction.atomic
def claim_stuck(*, claim: OutputClaim, text: str) -> None:
    """Note why the evidence could not be put together; staff see it."""
    event_write(claim, Event.STUCK, text=text)
    claim_told(claim, staff=True, title=f"Evidence is stuck: {claim.claimant}", text=text)


@transaction.atomic
def claim_again(*, claim: OutputClaim, by: Actor) -> OutputClaim:
    """Look for the output and put the evidence together once more, as of now."""
    claim = _locked(claim)
    if claim.job is not None and claim.job.finished_at is None and claim.state in _WORKED:
        raise ConflictError("This is being done.", remedy="Wait for it, or stop it first.", code="running")
    if claim.state == State.RECEIVED:
        event_write(claim, Event.AGAIN, speaker=STAFF, by=by)
    else:
        _move(claim, State.RECEIVED, Event.AGAIN, speaker=STAFF, by=by)
    claim.round += 1
    claim.lost = 0
    claim.save(update_fields=["round", "lost"])
    _examine(claim, by)
    return claim


@transaction.atomic
def claim_stop(*, claim: OutputClaim, by: Actor) -> None:
    """Stop putting the evidence together at its next step; what is there stays and is used again."""
    if claim.job_id is not None:
        job_cancel(job_id=claim.job_id, by=by)


@transaction.atomic
def claim_say(
    *,
    claim: OutputClaim,
    text: str,
    by: Actor,
    staff: bool,
    internal: bool = False,
    file: BinaryIO | None = None,
    name: str = "",
) -> OutputClaim:
    """Say something in a claim, perhaps with a file; the licensee's word answers what staff have asked.

    `internal` is a note that only staff see.
    """
    claim = _locked(claim)
    _pending(claim)
    if not text.strip():
        raise InvalidError("There is nothing to send.", remedy="Write what you want the others to know.", code="empty")
    if internal and not staff:
        raise InvalidError("Only staff write notes for staff.")
    speaker = STAFF if staff else claim.organisation.name
    if file is not None:
        if claim.papers.count() >= MOST_PAPERS:
            raise ConflictError(f"This claim has {MOST_PAPERS} files already.", remedy="Put them together.")
        with paper_brought(file, name, kinds=tuple(TYPES)) as read:
            paper_keep(claim, ClaimPaper.Kind.MORE, read, by)
    if staff and not internal:
        _acknowledged(claim, by)
    if internal:
        event_write(claim, Event.NOTE, speaker=speaker, by=by, text=text)
    elif not staff and claim.state == State.NEEDS_MORE:
        _move(claim, State.READY, Event.ANSWERED, speaker=speaker, by=by, text=text)
    else:
        event_write(claim, Event.MESSAGE, speaker=speaker, by=by, text=text)
    audit(by=by, action="output-claim.say", subject=claim.pk, internal=internal, file=file is not None)
    if not internal:
        claim_told(claim, staff=not staff, licensee=staff, title=f"{speaker} wrote: {claim.claimant}", text=text)
    return claim


@transaction.atomic
def claim_ask(*, claim: OutputClaim, text: str, by: Actor) -> OutputClaim:
    """Ask the licensee for more before deciding."""
    claim = _locked(claim)
    _reasoned(text)
    _move(claim, State.NEEDS_MORE, Event.ASKED, speaker=STAFF, by=by, text=text)
    audit(by=by, action="output-claim.ask", subject=claim.pk)
    claim_told(claim, licensee=True, title=f"More is needed: {claim.claimant}", text=text)
    return claim


@transaction.atomic
def claim_judge(*, claim: OutputClaim, exclusion: str, applies: bool, reason: str, by: Actor) -> OutputClaim:
    """Say whether an exclusion applies that facts leave open; the newest word counts, and the next dossier has it."""
    claim = _locked(claim)
    _pending(claim)
    _reasoned(reason)
    found = coverage_of(claim=claim)
    asked = {ground.exclusion for ground in found.grounds if ground.applies is None} if found else set()
    if exclusion not in EXCLUSIONS or exclusion not in {*asked, *claim.judged}:
        raise InvalidError(
            "Facts decide this, or the covenant does not exclude it.",
            remedy=f"Judge one of {', '.join(sorted(asked)) or 'none'}.",
            code="exclusion",
        )
    if claim.state not in {State.READY, State.NEEDS_MORE}:
        raise ConflictError("This claim is decided.", remedy="Judge before deciding.", code="decided")
    claim.judged = {**claim.judged, exclusion: applies}
    claim.save(update_fields=["judged"])
    told = f"{words(exclusion).capitalize()}: {'it applies' if applies else 'it does not apply'}. {reason}"
    event_write(
        claim, Event.JUDGED, speaker=STAFF, by=by, text=told, detail={"exclusion": exclusion, "applies": applies}
    )
    audit(by=by, action="output-claim.judge", subject=claim.pk, exclusion=exclusion, applies=applies, reason=reason)
    return claim


@transaction.atomic
def claim_accept(*, claim: OutputClaim, amount: int, reason: str, by: Actor) -> OutputClaim:
    """Accept it, and set the amount (micro-units) aside for what it may cost.

    Raises `ConflictError` where the covenant does not cover it, and `InvalidError` for more than its cap.
    """
    claim = _locked(claim)
    _reasoned(reason)
    if claim.state == State.ACCEPTED:
        raise ConflictError("It was accepted before.", remedy="Change the reserve instead.", code="decided")
    found = coverage_of(claim=claim)
    if found is None or found.verdict != "covered":
        raise ConflictError(
            f"The covenant does not hold the licensee free of this. {found.why if found else ''}".strip(),
            remedy="Judge what is open, or decline the claim.",
            code="not-covered",
        )
    newest = claim.dossiers.first()
    if newest is None or any(verdict != "verified" for _, verdict, _ in newest.steps):
        raise ConflictError(
            "A proof in its dossier does not hold.", remedy="Mend it and look again, or decline.", code="not-proved"
        )
    _move(claim, State.ACCEPTED, Event.ACCEPTED, speaker=STAFF, by=by, text=reason)
    _answered(claim)
    audit(by=by, action="output-claim.accept", subject=claim.pk, amount=str(amount), reason=reason)
    reserve_open(claim=claim, amount=amount, reason=reason, by=by)
    claim_told(claim, licensee=True, title=f"Accepted: {claim.claimant}", text=reason)
    return claim


@transaction.atomic
def claim_decline(*, claim: OutputClaim, reason: str, by: Actor) -> OutputClaim:
    """Decline it, with the reason that the licensee reads."""
    claim = _locked(claim)
    _reasoned(reason)
    _move(claim, State.DECLINED, Event.DECLINED, speaker=STAFF, by=by, text=reason)
    _answered(claim)
    audit(by=by, action="output-claim.decline", subject=claim.pk, reason=reason)
    claim_told(claim, licensee=True, title=f"Declined: {claim.claimant}", text=reason)
    return claim


@transaction.atomic
def claim_settle(*, claim: OutputClaim, reason: str, by: Actor) -> OutputClaim:
    """End an accepted claim; its reserve must be paid or given back before."""
    claim = _locked(claim)
    _reasoned(reason)
    left, waiting = reserve_left(claim=claim), claim.moves.filter(decided_at=None).exists()
    if left or waiting:
        raise ConflictError(
            "Its reserve is not all paid or given back.",
            remedy="Pay or release it first: two people do.",
            code="reserve",
        )
    _move(claim, State.SETTLED, Event.SETTLED, speaker=STAFF, by=by, text=reason)
    audit(by=by, action="output-claim.settle", subject=claim.pk, reason=reason)
    claim_told(claim, licensee=True, title=f"Settled: {claim.claimant}", text=reason)
    return claim


@transaction.atomic
def claim_close(*, claim: OutputClaim, reason: str, by: Actor, staff: bool) -> OutputClaim:
    """Close a claim that was declined, leads nowhere, or that the licensee takes back."""
    claim = _locked(claim)
    _reasoned(reason)
    if claim.state == State.CLOSED:
        return claim
    speaker = STAFF if staff else claim.organisation.name
    _move(claim, State.CLOSED, Event.CLOSED, speaker=speaker, by=by, text=reason)
    if claim.job_id is not None:
        job_cancel(job_id=claim.job_id, by=by)
    audit(by=by, action="output-claim.close", subject=claim.pk, reason=reason)
    claim_told(claim, staff=not staff, licensee=staff, title=f"Closed: {claim.claimant}", text=reason)
    return claim


_WORKED = frozenset({State.RECEIVED, State.IDENTIFIED})
"""States in which its evidence is being put together."""


def _examine(claim: OutputClaim, by: Actor) -> None:
    job, _ = job_start(kind="indemnity.examine", run_key=f"output-claim:{claim.pk}:{claim.round}", total=STEPS, by=by)
    OutputClaim.objects.filter(pk=claim.pk).update(job=job)
    claim.job = job
    examine_soon(claim.pk)


def _move(
    claim: OutputClaim, to: str, kind: str, *, speaker: str = PORTAL, by: Actor | None = None, text: str = "",
    detail: dict[str, object] | None = None,
) -> None:  # fmt: skip
    before = claim.state
    if to not in TRANSITIONS[before]:
        raise ConflictError(
            f"A claim that is “{State(before).label.lower()}” cannot become “{State(to).label.lower()}”.",
            remedy="See how far it is.",
            code="claim-state",
        )
    claim.state = to
    claim.save(update_fields=["state"])
    if by is not None and speaker == STAFF:
        _acknowledged(claim, by)
    event_write(claim, kind, speaker=speaker, by=by, text=text, before=before, after=to, detail=detail)


def _acknowledged(claim: OutputClaim, by: Actor) -> None:
    """Whatever staff do that the licensee sees tells it that somebody has read it."""
    if claim.acknowledged_at is not None:
        return
    claim.acknowledged_at = now()
    claim.save(update_fields=["acknowledged_at"])
    event_write(claim, Event.ACKNOWLEDGED, speaker=STAFF, by=by)
    audit(by=by, action="output-claim.acknowledge", subject=claim.pk)
    until = f"{claim.dossier_due.day} {claim.dossier_due:%B %Y}"
    claim_told(
        claim,
        licensee=True,
        title=f"Your claim is with us: {claim.claimant}",
        text=f"Somebody has read it. The evidence follows by {until}.",
    )


def _answered(claim: OutputClaim) -> None:
    claim.answered_at = now()
    claim.save(update_fields=["answered_at"])


def _locked(claim: OutputClaim) -> OutputClaim:
    rows = OutputClaim.objects.select_related("organisation", "generation", "job")
    return rows.select_for_update(of=("self",)).get(pk=claim.pk)


def _pending(claim: OutputClaim) -> None:
    if not claim.pending:
        raise ConflictError(
            f"This claim is over: it was {State(claim.state).label.lower()}.", remedy="Send a new one.", code="over"
        )


def _reasoned(text: str) -> None:
    if not text.strip():
        raise InvalidError("This needs its reason.", remedy="Say why: the licensee reads it.", code="reason")
