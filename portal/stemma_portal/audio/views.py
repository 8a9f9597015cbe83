"""Bringing sounds and scores, as pages: the heap that comes in, and each file with what was found."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.catalog.tags import title_of
from stemma.errors import InvalidError, StemmaError
from stemma_portal.accounts.access import access_organisation, may_bring
from stemma_portal.accounts.acting import acting
from stemma_portal.audio.access import access_upload, uploads_visible
from stemma_portal.audio.models import Upload
from stemma_portal.audio.services import (
    MOST_BYTES,
    recordings_from_tags,
    upload_accept,
    upload_assign,
    upload_cancel,
)
from stemma_portal.audio.states import LISTED, STATES
from stemma_portal.catalog.models import Recording
from stemma_portal.catalog.search import find
from stemma_portal.core.fields import by_id
from stemma_portal.design.paging import page
from stemma_portal.design.player import player

FOUND = 20


@login_required
def upload_list(request: HttpRequest) -> HttpResponse:
    """A place to drop files, and what became of those that were brought."""
    organisation = acting(request)
    rows = uploads_visible(request.user).exclude(state__in=["cancelled", "unpacked"])
    if organisation is not None and organisation.kind in {"label", "artist"}:
        rows = rows.filter(organisation=organisation)
    counts = dict(rows.order_by().values_list("state").annotate(n=Count("id")))
    tabs = [(name, STATES[name][1], counts[name]) for name in LISTED if counts.get(name)]
    wanted = request.GET.get("show")
    chosen = wanted if any(name == wanted for name, _, _ in tabs) else (tabs[0][0] if tabs else "")
    shown = page(rows.filter(state=chosen), request.GET, by="created_at", descending=True)
    unknown = rows.filter(state="waiting", recording=None, asset__kind="audio").count()
    context = {
        "tabs": tabs,
        "states": STATES,
        "chosen": chosen,
        "page": shown,
        "organisation": organisation,
        "may": organisation is not None and may_bring(request.user, organisation) and organisation.party_id is not None,
        "most": MOST_BYTES // 1024**3,
        "unknown": unknown,
    }
    return render(request, "audio/uploads.html", context)


@login_required
def upload_detail(request: HttpRequest, upload_id: str) -> HttpResponse:
    """One file: its sound, what was found, and whose it is."""
    upload = access_upload(request.user, upload_id)
    may = may_bring(request.user, upload.organisation)
    context: dict[str, Any] = {"upload": upload, "may": may, "measures": {}}
    asset = upload.asset
    if asset is not None:
        context["measures"] = asset.measures
        midi = asset.measures.get("midi_sha256", "")
        context["player"] = player(
            title=upload.name,
            audio_key=asset.preview_key,
            midi_key=f"midi/{midi}.mid" if midi else "",
            duration_ms=asset.measures.get("duration_ms"),
            peaks=asset.measures.get("peaks", ()),
        )
    if may and upload.state == Upload.State.WAITING:
        text = request.GET.get("q", upload.tags.get("title") or title_of(upload.name))
        context |= {"q": text, "found": _candidates(request, upload, text)}
    return render(request, "audio/upload.html", context)


def _candidates(request: HttpRequest, upload: Upload, text: str) -> list[Recording]:
    """Recordings that a person may mean: of what was searched for, those of the same organisation."""
    if not text:
        return []
    wanted = {"q": text, "organisation": upload.organisation_id}
    found = find(user=request.user, wanted=wanted, query={}, size=FOUND).page.items
    return [recording for recording in found if recording.id != upload.recording_id]


@login_required
@require_POST
def upload_act(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Say whose it is, that it is right, or take it back."""
    upload = access_upload(request.user, upload_id, act=True)
    action = request.POST.get("action", "")
    try:
        if action == "assign":
            own = Recording.objects.filter(organisation=upload.organisation)
            recording = by_id(own, request.POST.get("recording", ""))
            if recording is None:
                raise InvalidError("No recording is chosen.", remedy="Look for one and choose it.")
            upload_assign(upload=upload, recording=recording, by=request.user)
        elif action == "accept":
            upload_accept(upload=upload, by=request.user)
        elif action == "cancel":
            upload_cancel(upload=upload, by=request.user)
            messages.success(request, f"{upload.name} was taken back.")
            return redirect("audio:uploads")
        else:
            raise InvalidError("There is nothing of this name to do.", remedy="Use the buttons of the page.")
    except StemmaError as error:
        messages.error(request, str(error))
    return redirect("audio:upload", upload.id)


@login_required
@require_POST
def from_tags(request: HttpRequest) -> HttpResponse:
    """Bring what the tags of waiting files say as a table."""
    organisation = acting(request)
    if organisation is None:
        raise Http404
    organisation = access_organisation(request.user, organisation.id, editor=True)
    try:
        batch = recordings_from_tags(organisation=organisation, by=request.user)
    except StemmaError as error:
        messages.error(request, str(error))
        return redirect("audio:uploads")
    return redirect("intake:import", batch.id)
