"""Recordings that may be one and the same: why, and what is decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import ConfigDict

from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request
from stemma_portal.catalog.access import access_likeness, may_decide_likeness
from stemma_portal.catalog.likeness import TELLS, likeness_reopen, likeness_separate, reasons_of
from stemma_portal.catalog.models import Likeness, Recording
from stemma_portal.catalog.selectors import likenesses_visible
from stemma_portal.consent.merging import duplicates_merge
from stemma_portal.consent.selectors import recording_states

router = Router(tags=["duplicates"])
State = Literal["open", "merged", "separate"]


class AlikeOut(Schema):
    """One of two recordings that are alike."""

    id: Id
    isrc: str
    title: str
    artist: str
    organisation: Id | None
    """Who brought it; null: the house."""
    duration_ms: int | None


class DuplicateOut(Schema):
    """One reason for which two recordings may be the same."""

    id: Id
    kind: Literal["isrc", "audio", "fingerprint", "score"]
    why: str
    score: float
    """0 to 1; 1 is identity."""
    state: State
    found_at: datetime
    decided_at: datetime | None
    decided_by: str
    one: AlikeOut
    other: AlikeOut


class Duplicates(Page):
    """A page of reasons."""

    items: list[DuplicateOut]


class ReasonOut(Schema):
    """Why two recordings may be the same."""

    kind: str
    why: str
    score: float
    detail: dict[str, Any]
    """What was compared: the code, or how much is alike and where the limit is."""


class DuplicateWhole(DuplicateOut):
    """Two recordings with every reason."""

    reasons: list[ReasonOut]
    """The strongest first."""
    consent: dict[str, str]
    """How each of them stands, by identifier: `consented`, `partial`, `unconsented`, `withdrawn`, `claimed` or
    `not-free`."""
    canonical: Id | None
    """Which stands for both in snapshots, once they are merged."""
    may_decide: bool


class LikenessDecisionIn(Request):
    """What they are."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"decision": "merge"}]})

    decision: Literal["merge", "separate", "reopen"]
    canonical: UUID | None = None
    """With `merge`: which stands for all; left out, one that is complete and has consent goes before others."""


@router.get("duplicates", response=Duplicates)
def list_duplicates(
    request: HttpRequest,
    state: State = "open",
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Duplicates:
    """Likely duplicates of which the caller may see both, newest first; those that wait, unless `state` is named."""
    rows = likenesses_visible(caller(request)).filter(state=state)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Duplicates(items=[DuplicateOut(**_alike(row)) for row in items], next=following)


@router.get("duplicates/{duplicate}", response=DuplicateWhole)
def show_duplicate(request: HttpRequest, duplicate: UUID) -> DuplicateWhole:
    """Two recordings, and every reason for which they may be the same."""
    user = caller(request)
    found = access_likeness(user, str(duplicate))
    return _whole(found, may_decide=may_decide_likeness(user, found))


@router.post("duplicates/{duplicate}/decision", response=DuplicateWhole)
def decide(request: HttpRequest, duplicate: UUID, body: LikenessDecisionIn) -> DuplicateWhole:
    """Merge two recordings, separate them for good, or open the question again."""
    user = caller(request)
    found = access_likeness(user, str(duplicate), act=True)
    if body.decision == "merge":
        duplicates_merge(likeness=found, canonical=str(body.canonical) if body.canonical else None, by=user)
    elif body.decision == "separate":
        likeness_separate(likeness=found, by=user)
    else:
        likeness_reopen(likeness=found, by=user)
    return _whole(access_likeness(user, str(duplicate)), may_decide=True)


def _alike(row: Likeness) -> dict[str, Any]:
    names = ("id", "kind", "score", "state", "found_at", "decided_at", "decided_by")
    found = {name: getattr(row, name) for name in names}
    return {**found, "why": TELLS[row.kind], "one": _half(row.one), "other": _half(row.other)}


def _half(row: Recording) -> AlikeOut:
    return AlikeOut(
        id=row.id,
        isrc=row.isrc,
        title=row.title,
        artist=row.artist,
        organisation=row.organisation_id,
        duration_ms=row.duration_ms,
    )


def _whole(row: Likeness, *, may_decide: bool) -> DuplicateWhole:
    cluster = row.one.cluster if row.one.cluster_id == row.other.cluster_id else None
    states = recording_states([row.one_id, row.other_id])
    return DuplicateWhole(
        **_alike(row),
        reasons=[
            ReasonOut(kind=each.kind, why=TELLS[each.kind], score=each.score, detail=each.detail)
            for each in reasons_of(row)
        ],
        consent={recording: state.state for recording, state in states.items()},
        canonical=cluster.canonical_id if cluster else None,
        may_decide=may_decide,
    )
