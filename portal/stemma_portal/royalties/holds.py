"""Money on hold: of recordings under claim nobody is paid before the claims are resolved.

Three moves, all ordinary postings, so that what is on hold is counted like everything else:

- when a period closes, what a held recording earned in it goes on from its owners' accounts to `hold`
  accounts, one per party, recording and side (`bookkeeping.entries_of`);
- when a claim comes, unpaid money that the recording earned before is set aside too, but only of periods
  that closed within the claim's own time limit before it came, and never more than what the party is
  still owed: a claim cannot take back what was paid, nor freeze years of earnings;
- when no claim on the recording is pending any more, everything is released: to those it was kept from,
  or by the shares that the claims' rulings put in force.

And what a corrected statement brings its party is posted with them.

What there is to do follows from the claims and the accounts alone.  So this may run at any time, twice
or late; the closing of a period begins with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby

from django.db import transaction
from django.db.models import F, Q, Sum

from stemma.ids import named_id, now
from stemma.rights.shares import WORLD, split
from stemma_portal.consent.cases import DAYS
from stemma_portal.consent.models import Claim, ClaimEvent, Ruling
from stemma_portal.core.db import lock
from stemma_portal.core.services import audit
from stemma_portal.royalties.bookkeeping import hold_reference
from stemma_portal.royalties.flows import EARNING
from stemma_portal.royalties.ledger import Entry, account_ensure, postings_make
from stemma_portal.royalties.models import Account, ClaimHold, Period, Posting, StatementLine

LOOK_BACK = timedelta(days=DAYS)
"""How long before a claim a period may have closed for its money to be held."""


def held_recordings() -> dict[str, str]:
    """Recordings under claim, each with the pending case that came first."""
    found: dict[str, str] = {}
    for claim, *recordings in (
        Claim.objects.holding().order_by("opened_at", "pk").values_list("pk", "recording_id", "other_id")
    ):
        for recording in filter(None, recordings):
            found.setdefault(str(recording), str(claim))
    return found


def holds_settle() -> int:
    """Do what there is to do in every open period; how many postings it took."""
    made = 0
    for period in Period.objects.filter(state=Period.State.OPEN):
        with transaction.atomic():
            lock(f"royalties.{period.currency}")
            if Period.objects.filter(pk=period.pk, state=Period.State.OPEN).exists():
                made += holds_move(period=period)
    return made


def holds_move(*, period: Period) -> int:
    """The same for one period; whoever calls holds the lock of its currency."""
    fresh = Claim.objects.holding().exclude(holds_taken__currency=period.currency).order_by("opened_at", "pk")
    made = sum(_set_aside(period, claim) for claim in fresh)
    return made + _release(period) + _correct(period)


def _set_aside(period: Period, claim: Claim) -> int:
    """Hold what the claim's recordings earned lately and nobody was paid yet; once per claim."""
    entries = []
    left: dict[str, int] = {}
    for (party, recording, side), amount in sorted(_earned_lately(period, claim).items()):
        payable = account_ensure(kind=Account.Kind.PAYABLE, currency=period.currency, party=party)
        part = min(amount, left.setdefault(party, payable.balance))
        if part <= 0:
            continue
        left[party] -= part
        hold = account_ensure(
            kind=Account.Kind.HOLD, currency=period.currency, party=party, recording=recording, side=side
        )
        entries.append(
            Entry(
                id=named_id("posting", period.currency, "set-aside", claim.pk, recording, party, side),
                kind="hold",
                debit=payable,
                credit=hold,
                amount=part,
                reference=hold_reference(claim.pk),
                occurred_at=claim.opened_at,
            )
        )
    total = sum(entry.amount for entry in entries)
    ClaimHold.objects.create(claim=claim, currency=period.currency, amount=total, at=now())
    postings_make(period=period, entries=entries)
    if entries:
        audit(by=None, action="hold.take", subject=claim.pk, period=period.pk, amount=str(total))
    return len(entries)


def _earned_lately(period: Period, claim: Claim) -> dict[tuple[str, str, str], int]:
    """Lately earned, micro-units by party, recording and side.

    Of statements young enough; less what went on hold since, and with what was released.
    """
    recordings = [each for each in (claim.recording_id, claim.other_id) if each]
    young = Q(period__state=Period.State.OPEN) | Q(period__closed_at__gte=claim.opened_at - LOOK_BACK)
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    lines = StatementLine.objects.filter(
        recording__in=recordings,
        kind__in=EARNING,
        statement__currency=period.currency,
        statement__period__closed_at__gte=claim.opened_at - LOOK_BACK,
    ).order_by()
    for party, recording, side, total in lines.values_list("statement__party_id", "recording_id", "side").annotate(
        total=Sum("amount")
    ):
        found[str(party), str(recording), side] += int(total)
    postings = Posting.objects.filter(young, currency=period.currency)
    holds = postings.filter(kind="hold", credit__recording__in=recordings)
    for party, recording, side, amount in holds.values_list(
        "debit__party_id", "credit__recording_id", "credit__side", "amount"
    ):
        found[str(party), str(recording), side] -= amount
    releases = postings.filter(kind="release", debit__recording__in=recordings)
    for party, recording, side, amount in releases.values_list(
        "credit__party_id", "debit__recording_id", "debit__side", "amount"
    ):
        found[str(party), str(recording), side] += amount
    return found


