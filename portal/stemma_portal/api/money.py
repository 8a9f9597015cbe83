"""Generations, periods, statements, balances and the ledger's own proof."""

from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime, Field

from stemma.errors import NotFoundError
from stemma.storage import storage
from stemma_portal.accounts.access import require_staff
from stemma_portal.api.auth import caller
from stemma_portal.api.cases import claim_out
from stemma_portal.api.description import file_of
from stemma_portal.api.paging import MAX_LIMIT, no_cursor, page
from stemma_portal.api.schemas import ClaimOut, Id, JobOut, Page, Request, Text
from stemma_portal.billing.bookkeeping import billing_verify
from stemma_portal.core.fields import is_id
from stemma_portal.core.models import Job
from stemma_portal.design.table import table_response
from stemma_portal.metering.access import generation_access, generations_access
from stemma_portal.metering.services import facts_ingest
from stemma_portal.operations.recomputation import recomputation
from stemma_portal.royalties import selectors
from stemma_portal.royalties.access import party_access, payment_access, period_access, statement_access
from stemma_portal.royalties.corrections import access_line, correction_ask
from stemma_portal.royalties.models import PaymentDetails, Period, Statement
from stemma_portal.royalties.payees import payment_details_usable, payment_history
from stemma_portal.royalties.services import period_close, period_close_start, period_open
from stemma_portal.royalties.traced import traced_rows, traced_sums, traced_table
from stemma_portal.royalties.verification import Report, ledger_verify

router = Router(tags=["money"])

PERIOD = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"
TYPES = {"csv": "text/csv; charset=utf-8", "pdf": "application/pdf"}


class IngestionOut(Schema):
    """What one look into the lake found."""

    objects: int
    taken: int
    """Facts that were new."""
    repeated: int
    conflicts: int
    quarantined: list[str]
    """Objects that could not be read."""


class GenerationOut(Schema):
    """One generation as lists show it."""

    id: Id
    at: datetime
    license: Id
    model_release: str
    style: str
    billable_ms: int
    attributed: bool


class Generations(Page):
    """A page of generations."""

    items: list[GenerationOut]


class StoreFileOut(Schema):
    """A file of the attribution store."""

    path: str
    sha256: str
    url: str


class RecomputationOut(Schema):
    """What an attribution is made again from, with `stemma attribution recompute --inputs`."""

    fact: dict[str, Any]
    """As it was stated."""
    example: dict[str, Any]
    """The output as the model sees it: tokens and what they were asked for by."""
    store: list[StoreFileOut]
    """Files of the store that the fact names; empty without a license that covers open weights."""
    expires_at: datetime | None
    """Until when the addresses begin a download."""
    lacking: str
    """Why there are no files, and what to do; else empty."""


class PeriodIn(Request):
    """A period to open."""

    id: Text = Field(pattern=PERIOD)
    starts: AwareDatetime | None = None
    """By default the end of the last period, or the beginning of this month."""
    ends: AwareDatetime | None = None
    """By default the end of the month it begins in."""
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")


class CloseIn(Request):
    """How to close a period."""

    early: bool = False
    """End an unfinished period now."""
    background: bool = False
    """Answer at once with a job."""


class PeriodOut(Schema):
    """A period; amounts in micro-units, empty before it is closed."""

    id: str
    currency: str
    starts: datetime
    ends: datetime
    state: str
    closed_at: datetime | None
    digest: str
    revenue: int
    creators: int
    platform: int
    training: int
    attribution: int
    commons: int
    reserve: int
    generations: int
    late: int
    waiting: dict[str, int]
    postings: int
    statements: int


class StatementOut(Schema):
    """A statement; amounts in micro-units."""

    id: Id
    period: str
    party: Id
    party_name: str
    demo: bool
    currency: str
    opening: int
    earned: int
    corrected: int
    held: int
    """Put on hold because of claims (negative), or released."""
    closing: int
    lines: int
    csv: str
    pdf: str


