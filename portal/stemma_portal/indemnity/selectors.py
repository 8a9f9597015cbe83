"""What pages, the API and the services read of claims against outputs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, DateTimeField, F, Min, Q, QuerySet, When
from django.db.models.functions import Least

from stemma.ids import now
from stemma.provenance.certificate import read
from stemma.provenance.lapse import evidence
from stemma.rights.indemnity import Coverage, Evidence, coverage
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import User
from stemma_portal.core.keys import keyring
from stemma_portal.indemnity.models import ClaimEvent, OutputClaim
from stemma_portal.licensing.models import CovenantVersion
from stemma_portal.operations.models import ModelRelease

State = OutputClaim.State


def claims_visible(user: User) -> QuerySet[OutputClaim]:
    """Staff see every claim, members those of their organisations."""
    rows = OutputClaim.objects.select_related("organisation", "generation", "job")
    return rows if is_staff(user) else rows.filter(organisation__memberships__user=user).distinct()


def claims_found(rows: QuerySet[OutputClaim], *, state: str = "", q: str = "") -> QuerySet[OutputClaim]:
    """Claims in a state (none: those that are not over; `all`), with words in them; what is due first comes first."""
    if state in State.values:
        rows = rows.filter(state=state)
    elif state != "all":
        rows = rows.exclude(state__in=OutputClaim.ENDED)
    if q:
        rows = rows.filter(Q(claimant__icontains=q) | Q(organisation__name__icontains=q) | Q(story__icontains=q))
    worked = Q(state__in=[State.RECEIVED, State.IDENTIFIED])
    dates: dict[str, Any] = {
        "acknowledge": Case(When(acknowledged_at=None, then=F("acknowledge_due")), output_field=DateTimeField()),
        "dossier": Case(When(worked, then=F("dossier_due")), output_field=DateTimeField()),
        "letter": Case(When(answered_at=None, then=F("letter_due")), output_field=DateTimeField()),
    }
    rows = rows.annotate(next_due=Least(*dates.values()))
    return rows.order_by(F("next_due").asc(nulls_last=True), "received_at", "id")


@dataclass(frozen=True)
class Counts:
    """How many claims are how far, and how old the oldest is that is not over."""

    states: list[tuple[str, str, int]]
    oldest: int
    """Days."""


def counts(rows: QuerySet[OutputClaim]) -> Counts:
    """Of these claims."""
    found = dict(rows.order_by().values_list("state").annotate(n=Count("id")))
    first: datetime | None = rows.exclude(state__in=OutputClaim.ENDED).aggregate(first=Min("received_at"))["first"]
    return Counts(
        states=[(state.value, str(state.label), found.get(state.value, 0)) for state in State],
        oldest=(now() - first).days if first else 0,
    )


def events_of(*, claim: OutputClaim, staff: bool) -> list[ClaimEvent]:
    """Everything said and done, in its order; some of it is for staff."""
    rows = claim.events.all()
    return list(rows if staff else rows.exclude(kind__in=ClaimEvent.STAFF_ONLY))


def evidence_of(*, claim: OutputClaim) -> Evidence:
    """What facts say of the output that was found, and what staff have judged."""
    assert claim.generation is not None  # noqa: S101 - whoever asks has seen it
    served = ModelRelease.objects.filter(id=claim.generation.model_release).exists()
    first = claim.generation.certificates.order_by("version").first()
    if first is None:
        return Evidence(altered=claim.altered, served=served, judged=claim.judged)
    said = evidence(read(first.token, keyring().jwks()), claim.altered)
    return said.model_copy(update={"served": served and said.served, "judged": claim.judged})


def terms_of(*, claim: OutputClaim) -> CovenantVersion | None:
    """The terms under which the output was made."""
    if claim.generation is None:
        return None
    return CovenantVersion.objects.filter(digest=claim.generation.covenant).first()


def coverage_of(*, claim: OutputClaim) -> Coverage | None:
    """What the indemnity comes to as of now; None before the output was found."""
    version = terms_of(claim=claim)
    if version is None or claim.generation is None:
        return None
    return coverage(version.covenant(), claim.generation.tier, claim.use, evidence_of(claim=claim))  # type: ignore[arg-type]
