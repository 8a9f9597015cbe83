"""Who works under a license that counts its people."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.errors import StemmaError
from stemma_portal.accounts.access import is_owner
from stemma_portal.accounts.models import User
from stemma_portal.core.fields import by_id
from stemma_portal.licensing.access import access_license
from stemma_portal.licensing.seats import seat_free, seat_give, seats_taken


@login_required
def seats(request: HttpRequest, license_id: str) -> HttpResponse:
    """Who has a seat of a license; owners give and free them."""
    license_ = access_license(request.user, license_id)
    taken = list(seats_taken(license_).order_by("given_at"))
    members = license_.organisation.memberships.select_related("user").exclude(user__in=[s.user_id for s in taken])
    context = {
        "license": license_, "taken": taken, "members": list(members.order_by("user__email")),
        "free": max(0, license_.seats - len(taken)), "may": is_owner(request.user, license_.organisation),
    }  # fmt: skip
    return render(request, "licensing/seats.html", context)


@login_required
@require_POST
def seat_change(request: HttpRequest, license_id: str) -> HttpResponse:
    """Give a member a seat, or free one."""
    license_ = access_license(request.user, license_id, owner=True)
    people = User.objects.filter(memberships__organisation=license_.organisation).distinct()
    member, seat = (
        by_id(people, request.POST.get("user")),
        by_id(license_.seatings.all(), request.POST.get("seat")),
    )
    try:
        if seat is not None:
            seat_free(seat=seat, by=request.user)
            messages.success(request, "The seat is free.")
        elif member is not None:
            seat_give(license_=license_, user=member, by=request.user)
            messages.success(request, f"{member.email} has a seat.")
        else:
            messages.error(request, "Choose a member of your organisation.")
    except StemmaError as error:
        messages.error(request, str(error))
    return redirect("licensing:seats", license_id)
