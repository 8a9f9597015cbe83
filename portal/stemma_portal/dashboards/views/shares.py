"""Who owns what: the sheet on which it is written, its history, and the parties' yes or no."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.errors import InvalidError, StemmaError
from stemma.ids import now
from stemma_portal.accounts.access import parties_of
from stemma_portal.catalog.access import access_recording, access_share_question, access_shares, may_state_shares
from stemma_portal.catalog.models import ShareConfirmation
from stemma_portal.catalog.sharing import questions_open, share_confirm, sheet_state
from stemma_portal.dashboards.forms import AnswerForm, ShareDateForm
from stemma_portal.dashboards.share_sheet import differences, sheet_of, sheet_read
from stemma_portal.design.paging import page


@login_required
def shares_edit(request: HttpRequest, recording_id: str) -> HttpResponse:
    """Write who owns what, see it as pies, and state it from a day on."""
    recording = access_shares(request.user, recording_id)
    sent = request.method == "POST"
    sheet = sheet_read(recording, request.POST) if sent else sheet_of(recording)
    form = ShareDateForm(request.POST if sent else None, initial={"valid_from": now().date()})
    if sent and request.POST.get("step") == "state" and form.is_valid() and sheet.sound:
        try:
            revision = sheet_state(recording=recording, lines=sheet.lines(), **form.cleaned_data, by=request.user)
        except InvalidError as error:
            form.add_error(None, str(error))
        else:
            asked = revision.questions.count()
            when = "now" if not revision.planned else f"from {revision.valid_from:%-d %b %Y} on"
            told = f" {asked} owner{'s are' if asked != 1 else ' is'} asked to confirm." if asked else ""
            messages.success(request, f"Stated: in force {when}.{told}")
            return redirect("dashboards:share_history", recording.id)
    planned = recording.share_revisions.filter(planned=True, valid_from__gt=now().date()).order_by("number").last()
    context = {
        "recording": recording,
        "sheet": sheet,
        "form": form,
        "judged": sent,
        "planned": planned,
        "names": sorted({row.party for row in sheet.named()}),
    }
    return render(request, "dashboards/shares.html", context, status=422 if sent and not sheet.sound else 200)


@login_required
def share_history(request: HttpRequest, recording_id: str) -> HttpResponse:
    """Every statement of the shares, what each changed, and who agreed."""
    recording = access_recording(request.user, recording_id)
    context = {
        "recording": recording,
        "history": differences(recording),
        "may_state": may_state_shares(request.user, recording),
        "today": now().date(),
    }
    return render(request, "dashboards/share_history.html", context)


@login_required
def share_questions(request: HttpRequest) -> HttpResponse:
    """What the reader's parties are asked to confirm."""
    shown = page(questions_open(parties_of(request.user)), request.GET, by="at", descending=True)
    return render(request, "dashboards/share_questions.html", {"page": shown, "form": AnswerForm()})


@login_required
@require_POST
def share_answer(request: HttpRequest, question_id: str) -> HttpResponse:
    """Say yes or no to one's part in a statement of shares."""
    question = access_share_question(request.user, question_id)
    form = AnswerForm(request.POST)
    if form.is_valid():
        try:
            share_confirm(
                revision=question.revision,
                party=question.party,
                answer=form.cleaned_data["answer"],
                note=form.cleaned_data["note"],
                by=request.user,
            )
        except StemmaError as error:
            messages.error(request, str(error))
        else:
            disputed = form.cleaned_data["answer"] == ShareConfirmation.Answer.DISPUTED
            said = "Disputed: a case is open and the recording is held." if disputed else "Confirmed."
            messages.success(request, said)
    else:
        messages.error(request, "Say yes or no, and why in at most 2,000 letters.")
    return redirect("dashboards:share_questions")