class TracedRowOut(Schema):
    """What was traced to one recording in the pieces that a period settled."""

    recording: Id
    isrc: str
    title: str
    pieces: int
    """Pieces that it shaped."""
    ppb: int
    """Its parts of them together: a billion is as much as one whole piece."""
    amount: int
    """What the party got by that, in micro-units."""


class TracedOut(Page):
    """A page of recordings with the sums of the whole period: `own`, `others` and `commons` are `pieces` billions."""

    period: str
    currency: str
    pieces: int
    """Pieces that the period settled, whoever shaped them."""
    own: int
    others: int
    commons: int
    amount: int
    """Of all the party's recordings: what the statement has under attribution, in micro-units."""
    commons_amount: int
    """The party's part of the commons."""
    items: list[TracedRowOut]


class EstimateOut(Schema):
    """What the open period would come to now: not owed yet."""

    period: str
    amount: int
    held: int
    """How much of it would be put on hold."""
    uses: int
    at: datetime


class BalanceOut(Schema):
    """What a party is owed in one currency, in micro-units."""

    currency: str
    confirmed: int
    earned: int
    statements: int
    on_hold: int
    """Confirmed too, but of recordings under claim; not in `confirmed`."""
    minimum: int
    """From which balance on it is paid out."""
    missing: int
    estimated: EstimateOut | None


class AccountOut(Schema):
    """An account that money goes to, as far as anybody is shown it."""

    version: int
    last4: str
    """The last four characters of the IBAN."""
    country: str
    tax_country: str
    at: datetime
    by: str
    usable_from: datetime
    """No payout goes there before: time to notice a change that nobody wanted."""


class PaymentOut(Schema):
    """Where a party's money goes."""

    party: Id
    in_use: AccountOut | None
    """Where payouts go now; null: nowhere yet."""
    history: list[AccountOut]
    """Every version, newest first; the first may not be in use yet."""


class CorrectionIn(Request):
    """Which line of a statement is not right, and why."""

    recording: UUID
    reason: Text = Field(min_length=1, max_length=4000)


class CheckOut(Schema):
    """One check of the ledger."""

    name: str
    about: str
    looked_at: int
    holds: bool
    faults: list[str]


class ReportOut(Schema):
    """All checks of the ledger."""

    holds: bool
    checks: list[CheckOut]


@router.post("metering/ingest", response=IngestionOut)
def ingest(request: HttpRequest) -> Any:
    """Take in every new fact of the lake now, rather than within ten seconds."""
    require_staff(caller(request), "ingest facts")
    return facts_ingest()


@router.get("generations", response=Generations)
def list_generations(
    request: HttpRequest, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)
) -> Generations:
    """Generations that the caller may see, newest first."""
    rows, following = page(
        generations_access(user=caller(request)).select_related("attribution"),
        cursor=cursor,
        limit=limit,
        newest_first=True,
    )
    items = [
        GenerationOut(
            id=row.pk,
            at=row.at,
            license=row.license_id,
            model_release=row.model_release,
            style=row.style,
            billable_ms=row.billable_ms,
            attributed=hasattr(row, "attribution"),
        )
        for row in rows
    ]
    return Generations(items=items, next=following)


@router.post("generations/{generation}/recomputation", response=RecomputationOut)
def recompute_generation(request: HttpRequest, generation: UUID) -> RecomputationOut:
    """What anyone who may see a generation needs to compute its attribution again.

    The store of gradients goes to staff and to callers whose license covers open weights, each time written down; the
    weights themselves are handed out by `POST /releases/{name}/{version}/downloads`.
    """
    user = caller(request)
    found = recomputation(generation=generation_access(user=user, generation_id=str(generation)), by=user)
    return RecomputationOut(**asdict(found))


