"""Custody: what a community looks after, its terms, and its answers."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from stemma.errors import StemmaError
from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.again import again
from stemma_portal.catalog.access import access_recording, may_sign
from stemma_portal.catalog.custody import (
    USE,
    custody_answer,
    custody_end,
    custody_set,
    kept,
    told,
)
from stemma_portal.catalog.custody import states as custody_states
from stemma_portal.catalog.custody_access import (
    access_custody,
    custody_visible,
    may_end,
    recordings_to_name,
    require_end,
    require_name,
)
from stemma_portal.catalog.custody_forms import AnswerForm, CustodyForm
from stemma_portal.catalog.models import Custody, CustodyAnswer, Recording
from stemma_portal.catalog.selectors import recordings_visible
from stemma_portal.design.paging import page
from stemma_portal.design.values import identifiers

Answer = CustodyAnswer.Answer
ANSWERS: dict[str, tuple[str, str, str]] = {
    Answer.ACCEPTED: ("Accept", "You look after these recordings from now on, under these terms.", "Accepted."),
    Answer.DECLINED: ("Decline", "You do not look after these recordings under these terms.", "Declined."),
    Answer.AGREED: (
        "Agree",
        "New snapshots may hold these recordings, if their owners grant it, until you take it back.",
        "Agreed. New snapshots may hold them until you take it back.",
    ),
    Answer.TAKEN_BACK: (
        "Take the agreement back",
        "No new snapshot holds these recordings from now on. Snapshots and models made before stay as they are.",
        "Taken back. No new snapshot holds them.",
    ),
}
"""Each answer: its button, what it means, and what is said when it is given."""


@login_required
def custody_list(request: HttpRequest) -> HttpResponse:
    """What the reader's parties look after and are asked; for others, who looks after what they brought."""
    rows = custody_visible(request.user).annotate(count=Count("items", distinct=True))
    shown = page(rows, request.GET, by="at", descending=True)
    states = custody_states(shown.items)
    context = {
        "page": shown,
        "rows": [(custody, states[custody.id], told(custody)) for custody in shown.items],
        "own": parties_of(request.user),
    }
    return render(request, "catalog/custodies.html", context)


@login_required
def custody_detail(request: HttpRequest, custody_id: str) -> HttpResponse:
    """One statement: its terms, the recordings, and what its custodian has said."""
    custody = access_custody(request.user, custody_id)
    items = custody.items.select_related("recording__work")
    shown = page(items, request.GET, by="recording__title", size=50)
    names = [item.recording_id for item in shown.items]
    keepers = kept(names)
    seen = set(recordings_visible(request.user).filter(id__in=names).values_list("id", flat=True))
    acts = may_sign(request.user, custody.party_id)
    state = custody_states([custody])[custody.id]
    asks = Custody.Condition.ASK_FIRST in custody.conditions
    context = {
        "custody": custody,
        "state": state,
        "told": told(custody),
        "page": shown,
        "count": items.count(),
        "rows": [(item, _standing(custody, keepers.get(item.recording_id), asks=asks)) for item in shown.items],
        "seen": seen | (set(names) if custody.party_id in parties_of(request.user) else set()),
        "answers": custody.answers.select_related("recording"),
        "acts": acts,
        "asks": asks,
        "to_accept": acts and state == "proposed",
        "to_agree": acts and asks and state == "in-force",
        "may_end": state == "in-force" and may_end(request.user, custody),
    }
    return render(request, "catalog/custody.html", context)


def _standing(custody: Custody, keeper: Any, *, asks: bool) -> str:
    """How one recording stands to this statement."""
    if keeper is None or keeper.custody.id != custody.id:
        return "earlier"
    if asks:
        return "agreed" if keeper.agreed else "withheld"
    return "in-force"


@login_required
@again
def custody_new(request: HttpRequest) -> HttpResponse:
    """Name a custodian for a recording, its release or its collection."""
    asked = identifiers([request.GET.get("recording", "")])
    if not asked:
        raise Http404
    recording = access_recording(request.user, asked[0])
    require_name(request.user, [recording])
    staff = is_staff(request.user)
    now = kept([recording.id]).get(recording.id)
    initial = (
        {
            "custodian": now.custody.party.name,
            "community": now.custody.community,
            "terms": now.custody.terms,
            "conditions": now.custody.conditions,
        }
        if now
        else {}
    )
    allowed = recordings_to_name(request.user)
    form = CustodyForm(request.POST or None, initial=initial, recording=recording, allowed=allowed)
    if request.method == "POST" and form.is_valid():
        try:
            custody = _set(request, form, recording, staff=staff)
        except StemmaError as error:
            form.add_error(None, f"{error.message} {error.remedy}")
        else:
            waits = "It is in force." if staff else "It holds once the custodian has said yes."
            messages.success(request, f"Stated. {waits}")
            return redirect("catalog:custody", custody.id)
    context = {"form": form, "recording": recording, "staff": staff, "now": now}
    return render(request, "catalog/custody_new.html", context, status=422 if form.errors else 200)


def _set(request: HttpRequest, form: CustodyForm, recording: Recording, *, staff: bool) -> Custody:
    given = form.cleaned_data
    return custody_set(
        recordings=list(form.wanted[given["which"]].values_list("id", flat=True)),
        party=given["custodian"],
        community=given["community"],
        terms=given["terms"],
        conditions=given["conditions"],
        collection=recording.collection if given["which"] == "collection" else "",
        by=request.user,
        by_staff=staff,
    )


@login_required
@again
def custody_say(request: HttpRequest, custody_id: str) -> HttpResponse:
    """Answer for the custodian: read once more what it means, then say it."""
    custody = access_custody(request.user, custody_id, act=True)
    answer = request.POST.get("answer") or request.GET.get("answer", "")
    if answer not in ANSWERS:
        raise Http404
    asked = identifiers([request.POST.get("recording") or request.GET.get("recording", "")])
    item = custody.items.select_related("recording").filter(recording__in=asked).first() if asked else None
    if asked and item is None:
        raise Http404
    button, means, done = ANSWERS[answer]
    form = AnswerForm(request.POST if "answer" in request.POST else None)
    if form.is_valid():
        custody_answer(
            custody=custody,
            answer=Answer(answer),
            recording_id=item.recording_id if item else None,
            note=form.cleaned_data["note"],
            by=request.user,
        )
        messages.success(request, done)
        return redirect("catalog:custody", custody.id)
    context = {
        "custody": custody,
        "told": told(custody),
        "answer": answer,
        "button": button,
        "means": means,
        "recording": item.recording if item else None,
        "form": form,
        "about_use": answer in USE,
    }
    return render(request, "catalog/custody_answer.html", context)


@login_required
@again
def custody_over(request: HttpRequest, custody_id: str) -> HttpResponse:
    """Say that the recordings have this custodian no more."""
    custody = access_custody(request.user, custody_id)
    require_end(request.user, custody)
    if request.method == "POST":
        over = custody_end(custody=custody, by=request.user, by_staff=is_staff(request.user))
        messages.success(request, "Stated." if over.by_staff else "Stated. It holds once the custodian has said yes.")
        return redirect("catalog:custody", over.id)
    return render(request, "catalog/custody_end.html", {"custody": custody, "staff": is_staff(request.user)})
