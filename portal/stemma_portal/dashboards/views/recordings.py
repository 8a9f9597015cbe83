"""The catalog, and all that is known of one recording."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stemma_portal.accounts.access import parties_of
from stemma_portal.accounts.acting import acting
from stemma_portal.catalog.access import access_recording
from stemma_portal.catalog.heard import recording_player
from stemma_portal.catalog.selectors import recordings_visible
from stemma_portal.consent.selectors import recording_states
from stemma_portal.dashboards import selectors
from stemma_portal.dashboards.forms import RecordingFilter
from stemma_portal.design.paging import page


@login_required
def recording_list(request: HttpRequest) -> HttpResponse:
    """Recordings the reader may see, found by words, repertoire and source."""
    visible = recordings_visible(request.user)
    form = RecordingFilter(request.GET, styles=selectors.styles(visible))
    found = selectors.recordings_found(visible, form.cleaned_data if form.is_valid() else {})
    shown = page(found, request.GET, by="title")
    states = recording_states(recording.id for recording in shown.items)
    context = {
        "form": form,
        "page": shown,
        "rows": [(recording, states.get(recording.id)) for recording in shown.items],
        "total": found.count(),
        "filtered": any(request.GET.get(name) for name in form.fields),
    }
    return render(request, "dashboards/recordings.html", context)


@login_required
def recording_detail(request: HttpRequest, recording_id: str) -> HttpResponse:
    """Sound, score, owners, consent, source, and what it trained and shaped."""
    recording = access_recording(request.user, recording_id)
    context = {
        "recording": recording,
        "player": recording_player(recording),
        "ownership": selectors.ownership(recording),
        "state": recording_states([recording.id]).get(recording.id),
        "grants": selectors.grants_on(recording, parties=parties_of(request.user)),
        "may_grant": selectors.may_grant(recording, organisation=acting(request)),
        "training": selectors.trained(recording),
        "influence": selectors.influence(recording),
    }
    return render(request, "dashboards/recording.html", context)
