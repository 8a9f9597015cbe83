"""The accounts' meanings and the only ways money moves between them.

    receivable ◄─ fee, usage ── revenue        a licensee owes for its months and minutes
    revenue    ◄─ creators ──── pool           the covenant's part of it belongs to creators
    pool       ◄─ training ──── payable        shared equally per trained work
    pool       ◄─ attribution ─ payable        shared among the recordings that shaped an output
    pool       ◄─ commons ───── payable        what nothing explains: equally per trained work
    pool       ◄─ reserve ───── reserve        creators' money that no work can be named for yet
    payable    ◄─ hold ──────── hold           a party's money of a recording under claim
    hold       ◄─ release ───── payable        the same, to whoever the case says is right
    revenue    ◄─ correction ── payable        the house makes good what a statement had wrong
    revenue    ◄─ indemnify ─── indemnity      the house sets aside what an accepted claim may cost
    indemnity  ◄─ relieve ───── revenue        what was set aside and is not needed goes back
    indemnity  ◄─ settle ────── settlement     what a claim has cost, to be paid by bank
    any        ◄─ reversal ──── any            the mirror of a posting that was wrong

An arrow points to the account that is debited, from the one that is credited.  `receivable` is what
we are owed; all others are where it came from, and whose it is: `revenue` the platform's, `pool` the
creators' until a period is allocated (afterwards it is empty), `payable` a party's, `hold` what one
recording earned one party on one side and nobody is paid before its claims are resolved; `indemnity`
what is set aside for the outputs of one license, `settlement` what was paid for them.
"""

from stemma.errors import InvalidError
from stemma_portal.royalties.models import Account

Kind = Account.Kind

REVERSAL = "reversal"
FLOWS: dict[str, tuple[str, str]] = {
    "fee": (Kind.RECEIVABLE, Kind.REVENUE),
    "usage": (Kind.RECEIVABLE, Kind.REVENUE),
    "creators": (Kind.REVENUE, Kind.POOL),
    "training": (Kind.POOL, Kind.PAYABLE),
    "attribution": (Kind.POOL, Kind.PAYABLE),
    "commons": (Kind.POOL, Kind.PAYABLE),
    "reserve": (Kind.POOL, Kind.RESERVE),
    "hold": (Kind.PAYABLE, Kind.HOLD),
    "release": (Kind.HOLD, Kind.PAYABLE),
    "correction": (Kind.REVENUE, Kind.PAYABLE),
    "indemnify": (Kind.REVENUE, Kind.INDEMNITY),
    "relieve": (Kind.INDEMNITY, Kind.REVENUE),
    "settle": (Kind.INDEMNITY, Kind.SETTLEMENT),
}
"""What is debited and what is credited, by kind of posting."""
EARNING = ("training", "attribution", "commons")
"""The flows by which a party earns."""
HOLDING = ("hold", "release")
"""The flows that follow from claims; cases move them, nobody else."""
INDEMNIFYING = ("indemnify", "relieve", "settle")
"""The flows that follow from claims against outputs; those move them, nobody else."""


def flow_check(*, kind: str, debit: str, credit: str) -> None:
    """Raise `InvalidError` unless this kind of posting may move money between these kinds of account."""
    if kind == REVERSAL or FLOWS.get(kind) == (debit, credit):
        return
    allowed = " and ".join(FLOWS[kind]) if kind in FLOWS else None
    raise InvalidError(
        f"A {kind} posting may not debit {debit} and credit {credit}.",
        remedy=f"It debits and credits {allowed}." if allowed else f"Kinds of posting are {', '.join(FLOWS)}.",
        code="flow-refused",
    )
