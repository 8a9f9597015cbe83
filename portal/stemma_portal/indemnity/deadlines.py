"""When what is due, and who is reminded of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from stemma.ids import now, timestamp
from stemma_portal.indemnity.models import ClaimEvent, OutputClaim
from stemma_portal.indemnity.telling import claim_told, event_write

ACKNOWLEDGE = 2
"""Working days."""
DOSSIER = 10
"""Days."""
State = OutputClaim.State
ANSWERED = (State.ACCEPTED, State.DECLINED, *OutputClaim.ENDED)


class Due(NamedTuple):
    """Something that has to be done, and until when."""

    what: str
    words: str
    at: datetime


REMIND: dict[str, tuple[int, ...]] = {"acknowledge": (1,), "dossier": (3, 1), "letter": (7, 1)}
"""Days before each deadline at which there is a reminder; one more follows when it has passed."""


def working_days_after(moment: datetime, days: int) -> datetime:
    """The same time of day so many working days later, Monday to Friday in UTC; holidays are not known here."""
    at = moment
    while at.weekday() >= 5:
        at += timedelta(days=1)
    for _ in range(days):
        at += timedelta(days=3 if at.weekday() == 4 else 1)
    return at


def dues(claim: OutputClaim) -> list[Due]:
    """What is still to be done, the next thing first."""
    found = []
    if not claim.pending:
        return found
    if claim.acknowledged_at is None:
        found.append(Due("acknowledge", "Acknowledge it", claim.acknowledge_due))
    if claim.state in {State.RECEIVED, State.IDENTIFIED}:
        found.append(Due("dossier", "Put the dossier together", claim.dossier_due))
    if claim.letter_due is not None and claim.answered_at is None:
        found.append(Due("letter", "Answer the letter", claim.letter_due))
    return sorted(found, key=lambda due: due.at)


@transaction.atomic
def deadlines_keep(*, at: datetime | None = None) -> int:
    """Remind of what is due soon or late, each once however often this runs; how many reminders there were."""
    moment = at or now()
    soon = moment + timedelta(days=max(max(days) for days in REMIND.values()))
    near = Q(acknowledged_at=None, acknowledge_due__lte=soon) | Q(dossier_due__lte=soon) | Q(letter_due__lte=soon)
    rows = OutputClaim.objects.filter(near).exclude(state__in=OutputClaim.ENDED)
    return sum(_remind(claim, due, moment) for claim in rows.select_for_update(of=("self",)) for due in dues(claim))


def _remind(claim: OutputClaim, due: Due, moment: datetime) -> int:
    left = (due.at - moment) / timedelta(days=1)
    distance = 0 if left <= 0 else next((days for days in sorted(REMIND[due.what]) if left <= days), None)
    if distance is None:
        return 0
    mark = {"what": due.what, "due": timestamp(due.at), "days": distance}
    if claim.events.filter(kind=ClaimEvent.Kind.REMINDED, detail=mark).exists():
        return 0
    text = f"{due.words} {'by' if distance else 'now: it was due'} {due.at.day} {due.at:%B %Y}."
    event_write(claim, ClaimEvent.Kind.REMINDED, text=text, detail=mark, at=moment)
    claim_told(claim, staff=True, licensee=due.what == "letter", title=f"{due.words}: {claim.claimant}", text=text)
    return 1
