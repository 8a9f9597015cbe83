"""Who owns what: the sheet of a recording, how it came to be, and the parties' yes or no."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from stemma.ids import now
from stemma_portal.accounts.access import parties_of
from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Email, Id, Page, Request, Territory, Text
from stemma_portal.catalog.access import access_recording, access_share_question, access_shares
from stemma_portal.catalog.models import Party, Recording, ShareConfirmation, ShareQuestion
from stemma_portal.catalog.sharing import Line, Told, questions_open, share_confirm, sheet_state, standing, told

router = Router(tags=["shares"])
Side = Literal["master", "publishing"]


class ShareOut(Schema):
    """What a party owns of one right, in one territory."""

    party: Id
    party_name: str
    side: Side
    territory: str
    ppm: int
    """Parts per million of the right; each right that is named is 1,000,000 in every territory named."""


class SheetOut(Schema):
    """The shares in force today."""

    recording: Id
    revision: int | None
    """The statement that they come from; null: they are as they were brought."""
    valid_from: date | None
    valid_until: date | None
    """The day from which a planned statement holds instead; null: none is planned."""
    shares: list[ShareOut]


class LineIn(Request):
    """One share: of a party by its identifier, or by a name that means one on this sheet."""

    side: Side
    ppm: int = Field(gt=0, le=1_000_000, strict=True)
    territory: Territory = "WORLD"
    party: UUID | None = None
    name: Text = Field(default="", max_length=200)
    """Instead of `party`: one that has a share already, that brought the recording, or that is introduced by this."""
    email: Email | None = None
    """Where a party without an account is asked."""


class SheetIn(Request):
    """All shares of a recording, from a day on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "valid_from": "2027-01-01",
                    "why": "Contract 17",
                    "shares": [
                        {"side": "master", "name": "Northlight Records", "ppm": 1_000_000},
                        {"side": "publishing", "name": "Erika Example", "ppm": 333_333},
                        {"side": "publishing", "name": "John Example", "ppm": 666_667, "email": "john@example.com"},
                    ],
                }
            ]
        },
    )

    shares: list[LineIn] = Field(min_length=1, max_length=200)
    valid_from: date | None = None
    """Today, or a later day; left out: today."""
    why: Text = Field(default="", max_length=150)
    """Such as a contract's number; it stands in the history."""


class ShareChange(Schema):
    """A share that a statement changed; 0 ppm is none."""

    party: Id
    party_name: str
    side: Side
    territory: str
    before: int
    after: int


class AnswerOut(Schema):
    """What a party that was asked has said."""

    party: Id
    party_name: str
    answer: Literal["confirmed", "disputed"] | None
    """Null: nothing yet."""
    note: str
    at: datetime | None


class RevisionOut(Schema):
    """One statement of all shares."""

    revision: int
    valid_from: date
    at: datetime
    by: str
    """Empty: the house."""
    cause: str
    shares: list[ShareOut]
    changes: list[ShareChange]
    answers: list[AnswerOut]
    """Of everybody who was asked to confirm."""


class Revisions(Page):
    """A page of statements."""

    items: list[RevisionOut]


class QuestionOut(Schema):
    """A party of the caller's is asked to confirm its part in a statement."""

    id: Id
    recording: Id
    title: str
    isrc: str
    party: Id
    party_name: str
    revision: int
    valid_from: date
    at: datetime
    stated_by: str
    """The organisation that brought the recording; empty: the house."""
    changes: list[dict[str, Any]]
    """Each with `side`, `territory`, and ppm `before` and `after`."""


class Questions(Page):
    """A page of questions."""

    items: list[QuestionOut]


