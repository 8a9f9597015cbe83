"""Cases: the only writers of claims, and of what is said, brought and decided in them.

A case goes `open → answered → under review` and ends `resolved`, `withdrawn` or `lapsed`.  Each side has
thirty days when it is its turn: owners to answer, the claimant to reply, staff to decide.  Owners who
stay silent bring the case before staff; a claimant who stays silent lets it lapse.  Every step is a
`ClaimEvent`, which the database refuses to change; opening and ending are in the transparency log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from stemma.errors import InvalidError
from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import digest
from stemma.rights.shares import WHOLE, Share
from stemma_portal.accounts.models import Organisation
from stemma_portal.catalog.models import Cluster, Party, Recording
from stemma_portal.catalog.models import Share as ShareRow
from stemma_portal.catalog.sharing import as_stated, shares_set
from stemma_portal.consent.models import Claim, ClaimEvent, ClaimParty, Ruling
from stemma_portal.consent.tasks import rights_status_publish
from stemma_portal.consent.telling import case_told, money_told
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.publish import after_commit
from stemma_portal.core.services import Actor, audit, log_append

State, Side, Kind, Outcome, Event = Claim.State, Claim.Side, Claim.Kind, Claim.Outcome, ClaimEvent.Kind

DAYS = 30
"""Each side's time, unless staff give it more."""
MOST_DAYS = 90
"""How much more staff may give at once."""
MOST_PENDING = 50
AGAIN_DAYS = 180
REMIND = (7, 1)
"""Days before the end at which a side is reminded."""
TRANSITIONS: dict[str, frozenset[str]] = {
    State.OPEN: frozenset({State.ANSWERED, State.REVIEW, State.RESOLVED, State.WITHDRAWN, State.LAPSED}),
    State.ANSWERED: frozenset({State.REVIEW, State.RESOLVED, State.WITHDRAWN, State.LAPSED}),
    State.REVIEW: frozenset({State.RESOLVED, State.WITHDRAWN}),
    State.RESOLVED: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.LAPSED: frozenset(),
}
"""Where a case may go from where it is."""
OUTCOMES: dict[str, tuple[str, ...]] = {
    Kind.OVER_CLAIM: (Outcome.AS_THEY_ARE, Outcome.SHARES),
    Kind.SAME_IDENTIFIER: (Outcome.TAKEN_DOWN, Outcome.SAME, Outcome.SHARES, Outcome.AS_THEY_ARE),
    Kind.AUTHORSHIP: (Outcome.AS_THEY_ARE, Outcome.SHARES),
    Kind.SHARE: (Outcome.AS_THEY_ARE, Outcome.SHARES),
    Kind.CORRECTION: (Outcome.CORRECTED, Outcome.EXPLAINED),
}
"""How a case of each kind may be decided."""
STAFF = "Rights staff"
PORTAL = "Stemma"


@dataclass(frozen=True)
class Seat:
    """From where somebody speaks in a case."""

    side: str
    name: str
    """As the others see them."""


STAFF_SEAT = Seat(Side.STAFF, STAFF)


