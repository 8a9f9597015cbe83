"""What a settlement comes to in the ledger, and the document that is logged of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stemma.ids import named_id, timestamp
from stemma.proof.canonical import sha256
from stemma.royalties.pools import Subscription
from stemma_portal.royalties.flows import EARNING
from stemma_portal.royalties.ledger import Entry, account_ensure
from stemma_portal.royalties.models import Account, Period, Posting, Statement
from stemma_portal.royalties.settlement import Settlement, covenants_of

FORMAT = "stemma.period/1"


def entries_of(*, period: Period, settlement: Settlement, held: Mapping[str, str]) -> list[Entry]:
    """The postings a settlement comes to, each with an identifier that follows from what it is.

    `held` are the recordings under claim and the case that holds each: what they earned is credited to
    their owners like everything else, and put on hold in the same breath.
    """
    make = _Entries(period)
    for pool in settlement.allocation.pools:
        name = (pool.license, pool.tier, pool.covenant)
        months = sum(due.months for due in settlement.subscriptions if (due.license, due.tier, due.covenant) == name)
        receivable = make.account(Account.Kind.RECEIVABLE, license_=pool.license)
        make.add("fee", name, receivable, make.revenue, pool.fees, f"{months} × monthly fee, {pool.tier}")
        minutes = f"{pool.billed_ms} ms in {pool.generations} generations, {pool.tier}"
        make.add("usage", name, receivable, make.revenue, pool.revenue - pool.fees, minutes)
        make.add("creators", name, make.revenue, make.pool, pool.creators, "Creators' part by the covenant")
    earned: dict[tuple[str, str], int] = defaultdict(int)
    for row in settlement.allocation.lines.group_by(["party", "kind"]).aggregate([("amount", "sum")]).to_pylist():
        earned[row["party"], row["kind"]] += row["amount_sum"]
    for (party, kind), amount in sorted(earned.items()):
        payable = make.account(Account.Kind.PAYABLE, party=party)
        make.add(kind, (party,), make.pool, payable, amount, f"{kind.capitalize()} in {period.pk}")
    rest = sum(settlement.allocation.unallocated.values())
    make.add("reserve", (), make.pool, make.account(Account.Kind.RESERVE), rest, "No trained work to share it among")
    for row in held_lines(settlement, held):
        payable = make.account(Account.Kind.PAYABLE, party=row["party"])
        hold = make.account(Account.Kind.HOLD, party=row["party"], recording=row["recording"], side=row["side"])
        name = (row["recording"], row["party"], row["side"])
        make.add("hold", name, payable, hold, row["amount_sum"], hold_reference(held[row["recording"]]))
    return make.entries


def held_lines(settlement: Settlement, held: Mapping[str, str]) -> list[dict[str, Any]]:
    """What recordings under claim earned: `recording`, `party`, `side`, `amount_sum`, in their order."""
    if not held:
        return []
    lines = settlement.allocation.lines
    rows = lines.filter(pc.is_in(lines["recording"], pa.array(sorted(held), pa.string())))
    summed = rows.group_by(["recording", "party", "side"]).aggregate([("amount", "sum")]).to_pylist()
    return sorted(summed, key=lambda row: (row["recording"], row["party"], row["side"]))


def hold_reference(claim: str) -> str:
    """What a posting to or from money on hold is for."""
    return f"Under claim {claim}"


class _Entries:
    """Collects the postings of one period."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.covenants = covenants_of(currency=period.currency)
        self.entries: list[Entry] = []
        self.revenue = self.account(Account.Kind.REVENUE)
        self.pool = self.account(Account.Kind.POOL)

    def account(self, kind: str, **whose: str) -> Account:
        """The account of this kind in the period's currency."""
        return account_ensure(kind=kind, currency=self.period.currency, **whose)

    def add(self, kind: str, name: Iterable[str], debit: Account, credit: Account, amount: int, reference: str) -> None:
        """Add a posting; nothing moves nothing."""
        if amount == 0:
            return
        self.entries.append(
            Entry(
                id=named_id("posting", self.period.pk, kind, *name),
                kind=kind,
                debit=debit,
                credit=credit,
                amount=amount,
                reference=reference,
                occurred_at=self.period.ends,
            )
        )