class ShareAnswerIn(Request):
    """Yes or no."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"answer": "disputed", "note": "We own half of the master."}]}
    )

    answer: Literal["confirmed", "disputed"]
    note: Text = Field(default="", max_length=2000)
    """Needed for a dispute: which share is right, and why."""


@router.get("catalog/recordings/{recording}/shares", response=SheetOut)
def show_shares(request: HttpRequest, recording: UUID) -> SheetOut:
    """Who owns what today, by right and territory, in parts per million."""
    return _sheet(access_recording(caller(request), str(recording)))


@router.put("catalog/recordings/{recording}/shares", response=SheetOut)
def state_shares(request: HttpRequest, recording: UUID, body: SheetIn) -> SheetOut:
    """State all shares from a day on; whoever gains a share or has less than before is asked to confirm.

    Each right that is named sums to exactly 1,000,000 ppm in every territory; a refusal names the right, the
    territory and the sum.  The same shares again change nothing.  Answers the shares in force today.
    """
    user = caller(request)
    found = access_shares(user, str(recording))
    lines = [
        Line(
            side=line.side,
            ppm=line.ppm,
            territory=line.territory,
            party=str(line.party or ""),
            name=line.name,
            email=line.email or "",
        )
        for line in body.shares
    ]
    sheet_state(recording=found, lines=lines, valid_from=body.valid_from, why=body.why, by=user)
    return _sheet(found)


@router.get("catalog/recordings/{recording}/shares/history", response=Revisions)
def share_history(
    request: HttpRequest, recording: UUID, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)
) -> Revisions:
    """Every statement of the shares, newest first, also planned ones: what each changed, and who agreed."""
    found = access_recording(caller(request), str(recording))
    rows = found.share_revisions.all()
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True, by="number")
    history = told(items)
    named = {share["party"] for each in history for share in each.revision.shares}
    names = _names(named | {party for each in history for party, _, _ in each.changes})
    return Revisions(items=[_revision(each, names) for each in history], next=following)


@router.get("share-questions", response=Questions)
def list_questions(
    request: HttpRequest, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)
) -> Questions:
    """What the caller's parties are asked to confirm and have not answered, newest first."""
    rows = questions_open(parties_of(caller(request)))
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Questions(items=[_question(row) for row in items], next=following)


@router.post("share-questions/{question}/answer", response={201: AnswerOut})
def answer_question(request: HttpRequest, question: UUID, body: ShareAnswerIn) -> Status[AnswerOut]:
    """Say yes or no in the name of the party that is asked; a no opens a case and holds the recording."""
    user = caller(request)
    found = access_share_question(user, str(question))
    answer = ShareConfirmation.Answer(body.answer)
    said = share_confirm(revision=found.revision, party=found.party, answer=answer, note=body.note, by=user)
    return Status(201, _answer(found.party, said))


def _sheet(recording: Recording) -> SheetOut:
    found = standing(recording, on=now().date())
    return SheetOut(
        recording=recording.id,
        revision=found.revision.number if found.revision else None,
        valid_from=found.revision.valid_from if found.revision else None,
        valid_until=found.until,
        shares=_shares(found.shares, _names(share["party"] for share in found.shares)),
    )


def _names(parties: Iterable[str]) -> dict[str, str]:
    return {str(pk): name for pk, name in Party.objects.filter(id__in=set(parties)).values_list("id", "name")}


def _shares(stated: Iterable[dict[str, Any]], names: dict[str, str]) -> list[ShareOut]:
    return [ShareOut(**share, party_name=names[share["party"]]) for share in stated]


def _revision(row: Told, names: dict[str, str]) -> RevisionOut:
    changes = [
        ShareChange(party=party, party_name=names[party], side=side, territory=territory, before=was, after=is_)
        for (party, side, territory), (was, is_) in row.changes.items()
    ]
    return RevisionOut(
        revision=row.revision.number,
        valid_from=row.revision.valid_from,
        at=row.revision.at,
        by=row.revision.by,
        cause=row.revision.cause,
        shares=_shares(row.revision.shares, names),
        changes=changes,
        answers=[_answer(party, said) for party, said in row.answers],
    )


def _answer(party: Party, said: ShareConfirmation | None) -> AnswerOut:
    return AnswerOut(
        party=party.id,
        party_name=party.name,
        answer=said.answer if said else None,
        note=said.note if said else "",
        at=said.at if said else None,
    )


def _question(row: ShareQuestion) -> QuestionOut:
    revision, recording = row.revision, row.revision.recording
    return QuestionOut(
        id=row.id,
        recording=recording.id,
        title=recording.title,
        isrc=recording.isrc,
        party=row.party_id,
        party_name=row.party.name,
        revision=revision.number,
        valid_from=revision.valid_from,
        at=row.at,
        stated_by=recording.organisation.name if recording.organisation else "",
        changes=row.changes,
    )
