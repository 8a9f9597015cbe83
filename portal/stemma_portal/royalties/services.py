"""Periods: opening, closing, and what would come of the one that is open.  `ledger` makes postings."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from celery import current_app
from django.db import transaction
from django.db.models import Max, Q
from django.urls import reverse
from kombu.exceptions import OperationalError as BrokerError

from stemma.errors import InvalidError, NotFoundError, UnavailableError
from stemma.ids import now, timestamp
from stemma.proof.canonical import digest
from stemma.storage import Storage, storage
from stemma_portal.accounts.access import require_staff
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.consent.models import Claim
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.jobs import job_end, job_start
from stemma_portal.core.models import Job
from stemma_portal.core.publish import after_commit
from stemma_portal.core.services import audit, log_append
from stemma_portal.licensing.models import CovenantVersion, License
from stemma_portal.metering.models import FactObject
from stemma_portal.metering.services import facts_ingest
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify
from stemma_portal.royalties.bookkeeping import entries_of, held_lines, period_document
from stemma_portal.royalties.holds import held_recordings, holds_move
from stemma_portal.royalties.ledger import postings_make
from stemma_portal.royalties.models import Estimate, Period, Posting, Settled, Statement
from stemma_portal.royalties.publishing import period_publish
from stemma_portal.royalties.selectors import close_key
from stemma_portal.royalties.settlement import Settlement, settlement_find
from stemma_portal.royalties.statements import Progress, statements_make

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
"""Names of periods: they are parts of addresses and of objects' keys."""
CLOSE_TASK = "stemma_portal.royalties.tasks.period_close"
HOUSE_CURRENCY = "USD"
"""Of periods opened before a covenant is published."""
ESTIMATE_AGE = timedelta(minutes=10)
"""How old an estimate may grow while no fact comes: fees fall due by themselves."""
BATCH = 5_000


def quiet(_done: int, _total: int, _note: str) -> None:
    """Progress that nobody watches."""


def period_open(
    *,
    period_id: str,
    by: User | None,
    starts: datetime | None = None,
    ends: datetime | None = None,
    currency: str | None = None,
) -> tuple[Period, bool]:
    """Open a period that begins where the last one of its currency ended, and whether it is new.

    Without `starts` the first period begins with this month; without `ends` a period ends with the
    month it begins in.  Opening the same one again changes nothing.  Raises `InvalidError` for a gap
    or an overlap, `ConflictError` while another period is open.
    """
    if by is not None:
        require_staff(by, "open a period")
    if not NAME.fullmatch(period_id):
        raise InvalidError(
            f"{period_id!r} names no period.", remedy="Letters, digits, dots and dashes, such as 2026-11.", code="name"
        )
    currency = currency or _currency()
    with transaction.atomic():
        lock(f"royalties.{currency}")
        existing = Period.objects.filter(pk=period_id).first()
        if existing is not None:
            _same_or_refuse(existing, currency, starts, ends)
            return existing, False
        last = Period.objects.filter(currency=currency).order_by("-starts").first()
        if last is not None and last.state == Period.State.OPEN:
            raise ConflictError(f"Period {last.pk} is still open.", remedy="Close it first.", code="period-open")
        starts = starts or (last.ends if last is not None else _month(now()))
        if last is not None and starts != last.ends:
            raise InvalidError(
                f"Period {period_id} does not begin where {last.pk} ended, at {timestamp(last.ends)}.",
                remedy="Leave `starts` out, or give that moment: no time is billed twice or never.",
                code="period-gap",
            )
        ends = ends or _month(starts, months=1)
        if ends <= starts:
            raise InvalidError("A period ends after it begins.", code="period-backwards")
        period = Period.objects.create(
            pk=period_id, currency=currency, starts=starts, ends=ends, opened_by=by.email if by else "system"
        )
        audit(by=by, action="period.open", subject=period_id, starts=timestamp(starts), ends=timestamp(ends))
    return period, True


