"""Every number of the ledger found again: from its postings, from its documents, and from the facts.

Nothing here trusts a checkpoint, a row or an object because of who wrote it.  What is compared was
written by different means at different times, so that a change to any one of them shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db.models import Count, F, Sum

from stemma.errors import StemmaError
from stemma.proof.canonical import digest, sha256
from stemma.proof.log import Receipt, check_receipt
from stemma.storage import Storage, storage
from stemma_portal.core.keys import keyring
from stemma_portal.metering.models import FactObject
from stemma_portal.royalties.bookkeeping import entries_of, facts_mark, period_before, postings_mark, totals_of
from stemma_portal.royalties.flows import FLOWS, REVERSAL
from stemma_portal.royalties.ledger import Entry
from stemma_portal.royalties.models import Account, Period, Posting, Statement
from stemma_portal.royalties.settlement import settlement_recall
from stemma_portal.royalties.sheet import Line
from stemma_portal.royalties.statements import line_order, statement_lines_of

Progress = Callable[[int, int, str], None]
SHOWN = 5
"""How many faults of one kind are told."""


@dataclass(frozen=True)
class Check:
    """One thing that must hold."""

    name: str
    about: str
    """What was compared with what."""
    looked_at: int
    faults: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.faults


@dataclass(frozen=True)
class Report:
    """All checks of one verification."""

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)


def ledger_verify(*, lake: Storage | None = None, progress: Progress = lambda _done, _total, _note: None) -> Report:
    """Check the whole ledger.  Changes nothing; faults are reported, never raised.

    Raises `UnavailableError` when the lake does not answer: then nothing is said about the ledger.
    """
    lake = lake or storage()
    closed = list(Period.objects.filter(state=Period.State.CLOSED).order_by("currency", "starts"))
    checks = [
        _postings_valid(),
        _checkpoints(),
        _double_entry(),
        _reversals(),
        _holds(),
        _set_aside(),
        _chain(closed),
        _statement_balances(closed),
    ]
    for done, period in enumerate(closed):
        progress(done, len(closed), f"Recomputing {period.pk}")
        checks += _period_checks(period, lake)
    progress(len(closed), len(closed), "Done")
    return Report(checks=tuple(checks))


def books_verify() -> Report:
    """The checks that read the books alone: quick enough to be made all the time."""
    return Report(checks=(_postings_valid(), _checkpoints(), _double_entry()))


def check_of(name: str, about: str, looked_at: int, faults: Sequence[str]) -> Check:
    """A check, with the first of its faults."""
    more = [f"… and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return Check(name=name, about=about, looked_at=looked_at, faults=(*faults[:SHOWN], *more))


def _postings_valid() -> Check:
    """Every posting is one of the flows, in one currency, and positive."""
    kinds = Posting.objects.exclude(kind=REVERSAL).values("kind", "debit__kind", "credit__kind").annotate(n=Count("id"))
    wrong = [
        f"{row['n']} {row['kind']} postings debit {row['debit__kind']} and credit {row['credit__kind']}"
        for row in kinds
        if FLOWS.get(row["kind"]) != (row["debit__kind"], row["credit__kind"])
    ]
    mixed = Posting.objects.exclude(
        currency=F("debit__currency"), debit__currency=F("credit__currency"), period__currency=F("currency")
    )
    wrong += [f"posting {pk} mixes currencies" for pk in mixed.values_list("pk", flat=True)]
    wrong += [
        f"posting {pk} is not positive" for pk in Posting.objects.filter(amount__lte=0).values_list("pk", flat=True)
    ]
    return check_of("flows", "postings against the flows that are allowed", Posting.objects.count(), wrong)


def _sums() -> dict[str, tuple[int, int, int]]:
    """Debits, credits and number of postings by account, summed afresh."""
    found: dict[str, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for row in Posting.objects.values("debit").annotate(total=Sum("amount"), n=Count("id")):
        found[str(row["debit"])] = (int(row["total"]), 0, row["n"])
    for row in Posting.objects.values("credit").annotate(total=Sum("amount"), n=Count("id")):
        debits, _, n = found[str(row["credit"])]
        found[str(row["credit"])] = (debits, int(row["total"]), n + row["n"])
    return found


def _checkpoints() -> Check:
    """The accounts' running sums are those of their postings."""
    sums = _sums()
    accounts = list(Account.objects.order_by("code"))
    wrong = [
        f"{account.code} says {account.debits}/{account.credits} in {account.postings} postings, "
        "its postings say {}/{} in {}".format(*sums[account.pk])
        for account in accounts
        if (account.debits, account.credits, account.postings) != sums[account.pk]
    ]
    return check_of("checkpoints", "balances of accounts against sums over all postings", len(accounts), wrong)