def _release(period: Period) -> int:
    """Let go what no pending claim holds any more."""
    held = held_recordings()
    accounts = [
        account
        for account in Account.objects.filter(kind=Account.Kind.HOLD, currency=period.currency)
        .exclude(debits=F("credits"))
        .order_by("recording_id", "side", "party_id")
        if account.recording_id not in held
    ]
    entries: list[Entry] = []
    for (recording, side), group in groupby(accounts, key=lambda a: (str(a.recording_id), a.side)):
        last, weights = _ruled(recording, side)
        entries += _shared(period, list(group), last, weights)
    postings_make(period=period, entries=entries)
    for claim, made in groupby(sorted(entries, key=lambda e: e.reference), key=lambda e: e.reference):
        amount = sum(entry.amount for entry in made)
        audit(by=None, action="hold.release", subject=claim.split()[-1], period=period.pk, amount=str(amount))
    return len(entries)


def _correct(period: Period) -> int:
    """Pay what corrected statements bring their parties, once each."""
    events = ClaimEvent.objects.filter(
        kind=ClaimEvent.Kind.RESOLVED,
        claim__outcome=Claim.Outcome.CORRECTED,
        claim__claimant_party__isnull=False,
        detail__currency=period.currency,
        detail__has_key="amount",
    ).select_related("claim")
    wanted = {named_id("posting", "correction", event.claim_id): event for event in events}
    known = {str(pk) for pk in Posting.objects.filter(pk__in=wanted).values_list("pk", flat=True)}
    entries = [
        Entry(
            id=identifier,
            kind="correction",
            debit=account_ensure(kind=Account.Kind.REVENUE, currency=period.currency),
            credit=account_ensure(
                kind=Account.Kind.PAYABLE, currency=period.currency, party=event.claim.claimant_party_id
            ),
            amount=int(event.detail["amount"]),
            reference=f"Correction of {event.claim.detail['line']['period']}, claim {event.claim_id}",
            occurred_at=event.at,
        )
        for identifier, event in sorted(wanted.items())
        if identifier not in known
    ]
    postings_make(period=period, entries=entries)
    for entry, event in zip(entries, (wanted[entry.id] for entry in entries), strict=True):
        audit(by=None, action="correction.pay", subject=event.claim_id, period=period.pk, amount=str(entry.amount))
    return len(entries)


def _ruled(recording: str, side: str) -> tuple[Claim | None, dict[str, int]]:
    """The case that ended last, and the parts of the side that cases of the same time gave; none: as they were.

    Cases that overlapped in time are one episode of doubt: the newest ruling among them decides, also
    where the last one to end changed nothing.
    """
    ended = Claim.objects.filter(Q(recording=recording) | Q(other=recording), kind__in=Claim.HOLDING)
    episode: list[Claim] = []
    for claim in ended.exclude(resolved_at=None).order_by("-resolved_at", "-pk"):
        if episode and claim.resolved_at < min(c.opened_at for c in episode):  # type: ignore[operator]
            break
        episode.append(claim)
    ruling = Ruling.objects.filter(recording=recording, claim__in=episode).order_by("at", "pk").last()
    weights = {
        share["party"]: share["ppm"]
        for share in (ruling.shares if ruling else [])
        if share["side"] == side and share["territory"] == WORLD
    }
    return (episode[0] if episode else None), weights


def _shared(period: Period, sources: Sequence[Account], claim: Claim | None, weights: dict[str, int]) -> list[Entry]:
    """Postings that empty these accounts of one recording and side: to their own parties, or by the weights.

    A party's own money goes to it first, so that as little as can be changes hands.
    """
    have = {account.party_id: account.balance for account in sources}
    parties = sorted(weights)
    parts = split(sum(have.values()), [weights[party] for party in parties]) if parties else []
    due = dict(zip(parties, parts, strict=True)) if parties else dict(have)
    moves: list[tuple[Account, str, int]] = []
    for account in sources:
        own = min(have[account.party_id], due.get(account.party_id, 0))
        moves.append((account, str(account.party_id), own))
        have[account.party_id] -= own
        if account.party_id in due:
            due[account.party_id] -= own
    rest = iter([[party, amount] for party, amount in sorted(due.items()) if amount])
    wanting = next(rest, None)
    for account in sources:
        while have[account.party_id] and wanting:
            part = min(have[account.party_id], wanting[1])
            moves.append((account, wanting[0], part))
            have[account.party_id] -= part
            wanting[1] -= part
            if not wanting[1]:
                wanting = next(rest, None)
    return list(_entries(period, moves, claim))


def _entries(period: Period, moves: Iterable[tuple[Account, str, int]], claim: Claim | None) -> Iterable[Entry]:
    for account, party, amount in moves:
        if not amount:
            continue
        yield Entry(
            # The count of the account's postings tells one release from a later one of the same account.
            id=named_id("posting", "release", account.code, str(account.postings), party),
            kind="release",
            debit=account,
            credit=account_ensure(kind=Account.Kind.PAYABLE, currency=period.currency, party=party),
            amount=amount,
            reference=hold_reference(claim.pk if claim else "no more"),
            occurred_at=claim.resolved_at if claim and claim.resolved_at else now(),
        )
