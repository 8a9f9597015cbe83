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
    billed     ◄─ order ─────── deferred       an order is invoiced; nothing is licensed yet
    deferred   ◄─ licensed ──── receivable     it is paid and licensed: what will accrue is asked for already
    billed     ◄─ invoice ───── receivable     what accrued by use is asked for
    billed     ◄─ prepaid ───── prepaid        credit is sold
    prepaid    ◄─ drawn ─────── billed         use is paid from it
    billed     ◄─ tax ───────── tax            tax on an invoice is the state's
    cash       ◄─ received ──── clearing       money came in
    clearing   ◄─ matched ───── billed         it is known what for
    clearing   ◄─ sent-back ─── cash           it was for nothing, and went back
    billed     ◄─ refund ────── cash           what was paid too much went back
    revenue    ◄─ credit ────── billed         a credit note on what is licensed
    deferred   ◄─ unorder ───── billed         one on an order that is not licensed
    prepaid    ◄─ unprepaid ─── billed         one on credit that was not used
    tax        ◄─ untax ─────── billed         the tax of any of these
    any        ◄─ reversal ──── any            the mirror of a posting that was wrong

An arrow points to the account that is debited, from the one that is credited.  `receivable` is what
we are owed; all others are where it came from, and whose it is: `revenue` the platform's, `pool` the
creators' until a period is allocated (afterwards it is empty), `payable` a party's, `hold` what one
recording earned one party on one side and nobody is paid before its claims are resolved; `indemnity`
what is set aside for the outputs of one license, `settlement` what was paid for them.

`billed` is what a licensee was asked for and has not paid, `deferred` and `prepaid` what it paid before
anything was due, `clearing` money of which nobody has said yet what it is for.
What accrues (`fee`, `usage`) follows from facts, what is asked for and paid from documents: creators are
credited what the facts say, whoever has paid.
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
    "order": (Kind.BILLED, Kind.DEFERRED),
    "licensed": (Kind.DEFERRED, Kind.RECEIVABLE),
    "invoice": (Kind.BILLED, Kind.RECEIVABLE),
    "prepaid": (Kind.BILLED, Kind.PREPAID),
    "drawn": (Kind.PREPAID, Kind.BILLED),
    "tax": (Kind.BILLED, Kind.TAX),
    "received": (Kind.CASH, Kind.CLEARING),
    "matched": (Kind.CLEARING, Kind.BILLED),
    "sent-back": (Kind.CLEARING, Kind.CASH),
    "refund": (Kind.BILLED, Kind.CASH),
    "credit": (Kind.REVENUE, Kind.BILLED),
    "unorder": (Kind.DEFERRED, Kind.BILLED),
    "unprepaid": (Kind.PREPAID, Kind.BILLED),
    "untax": (Kind.TAX, Kind.BILLED),
}
"""What is debited and what is credited, by kind of posting."""
EARNING = ("training", "attribution", "commons")
"""The flows by which a party earns."""
BILLING = (
    *("order", "licensed", "invoice", "prepaid", "drawn", "tax", "received", "matched", "sent-back", "refund"),
    *("credit", "unorder", "unprepaid", "untax"),
)
"""The flows that follow from invoices, credit notes, payments and refunds."""
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