@transaction.atomic
def case_open(
    *,
    kind: str,
    recording: Recording,
    reason: str,
    by: Actor | None,
    claimant: str = "",
    party: Party | None = None,
    organisation: Organisation | None = None,
    other: Recording | None = None,
    also: Collection[Party] = (),
    subject: str = "",
    detail: dict[str, Any] | None = None,
    days: int = DAYS,
) -> Claim:
    """Open a case; the same one that is pending is not made twice.

    `party` is the claimant where the catalog knows it, `organisation` whoever opens it for itself; both
    give it its name.  `other` is the second recording where two are at odds, `also` names rights-holders
    who are concerned beside the owners.  Raises `InvalidError` without a claimant or a reason.
    """
    lock(f"claim:{recording.id}")
    claimant = party.name if party else organisation.name if organisation else claimant.strip()
    reason = reason.strip()
    if not claimant or not reason:
        raise InvalidError("A claim needs a claimant and a reason.", remedy="Say who claims the recording, and why.")
    if other is not None and other.pk == recording.pk:
        raise InvalidError("A recording is not at odds with itself.", remedy="Name the other recording.")
    same = Claim.objects.pending().filter(recording=recording, kind=kind, subject=subject)
    if known := same.filter(claimant=claimant).first():
        return known
    moment, identifier = now(), new_id()
    fact = {"claim": identifier, "recording": recording.id, "claimant": claimant, "reason": reason, "state": "open"}
    if kind != Kind.AUTHORSHIP:
        fact |= {"kind": str(kind), "other": other.pk if other else None, "subject": subject}
    receipt = log_append(kind="claim", subject=identifier, document_digest=digest(fact), at=moment)
    claim = Claim.objects.create(
        id=identifier,
        kind=kind,
        recording=recording,
        other=other,
        claimant=claimant,
        claimant_party=party,
        claimant_organisation=organisation,
        reason=reason,
        subject=subject,
        detail=detail or {},
        opened_at=moment,
        due_at=moment + timedelta(days=days),
        due_side=Side.STAFF if kind == Kind.CORRECTION else Side.OWNERS,
        receipt=receipt.model_dump(mode="json"),
    )
    _parties_seat(claim, also)
    seat = Seat(Side.CLAIMANT, claimant)
    _write(claim, Event.OPENED, by=by, seat=seat, text=reason, after=State.OPEN, at=moment)
    audit(by=by, action="claim.open", subject=claim.id, recording=recording.id, claimant=claimant, kind=str(kind))
    if claim.holds:
        after_commit(rights_status_publish)
        money_told()
    case_told(
        claim,
        sides=(claim.due_side,),
        title=f"{claimant} {'asks for a correction' if kind == Kind.CORRECTION else 'claims'}: {recording.title}",
        text=f"{reason}\n\n{_until(claim)}",
    )
    return claim


def opening_check(*, organisation: Organisation, recording: Recording, kind: str) -> None:
    """Raise `ConflictError` where a claim would be a siege: every one holds what others live on.

    An organisation has `MOST_PENDING` claims of its own making at a time, and does not claim again within
    `AGAIN_DAYS` what it claimed in vain; staff may open a case for it all the same.
    """
    own = Claim.objects.filter(claimant_organisation=organisation)
    if own.holding().count() >= MOST_PENDING:
        raise ConflictError(
            f"{organisation.name} has {MOST_PENDING} claims that are not over.",
            remedy="Wait until some are, or write to rights staff.",
            code="claims-many",
        )
    vain = own.filter(recording=recording, kind=kind, outcome=Outcome.AS_THEY_ARE)
    if vain.filter(resolved_at__gte=now() - timedelta(days=AGAIN_DAYS)).exists():
        raise ConflictError(
            f"A claim of {organisation.name} on this recording ended a short while ago.",
            remedy="Send new evidence to rights staff: they can open it again.",
            code="claim-again",
        )


def case_begin(
    *,
    kind: str,
    recording: Recording,
    reason: str,
    by: Actor | None,
    party: Party | None = None,
    organisation: Organisation | None = None,
    claimant: str = "",
    other: Recording | None = None,
    side: str = "",
    ppm: int | None = None,
    by_staff: bool = False,
) -> Claim:
    """Open a case as people do: an `organisation` for itself, within how many it may, or staff for anyone.

    A case about a `share` may say how much of which right the party says is its own; one about `same-identifier`
    names the `other` recording.  Raises `InvalidError` where it does not, `ConflictError` by `opening_check`.
    """
    if kind == Kind.SAME_IDENTIFIER and other is None:
        raise InvalidError("Two recordings are at odds.", remedy="Name the second recording.", code="claim-other")
    if organisation is not None and not by_staff:
        opening_check(organisation=organisation, recording=recording, kind=kind)
    if kind == Kind.SHARE and party is not None and ppm:
        return share_claim(
            recording=recording, party=party, organisation=organisation, side=side, ppm=ppm, reason=reason, by=by
        )
    return case_open(
        kind=kind,
        recording=recording,
        other=other if kind == Kind.SAME_IDENTIFIER else None,
        reason=reason,
        claimant=claimant,
        party=party,
        organisation=organisation,
        by=by,
    )


