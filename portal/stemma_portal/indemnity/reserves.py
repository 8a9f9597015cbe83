"""The reserve of an accepted claim: the only writer of its moves, each a posting of the ledger.

    left = set aside − given back − paid, never below nothing

One person sets aside, up to what is left of the covenant's cap in the year in which the claim came.  To
give back and to pay take a second person: the database refuses that one does both.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q, Sum

from stemma.errors import InvalidError
from stemma.ids import named_id, new_id, now
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.services import Actor, audit
from stemma_portal.indemnity.models import ClaimEvent, OutputClaim, ReserveMove
from stemma_portal.indemnity.selectors import coverage_of
from stemma_portal.indemnity.telling import STAFF, claim_told, event_write
from stemma_portal.royalties.ledger import Entry, account_ensure, period_open_get, postings_make
from stemma_portal.royalties.models import Account
from stemma_portal.royalties.services import period_ensure

Kind = ReserveMove.Kind
MICRO = 1_000_000
MOST = 2**53 - 1


def reserve_left(*, claim: OutputClaim) -> int:
    """Micro-units that are set aside for the claim now."""
    return _left(claim.moves.all())


def reserve_free(*, claim: OutputClaim) -> int:
    """What nobody has asked to give back or to pay yet."""
    waiting = claim.moves.filter(decided_at=None).aggregate(sum=Sum("amount"))["sum"] or 0
    return reserve_left(claim=claim) - int(waiting)


def cap_free(*, claim: OutputClaim) -> int | None:
    """What may still be set aside under the covenant's cap; None: without limit.

    A cap is for one license and use, over the year in which its claims came: what is set aside for them and
    what was paid counts.
    """
    found = coverage_of(claim=claim)
    if found is None or found.cap is None or claim.generation is None:
        return None if found is not None and found.verdict == "covered" else 0
    beside = ReserveMove.objects.filter(
        claim__use=claim.use, claim__received_at__year=claim.received_at.year, license=claim.generation.license_id
    )
    used = _left(beside) + int(beside.filter(kind=Kind.PAYMENT, approved=True).aggregate(s=Sum("amount"))["s"] or 0)
    return found.cap * MICRO - used


@transaction.atomic
def reserve_open(*, claim: OutputClaim, amount: int, reason: str, by: Actor) -> ReserveMove:
    """Set money aside for an accepted claim, or more of it.

    Raises `InvalidError` for nothing, or more than the covenant's cap leaves.
    """
    claim = _accepted(claim)
    assert claim.generation is not None  # noqa: S101 - only what was found is accepted
    lock(f"indemnity:{claim.generation.license_id}")
    free = cap_free(claim=claim)
    if not 0 < amount <= MOST:
        raise InvalidError("A reserve is more than nothing.", remedy="Say what the claim may cost.", code="amount")
    if free is not None and amount > free:
        raise InvalidError(
            f"The covenant's cap leaves {free / MICRO:,.2f} for this license and use in {claim.received_at.year}.",
            remedy="Set aside no more than that.",
            code="cap",
        )
    move = _move(claim, Kind.RESERVE, amount, reason, by)
    return _post(move, by)


@transaction.atomic
def move_ask(*, claim: OutputClaim, kind: str, amount: int, reason: str, by: Actor) -> ReserveMove:
    """Ask to give back or to pay some of the reserve; somebody else approves it."""
    claim = _accepted(claim)
    if kind not in {Kind.RELEASE, Kind.PAYMENT}:
        raise InvalidError(f"{kind[:20]!r} is not asked for.", remedy="Ask for relieve or settle.", code="move-kind")
    if not reason.strip():
        raise InvalidError("This needs its reason.", remedy="Say what it is for.", code="reason")
    free = reserve_free(claim=claim)
    if not 0 < amount <= free:
        raise InvalidError(
            f"Of the reserve {free / MICRO:,.2f} is free.", remedy="Ask for no more than that.", code="amount"
        )
    move = _move(claim, kind, amount, reason, by)
    label = Kind(kind).label.lower()
    claim_told(claim, staff=True, title=f"A second person is needed to {label}: {claim.claimant}", text=reason)
    return move


@transaction.atomic
def move_decide(*, move: ReserveMove, approve: bool, by: Actor) -> ReserveMove:
    """Approve or refuse what somebody else has asked for; deciding the same again changes nothing.

    Raises `ForbiddenError` for whoever asked, `ConflictError` where it was decided otherwise.
    """
    _accepted(move.claim)
    move = ReserveMove.objects.select_for_update().select_related("claim").get(pk=move.pk)
    if not move.waiting:
        if move.approved == approve:
            return move
        raise ConflictError("It was decided otherwise before.", remedy="Ask for it anew.", code="decided")
    if str(move.asked_id) == str(by.pk):
        raise ForbiddenError(
            "Whoever asks for money to be moved does not approve it.", remedy="Ask a colleague.", code="two-people"
        )
    if approve:
        return _post(move, by)
    move.approved, move.decided_at, move.decided_by, move.decided_id = False, now(), by.email, by.pk
    move.save(update_fields=["approved", "decided_at", "decided_by", "decided_id"])
    _told(move, by, "refused")
    return move


def _accepted(claim: OutputClaim) -> OutputClaim:
    """The claim, which nobody else moves money of until the end of the transaction."""
    rows = OutputClaim.objects.select_for_update(of=("self",)).select_related("generation", "organisation")
    claim = rows.get(pk=claim.pk)
    if claim.state != OutputClaim.State.ACCEPTED:
        raise ConflictError("Only an accepted claim has a reserve.", remedy="Accept it first.", code="not-accepted")
    return claim


def _move(claim: OutputClaim, kind: str, amount: int, reason: str, by: Actor) -> ReserveMove:
    found = coverage_of(claim=claim)
    assert found is not None and claim.generation is not None  # noqa: S101, PT018 - only what was found is accepted
    move = ReserveMove.objects.create(
        id=new_id(), claim=claim, license_id=claim.generation.license_id, kind=kind, amount=amount,
        currency=found.currency, reason=reason.strip(), asked_at=now(), asked_by=by.email, asked_id=by.pk,
    )  # fmt: skip
    if kind != Kind.RESERVE:
        _told(move, by, "asked")
    return move


def _post(move: ReserveMove, by: Actor) -> ReserveMove:
    kinds = {
        Kind.RESERVE: (Account.Kind.REVENUE, Account.Kind.INDEMNITY),
        Kind.RELEASE: (Account.Kind.INDEMNITY, Account.Kind.REVENUE),
        Kind.PAYMENT: (Account.Kind.INDEMNITY, Account.Kind.SETTLEMENT),
    }
    period_ensure()
    period = period_open_get(currency=move.currency)
    debit, credit = (
        account_ensure(
            kind=kind, currency=move.currency, license_=None if kind == Account.Kind.REVENUE else str(move.license_id)
        )
        for kind in kinds[Kind(move.kind)]
    )
    entry = Entry(
        id=named_id("posting", "indemnity", str(move.pk)), kind=move.kind, debit=debit, credit=credit,
        amount=move.amount, reference=f"Claim {move.claim_id}: {move.reason}"[:300], occurred_at=move.asked_at,
    )  # fmt: skip
    postings_make(period=period, entries=[entry])
    move.approved, move.posting = True, entry.id
    move.decided_at, move.decided_by, move.decided_id = now(), by.email, by.pk
    move.save(update_fields=["approved", "posting", "decided_at", "decided_by", "decided_id"])
    _told(move, by, "posted")
    return move


def _told(move: ReserveMove, by: Actor, what: str) -> None:
    text = f"{Kind(move.kind).label}: {move.currency} {move.amount / MICRO:,.2f}, {what}. {move.reason}"
    detail = {"move": str(move.pk), "kind": move.kind, "amount": str(move.amount), "what": what}
    event_write(move.claim, ClaimEvent.Kind.RESERVE, speaker=STAFF, by=by, text=text, detail=detail)
    audit(by=by, action=f"output-claim.reserve-{what}", subject=move.claim_id, **detail)


def _left(moves: Iterable[ReserveMove] | object) -> int:
    sums = moves.aggregate(  # type: ignore[attr-defined]
        put=Sum("amount", filter=Q(kind=Kind.RESERVE, approved=True)),
        taken=Sum("amount", filter=Q(kind__in=(Kind.RELEASE, Kind.PAYMENT), approved=True)),
    )
    return int(sums["put"] or 0) - int(sums["taken"] or 0)
