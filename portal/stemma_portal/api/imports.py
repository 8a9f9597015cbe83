"""Catalogs as files: brought, read, compared, and taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse
from ninja import File, Form, Query, Router, Schema, Status, UploadedFile
from pydantic import ConfigDict, Field

from stemma_portal.accounts.access import access_organisation
from stemma_portal.api.auth import caller
from stemma_portal.api.description import file_of
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request, Text
from stemma_portal.intake.access import access_import, imports_visible
from stemma_portal.intake.corrections import corrections_file
from stemma_portal.intake.models import Import, ImportRow
from stemma_portal.intake.selectors import Change, changes_of_rows, summary
from stemma_portal.intake.services import import_cancel, import_confirm, import_create, import_map, import_resume

router = Router(tags=["imports"])
State = Literal["mapping", "staging", "staged", "importing", "done", "cancelled", "failed"]
Verdict = Literal["rejected", "new", "changed", "same", "conflicting"]


class ImportOut(Schema):
    """A file on its way into the catalog."""

    id: Id
    organisation: Id
    name: str
    size: int
    sha256: str
    format: str
    """By its content: csv, xlsx, ern or cwr."""
    state: State
    """`mapping` waits for columns, `staged` for the confirmation; `staging` and `importing` go on by themselves."""
    headings: list[str]
    """Columns of a table; of other formats none."""
    mapping: dict[str, str]
    """What the columns mean, as guessed, remembered or said: field by heading."""
    note: str
    counts: dict[str, int]
    """Rows by verdict, with `rows`, `errors` and `warnings`, once every row was read."""
    progress: int
    """Rows that the work that goes on, or went last, is done with."""
    total: int
    """Of how many; 0 where that is not known yet."""
    message: str
    """Why it failed, or how far it is."""
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class Imports(Page):
    """A page of imports."""

    items: list[ImportOut]


class Columns(Request):
    """What the columns of a table mean."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"mapping": {"Track title": "title", "Code": "isrc", "Label": "master.1.name"}}]
        },
    )

    mapping: dict[Annotated[Text, Field(max_length=1000)], Annotated[Text, Field(max_length=100)]] = Field(
        max_length=2000
    )
    """Field by heading; a column that is left out is not read.  The fields are in docs/catalog-files.md."""


class ProblemOut(Schema):
    """What is wrong with one value of a row."""

    field: str
    """Of the record; empty for the row as a whole."""
    heading: str
    """The column it came from, where one is known."""
    value: str
    rule: str
    remedy: str
    severity: Literal["error", "warning"]


class ChangeOut(Schema):
    """One field that a row would change."""

    field: str
    before: str
    after: str


class RowOut(Schema):
    """One row of a file, as it was judged."""

    number: int
    """Line or ordinal in the file."""
    verdict: str
    isrc: str
    reference: str
    recording: UUID | None
    """The organisation's own recording that it speaks of, once there is one."""
    taken: bool
    problems: list[ProblemOut]
    changes: list[ChangeOut]
    """Against the last version of its recording, while it is not taken."""


class Rows(Page):
    """A page of rows."""

    items: list[RowOut]


class DiffOut(Schema):
    """What an import would change, in numbers."""

    counts: dict[str, int]
    """Rows by verdict, with `rows`, `errors` and `warnings`."""
    to_take: int
    """Rows that would be new, change something or be contested, and are not taken yet."""
    fields: dict[str, int]
    """How many of the changed rows would change each field, the most first."""
    looked_at: int
    """Changed rows that `fields` was counted in: the first 2,000."""