def share_claim(
    *,
    recording: Recording,
    party: Party,
    side: str,
    ppm: int,
    reason: str,
    by: Actor | None,
    organisation: Organisation | None = None,
) -> Claim:
    """Open a case because a party says that it owns this much of a right, in the whole world.

    With what the others have it may pass the whole: then it is an over-claim, and the case says by how much.
    """
    stand = [share for share in shares_of(recording) if (share.party, share.side) != (party.pk, side)]
    asserted = [*stand, Share(party=party.pk, side=side, ppm=ppm)]  # type: ignore[arg-type]
    return over_claim_open(
        recording=recording, asserted=asserted, reason=reason, by=by, claimant=party, organisation=organisation
    )


def over_claim_open(
    *,
    recording: Recording,
    asserted: Iterable[Share],
    reason: str,
    by: Actor | None,
    claimant: Party,
    organisation: Organisation | None = None,
) -> Claim:
    """Open a case about what several assert together: an over-claim where a right passes the whole.

    Where none does, it is a dispute about shares all the same.
    """
    rows = [share.model_dump() for share in asserted]
    sums: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["territory"], row["side"])
        sums[key] = sums.get(key, 0) + row["ppm"]
    over = {f"{side} in {territory.title()}": total for (territory, side), total in sums.items() if total > WHOLE}
    return case_open(
        kind=Kind.OVER_CLAIM if over else Kind.SHARE,
        recording=recording,
        reason=reason,
        party=claimant,
        organisation=organisation,
        also=list(Party.objects.filter(id__in={row["party"] for row in rows})),
        detail={"asserted": rows, "sums": over},
        by=by,
    )


@transaction.atomic
def case_say(*, claim: Claim, seat: Seat, text: str, by: Actor, answer: bool = False, internal: bool = False) -> Claim:
    """Say something in a case; with `answer`, as what its side has to say when it is its turn.

    The owners' answer gives the claimant thirty days to reply; that reply brings the case before staff.
    `internal` is a note that only staff see.  Raises `InvalidError` without words, `ConflictError` when
    the case is over or it is not this side's turn.
    """
    claim = _locked(claim)
    if not text.strip():
        raise InvalidError("There is nothing to send.", remedy="Write what you want the others to know.")
    _require_pending(claim)
    if internal:
        if seat.side != Side.STAFF:
            raise InvalidError("Only staff write notes for staff.")
        _write(claim, Event.NOTE, by=by, seat=seat, text=text)
    elif not answer:
        _write(claim, Event.MESSAGE, by=by, seat=seat, text=text)
    else:
        _answer(claim, seat, text, by)
    audit(by=by, action="claim.say", subject=claim.id, side=seat.side, answer=answer, internal=internal)
    if not internal:
        told = [side for side in (Side.CLAIMANT, Side.OWNERS, Side.STAFF) if side != seat.side]
        turn = f"\n\n{_until(claim)}" if answer else ""
        case_told(claim, sides=told, title=f"{seat.name} wrote about {claim.recording.title}", text=f"{text}{turn}")
    return claim


@transaction.atomic
def case_review(*, claim: Claim, by: Actor, text: str = "") -> Claim:
    """Take a case under review before every deadline has passed."""
    claim = _locked(claim)
    _move(claim, State.REVIEW, Event.REVIEW, by=by, seat=STAFF_SEAT, text=text, turn=Side.STAFF)
    audit(by=by, action="claim.review", subject=claim.id)
    case_told(
        claim, sides=(Side.CLAIMANT, Side.OWNERS), title=f"Under review: {claim.recording.title}", text=text or "–"
    )
    return claim


@transaction.atomic
def case_extend(*, claim: Claim, days: int, reason: str, by: Actor) -> Claim:
    """Give the side whose turn it is more time, counted from its present deadline or from now if that is past."""
    claim = _locked(claim)
    _require_pending(claim)
    if not 1 <= days <= MOST_DAYS:
        raise InvalidError(f"{days} days cannot be given.", remedy=f"Give 1 to {MOST_DAYS} days.")
    if not reason.strip():
        raise InvalidError("More time needs a reason.", remedy="Say why: both sides read it.")
    before = claim.due_at
    claim.due_at = max(before or now(), now()) + timedelta(days=days)
    claim.save(update_fields=["due_at"])
    detail = {"days": days, "before": timestamp(before) if before else None, "after": timestamp(claim.due_at)}
    _write(claim, Event.EXTENDED, by=by, seat=STAFF_SEAT, text=reason, detail=detail)
    audit(by=by, action="claim.extend", subject=claim.id, reason=reason, **detail)
    case_told(
        claim,
        sides=(Side.CLAIMANT, Side.OWNERS),
        title=f"More time: {claim.recording.title}",
        text=f"{reason}\n\n{_until(claim)}",
    )
    return claim


