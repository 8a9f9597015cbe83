"""Cases: the queue, opening one, what was said and brought in it, and deciding it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.errors import StemmaError
from stemma.ids import now
from stemma.rights.identifiers import isrc
from stemma.storage import storage
from stemma_portal.accounts.access import is_owner, is_staff
from stemma_portal.accounts.acting import acting
from stemma_portal.accounts.models import User
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.catalog.selectors import recordings_visible
from stemma_portal.consent import cases
from stemma_portal.consent.case_access import access_case, access_evidence, require_seat, require_staff_seat, seat_of
from stemma_portal.consent.case_forms import (
    CaseFilter,
    CaseForm,
    DecideForm,
    EvidenceForm,
    ExtendForm,
    MessageForm,
    ReasonForm,
)
from stemma_portal.consent.evidence import evidence_add
from stemma_portal.consent.models import Claim, ClaimEvent
from stemma_portal.consent.selectors import case_counts, cases_found, claims_visible
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id

ROWS = 25
ADDRESS_SECONDS = 300


@login_required
def case_list(request: HttpRequest) -> HttpResponse:
    """The cases the reader may see: overdue ones first, then by deadline."""
    visible = claims_visible(request.user)
    form = CaseFilter(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    shown = Paginator(cases_found(visible, wanted), ROWS).get_page(request.GET.get("page"))
    for claim in shown:
        claim.age = (now() - claim.opened_at).days
        claim.overdue = claim.due_at is not None and claim.due_at < now()
    organisation = acting(request)
    context = {
        "rows": shown,
        "form": form,
        "counts": case_counts(visible),
        "staff": is_staff(request.user),
        "may_open": is_staff(request.user) or (organisation is not None and is_owner(request.user, organisation)),
    }
    return render(request, "consent/cases.html", context)


@login_required
def case_new(request: HttpRequest) -> HttpResponse:
    """A form to open one."""
    staff, organisation = is_staff(request.user), acting(request)
    if not staff and (organisation is None or not is_owner(request.user, organisation)):
        raise ForbiddenError("Only owners of an organisation open a claim for it.", remedy="Ask one of them to do it.")
    form = CaseForm(request.POST or None, initial=request.GET.dict(), staff=staff)
    if request.method == "POST" and form.is_valid():
        try:
            claim = _open(request, form, staff)
        except StemmaError as error:
            form.add_error(None, str(error))
        else:
            if claim is not None:
                messages.success(request, "The case is open: what it is about is held until it is resolved.")
                return redirect("consent:case", claim.pk)
    return render(request, "consent/case_new.html", {"form": form}, status=422 if form.errors else 200)


def _open(request: HttpRequest, form: CaseForm, staff: bool) -> Claim | None:
    given = form.cleaned_data
    recording = _recording(request.user, given["recording"])
    other = _recording(request.user, given["other"]) if given["other"] else None
    if recording is None:
        form.add_error("recording", "There is no recording with this ISRC or identifier.")
    if given["other"] and other is None:
        form.add_error("other", "There is no recording with this identifier.")
    if form.errors or recording is None:
        return None
    organisation = None if staff and given.get("claimant") else acting(request)
    return cases.case_begin(
        kind=given["kind"],
        recording=recording,
        reason=given["reason"],
        by=request.user,
        party=organisation.party if organisation else None,
        organisation=organisation,
        claimant=given.get("claimant", ""),
        other=other,
        side=given["side"],
        ppm=given["ppm"],
        by_staff=staff,
    )


def _recording(user: User, text: str) -> Recording | None:
    """By identifier or ISRC; of several with one ISRC, one that the user does not have.

    Whoever claims a recording knows its ISRC, and need not be able to see it here.
    """
    text = text.strip().lower()
    if (found := by_id(Recording.objects.all(), text)) is not None:
        return found
    try:
        code = isrc(text)
    except StemmaError:
        return None
    candidates = Recording.objects.filter(isrc=code)
    if is_staff(user):
        return candidates.first()
    return candidates.exclude(pk__in=recordings_visible(user).values("pk")).first() or candidates.first()


@login_required
def case_detail(request: HttpRequest, claim_id: str) -> HttpResponse:
    """Everything about one case, and what the reader may do now."""
    return _page(request, access_case(request.user, claim_id))


def _page(request: HttpRequest, claim: Claim, *, status: int = 200, **forms: Any) -> HttpResponse:
    seat = seat_of(request.user, claim)
    staff = is_staff(request.user)
    decides = seat is not None and seat.side == Claim.Side.STAFF
    events = list(claim.events.all())
    recordings = [each for each in (claim.recording, claim.other) if each is not None]
    seen = set(recordings_visible(request.user).filter(id__in=[r.pk for r in recordings]).values_list("id", flat=True))
    context = {
        "claim": claim,
        "recordings": recordings,
        "seen": seen,
        "events": [e for e in events if staff or e.kind != ClaimEvent.Kind.NOTE],
        "evidence": list(claim.evidence.all()),
        "asserted": _asserted(claim),
        "parties": list(claim.parties.select_related("party").order_by("side", "party__name")),
        "seat": seat,
        "staff": staff,
        "decides": decides and claim.pending,
        "my_turn": seat is not None and claim.due_side == seat.side and not decides,
        "overdue": claim.due_at is not None and claim.due_at < now(),
        "age": ((claim.resolved_at or now()) - claim.opened_at).days,
        "message": MessageForm(),
        "bring": EvidenceForm(),
        "withdraw": ReasonForm(auto_id="withdraw-%s"),
        "extend": ExtendForm(auto_id="extend-%s"),
        "decide": DecideForm(claim=claim) if decides and claim.pending else None,
        **forms,
    }
    return render(request, "consent/case.html", context, status=status)


def _asserted(claim: Claim) -> list[dict[str, Any]]:
    """The shares that a claim asserts, with the names of their parties."""
    rows = claim.detail.get("asserted", [])
    names = dict(Party.objects.filter(id__in=[row["party"] for row in rows]).values_list("id", "name"))
    return [{**row, "name": names.get(row["party"], row["party"])} for row in rows]


def _act(request: HttpRequest, claim: Claim, name: str, form: Any, do: Callable[[], object], done: str) -> HttpResponse:
    """Run what a form asks for, or show the case again with what is wrong."""
    if form.is_valid():
        try:
            do()
        except StemmaError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, done)
            return redirect("consent:case", claim.pk)
    return _page(request, claim, status=422, **{name: form})


@login_required
@require_POST
def case_message(request: HttpRequest, claim_id: str) -> HttpResponse:
    """Say something, answer, or note it for staff."""
    claim = access_case(request.user, claim_id)
    seat, form, way = require_seat(request.user, claim), MessageForm(request.POST), request.POST.get("as", "")
    return _act(
        request,
        claim,
        "message",
        form,
        lambda: cases.case_say(
            claim=claim,
            seat=seat,
            text=form.cleaned_data["text"],
            answer=way == "answer",
            internal=way == "note",
            by=request.user,
        ),
        {"answer": "Your answer is with the others.", "note": "Noted, for staff only."}.get(way, "Sent."),
    )


@login_required
@require_POST
def case_evidence(request: HttpRequest, claim_id: str) -> HttpResponse:
    """Bring evidence."""
    claim = access_case(request.user, claim_id)
    seat, form = require_seat(request.user, claim), EvidenceForm(request.POST, request.FILES)

    def bring() -> None:
        given = form.cleaned_data
        file = given["file"]
        evidence_add(
            claim=claim,
            seat=seat,
            title=given["title"],
            text=given["text"],
            link=given["link"],
            file=file,
            name=file.name if file else "",
            by=request.user,
        )

    return _act(request, claim, "bring", form, bring, "It is part of the case now.")


@login_required
def case_file(request: HttpRequest, claim_id: str, evidence_id: str) -> HttpResponse:
    """A file of the evidence, straight from object storage, to be saved and not shown."""
    evidence = access_evidence(request.user, claim_id, evidence_id)
    if not evidence.key:
        raise Http404
    return redirect(storage().url(evidence.key, seconds=ADDRESS_SECONDS, filename=evidence.name))


@login_required
@require_POST
def case_withdrawal(request: HttpRequest, claim_id: str) -> HttpResponse:
    """The claimant takes it back."""
    claim = access_case(request.user, claim_id)
    seat, form = require_seat(request.user, claim), ReasonForm(request.POST, auto_id="withdraw-%s")
    return _act(
        request,
        claim,
        "withdraw",
        form,
        lambda: cases.case_withdraw(claim=claim, seat=seat, reason=form.cleaned_data["reason"], by=request.user),
        "Withdrawn: everything stays as it is.",
    )


@login_required
@require_POST
def case_under_review(request: HttpRequest, claim_id: str) -> HttpResponse:
    """Staff take it before the deadlines have passed."""
    claim = access_case(request.user, claim_id)
    require_staff_seat(request.user, claim, "review it")
    cases.case_review(claim=claim, by=request.user, text=request.POST.get("text", "")[:4000])
    messages.success(request, "It is under review.")
    return redirect("consent:case", claim.pk)


@login_required
@require_POST
def case_deadline(request: HttpRequest, claim_id: str) -> HttpResponse:
    """Staff give more time."""
    claim = access_case(request.user, claim_id)
    require_staff_seat(request.user, claim, "give more time")
    form = ExtendForm(request.POST, auto_id="extend-%s")
    return _act(
        request,
        claim,
        "extend",
        form,
        lambda: cases.case_extend(
            claim=claim, days=form.cleaned_data["days"], reason=form.cleaned_data["reason"], by=request.user
        ),
        "The deadline was moved.",
    )


@login_required
@require_POST
def case_decide(request: HttpRequest, claim_id: str) -> HttpResponse:
    """Staff decide it."""
    claim = access_case(request.user, claim_id)
    require_staff_seat(request.user, claim, "decide it")
    form = DecideForm(request.POST, claim=claim)

    def decide() -> None:
        given = form.cleaned_data
        both = {each.pk: each for each in (claim.recording, claim.other) if each is not None}
        cases.case_resolve(
            claim=claim,
            outcome=given["outcome"],
            reason=given["reason"],
            shares=given["shares"],
            down=both.get(given.get("down", "")),
            amount=int((given.get("amount") or 0) * 1_000_000),
            by=request.user,
        )

    return _act(request, claim, "decide", form, decide, "Resolved: what it held is free, and its money goes on.")
