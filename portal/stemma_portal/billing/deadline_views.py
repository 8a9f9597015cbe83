"""Licenses that were outgrown or whose terms were broken: as their licensee and as the house sees them."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.errors import StemmaError
from stemma.ids import now
from stemma_portal.accounts.access import is_owner, is_staff, require_staff
from stemma_portal.billing.access import access_deadline
from stemma_portal.billing.deadlines import (
    OPEN,
    REVIEW,
    breach_state,
    deadline_answer,
    deadline_end,
    deadline_move,
    deadline_right,
    deadlines_waiting,
)
from stemma_portal.billing.forms import AnswerForm, BreachForm, DeadlineForm
from stemma_portal.billing.views import refused
from stemma_portal.licensing.access import access_license


@login_required
def deadlines(request: HttpRequest) -> HttpResponse:
    """Licenses with time to put something right; those whose time is over first."""
    require_staff(request.user, "see deadlines of licensees")
    return render(request, "billing/deadlines.html", {"rows": list(deadlines_waiting()[:200]), "today": now().date()})


@login_required
def deadline(request: HttpRequest, deadline_id: str) -> HttpResponse:
    """What is to be put right until when, what was said to it, and what was decided."""
    return _shown(request, deadline_id)


@login_required
@require_POST
def answer(request: HttpRequest, deadline_id: str) -> HttpResponse:
    """Say for the licensee what was done."""
    row, form = access_deadline(request.user, deadline_id, owner=True), AnswerForm(request.POST)
    if form.is_valid():
        try:
            deadline_answer(deadline=row, text=form.cleaned_data["text"], by=request.user)
            messages.success(request, "Noted. Staff read it before they decide.")
            return redirect("billing:deadline", row.pk)
        except StemmaError as error:
            refused(form, error, "text")
    return _shown(request, deadline_id, answering=form)


@login_required
@require_POST
def decide(request: HttpRequest, deadline_id: str) -> HttpResponse:
    """Decide for the house."""
    require_staff(request.user, "decide about licenses")
    row, form = access_deadline(request.user, deadline_id), DeadlineForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            if given["then"] == "move":
                deadline_move(deadline=row, until=given["until"], why=given["why"], by=request.user)
            else:
                act = deadline_right if given["then"] == "right" else deadline_end
                act(deadline=row, why=given["why"], by=request.user)
            messages.success(request, "Decided; the owners are told.")
            return redirect("billing:deadlines")
        except StemmaError as error:
            refused(form, error, "until" if error.code == "until" else None)
    return _shown(request, deadline_id, deciding=form)


@login_required
def breach(request: HttpRequest, license_id: str) -> HttpResponse:
    """State that a licensee breaks its terms."""
    require_staff(request.user, "state a breach")
    license_, form = access_license(request.user, license_id), BreachForm(request.POST or None)
    if form.is_valid():
        try:
            row = breach_state(license_=license_, reason=form.cleaned_data["reason"], by=request.user)
            messages.success(request, "Stated; the owners are told.")
            return redirect("billing:deadline", row.pk)
        except StemmaError as error:
            refused(form, error, "reason")
    return render(request, "billing/form.html", {
        "form": form, "title": "A breach of the terms", "button": "State it", "files": False,
        "lede": f"By the {license_.tier} license of {license_.organisation.name}. It may put it right within the time "
        "that its covenant gives; a colleague of yours decides what comes then.",
    }, status=422 if form.errors else 200)  # fmt: skip


def _shown(
    request: HttpRequest, deadline_id: str, *, answering: AnswerForm | None = None, deciding: DeadlineForm | None = None
) -> HttpResponse:
    row = access_deadline(request.user, deadline_id)
    failed = (answering and answering.errors) or (deciding and deciding.errors)
    context = {
        "row": row,
        "open": row.state in OPEN,
        "last": row.until + REVIEW,
        "over": row.until < now().date(),
        "house": is_staff(request.user),
        "may": is_owner(request.user, row.license.organisation),
        "answering": answering or AnswerForm(),
        "deciding": deciding or DeadlineForm(),
    }
    return render(request, "billing/deadline.html", context, status=422 if failed else 200)