def period_document(
    *,
    period: Period,
    settlement: Settlement,
    statements: Sequence[Statement],
    at: datetime,
    held: Mapping[str, str],
) -> dict[str, object]:
    """What is logged of a period.  Amounts are strings of micro-units: JSON's numbers end at 2^53."""
    previous = period_before(period)
    return {
        "format": FORMAT,
        "id": period.pk,
        "currency": period.currency,
        "starts": timestamp(period.starts),
        "ends": timestamp(period.ends),
        "closed_at": timestamp(at),
        "previous": previous.digest if previous else None,
        "totals": totals_of(settlement),
        "licenses": [
            {
                "license": pool.license,
                "licensee": pool.licensee,
                "tier": pool.tier,
                "covenant": pool.covenant,
                "generations": pool.generations,
                "billed_ms": pool.billed_ms,
                "revenue": str(pool.revenue),
                "creators": str(pool.creators),
            }
            for pool in settlement.allocation.pools
        ],
        "subscriptions": [_subscription(subscription) for subscription in settlement.subscriptions],
        "current": settlement.current,
        "waiting": settlement.waiting,
        "held": {
            recording: held[recording] for recording in sorted({r["recording"] for r in held_lines(settlement, held)})
        },
        "rulings": settlement.rulings,
        "facts": facts_mark(settlement),
        "postings": postings_mark(period=period),
        "statements": [
            {
                "party": statement.party_id,
                "opening": str(statement.opening),
                "earned": str(statement.earned),
                "corrected": str(statement.corrected),
                "held": str(statement.held),
                "closing": str(statement.closing),
                "csv_sha256": statement.csv_sha256,
                "pdf_sha256": statement.pdf_sha256,
            }
            for statement in statements
        ],
    }


def _subscription(given: Subscription) -> dict[str, object]:
    """As the document keeps it; seats only where there are any, as in documents of before there were seats."""
    return {name: value for name, value in asdict(given).items() if name != "seats" or value}


def totals_of(settlement: Settlement) -> dict[str, object]:
    """What a settlement sums to, in micro-units as strings."""
    pools = settlement.allocation.pools
    earned = dict.fromkeys(EARNING, 0)
    for row in settlement.allocation.lines.group_by("kind").aggregate([("amount", "sum")]).to_pylist():
        earned[row["kind"]] = row["amount_sum"]
    totals = {
        "revenue": sum(pool.revenue for pool in pools),
        "platform": sum(pool.platform for pool in pools),
        "creators": sum(pool.creators for pool in pools),
        **earned,
        "reserve": sum(settlement.allocation.unallocated.values()),
    }
    return {name: str(amount) for name, amount in totals.items()}


def facts_mark(settlement: Settlement) -> dict[str, object]:
    """How many generations and objects of the lake a settlement rests on, and hashes over both lists."""
    settled = sorted(f"{basis.generation} {basis.attribution or 'commons'}" for basis in settlement.bases)
    objects = sorted(f"{key} {mark}" for key, mark in settlement.objects.items())
    return {
        "generations": len(settled),
        "late": sum(basis.late for basis in settlement.bases),
        "commons": sum(basis.attribution is None for basis in settlement.bases),
        "generations_sha256": sha256("\n".join(settled).encode()),
        "objects": len(objects),
        "objects_sha256": sha256("\n".join(objects).encode()),
        "snapshots": settlement.snapshots,
    }


def postings_mark(*, period: Period) -> dict[str, object]:
    """How many postings a period has, what they sum to, and a hash over all of them."""
    rows = Posting.objects.filter(period=period).order_by("pk").values_list(
        "pk", "kind", "debit__code", "credit__code", "amount", "currency", "reverses_id", "reference", "occurred_at"
    )  # fmt: skip
    lines, total = [], 0
    for *row, reverses, reference, occurred in rows.iterator():
        total += row[4]
        lines.append("\t".join([*map(str, row), str(reverses or ""), reference, timestamp(occurred)]))
    return {"count": len(lines), "sum": str(total), "sha256": sha256("\n".join(lines).encode())}


def period_before(period: Period) -> Period | None:
    """The period of the same currency that ended where this one begins."""
    return Period.objects.filter(currency=period.currency, starts__lt=period.starts).order_by("-starts").first()
