"""Claims against outputs: sending one, the desk's queue, what was found, and what is done about it."""

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
from stemma.storage import storage
from stemma_portal.accounts.access import is_staff, may_bring
from stemma_portal.accounts.acting import organisations
from stemma_portal.accounts.again import again
from stemma_portal.accounts.models import Organisation
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.models import Job
from stemma_portal.indemnity import services
from stemma_portal.indemnity.access import (
    access_claim,
    access_dossier,
    access_move,
    access_paper,
    is_desk,
    require_desk,
    require_seat,
)
from stemma_portal.indemnity.deadlines import dues
from stemma_portal.indemnity.forms import (
    AcceptForm,
    ClaimFilter,
    ClaimForm,
    JudgeForm,
    MoveForm,
    ReasonForm,
    SayForm,
)
from stemma_portal.indemnity.models import OutputClaim, ReserveMove
from stemma_portal.indemnity.reserves import cap_free, move_ask, move_decide, reserve_free, reserve_left, reserve_open
from stemma_portal.indemnity.selectors import claims_found, claims_visible, counts, coverage_of, events_of

ROWS = 25
ADDRESS_SECONDS = 300
State = OutputClaim.State


@login_required
def claim_list(request: HttpRequest) -> HttpResponse:
    """The claims the reader may see: what is due first comes first."""
    visible = claims_visible(request.user)
    form = ClaimFilter(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    rows = claims_found(visible, state=wanted.get("state", ""), q=wanted.get("q", ""))
    shown = Paginator(rows, ROWS).get_page(request.GET.get("page"))
    for claim in shown:
        claim.age = (now() - claim.received_at).days
        claim.due = next(iter(dues(claim)), None)
        claim.overdue = claim.due is not None and claim.due.at < now()
    context = {
        "rows": shown,
        "form": form,
        "counts": counts(visible),
        "staff": is_staff(request.user),
        "may_send": bool(_senders(request)),
    }
    return render(request, "indemnity/claims.html", context)


@login_required
def claim_new(request: HttpRequest) -> HttpResponse:
    """Send a claim: the sound, the letter, and what happened."""
    senders = _senders(request)
    if not senders:
        raise ForbiddenError(
            "Only owners and editors of a licensee send claims against outputs.", remedy="Ask one of its owners."
        )
    form = ClaimForm(request.POST or None, request.FILES or None, organisations=senders)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        sound, letter = given.pop("sound"), given.pop("letter")
        try:
            claim, made = services.claim_submit(
                **given, sound=sound, sound_name=sound.name, letter=letter, letter_name=letter.name, by=request.user
            )
        except StemmaError as error:
            form.add_error(None, str(error))
        else:
            told = "Your claim is with us." if made else "This claim is with us already: here it is."
            messages.success(request, told)
            return redirect("indemnity:claim", claim.pk)
    return render(request, "indemnity/claim_new.html", {"form": form}, status=422 if form.errors else 200)


def _senders(request: HttpRequest) -> list[Organisation]:
    """Licensees for which the reader may send claims."""
    own = [each for each in organisations(request) if may_bring(request.user, each)]
    return [each for each in own if each.licenses.exists()]


@login_required
def claim_detail(request: HttpRequest, case_id: str) -> HttpResponse:
    """Everything about one claim, and what the reader may do now."""
    return _page(request, access_claim(request.user, case_id))


def _page(request: HttpRequest, claim: OutputClaim, *, status: int = 200, **forms: Any) -> HttpResponse:
    desk = is_desk(request.user, claim)
    found = coverage_of(claim=claim)
    moves = list(claim.moves.all()) if is_staff(request.user) else []
    for move in moves:
        move.mine = str(move.asked_id) == str(request.user.pk)
    job = claim.job
    context = {
        "claim": claim,
        "events": events_of(claim=claim, staff=is_staff(request.user)),
        "papers": list(claim.papers.all()),
        "dossiers": list(claim.dossiers.all()),
        "newest": claim.dossiers.first(),
        "coverage": found,
        "dues": dues(claim),
        "now": now(),
        "age": (now() - claim.received_at).days,
        "working": job is not None and job.state in {Job.State.QUEUED, Job.State.RUNNING} and claim.state in WORKED,
        "desk": desk,
        "speaks": claim.pending and (desk or may_bring(request.user, claim.organisation)),
        "moves": moves,
        "reserve": {"left": reserve_left(claim=claim), "free": reserve_free(claim=claim), "cap": cap_free(claim=claim)}
        if desk and claim.state in {State.READY, State.ACCEPTED, State.SETTLED}
        else None,
        "say": SayForm(),
        "close": ReasonForm(auto_id="close-%s"),
        "ask": ReasonForm(auto_id="ask-%s"),
        "judge": JudgeForm(auto_id="judge-%s", found=found, judged=claim.judged)
        if found and (found.open or claim.judged)
        else None,
        "accept": AcceptForm(auto_id="accept-%s"),
        "decline": ReasonForm(auto_id="decline-%s"),
        "settle": ReasonForm(auto_id="settle-%s"),
        "move_form": MoveForm(auto_id="move-%s"),
        **forms,
    }
    return render(request, "indemnity/claim.html", context, status=status)


WORKED = frozenset({State.RECEIVED, State.IDENTIFIED})


def _act(
    request: HttpRequest, claim: OutputClaim, name: str, form: Any, do: Callable[[dict[str, Any]], object], done: str
) -> HttpResponse:
    """Run what a form asks for, or show the claim again with what is wrong."""
    if form.is_valid():
        try:
            do(form.cleaned_data)
        except StemmaError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, done)
            return redirect("indemnity:claim", claim.pk)
    return _page(request, claim, status=422, **{name: form})