def _double_entry() -> Check:
    """Debits equal credits in every currency."""
    rows = list(Account.objects.values("currency").annotate(debits=Sum("debits"), credits=Sum("credits")))
    wrong = [
        f"{row['currency']}: debits {row['debits']}, credits {row['credits']}"
        for row in rows
        if row["debits"] != row["credits"]
    ]
    return check_of("double-entry", "sum of debits against sum of credits, per currency", len(rows), wrong)


def _reversals() -> Check:
    """A reversal is the mirror of its original."""
    reversals = Posting.objects.filter(kind=REVERSAL)
    mirrors = reversals.filter(
        amount=F("reverses__amount"), debit=F("reverses__credit"), credit=F("reverses__debit")
    ).exclude(reverses__kind=REVERSAL)
    wrong = reversals.exclude(pk__in=mirrors.values("pk")).values_list("pk", flat=True)
    return check_of(
        "reversals", "reversals against what they take back", reversals.count(), [f"posting {pk}" for pk in wrong]
    )


def _holds() -> Check:
    """What is on hold was put there before, and leaves to parties alone; nothing is released twice."""
    accounts = list(Account.objects.filter(kind=Account.Kind.HOLD).order_by("code"))
    sums = _sums()
    wrong = []
    for account in accounts:
        released, taken, _ = sums[account.pk]
        if released > taken:
            wrong.append(f"{account.code} released {released} of {taken} micro-units")
        if not (account.party_id and account.recording_id and account.side):
            wrong.append(f"{account.code} names no party, recording or right")
    return check_of("holds", "money released against money put on hold, per account", len(accounts), wrong)


def _set_aside() -> Check:
    """What is set aside for claims against outputs was put there before, and is the right license's."""
    accounts = list(Account.objects.filter(kind=Account.Kind.INDEMNITY).order_by("code"))
    sums = _sums()
    wrong = [
        f"{account.code} gave back or paid {sums[account.pk][0]} of {sums[account.pk][1]} micro-units"
        for account in accounts
        if sums[account.pk][0] > sums[account.pk][1]
    ]
    wrong += [f"{account.code} names no license" for account in accounts if not account.license_id]
    crossed = Posting.objects.filter(kind="settle").exclude(debit__license=F("credit__license"))
    wrong += [f"posting {pk} pays for another license" for pk in crossed.values_list("pk", flat=True)]
    return check_of("indemnity", "money set aside for claims against what was released or paid", len(accounts), wrong)


def _chain(closed: Sequence[Period]) -> Check:
    """Documents have the hashes they are logged with, and each names the one before."""
    keys = keyring().jwks()
    wrong = []
    for period in closed:
        before = period_before(period)
        if digest(period.document) != period.digest:
            wrong.append(f"{period.pk}: the document was changed after it was logged")
        if period.document.get("previous") != (before.digest if before else None):
            wrong.append(f"{period.pk}: it does not continue {before.pk if before else 'nothing'}")
        if before is not None and before.ends != period.starts:
            wrong.append(f"{period.pk}: it does not begin where {before.pk} ended")
        try:
            check_receipt(Receipt.model_validate(period.receipt), keys, digest=period.digest)
        except (StemmaError, ValueError) as error:
            wrong.append(f"{period.pk}: {error}")
    return check_of(
        "chain", "documents of closed periods against their hashes, the log and one another", len(closed), wrong
    )


def _statement_balances(closed: Sequence[Period]) -> Check:
    """Statements continue one another and end with what the account says."""
    wrong, balance = [], defaultdict(int)
    order = {period.pk: place for place, period in enumerate(closed)}
    moves: dict[tuple[str, str], int] = defaultdict(int)
    for side, sign in (("credit", 1), ("debit", -1)):
        rows = Posting.objects.filter(**{f"{side}__kind": Account.Kind.PAYABLE}, period__in=list(order))
        for row in rows.values("period", f"{side}__party").annotate(total=Sum("amount")):
            moves[row["period"], str(row[f"{side}__party"])] += sign * int(row["total"])
    statements = {(s.period_id, s.party_id): s for s in Statement.objects.filter(period__in=list(order))}
    for period in closed:
        parties = {party for (of, party) in (*moves, *statements) if of == period.pk}
        for party in sorted(parties):
            statement, moved = statements.get((period.pk, party)), moves[period.pk, party]
            key = (party, period.currency)
            if statement is None:
                wrong.append(f"{period.pk}: party {party} has postings and no statement")
            elif (statement.opening, statement.closing) != (balance[key], balance[key] + moved):
                wrong.append(
                    f"{period.pk}: statement of {party} goes from {statement.opening} to {statement.closing}, "
                    f"the ledger from {balance[key]} to {balance[key] + moved}"
                )
            balance[key] += moved
    return check_of("statements", "opening and closing balances against the accounts", len(statements), wrong)