def period_ensure() -> Period | None:
    """Open the next period where none is open, so that what comes in is always seen as an estimate.

    It is named by its month, `2026-12`, and `2026-12.2` where that one was closed early.  None before
    a covenant says in which currency.
    """
    newest = CovenantVersion.objects.order_by("-published_at").first()
    if newest is None:
        return None
    currency = newest.covenant().currency
    with transaction.atomic():
        lock(f"royalties.{currency}")
        last = Period.objects.filter(currency=currency).order_by("-starts").first()
        if last is not None and last.state == Period.State.OPEN:
            return last
        month = f"{last.ends if last else now():%Y-%m}"
        names = [month, *(f"{month}.{count}" for count in range(2, 1000))]
        taken = set(Period.objects.filter(pk__in=names).values_list("pk", flat=True))
        return period_open(period_id=next(n for n in names if n not in taken), currency=currency, by=None)[0]


def period_close(
    *,
    period_id: str,
    by: User | None,
    early: bool = False,
    progress: Progress = quiet,
    lake: Storage | None = None,
) -> Period:
    """Settle a period: facts → pools → allocation → postings → statements → the log.

    All of it or none: one transaction, one closing at a time.  Closing a closed period changes nothing.
    `early` ends an unfinished period now; what arrives later goes to the next one.  Raises
    `InvalidError` before the period's end, `UnavailableError` when object storage is away.
    """
    if by is not None:
        require_staff(by, "close a period")
    lake = lake or storage()
    progress(0, 1, "Looking for facts")
    facts_ingest(lake=lake)
    with transaction.atomic():
        lock(f"royalties.{_get(period_id).currency}")
        period = Period.objects.select_for_update().get(pk=period_id)
        if period.state == Period.State.CLOSED:
            return period
        moment = now()
        if moment <= period.starts:
            raise InvalidError(f"Period {period_id} has not begun.", remedy=f"It begins at {timestamp(period.starts)}.")
        if moment < period.ends:
            if not early:
                raise InvalidError(
                    f"Period {period_id} ends at {timestamp(period.ends)}.",
                    remedy="Close it then, or close it early: it then ends now, and later facts go to the next one.",
                    code="period-unfinished",
                )
            period.ends = moment
            period.save(update_fields=["ends"])
        holds_move(period=period)
        held = held_recordings()
        progress(0, 1, "Allocating")
        settlement = settlement_find(period=period, ends=period.ends, now=moment, lake=lake)
        settlement.allocation.check()
        _settled_record(period, settlement)
        corrections = list(Posting.objects.filter(period=period).select_related("debit", "credit").order_by("pk"))
        postings_make(period=period, entries=entries_of(period=period, settlement=settlement, held=held))
        statements = statements_make(
            period=period,
            settlement=settlement,
            corrections=corrections,
            held=held,
            at=moment,
            progress=progress,
            lake=lake,
        )
        _owners_told(period, statements)
        document = period_document(period=period, settlement=settlement, statements=statements, at=moment, held=held)
        receipt = log_append(kind="period", subject=period_id, document_digest=digest(document))
        Period.objects.filter(pk=period_id).update(
            state=Period.State.CLOSED,
            closed_at=moment,
            closed_by=by.email if by else "system",
            document=document,
            digest=digest(document),
            receipt=receipt.model_dump(mode="json"),
        )
        Estimate.objects.filter(period=period).delete()
        audit(by=by, action="period.close", subject=period_id, digest=digest(document), early=early)
        after_commit(period_publish, period_id)
    progress(len(statements), len(statements), "Closed")
    log.info("Period %s is closed: %s statements", period_id, len(statements))
    return _get(period_id)


def period_close_start(*, period_id: str, by: User | None, early: bool = False) -> Job:
    """Close a period in the background; the job tells how far it is.  Asking twice starts nothing twice."""
    if by is not None:
        require_staff(by, "close a period")
    _get(period_id)
    job, fresh = job_start(kind="period.close", run_key=close_key(period_id), by=by)
    if fresh:
        try:
            current_app.send_task(CLOSE_TASK, args=[period_id, job.pk, by.pk if by else None, early])
        except BrokerError as error:
            job_end(job_id=job.pk, state=Job.State.FAILED, message="No worker could be reached.")
            raise UnavailableError(
                "No worker can be reached.", remedy="Try again, or close without waiting for one."
            ) from error
    return job