@transaction.atomic
def case_withdraw(*, claim: Claim, seat: Seat, reason: str, by: Actor) -> Claim:
    """The claimant takes the claim back; everything stays as it is.  Doing it again changes nothing."""
    claim = _locked(claim)
    if claim.state == State.WITHDRAWN:
        return claim
    if seat.side != Side.CLAIMANT:
        raise InvalidError("Only the claimant withdraws a claim.", remedy="Answer it instead.")
    reason = reason.strip() or "The claimant took it back."
    _end(claim, State.WITHDRAWN, Event.WITHDRAWN, Outcome.AS_THEY_ARE, reason, by=by, seat=seat)
    return claim


@transaction.atomic
def case_resolve(
    *,
    claim: Claim,
    outcome: str,
    reason: str,
    by: Actor,
    shares: Sequence[Share] = (),
    down: Recording | None = None,
    amount: int = 0,
) -> Claim:
    """Decide a case.  Doing it again changes nothing.

    `amount` is what a corrected statement brings the party, in micro-units of its currency: the house makes
    it good out of its own revenue.
    `shares` are those of the recording from now on (`Outcome.SHARES`); `down` is the recording that leaves
    (`Outcome.TAKEN_DOWN`): its money goes by the shares of the one that stays.  Money on hold is released
    accordingly, and what models that learned from it earn later goes the same way.  Raises `InvalidError`
    for an outcome that does not fit the case, shares that are not whole, or a missing reason.
    """
    claim = _locked(claim)
    if claim.state == State.RESOLVED:
        return claim
    if not reason.strip():
        raise InvalidError("A decision needs its reason.", remedy="Say why: both sides read it.")
    if outcome not in OUTCOMES[claim.kind]:
        allowed = ", ".join(OUTCOMES[claim.kind])
        raise InvalidError(f"A case of {claim.kind} is not resolved by {outcome}.", remedy=f"Choose one of {allowed}.")
    detail: dict[str, Any] = {}
    if outcome == Outcome.SHARES:
        detail["shares"] = _shares_change(claim, shares, by)
    elif outcome == Outcome.TAKEN_DOWN:
        detail |= _take_down(claim, down, by)
    elif outcome == Outcome.SAME:
        detail |= _cluster(claim, by)
    if amount < 0 or (amount and outcome != Outcome.CORRECTED):
        raise InvalidError("Only a corrected statement brings money.", remedy="Leave the amount out.", code="amount")
    if amount:
        detail |= {"amount": str(amount), "currency": claim.detail["line"]["currency"]}
    _end(claim, State.RESOLVED, Event.RESOLVED, outcome, reason.strip(), by=by, seat=STAFF_SEAT, detail=detail)
    return claim


@transaction.atomic
def deadlines_keep(*, at: datetime | None = None) -> dict[str, int]:
    """Remind who has a week and a day left, and act on deadlines that have passed; what was done, counted.

    Reminding, like everything here, happens once however often this runs.
    """
    moment = at or now()
    done = {"reminded": 0, "reviewed": 0, "lapsed": 0}
    soon = Claim.objects.pending().filter(due_at__lte=moment + timedelta(days=max(REMIND)))
    for claim in soon.select_for_update(of=("self",)).select_related("recording"):
        assert claim.due_at is not None  # noqa: S101 - the query says so
        if claim.due_at > moment:
            done["reminded"] += _remind(claim, moment)
        elif claim.due_side == Side.OWNERS:
            text = "The owners gave no answer in time: staff decide on what is there."
            _move(claim, State.REVIEW, Event.REVIEW, by=None, seat=Seat("", PORTAL), text=text, turn=Side.STAFF)
            audit(by=None, action="claim.review", subject=claim.id)
            case_told(
                claim,
                sides=(Side.CLAIMANT, Side.OWNERS, Side.STAFF),
                title=f"Under review: {claim.recording.title}",
                text=text,
            )
            done["reviewed"] += 1
        elif claim.due_side == Side.CLAIMANT:
            text = "The claimant did not reply to the answer in time."
            _end(claim, State.LAPSED, Event.LAPSED, Outcome.AS_THEY_ARE, text, by=None, seat=Seat("", PORTAL))
            done["lapsed"] += 1
        else:
            done["reminded"] += _remind(claim, moment)
    return done


