"""Which community looks after recordings, under which terms, and what it answers."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from stemma.errors import InvalidError, NotFoundError
from stemma_portal.accounts.access import is_staff
from stemma_portal.api.auth import caller, surely
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request, Text
from stemma_portal.catalog import custody as keeping
from stemma_portal.catalog.custody_access import (
    access_custody,
    custodians,
    custody_visible,
    require_end,
    require_name,
)
from stemma_portal.catalog.models import Custody, CustodyAnswer
from stemma_portal.catalog.selectors import recordings_visible
from stemma_portal.core.fields import by_id

router = Router(tags=["custody"])
ConditionName = Literal["attribution", "no_style_prompting", "ask_first"]
AnswerName = Literal["accepted", "declined", "agreed", "taken-back"]
StateName = Literal["in-force", "proposed", "declined", "earlier"]


class CustodyIn(Request):
    """Who is to look after recordings, and under which terms."""

    recordings: list[UUID] = Field(min_length=1, max_length=10_000)
    party: UUID
    """The custodian; it has an account here, for it has to answer."""
    community: Text = Field(default="", max_length=200)
    """As it is named in credits; empty: the custodian's own name."""
    terms: Text = Field(default="", max_length=keeping.LONGEST)
    conditions: list[ConditionName] = Field(default_factory=list, max_length=3)
    """Those terms that the platform itself keeps."""


class CustodyAnswerIn(Request):
    """What the custodian says."""

    answer: AnswerName
    """`accepted` and `declined` are to the custody itself, `agreed` and `taken-back` to use in snapshots."""
    recording: UUID | None = None
    """Null: all that the statement names."""
    note: Text = Field(default="", max_length=2000)


class CustodyAnswerOut(Schema):
    """What a custodian said."""

    answer: AnswerName
    recording: Id | None
    note: str
    at: datetime
    by: str


class CustodyOut(Schema):
    """A statement of custody, and how it stands."""

    id: Id
    party: Id
    community: str
    terms: str
    conditions: list[ConditionName]
    ended: bool
    """It says that nobody looks after the recordings any more."""
    by_staff: bool
    """In force unless the custodian declines; else it waits for the custodian's yes."""
    collection: str
    state: StateName
    recordings: int
    at: datetime


class Custodies(Page):
    """A page of statements of custody."""

    items: list[CustodyOut]


@router.get("custody", response=Custodies)
def list_custody(
    request: HttpRequest, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)
) -> Custodies:
    """What the caller's parties look after or are asked to, and who looks after what they brought, newest first."""
    rows = custody_visible(caller(request)).distinct()
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Custodies(items=_out(items), next=following)


@router.post("custody", response={201: CustodyOut})
def state_custody(request: HttpRequest, body: CustodyIn) -> Status[CustodyOut]:
    """Name a custodian; unless staff do, it holds once the custodian has accepted."""
    user = surely(request)
    wanted = {str(each) for each in body.recordings}
    recordings = list(recordings_visible(user).filter(id__in=wanted))
    if missing := wanted - {each.id for each in recordings}:
        raise NotFoundError(f"There is no recording {min(missing)}.")
    require_name(user, recordings)
    party = by_id(custodians(), str(body.party))
    if party is None:
        raise InvalidError(
            f"No party {body.party} can answer here.", remedy="Invite its organisation first.", code="custodian"
        )
    made = keeping.custody_set(
        recordings=wanted,
        party=party,
        community=body.community,
        terms=body.terms,
        conditions=body.conditions,
        by=user,
        by_staff=is_staff(user),
    )
    return Status(201, _one(made))


@router.get("custody/{custody}", response=CustodyOut)
def show_custody(request: HttpRequest, custody: UUID) -> CustodyOut:
    """One statement."""
    return _one(access_custody(caller(request), str(custody)))


@router.get("custody/{custody}/answers", response=list[CustodyAnswerOut])
def list_answers(request: HttpRequest, custody: UUID) -> list[CustodyAnswerOut]:
    """What the custodian has said to a statement, the latest first."""
    return [_answer(row) for row in access_custody(caller(request), str(custody)).answers.all()]


@router.post("custody/{custody}/answers", response={201: CustodyAnswerOut})
def answer(request: HttpRequest, custody: UUID, body: CustodyAnswerIn) -> Status[CustodyAnswerOut]:
    """Answer for the custodian; the same answer again changes nothing."""
    user = surely(request)
    said = keeping.custody_answer(
        custody=access_custody(user, str(custody), act=True),
        answer=CustodyAnswer.Answer(body.answer),
        recording_id=str(body.recording) if body.recording else None,
        note=body.note,
        by=user,
    )
    return Status(201, _answer(said))


@router.post("custody/{custody}/end", response={201: CustodyOut})
def end_custody(request: HttpRequest, custody: UUID) -> Status[CustodyOut]:
    """State that the recordings have this custodian no more; unless staff do, it holds once the custodian accepts."""
    user = surely(request)
    found = access_custody(user, str(custody))
    require_end(user, found)
    return Status(201, _one(keeping.custody_end(custody=found, by=user, by_staff=is_staff(user))))


def _one(row: Custody) -> CustodyOut:
    return _out([row])[0]


def _out(rows: list[Custody]) -> list[CustodyOut]:
    states, counts = keeping.states(rows), keeping.counts(rows)
    names = ("id", "community", "terms", "conditions", "ended", "by_staff", "collection", "at")
    return [
        CustodyOut(
            **{name: getattr(row, name) for name in names},
            party=row.party_id,
            state=states[row.id],
            recordings=counts[row.id],
        )
        for row in rows
    ]


def _answer(row: CustodyAnswer) -> CustodyAnswerOut:
    return CustodyAnswerOut(answer=row.answer, recording=row.recording_id, note=row.note, at=row.at, by=row.by)
