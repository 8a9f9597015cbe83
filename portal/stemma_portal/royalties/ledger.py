"""The only writer of the ledger: accounts, postings and reversals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from stemma.errors import InvalidError, NotFoundError
from stemma.ids import new_id, now
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.fields import is_id
from stemma_portal.core.services import Actor, audit
from stemma_portal.royalties.flows import BILLING, HOLDING, INDEMNIFYING, REVERSAL, flow_check
from stemma_portal.royalties.models import Account, Period, Posting

BATCH = 5_000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A posting to be made.  `id` is made by whoever posts: the same entry twice is posted once."""

    id: str
    kind: str
    debit: Account
    credit: Account
    amount: int
    """Micro-units, positive."""
    reference: str
    occurred_at: datetime
    reverses: str | None = None

    def same_as(self, posting: Posting) -> bool:
        """Whether the posting that stands under this identifier says the same."""
        return (
            posting.kind == self.kind
            and posting.debit_id == self.debit.pk
            and posting.credit_id == self.credit.pk
            and posting.amount == self.amount
            and posting.reference == self.reference
            and posting.reverses_id == self.reverses
            and posting.occurred_at == self.occurred_at
        )


def account_ensure(
    *,
    kind: str,
    currency: str,
    party: str | None = None,
    license_: str | None = None,
    organisation: str | None = None,
    recording: str | None = None,
    side: str = "",
) -> Account:
    """The account of this kind, made on first use."""
    code = ":".join(part for part in (kind, party or license_ or organisation, recording, side, currency) if part)
    account = Account(
        code=code,
        kind=kind,
        currency=currency,
        party_id=party,
        license_id=license_,
        organisation_id=organisation,
        recording_id=recording,
        side=side,
    )
    Account.objects.bulk_create([account], ignore_conflicts=True)
    return Account.objects.get(code=code)


def postings_make(*, period: Period, entries: Sequence[Entry]) -> list[Posting]:
    """Post all entries or none, into an open period; returns those that are new.

    An entry that stands already is passed over; one whose identifier stands with another body raises
    `ConflictError`.  Writers wait for one another at the period, so none can deadlock or race: post in
    batches.
    Raises `InvalidError` for an amount that is not positive, a flow that is not allowed or a currency
    that is not the accounts' and the period's.
    """
    for entry in entries:
        _entry_check(entry, period)
    given: dict[str, Entry] = {}
    for entry in entries:
        if given.setdefault(entry.id, entry) != entry:
            raise _otherwise(entry)
    with transaction.atomic():
        _period_lock(period)
        stands = Posting.objects.in_bulk(list(given))
        for identifier, posting in stands.items():
            if not given[str(identifier)].same_as(posting) or posting.period_id != period.pk:
                raise _otherwise(given[str(identifier)])
        fresh = [
            Posting(
                id=entry.id,
                kind=entry.kind,
                debit=entry.debit,
                credit=entry.credit,
                amount=entry.amount,
                currency=period.currency,
                period=period,
                reverses_id=entry.reverses,
                reference=entry.reference,
                occurred_at=entry.occurred_at,
            )
            for entry in given.values()
            if entry.id not in stands
        ]
        Posting.objects.bulk_create(fresh, batch_size=BATCH)
        _checkpoints_advance(fresh)
    return fresh