def estimates_refresh(*, lake: Storage | None = None) -> int:
    """Compute anew what parties would get if the open periods closed now; how many estimates there are.

    Nothing is done while nothing has changed since the last time.
    """
    made = 0
    for period in Period.objects.filter(state=Period.State.OPEN):
        if _estimate_due(period):
            made += _estimates_make(period, lake or storage())
    return made


def _estimate_due(period: Period) -> bool:
    at = period.estimates.aggregate(at=Max("at"))["at"]
    if at is None or now() - at > ESTIMATE_AGE:
        return True
    claims = Claim.objects.filter(Q(opened_at__gte=at) | Q(resolved_at__gte=at))
    facts, licenses = FactObject.objects.filter(at__gte=at), License.objects.filter(created_at__gte=at)
    return facts.exists() or licenses.exists() or claims.exists()


def _estimates_make(period: Period, lake: Storage) -> int:
    moment = now()
    settlement = settlement_find(period=period, ends=period.ends, now=moment, lake=lake)
    amounts: Counter[str] = Counter()
    uses: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for line in held_lines(settlement, held_recordings()):
        kept[line["party"]] += line["amount_sum"]
    lines = settlement.allocation.lines.group_by(["party", "license", "recording", "kind"])
    for row in lines.aggregate([("amount", "sum"), ("uses", "max")]).to_pylist():
        amounts[row["party"]] += row["amount_sum"]
        if row["kind"] == "attribution":
            uses[row["party"]] += row["uses_max"]
    with transaction.atomic():
        # The row is locked against closing, which leaves no estimate behind.
        if Period.objects.select_for_update().get(pk=period.pk).state != Period.State.OPEN:
            return 0
        period.estimates.all().delete()
        made = Estimate.objects.bulk_create(
            Estimate(period=period, party_id=party, amount=amount, held=kept[party], uses=uses[party], at=moment)
            for party, amount in sorted(amounts.items())
        )
    return len(made)


def _owners_told(period: Period, statements: Sequence[Statement]) -> None:
    """Tell the owners of every party that has an organisation here of its statement."""
    by_party: dict[str, list[Organisation]] = defaultdict(list)
    for organisation in Organisation.objects.filter(party__in=[statement.party_id for statement in statements]):
        by_party[str(organisation.party_id)].append(organisation)
    for statement in statements:
        if own := by_party.get(str(statement.party_id)):
            notify(
                organisations=own,
                topic=Topic.MONEY,
                title=f"The statement of {own[0].name} for {period.pk} is there",
                text="It says what each recording earned, from which uses, and what is held. It can be downloaded as "
                "PDF and CSV, and anyone can verify it.",
                href=reverse("royalties:statement", args=[statement.pk]),
                key=f"statement:{statement.pk}",
            )


def _settled_record(period: Period, settlement: Settlement) -> None:
    Settled.objects.bulk_create(
        (
            Settled(
                generation_id=basis.generation,
                period=period,
                basis=Settled.Basis.ATTRIBUTION if basis.attribution else Settled.Basis.COMMONS,
                late=basis.late,
            )
            for basis in settlement.bases
        ),
        batch_size=BATCH,
    )


def _same_or_refuse(period: Period, currency: str, starts: datetime | None, ends: datetime | None) -> None:
    asked = (currency, starts or period.starts, ends or period.ends)
    if asked != (period.currency, period.starts, period.ends):
        raise ConflictError(
            f"Period {period.pk} runs from {timestamp(period.starts)} to {timestamp(period.ends)}.",
            remedy="Give another period another name.",
            code="period-exists",
        )


def _get(period_id: str) -> Period:
    try:
        return Period.objects.get(pk=period_id)
    except Period.DoesNotExist as error:
        raise NotFoundError(
            f"There is no period {period_id}.", remedy="Open it first, or see the list of periods."
        ) from error


def _currency() -> str:
    """The currency of the newest covenant."""
    newest = CovenantVersion.objects.order_by("-published_at").first()
    return newest.covenant().currency if newest else HOUSE_CURRENCY


def _month(moment: datetime, *, months: int = 0) -> datetime:
    """The beginning of the month, or of one after it."""
    utc = moment.astimezone(UTC)
    year, month = divmod(utc.year * 12 + utc.month - 1 + months, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