@router.get("imports", response=Imports)
def list_imports(
    request: HttpRequest,
    state: State | None = None,
    organisation: UUID | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Imports:
    """Files that the caller's organisations have brought, newest first."""
    rows = imports_visible(caller(request))
    if state is not None:
        rows = rows.filter(state=state)
    if organisation is not None:
        rows = rows.filter(organisation=str(organisation))
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Imports(items=[import_out(row) for row in items], next=following)


@router.post("imports", response={201: ImportOut})
def bring_file(request: HttpRequest, organisation: Form[UUID], file: File[UploadedFile]) -> Status[ImportOut]:
    """Bring a catalog as a file of at most 512 MiB: a table (CSV or XLSX), an ERN message of DDEX, or a CWR file.

    It is sent as a form (`multipart/form-data`).  A table waits in state `mapping` until somebody says, or confirms,
    what its columns mean; everything else is read at once.
    """
    user = caller(request)
    found = access_organisation(user, str(organisation), editor=True)
    return Status(201, import_out(import_create(organisation=found, file=file.file, name=file.name or "", by=user)))


@router.get("imports/{import_id}", response=ImportOut)
def show_import(request: HttpRequest, import_id: UUID) -> ImportOut:
    """One file: its state, its counts, how far it is."""
    return import_out(access_import(caller(request), str(import_id)))


@router.put("imports/{import_id}/columns", response={202: ImportOut})
def map_columns(request: HttpRequest, import_id: UUID, body: Columns) -> Status[ImportOut]:
    """Say what the columns mean, and have the file read; it is remembered for files with the same headings."""
    user = caller(request)
    batch = access_import(user, str(import_id), act=True)
    return Status(202, import_out(import_map(batch=batch, mapping=body.mapping, by=user)))


@router.get("imports/{import_id}/rows", response=Rows)
def list_rows(
    request: HttpRequest,
    import_id: UUID,
    verdict: Verdict | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Rows:
    """Rows in the order of the file, with what is wrong with each and what it would change.

    `verdict=rejected` shows the ones to correct.
    """
    batch = access_import(caller(request), str(import_id))
    rows = batch.rows.filter(verdict=verdict) if verdict else batch.rows.all()
    items, following = page(rows, cursor=cursor, limit=limit, by="number")
    changed = [row for row in items if row.verdict == ImportRow.Verdict.CHANGED and not row.done]
    changes = changes_of_rows(changed)
    headings = {field: heading for heading, field in batch.mapping.items()}
    return Rows(items=[_row(row, headings, changes.get(row.number, [])) for row in items], next=following)


@router.get("imports/{import_id}/to-correct.csv", openapi_extra=file_of("text/csv"))
def show_corrections(request: HttpRequest, import_id: UUID) -> StreamingHttpResponse:
    """The rows to correct as they were read, with what to do: mend the table and bring it again."""
    return corrections_file(access_import(caller(request), str(import_id)))


@router.get("imports/{import_id}/diff", response=DiffOut)
def show_diff(request: HttpRequest, import_id: UUID) -> DiffOut:
    """What the import would change, in numbers; `rows` with `verdict=changed` tells each."""
    batch = access_import(caller(request), str(import_id))
    found = summary(batch)
    return DiffOut(counts=batch.counts, to_take=found.to_take, fields=found.fields, looked_at=found.looked_at)


@router.post("imports/{import_id}/confirmation", response={202: ImportOut})
def confirm_import(request: HttpRequest, import_id: UUID) -> Status[ImportOut]:
    """Take the good rows into the catalog."""
    return _act(request, import_id, import_confirm)


@router.post("imports/{import_id}/cancellation", response={202: ImportOut})
def cancel_import(request: HttpRequest, import_id: UUID) -> Status[ImportOut]:
    """Stop at the next step; what is in the catalog stays, and the import can be gone on with."""
    return _act(request, import_id, import_cancel)


@router.post("imports/{import_id}/resumption", response={202: ImportOut})
def resume_import(request: HttpRequest, import_id: UUID) -> Status[ImportOut]:
    """Go on where it stopped or failed."""
    return _act(request, import_id, import_resume)


def _act(request: HttpRequest, import_id: UUID, action: Callable[..., Import]) -> Status[ImportOut]:
    user = caller(request)
    return Status(202, import_out(action(batch=access_import(user, str(import_id), act=True), by=user)))


def import_out(row: Import) -> ImportOut:
    """An import as it is told."""
    return ImportOut(
        id=row.id,
        organisation=row.organisation_id,
        name=row.name,
        size=row.size,
        sha256=row.sha256,
        format=row.format,
        state=row.state,
        headings=row.headings,
        mapping=row.mapping,
        note=row.note,
        counts=row.counts,
        progress=row.job.progress if row.job else 0,
        total=row.job.total if row.job else 0,
        message=row.message or (row.job.message if row.job else ""),
        created_by=row.created_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _row(row: ImportRow, headings: dict[str, str], changes: list[Change]) -> RowOut:
    problems: list[Any] = [
        {
            "field": p[0],
            "heading": headings.get(p[0], ""),
            "value": p[1],
            "rule": p[2],
            "remedy": p[3],
            "severity": p[4],
        }
        for p in row.problems
    ]
    return RowOut(
        number=row.number,
        verdict=row.verdict,
        isrc=row.isrc,
        reference=row.reference,
        recording=row.recording,
        taken=row.done,
        problems=problems,
        changes=[change._asdict() for change in changes],
    )