@router.post("periods", response={200: PeriodOut, 201: PeriodOut})
def open_period(request: HttpRequest, body: PeriodIn) -> Status[PeriodOut]:
    """Open a period; opening the same one again answers 200."""
    period, new = period_open(
        period_id=body.id, starts=body.starts, ends=body.ends, currency=body.currency, by=caller(request)
    )
    return Status(201 if new else 200, _period(period))


@router.get("periods", response=list[PeriodOut])
def list_periods(request: HttpRequest) -> list[PeriodOut]:
    """Periods that the caller may see, newest first."""
    user = caller(request)
    return [_period(period) for period in selectors.period_list(user=user)[:MAX_LIMIT]]


@router.get("periods/{period_id}", response=PeriodOut)
def show_period(request: HttpRequest, period_id: str) -> PeriodOut:
    """One period."""
    return _period(period_access(user=caller(request), period_id=period_id))


@router.get("periods/{period_id}/document", response=dict[str, Any])
def show_document(request: HttpRequest, period_id: str) -> dict[str, Any]:
    """What was logged of a closed period, and the receipt; staff only, since it names every party's money."""
    user = caller(request)
    require_staff(user, "read the whole of a period")
    period = period_access(user=user, period_id=period_id)
    return {"document": period.document, "digest": period.digest, "receipt": period.receipt}


@router.post("periods/{period_id}/close", response={200: PeriodOut, 202: JobOut})
def close_period(request: HttpRequest, period_id: str, body: CloseIn | None = None) -> Status[Any]:
    """Settle a period: postings, statements, the log.  Closing it twice changes nothing."""
    user, how = caller(request), body or CloseIn()
    if how.background:
        return Status(202, period_close_start(period_id=period_id, early=how.early, by=user))
    return Status(200, _period(period_close(period_id=period_id, early=how.early, by=user)))


@router.get("jobs/{uuid:job_id}", response=JobOut)
def show_job(request: HttpRequest, job_id: UUID) -> Any:
    """How far long work is."""
    require_staff(caller(request), "watch jobs")
    job = Job.objects.filter(pk=str(job_id)).first()
    if job is None:
        raise NotFoundError(f"There is no job {job_id}.")
    return job


@router.get("periods/{period_id}/statements", response=list[StatementOut])
def list_statements(request: HttpRequest, period_id: str) -> list[StatementOut]:
    """The statements of a period that the caller may see."""
    user = caller(request)
    period = period_access(user=user, period_id=period_id)
    return [_statement(row) for row in selectors.statement_list(user=user, period=period)]


@router.get("statements/{uuid:statement_id}.{form}", openapi_extra=file_of("text/csv", "application/pdf"))
def statement_file(request: HttpRequest, statement_id: UUID, form: str) -> HttpResponse:
    """A statement as `csv` or `pdf`."""
    statement = statement_access(user=caller(request), statement_id=str(statement_id))
    if form not in TYPES:
        raise NotFoundError(f"A statement has no form {form}.", remedy="Ask for csv or pdf.")
    body = storage().get(statement.csv_key if form == "csv" else statement.pdf_key)
    name = f"stemma-{statement.period_id}-{statement.party_id}.{form}"
    return HttpResponse(
        body, content_type=TYPES[form], headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.get("statements/{uuid:statement_id}/traced", response=TracedOut)
def statement_traced(
    request: HttpRequest, statement_id: UUID, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)
) -> TracedOut:
    """What was traced to each of a party's recordings in the period of a statement, by the recordings' identifiers."""
    if cursor is not None and not is_id(cursor):
        raise no_cursor()
    statement = statement_access(user=caller(request), statement_id=str(statement_id))
    sums = traced_sums(statement=statement)
    rows = list(islice(traced_rows(statement=statement, after=cursor), limit + 1))
    items = [TracedRowOut(**asdict(row)) for row in rows[:limit]]
    return TracedOut(
        period=statement.period_id,
        currency=statement.currency,
        pieces=sums.pieces,
        own=sums.own,
        others=sums.others,
        commons=sums.commons,
        amount=sums.amount,
        commons_amount=sums.commons_amount,
        items=items,
        next=items[-1].recording if len(rows) > limit else None,
    )


