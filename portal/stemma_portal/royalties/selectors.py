"""What pages and the API read of money.  Amounts are micro-units.

*Confirmed* money is in a closed period and in the ledger.  *Estimated* money is what the open period
would come to now; it is never added to a balance.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, F, Q, QuerySet, Sum

from stemma_portal.accounts.models import User
from stemma_portal.catalog.models import Recording
from stemma_portal.consent.models import Claim
from stemma_portal.core.models import Job
from stemma_portal.royalties.access import periods_access, statements_access
from stemma_portal.royalties.flows import EARNING, HOLDING
from stemma_portal.royalties.models import Account, Estimate, Period, Posting, Statement, StatementLine
from stemma_portal.royalties.payees import payout_minimum


@dataclass(frozen=True)
class Estimated:
    """What a party would get if the open period closed now."""

    period: str
    currency: str
    amount: int
    uses: int
    """How often its recordings shaped an output."""
    at: datetime
    held: int = 0
    """How much of it would be put on hold."""


@dataclass(frozen=True)
class Balance:
    """What a party is owed in one currency."""

    currency: str
    confirmed: int
    earned: int
    """Over all closed periods."""
    statements: int
    estimated: Estimated | None = None
    on_hold: int = 0
    """Confirmed too, but of recordings under claim; not in `confirmed`."""
    minimum: int = 0
    """From which balance on it is paid out."""

    @property
    def missing(self) -> int:
        """What is missing to reach the minimum; 0 once it is reached."""
        return max(0, self.minimum - self.confirmed)


@dataclass(frozen=True)
class BalancePoint:
    """The balance of a party after one closed period."""

    period: str
    at: datetime
    earned: int
    corrected: int
    closing: int


@dataclass(frozen=True)
class PeriodSummary:
    """A period at a glance.  Before it is closed the totals are empty."""

    period: Period
    totals: dict[str, int]
    """revenue, platform, creators, training, attribution, commons, reserve."""
    licenses: list[dict[str, object]]
    """Per license: licensee, tier, generations, billed_ms, revenue, creators."""
    generations: int
    late: int
    commons: int
    waiting: dict[str, int]
    """Generations not settled yet, by why: attribution, terms, license, snapshot."""
    statements: int
    postings: int
    estimated: int
    """Sum of estimates; 0 once it is closed."""
    job: Job | None = field(default=None)


def period_list(*, user: User) -> QuerySet[Period]:
    """Periods the user may see, newest first, each with `statements_count`."""
    return periods_access(user=user).annotate(statements_count=Count("statements", distinct=True)).order_by("-starts")


def period_current(*, currency: str | None = None) -> Period | None:
    """The period that is open."""
    open_ = Period.objects.filter(state=Period.State.OPEN)
    return (open_.filter(currency=currency) if currency else open_).order_by("starts").first()


def period_summary(*, period: Period) -> PeriodSummary:
    """Everything a page about one period shows, from its document once it is closed."""
    document = period.document or {}
    facts = document.get("facts", {})
    licenses = [
        {**given, "revenue": int(given["revenue"]), "creators": int(given["creators"])}
        for given in document.get("licenses", [])
    ]
    return PeriodSummary(
        period=period,
        totals={name: int(amount) for name, amount in document.get("totals", {}).items()},
        licenses=licenses,
        generations=facts.get("generations", 0),
        late=facts.get("late", 0),
        commons=facts.get("commons", 0),
        waiting=document.get("waiting", {}),
        statements=period.statements.count(),
        postings=period.postings.count(),
        estimated=period.estimates.aggregate(total=Sum("amount"))["total"] or 0,
        job=Job.objects.filter(run_key=close_key(period.pk)).first(),
    )


def close_key(period_id: str) -> str:
    """The run key under which a period is closed in the background."""
    return f"period.close:{period_id}"


def statement_list(*, user: User, period: Period | None = None, party_id: str | None = None) -> QuerySet[Statement]:
    """Statements the user may see, the newest period first."""
    found = statements_access(user=user)
    if period is not None:
        found = found.filter(period=period)
    return found.filter(party=party_id) if party_id is not None else found


def statement_lines(*, statement: Statement) -> QuerySet[StatementLine]:
    """The lines of a statement, the greatest amount first, with recording and work; corrections have none."""
    return statement.lines.select_related("recording__work").order_by("-amount", "id")


def statement_kinds(*, statement: Statement) -> dict[str, int]:
    """What a statement earned by kind: training, attribution, commons, and correction."""
    sums = statement.lines.values("kind").annotate(total=Sum("amount"))
    return {**dict.fromkeys((*EARNING, *HOLDING, "correction"), 0), **{row["kind"]: int(row["total"]) for row in sums}}


def statement_recordings(*, statement: Statement) -> list[dict[str, object]]:
    """One row per recording: `recording`, `uses`, micro-units by kind and in `total`; the greatest total first."""
    rows: dict[str, dict[str, object]] = {}
    for line in statement_lines(statement=statement).exclude(recording=None):
        row = rows.setdefault(
            str(line.recording_id),
            {"recording": line.recording, "uses": 0, **dict.fromkeys((*EARNING, *HOLDING, "total"), 0)},
        )
        row[line.kind] += line.amount  # type: ignore[operator]
        row["total"] += line.amount if line.kind in EARNING else 0  # type: ignore[operator]
        if line.kind == StatementLine.Kind.ATTRIBUTION:
            row["uses"] = max(row["uses"], line.uses)  # type: ignore[call-overload]
    return sorted(rows.values(), key=lambda row: (-int(str(row["total"])), str(row["recording"])))


def balance(*, party_id: str) -> list[Balance]:
    """What a party is owed, one entry per currency it ever earned or is about to earn in."""
    accounts = {a.currency: a for a in Account.objects.filter(kind=Account.Kind.PAYABLE, party=party_id)}
    estimates = {e.currency: e for e in estimate(party_id=party_id)}
    held = on_hold(party_id=party_id)
    told = {
        row["currency"]: row
        for row in Statement.objects.filter(party=party_id)
        .values("currency")
        .annotate(earned=Sum("earned"), n=Count("id"))
    }
    return [
        Balance(
            currency=currency,
            confirmed=accounts[currency].balance if currency in accounts else 0,
            earned=int(told[currency]["earned"]) if currency in told else 0,
            statements=told[currency]["n"] if currency in told else 0,
            estimated=estimates.get(currency),
            on_hold=sum(row.amount for row in held if row.currency == currency),
            minimum=payout_minimum(currency=currency),
        )
        for currency in sorted({*accounts, *estimates})
    ]


@dataclass(frozen=True)
class OnHold:
    """Money of one recording that a claim keeps from a party."""

    recording: Recording
    currency: str
    amount: int
    claims: list[Claim]
    """Those that are not over; none where the release is just being posted."""


def on_hold(*, party_id: str) -> list[OnHold]:
    """What claims keep from a party, the greatest amount first."""
    held = Account.objects.filter(kind=Account.Kind.HOLD, party=party_id).exclude(debits=F("credits"))
    sums: dict[tuple[str, str], int] = defaultdict(int)
    recordings = {}
    for account in held.select_related("recording__work"):
        sums[str(account.recording_id), account.currency] += account.balance
        recordings[account.recording_id] = account.recording
    claims: dict[str, list[Claim]] = defaultdict(list)
    for claim in Claim.objects.holding().filter(Q(recording__in=recordings) | Q(other__in=recordings)):
        for recording in (claim.recording_id, claim.other_id):
            claims[str(recording)].append(claim)
    found = [OnHold(recordings[r], currency, amount, claims[r]) for (r, currency), amount in sums.items()]
    return sorted(found, key=lambda row: (-row.amount, row.recording.title))


@dataclass(frozen=True)
class Earned:
    """What one recording earned a party in one period, micro-units by kind."""

    statement: Statement
    training: int
    attribution: int
    commons: int
    held: int
    """Put on hold (negative) or released in that period."""

    @property
    def total(self) -> int:
        """Of what was earned."""
        return self.training + self.attribution + self.commons


def recording_earned(*, party_id: str, recording_id: str) -> list[Earned]:
    """What the recording earned the party, period by period, the newest first."""
    lines = StatementLine.objects.filter(statement__party=party_id, recording=recording_id)
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for statement, kind, total in lines.order_by().values_list("statement", "kind").annotate(total=Sum("amount")):
        sums[str(statement)][kind] += int(total)
    statements = Statement.objects.filter(pk__in=sums).select_related("period").order_by("-period__starts")
    return [
        Earned(s, *(sums[s.pk][kind] for kind in EARNING), held=sums[s.pk]["hold"] + sums[s.pk]["release"])
        for s in statements
    ]


def recordings_earned(*, party_id: str, currency: str, limit: int) -> list[tuple[Recording, int]]:
    """The recordings that earned the party most, over all statements, with micro-units."""
    lines = StatementLine.objects.filter(statement__party=party_id, statement__currency=currency, kind__in=EARNING)
    rows = lines.order_by().values_list("recording").annotate(total=Sum("amount")).order_by("-total", "recording")
    top = [(str(recording), int(total)) for recording, total in rows[:limit]]
    known = Recording.objects.select_related("work").in_bulk([recording for recording, _ in top])
    return [(known[recording], total) for recording, total in top]


def balance_history(*, party_id: str, currency: str | None = None) -> list[BalancePoint]:
    """The balance after each closed period, the oldest first."""
    found = Statement.objects.filter(party=party_id).select_related("period").order_by("period__starts")
    if currency is not None:
        found = found.filter(currency=currency)
    return [BalancePoint(s.period_id, s.period.ends, s.earned, s.corrected, s.closing) for s in found]


def estimate(*, party_id: str) -> list[Estimated]:
    """What the open periods would give the party; renewed within half a minute of new facts."""
    found = Estimate.objects.filter(party=party_id, period__state=Period.State.OPEN).select_related("period")
    return [Estimated(e.period_id, e.period.currency, e.amount, e.uses, e.at, e.held) for e in found]


def postings_of(*, account: Account) -> QuerySet[Posting]:
    """The postings that touch an account, newest first."""
    return (
        Posting.objects.filter(Q(debit=account) | Q(credit=account))
        .select_related("debit", "credit", "reversal")
        .order_by("-booked_at", "-id")
    )


def accounts(*, currency: str | None = None) -> QuerySet[Account]:
    """All accounts, by code."""
    found = Account.objects.select_related("party", "license__organisation").order_by("code")
    return found.filter(currency=currency) if currency else found


def set_aside() -> QuerySet[Account]:
    """What is set aside for claims against outputs, and what they have cost, by license."""
    return accounts().filter(kind__in=(Account.Kind.INDEMNITY, Account.Kind.SETTLEMENT))


def license_bill(*, license_id: str) -> list[dict[str, object]]:
    """What a license was billed, per closed period, the newest first: period, tier, generations, billed_ms, revenue."""
    bills = []
    for period in Period.objects.filter(state=Period.State.CLOSED).order_by("-starts"):
        bills += [
            {"period": period.pk, "currency": period.currency, **given, "revenue": int(given["revenue"])}
            for given in period.document["licenses"]
            if given["license"] == license_id
        ]
    return bills
