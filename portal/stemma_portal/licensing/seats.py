"""Who works under a license that counts its people."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import User
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.services import Actor, audit
from stemma_portal.licensing.models import License, Seat


@transaction.atomic
def seat_give(*, license_: License, user: User, by: Actor) -> Seat:
    """Give a member of the licensee a seat; who has one keeps it.

    Raises `InvalidError` where all are taken, for a license that does not count seats, and for a stranger.
    """
    license_ = License.objects.select_for_update(of=("self",)).get(pk=license_.pk)
    if not license_.seats:
        raise InvalidError("This license does not count seats.", remedy="Everybody of you may use it.", code="seats")
    if not license_.organisation.memberships.filter(user=user).exists():
        raise InvalidError("Only members of the licensee have seats.", remedy="Invite them first.", code="stranger")
    if known := license_.seatings.filter(user=user, left_at=None).first():
        return known
    if (taken := seats_taken(license_).count()) >= license_.seats:
        raise InvalidError(
            f"All {license_.seats} seats are taken.", remedy="Free one, or order more.", code="no-seat",
            details=[{"field": "user", "rule": "seats", "remedy": f"{taken} of {license_.seats} are taken."}],
        )  # fmt: skip
    seat = Seat.objects.create(id=new_id(), license=license_, user=user, given_at=now(), given_by=by.email)
    audit(by=by, action="license.seat", subject=license_.pk, user=user.email, taken=taken + 1)
    return seat


@transaction.atomic
def seat_free(*, seat: Seat, by: Actor) -> Seat:
    """Free a seat for somebody else; twice is once."""
    seat = Seat.objects.select_for_update(of=("self",)).select_related("user").get(pk=seat.pk)
    if seat.left_at is None:
        seat.left_at = now()
        seat.save(update_fields=["left_at"])
        audit(by=by, action="license.seat-free", subject=seat.license_id, user=seat.user.email)
    return seat


def seats_taken(license_: License) -> QuerySet[Seat]:
    """The seats that are taken.  Who leaves the organisation leaves their seat."""
    rows = license_.seatings.filter(left_at=None, user__memberships__organisation=license_.organisation_id)
    return rows.select_related("user").distinct()


def require_seat(user: User, license_: License) -> None:
    """Raise `ForbiddenError` where a license counts its people and this is none of them; staff are not counted."""
    if license_.seats and not is_staff(user) and not seats_taken(license_).filter(user=user).exists():
        raise ForbiddenError(
            "You have no seat of this license.", remedy="An owner gives you one on the license's page, under Seats."
        )