def _period_checks(period: Period, lake: Storage) -> list[Check]:
    """What a closed period says against its postings, the facts in the lake, and the files it gave out."""
    name = period.pk
    mark = postings_mark(period=period)
    checks = [
        check_of(
            f"{name}: postings",
            "the period's postings against the hash that was logged",
            int(str(mark["count"])),
            [] if mark == period.document["postings"] else [f"logged {period.document['postings']}, found {mark}"],
        )
    ]
    try:
        settlement = settlement_recall(period=period, lake=lake)
        settlement.allocation.check()
    except StemmaError as error:
        if error.code == "unavailable":
            raise
        return [
            *checks,
            check_of(f"{name}: facts", "postings against a fresh allocation of the facts in the lake", 0, [str(error)]),
        ]
    held = period.document.get("held", {})
    entries = entries_of(period=period, settlement=settlement, held=held)
    checks += [
        _objects(name, settlement.objects),
        check_of(
            f"{name}: facts",
            "postings and totals against a fresh allocation of the facts in the lake",
            len(settlement.bases),
            [
                *_entry_faults(period, entries),
                *_difference("totals", period.document["totals"], totals_of(settlement)),
                *_difference("facts", period.document["facts"], facts_mark(settlement)),
            ],
        ),
    ]
    corrections = Posting.objects.filter(period=period).exclude(pk__in=[entry.id for entry in entries])
    lines = statement_lines_of(
        settlement=settlement, corrections=corrections.select_related("debit", "credit").order_by("pk"), held=held
    )
    return [*checks, _files(period, lines, lake)]


def _objects(name: str, objects: dict[str, str]) -> Check:
    taken = dict(FactObject.objects.filter(key__in=list(objects)).values_list("key", "sha256"))
    wrong = [f"{key} was changed since it was taken in" for key, mark in objects.items() if taken.get(key) != mark]
    return check_of(
        f"{name}: lake", "objects of the lake against their hashes when they were taken in", len(objects), wrong
    )


def _entry_faults(period: Period, entries: Sequence[Entry]) -> list[str]:
    stands = Posting.objects.in_bulk([entry.id for entry in entries])
    faults = []
    for entry in entries:
        posting = stands.get(entry.id)
        if posting is None or posting.period_id != period.pk:
            faults.append(f"{entry.kind} of {entry.amount} to {entry.credit.code} was never posted")
        elif not entry.same_as(posting):
            faults.append(f"posting {entry.id} moved {posting.amount}, the facts say {entry.amount} ({entry.kind})")
    return faults


def _difference(what: str, logged: dict[str, object], found: dict[str, object]) -> list[str]:
    return [
        f"{what}: {key} is logged as {logged.get(key)}, the facts say {found.get(key)}"
        for key in sorted({*logged, *found})
        if logged.get(key) != found.get(key)
    ]


def _files(period: Period, lines: dict[str, list[Line]], lake: Storage) -> Check:
    """Statement rows, their lines and their files are those that were logged, and the files say what the facts say."""
    logged = {given["party"]: given for given in period.document["statements"]}
    statements = list(Statement.objects.filter(period=period).select_related("party").prefetch_related("lines"))
    wrong = []
    if {statement.party_id for statement in statements} != set(logged):
        wrong.append("the statements are not those that were logged")
    for statement in statements:
        own = tuple(sorted(lines.get(statement.party_id, ()), key=line_order))
        given = logged.get(statement.party_id, {})
        amounts = {name: str(getattr(statement, name)) for name in ("opening", "earned", "corrected", "closing")}
        if "held" in given or statement.held:  # documents of before there were holds do not name them
            amounts["held"] = str(statement.held)
        hashes = {"csv_sha256": statement.csv_sha256, "pdf_sha256": statement.pdf_sha256}
        if given != {"party": statement.party_id, **amounts, **hashes}:
            wrong.append(f"{statement.party}: the statement is not the one that was logged")
        rows = sorted((r.recording_id or "", r.side, r.kind, r.uses, r.amount, r.note) for r in statement.lines.all())
        if rows != sorted((line.recording, line.side, line.kind, line.uses, line.amount, line.note) for line in own):
            wrong.append(f"{statement.party}: its lines are not what the facts say")
        for key, mark in ((statement.csv_key, statement.csv_sha256), (statement.pdf_key, statement.pdf_sha256)):
            try:
                if sha256(lake.get(key)) != mark:
                    wrong.append(f"{key} was changed")
            except StemmaError as error:
                if error.code == "unavailable":
                    raise
                wrong.append(f"{key} is missing")
    return check_of(
        f"{period.pk}: statements", "statements, lines and files against the facts and the log", len(statements), wrong
    )