@router.post("statements/{statement_id}/corrections", response={201: ClaimOut})
def ask_for_correction(request: HttpRequest, statement_id: UUID, body: CorrectionIn) -> Status[ClaimOut]:
    """Say that a line of a statement cannot be: opens a case that keeps the line, and rights staff answer it.

    Asking again while it is pending gives the same case.
    """
    user = caller(request)
    statement, row = access_line(user, str(statement_id), str(body.recording))
    return Status(201, claim_out(correction_ask(statement=statement, row=row, reason=body.reason, by=user)))


@router.get("parties/{uuid:party_id}/traced.csv", openapi_extra=file_of("text/csv"))
def party_traced(request: HttpRequest, party_id: UUID) -> StreamingHttpResponse:
    """What was traced to each of a party's recordings, period by period, and what it earned; written while it is sent.

    Each period ends with the parts of all others and of the commons: together they are a billion for each piece.
    """
    party = party_access(user=caller(request), party_id=str(party_id))
    return table_response(traced_table(party=party), name=f"traced-{party.pk}.csv")


@router.get("parties/{uuid:party_id}/balance", response=list[BalanceOut])
def party_balance(request: HttpRequest, party_id: UUID) -> list[Any]:
    """What a party is owed, and what the open period would add."""
    party = party_access(user=caller(request), party_id=str(party_id))
    return selectors.balance(party_id=party.pk)  # type: ignore[return-value]


@router.get("parties/{uuid:party_id}/payment-details", response=PaymentOut)
def show_payment_details(request: HttpRequest, party_id: UUID) -> PaymentOut:
    """Where a party's money goes, by the last four characters of the account; for the party's own people.

    No token changes it: an owner does that on the page *Payment details*, after signing in once more.
    """
    party = payment_access(user=caller(request), party_id=str(party_id))
    usable = payment_details_usable(party_id=party.pk)
    return PaymentOut(
        party=party.pk,
        in_use=_account(usable) if usable else None,
        history=[_account(row) for row in payment_history(party_id=party.pk)],
    )


@router.get("ledger/verify", response=ReportOut)
def verify(request: HttpRequest) -> Any:
    """Find every number of the ledger again, from its postings, from its documents and from the facts in the lake."""
    require_staff(caller(request), "verify the ledger")
    return Report(checks=(*ledger_verify().checks, billing_verify()))


def _account(row: PaymentDetails) -> AccountOut:
    names = ("version", "last4", "country", "tax_country", "at", "by", "usable_from")
    return AccountOut(**{name: getattr(row, name) for name in names})


def _period(period: Period) -> PeriodOut:
    summary = selectors.period_summary(period=period)
    amounts = ("revenue", "creators", "platform", "training", "attribution", "commons", "reserve")
    return PeriodOut(
        id=period.pk,
        currency=period.currency,
        starts=period.starts,
        ends=period.ends,
        state=period.state,
        closed_at=period.closed_at,
        digest=period.digest,
        generations=summary.generations,
        late=summary.late,
        waiting=summary.waiting,
        postings=summary.postings,
        statements=summary.statements,
        **{name: summary.totals.get(name, 0) for name in amounts},
    )


def _statement(row: Statement) -> StatementOut:
    address = f"/api/v1/statements/{row.pk}"
    return StatementOut(
        id=row.pk,
        period=row.period_id,
        party=row.party_id,
        party_name=row.party.name,
        demo=row.party.demo,
        currency=row.currency,
        opening=row.opening,
        earned=row.earned,
        corrected=row.corrected,
        held=row.held,
        closing=row.closing,
        lines=row.lines_count,
        csv=f"{address}.csv",
        pdf=f"{address}.pdf",
    )