def _answer(claim: Claim, seat: Seat, text: str, by: Actor) -> None:
    if claim.due_side != seat.side:
        whose = Side(claim.due_side).label.lower() if claim.due_side else "nobody"
        raise ConflictError(
            f"It is not your turn to answer: that of the {whose} is next.", remedy="Send it as a message."
        )
    if seat.side == Side.OWNERS:
        _move(claim, State.ANSWERED, Event.ANSWER, by=by, seat=seat, text=text, turn=Side.CLAIMANT)
    elif seat.side == Side.CLAIMANT:
        _move(claim, State.REVIEW, Event.ANSWER, by=by, seat=seat, text=text, turn=Side.STAFF)
    else:
        raise ConflictError("Staff do not answer a case: they decide it.", remedy="Resolve it, or send a message.")


def _remind(claim: Claim, moment: datetime) -> int:
    """Say once per deadline and distance how much time is left."""
    assert claim.due_at is not None  # noqa: S101 - whoever calls has seen it
    left = (claim.due_at - moment) / timedelta(days=1)
    distance = next((days for days in sorted(REMIND) if left <= days), 0) if left > 0 else 0
    mark = {"due": timestamp(claim.due_at), "days": distance}
    if claim.events.filter(kind=Event.REMINDED, detail=mark).exists():
        return 0
    _write(claim, Event.REMINDED, by=None, seat=Seat("", PORTAL), text=_until(claim), detail=mark, at=moment)
    case_told(claim, sides=(claim.due_side,), title=f"Reminder: {claim.recording.title}", text=_until(claim))
    return 1


def _move(
    claim: Claim, to: str, event: str, *, by: Actor | None, seat: Seat, text: str = "", turn: str, days: int = DAYS
) -> None:
    """Go to another state, in which it is the turn of `turn`."""
    before = claim.state
    if to not in TRANSITIONS[before]:
        raise ConflictError(
            f"A case that is {State(before).label.lower()} cannot become {State(to).label.lower()}.",
            remedy="See how far it is.",
        )
    claim.state, claim.due_side, claim.due_at = to, turn, now() + timedelta(days=days)
    claim.save(update_fields=["state", "due_side", "due_at"])
    _write(claim, event, by=by, seat=seat, text=text, before=before, after=to)


def _end(
    claim: Claim,
    to: str,
    event: str,
    outcome: str,
    reason: str,
    *,
    by: Actor | None,
    seat: Seat,
    detail: dict[str, Any] | None = None,
) -> None:
    """End a case: logged, told, and no longer held."""
    before, moment = claim.state, now()
    if to not in TRANSITIONS[before]:
        raise ConflictError(f"This case is over: it was {State(before).label.lower()}.", remedy="Open a new one.")
    fact = {"claim": claim.id, "recording": claim.recording_id, "resolution": reason, "state": str(to)}
    if detail or outcome != Outcome.AS_THEY_ARE:
        fact |= {"outcome": str(outcome), "detail": detail or {}}
    log_append(kind="claim", subject=claim.id, document_digest=digest(fact), at=moment)
    held = claim.holds
    claim.state, claim.outcome, claim.resolution, claim.resolved_at = to, outcome, reason, moment
    claim.due_at, claim.due_side = None, ""
    claim.save(update_fields=["state", "outcome", "resolution", "resolved_at", "due_at", "due_side"])
    _write(claim, event, by=by, seat=seat, text=reason, before=before, after=to, detail=detail, at=moment)
    verb = {State.RESOLVED: "resolve", State.WITHDRAWN: "withdraw", State.LAPSED: "lapse"}[State(to)]
    audit(by=by, action=f"claim.{verb}", subject=claim.id, resolution=reason, outcome=str(outcome), detail=detail or {})
    if held:
        after_commit(rights_status_publish)
    if held or (detail or {}).get("amount"):
        money_told()
    case_told(
        claim,
        sides=(Side.CLAIMANT, Side.OWNERS),
        title=f"{State(to).label}: {claim.recording.title}",
        text=f"{Outcome(outcome).label}.\n\n{reason}",
    )