@login_required
@require_POST
def claim_message(request: HttpRequest, case_id: str) -> HttpResponse:
    """Say something, perhaps with a file."""
    claim = access_claim(request.user, case_id)
    staff, form = require_seat(request.user, claim), SayForm(request.POST, request.FILES)
    internal = request.POST.get("as") == "note"

    def say(given: dict[str, Any]) -> None:
        file = given["file"]
        services.claim_say(
            claim=claim, text=given["text"], by=request.user, staff=staff, internal=internal, file=file,
            name=file.name if file else "",
        )  # fmt: skip

    return _act(request, claim, "say", form, say, "Noted, for staff only." if internal else "Sent.")


@login_required
@require_POST
def claim_closing(request: HttpRequest, case_id: str) -> HttpResponse:
    """Take a claim back, or close it."""
    claim = access_claim(request.user, case_id)
    staff, form = require_seat(request.user, claim), ReasonForm(request.POST, auto_id="close-%s")
    return _act(
        request,
        claim,
        "close",
        form,
        lambda given: services.claim_close(claim=claim, reason=given["reason"], by=request.user, staff=staff),
        "Closed.",
    )


@login_required
@require_POST
def claim_desk(request: HttpRequest, case_id: str) -> HttpResponse:
    """What staff do: acknowledge, look again, ask, judge, accept, decline, settle."""
    claim = access_claim(request.user, case_id)
    require_desk(request.user, claim)
    action, by = request.POST.get("action", ""), request.user
    plain: dict[str, tuple[Callable[..., object], str]] = {
        "acknowledge": (services.claim_acknowledge, "The licensee is told."),
        "again": (services.claim_again, "It is being looked for again."),
        "stop": (services.claim_stop, "It stops at its next step."),
    }
    if action in plain:
        do, done = plain[action]
        try:
            do(claim=claim, by=by)
        except StemmaError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, done)
        return redirect("indemnity:claim", claim.pk)
    found = coverage_of(claim=claim)
    told: dict[str, tuple[Any, Callable[[dict[str, Any]], object], str]] = {
        "ask": (
            ReasonForm(request.POST, auto_id="ask-%s"),
            lambda given: services.claim_ask(claim=claim, text=given["reason"], by=by),
            "The licensee is asked.",
        ),
        "judge": (
            JudgeForm(request.POST, auto_id="judge-%s", found=found, judged=claim.judged),
            lambda given: services.claim_judge(
                claim=claim, exclusion=given["exclusion"], applies=given["applies"] == "yes", reason=given["reason"],
                by=by,
            ),
            "It is judged; the next dossier says so.",
        ),
        "accept": (
            AcceptForm(request.POST, auto_id="accept-%s"),
            lambda given: services.claim_accept(claim=claim, amount=given["amount"], reason=given["reason"], by=by),
            "Accepted, and set aside.",
        ),
        "decline": (
            ReasonForm(request.POST, auto_id="decline-%s"),
            lambda given: services.claim_decline(claim=claim, reason=given["reason"], by=by),
            "Declined.",
        ),
        "settle": (
            ReasonForm(request.POST, auto_id="settle-%s"),
            lambda given: services.claim_settle(claim=claim, reason=given["reason"], by=by),
            "Settled.",
        ),
    }  # fmt: skip
    if action not in told:
        raise Http404
    form, act, done = told[action]
    return _act(request, claim, action, form, act, done)


@login_required
@require_POST
def claim_reserve(request: HttpRequest, case_id: str) -> HttpResponse:
    """Set more aside, or ask to give back or to pay."""
    claim = access_claim(request.user, case_id)
    require_desk(request.user, claim)
    form = MoveForm(request.POST, auto_id="move-%s")

    def move(given: dict[str, Any]) -> None:
        if given["kind"] == ReserveMove.Kind.RESERVE:
            reserve_open(claim=claim, amount=given["amount"], reason=given["reason"], by=request.user)
        else:
            move_ask(claim=claim, by=request.user, **given)

    return _act(request, claim, "move_form", form, move, "Done, or waiting for a second person.")


@login_required
@require_POST
@again
def claim_move(request: HttpRequest, case_id: str, move_id: str) -> HttpResponse:
    """Approve or refuse what a colleague has asked for."""
    move = access_move(request.user, case_id, move_id)
    try:
        move_decide(move=move, approve=request.POST.get("approve") == "yes", by=request.user)
    except StemmaError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Decided.")
    return redirect("indemnity:claim", case_id)


@login_required
def claim_paper(request: HttpRequest, case_id: str, paper_id: str) -> HttpResponse:
    """A file of the claim, straight from object storage, to be saved and not shown."""
    paper = access_paper(request.user, case_id, paper_id)
    return redirect(storage().url(paper.key, seconds=ADDRESS_SECONDS, filename=paper.name))


@login_required
def claim_dossier(request: HttpRequest, case_id: str, number: str, form: str) -> HttpResponse:
    """A dossier as archive (`zip`) or its report on paper (`pdf`)."""
    dossier = access_dossier(request.user, case_id, number)
    keys = {"zip": dossier.key, "pdf": dossier.report_key}
    if form not in keys:
        raise Http404
    name = f"dossier-{case_id[-8:]}-{number}.{form}"
    return redirect(storage().url(keys[form], seconds=ADDRESS_SECONDS, filename=name))
