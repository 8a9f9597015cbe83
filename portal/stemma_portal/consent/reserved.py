"""Reading reservations: what they say, and where they and consents do not agree."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from stemma.config import settings
from stemma.rights.reservations import Rule
from stemma.rights.reservations import write as write_rules
from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.models import Domain, Organisation, User
from stemma_portal.catalog.models import Party, Recording, Share
from stemma_portal.consent.models import ConsentRecording
from stemma_portal.consent.reservation_models import Reservation
from stemma_portal.consent.selectors import running


def reservations_visible(user: User) -> QuerySet[Reservation]:
    """Staff see every reservation, others those on their own sites and recordings."""
    rows = Reservation.objects.select_related("recording__work", "organisation__party", "party")
    if is_staff(user):
        return rows
    own = Share.objects.filter(recording=OuterRef("recording"), party__in=parties_of(user))
    return rows.filter(Exists(own) | Q(organisation__in=user.memberships.values("organisation")))


def conflicts(*, organisation: Organisation | None = None, recording: Recording | None = None) -> QuerySet[Reservation]:
    """Reservations of recordings that refuse what a standing consent allows, and that nobody has settled.

    Of an organisation those beside its own consents; each with that `consent`, the newest.
    """
    beside = running(ConsentRecording.objects.all()).filter(
        recording=OuterRef("recording"), consent__scopes__overlap=OuterRef("refused")
    )
    if organisation is not None:
        beside = beside.filter(consent__party=organisation.party_id)
    rows = Reservation.objects.unsettled().exclude(recording=None)
    if recording is not None:
        rows = rows.filter(recording=recording)
    newest = beside.order_by("-consent__granted_at").values("consent")[:1]
    return rows.filter(Exists(beside)).annotate(consent=Subquery(newest)).select_related("recording__work", "party")


def beside_consents(reservation: Reservation) -> set[str]:
    """The parties that have granted, and not withdrawn, what a reservation refuses."""
    rows = running(ConsentRecording.objects.all()).filter(consent__scopes__overlap=reservation.refused)
    if reservation.recording_id:
        rows = rows.filter(recording=reservation.recording_id)
    else:
        rows = rows.filter(consent__party__organisations=reservation.organisation_id)
    return set(rows.values_list("consent__party", flat=True).distinct())


def marks_of(recording: Recording) -> list[Reservation]:
    """What is said now of a recording itself: its file's mark, and its owners' statements."""
    rows = Reservation.objects.current().filter(recording=recording).exclude(uses={})
    return list(rows.select_related("settlement__party"))


@dataclass(frozen=True)
class Site:
    """A proved domain and what it says."""

    domain: Domain
    said: list[Reservation]
    open: list[tuple[Reservation, int]]
    """What refuses and is not settled, and how many recordings are granted beside it."""


def sites(organisation: Organisation) -> list[Site]:
    """The proved domains of an organisation."""
    domains = organisation.domains.exclude(proved_at=None).select_related("reading")
    rows = organisation.reservations.current().select_related("settlement__party")
    found = []
    for domain in domains:
        said = [row for row in rows if row.place == domain.name and row.uses]
        waiting = [row for row in said if row.refused and not hasattr(row, "settlement")]
        beside = [(row, _granted_beside(organisation, row)) for row in waiting]
        found.append(Site(domain, said, [pair for pair in beside if pair[1]]))
    return found


def _granted_beside(organisation: Organisation, reservation: Reservation) -> int:
    own = running(ConsentRecording.objects.all()).filter(
        consent__party=organisation.party_id, consent__scopes__overlap=reservation.refused
    )
    return own.values("recording").distinct().count() if organisation.party_id else 0


def tdmrep_of(party: Party | None) -> bytes:
    """A `tdmrep.json` that agrees with what a party has granted.

    A grant is for licensees of this house under its covenant, never for everybody on the web: everything
    stays reserved.  Where something is granted, the policy says where licenses are to be had.
    """
    granted = party is not None and running(ConsentRecording.objects.filter(consent__party=party)).exists()
    return write_rules([Rule("/", True, policy_url() if granted else "")])


def policy_url() -> str:
    """Where licenses are to be had."""
    return settings().portal_url.rstrip("/") + "/"


def licensed_here() -> str:
    """How a mark begins that says this."""
    return f"Only with a license from {policy_url()}"