def _shares_change(claim: Claim, shares: Sequence[Share], by: Actor) -> list[dict[str, Any]]:
    """Put other shares in force for the recording, now and for the money of older snapshots."""
    shares_set(recording=claim.recording, shares=shares, cause=f"claim {claim.id}", by=by)
    return _rule(claim, claim.recording, shares)


def _take_down(claim: Claim, down: Recording | None, by: Actor) -> dict[str, Any]:
    both = {claim.recording_id: claim.recording, claim.other_id: claim.other}
    if down is None or down.pk not in both or claim.other is None:
        raise InvalidError("Say which of the two recordings is taken down.", remedy="Choose one of them.")
    stays = claim.other if down.pk == claim.recording_id else claim.recording
    shares = shares_of(stays)
    Recording.objects.filter(pk=down.pk, taken_down_at=None).update(taken_down_at=now())
    audit(by=by, action="recording.take-down", subject=down.pk, claim=claim.pk)
    return {"taken_down": down.pk, "stays": stays.pk, "shares": _rule(claim, down, shares) if shares else []}


def _cluster(claim: Claim, by: Actor) -> dict[str, Any]:
    if claim.other is None:
        raise InvalidError("There is only one recording in this case.", remedy="Choose another outcome.")
    cluster = claim.recording.cluster or claim.other.cluster or Cluster.objects.create(canonical=claim.recording)
    Recording.objects.filter(pk__in=[claim.recording_id, claim.other_id]).update(cluster=cluster)
    audit(by=by, action="recording.cluster", subject=claim.recording_id, other=claim.other_id, cluster=cluster.pk)
    return {"cluster": cluster.pk}


def _rule(claim: Claim, recording: Recording, shares: Sequence[Share]) -> list[dict[str, Any]]:
    rows = as_stated(shares)
    Ruling.objects.create(claim=claim, recording=recording, shares=rows, at=now())
    return rows


def shares_of(recording: Recording) -> list[Share]:
    """The shares in force."""
    rows = ShareRow.objects.filter(recording=recording)
    return [Share(party=r.party_id, side=r.side, ppm=r.ppm, territory=r.territory) for r in rows]  # type: ignore[arg-type]


def _parties_seat(claim: Claim, also: Collection[Party]) -> None:
    """Write down whom the case concerns: owners may change while it goes on."""
    recordings = [each for each in (claim.recording_id, claim.other_id) if each]
    owners = set(ShareRow.objects.filter(recording__in=recordings).values_list("party_id", flat=True))
    brought = Organisation.objects.filter(recordings__in=recordings, party__isnull=False)
    owners |= set(brought.values_list("party_id", flat=True)) | {party.pk for party in also}
    owners -= {claim.claimant_party_id}
    rows = [] if claim.kind == Kind.CORRECTION else [(party, Side.OWNERS) for party in sorted(map(str, owners))]
    if claim.claimant_party_id:
        rows.append((claim.claimant_party_id, Side.CLAIMANT))
    ClaimParty.objects.bulk_create(ClaimParty(claim=claim, party_id=party, side=side) for party, side in rows)


def _locked(claim: Claim) -> Claim:
    found = Claim.objects.select_related("recording__cluster", "other__cluster")
    return found.select_for_update(of=("self",)).get(pk=claim.pk)


def _require_pending(claim: Claim) -> None:
    if not claim.pending:
        raise ConflictError(f"This case is over: it was {State(claim.state).label.lower()}.", remedy="Open a new one.")


def _until(claim: Claim) -> str:
    if claim.due_at is None or not claim.due_side:
        return ""
    who = {Side.OWNERS: "The owners answer", Side.CLAIMANT: "The claimant replies", Side.STAFF: "Staff decide"}
    return f"{who[Side(claim.due_side)]} until {claim.due_at.day} {claim.due_at:%B %Y}."


def _write(
    claim: Claim,
    kind: str,
    *,
    by: Actor | None,
    seat: Seat,
    text: str = "",
    before: str = "",
    after: str = "",
    detail: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> ClaimEvent:
    return ClaimEvent.objects.create(
        claim=claim,
        at=at or now(),
        kind=kind,
        side=seat.side,
        speaker=seat.name,
        by=by.email if by else "",
        text=text.strip(),
        before=before,
        after=after,
        detail=detail or {},
    )