def posting_reverse(*, posting: str, reason: str, by: Actor | None, identifier: str | None = None) -> Posting:
    """Take a posting back by its mirror image, in the open period of its currency.

    The original stays.  `identifier` makes a repeat harmless.  Raises `ConflictError` when it was reversed by
    another reversal before, `InvalidError` when it is a reversal itself: post what is right instead.
    """
    with transaction.atomic():
        found = Posting.objects.select_related("debit", "credit")
        original = found.filter(pk=posting).first() if is_id(posting) else None
        if original is None:
            raise NotFoundError(f"There is no posting {posting}.")
        if original.kind == REVERSAL:
            raise InvalidError(
                "A reversal is not reversed again.", remedy="Post what is right as a new posting.", code="flow-refused"
            )
        if original.kind in HOLDING:
            raise InvalidError(
                "Money on hold is moved by the case it is held for.",
                remedy="Resolve the case: what it holds is released by its outcome.",
                code="flow-refused",
            )
        if original.kind in INDEMNIFYING:
            raise InvalidError(
                "What is set aside for a claim is moved by the claim.",
                remedy="Release it there: two people do.",
                code="flow-refused",
            )
        if original.kind in BILLING:
            raise InvalidError(
                "What was invoiced and paid is posted as its documents say.",
                remedy="Issue a credit note, or refund the payment: their postings follow.",
                code="flow-refused",
            )
        period = period_open_get(currency=original.currency)
        _period_lock(period)
        identifier = identifier or new_id()
        before = Posting.objects.filter(reverses=original).first()
        if before is not None and before.pk != identifier:
            raise ConflictError(
                f"Posting {posting} was reversed before.", remedy=f"See reversal {before.pk}.", code="already-reversed"
            )
        if before is not None:
            return before
        entry = Entry(
            id=identifier,
            kind=REVERSAL,
            debit=original.credit,
            credit=original.debit,
            amount=original.amount,
            reference=reason,
            occurred_at=now(),
            reverses=original.pk,
        )
        made = postings_make(period=period, entries=[entry])
        audit(by=by, action="posting.reverse", subject=original.pk, reversal=identifier, reason=reason)
    return made[0]


def period_open_get(*, currency: str) -> Period:
    """The period that takes postings now."""
    period = Period.objects.filter(currency=currency, state=Period.State.OPEN).first()
    if period is None:
        raise NotFoundError(f"No period in {currency} is open.", remedy="Open the next period first.")
    return period


def _entry_check(entry: Entry, period: Period) -> None:
    flow_check(kind=entry.kind, debit=entry.debit.kind, credit=entry.credit.kind)
    if entry.amount <= 0:
        raise InvalidError(
            f"A posting of {entry.amount} micro-units moves nothing.",
            remedy="Amounts are positive; exchange debit and credit, or leave the posting out.",
            code="amount",
        )
    if entry.debit.pk == entry.credit.pk:
        raise InvalidError("A posting needs two accounts.", code="flow-refused")
    if {entry.debit.currency, entry.credit.currency} != {period.currency}:
        raise InvalidError(
            f"{entry.debit.code} and {entry.credit.code} do not both count {period.currency}.",
            remedy="A posting has one currency; money changes it outside this ledger.",
            code="currency",
        )


def _otherwise(entry: Entry) -> ConflictError:
    return ConflictError(
        f"Posting {entry.id} stands with another body.",
        remedy="Nothing was posted.  Reverse the one that stands, or post under a new identifier.",
        code="posting-conflict",
    )


def _period_lock(period: Period) -> None:
    """Be the only writer into the period until the end of the transaction; closing waits for us, or we for it."""
    state = Period.objects.select_for_update(no_key=True).values_list("state", flat=True).get(pk=period.pk)
    if state != Period.State.OPEN:
        raise ConflictError(
            f"Period {period.pk} is closed.", remedy="Post into the period that is open now.", code="period-closed"
        )


def _checkpoints_advance(postings: Sequence[Posting]) -> None:
    """Carry the accounts' sums forward by what was posted, in one statement."""
    moved: dict[str, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for posting in postings:
        owed, due, count = moved[posting.debit_id]
        moved[posting.debit_id] = (owed + posting.amount, due, count + 1)
        owed, due, count = moved[posting.credit_id]
        moved[posting.credit_id] = (owed, due + posting.amount, count + 1)
    if not moved:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE royalties_account AS account
               SET debits = account.debits + moved.debits,
                   credits = account.credits + moved.credits,
                   postings = account.postings + moved.postings
               FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[])
                    AS moved(id, debits, credits, postings)
               WHERE account.id = moved.id""",
            [list(moved), *(list(column) for column in zip(*moved.values(), strict=True))],
        )
