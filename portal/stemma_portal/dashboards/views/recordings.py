"""The catalog, and all that is known of one recording."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stemma.catalog.origin import region_name
from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.acting import acting
from stemma_portal.catalog.access import (
    access_recording,
    access_work,
    may_sign,
    may_state_shares,
    may_take_sound,
)
from stemma_portal.catalog.custody import history, kept
from stemma_portal.catalog.custody_access import custody_visible, may_name
from stemma_portal.catalog.heard import recording_player
from stemma_portal.catalog.models import Recording
from stemma_portal.catalog.search import find, styles
from stemma_portal.catalog.selectors import organisations_bringing, releases_visible
from stemma_portal.consent.marking import mark_says
from stemma_portal.consent.reserved import conflicts, marks_of
from stemma_portal.consent.selectors import claims_visible, recording_states, recordings_held
from stemma_portal.core.fields import by_id
from stemma_portal.dashboards import owners, selectors
from stemma_portal.dashboards.forms import RecordingFilter

RECORDINGS = 100
"""Recordings of a work that its page lists; its sums are over all."""


@login_required
def recording_list(request: HttpRequest) -> HttpResponse:
    """Recordings the reader may see, found by words and by what they are and have."""
    staff = is_staff(request.user)
    brought = organisations_bringing() if staff else []
    form = RecordingFilter(request.GET, styles=styles(), organisations=brought)
    wanted = form.cleaned_data if form.is_valid() else {}
    held = recordings_held() if wanted.get("state") == "held" else None
    found = find(user=request.user, wanted=wanted, query=request.GET, everything=staff, among=held)
    states = recording_states(recording.id for recording in found.page.items)
    context = {
        "form": form,
        "page": found.page,
        "rows": [(recording, states.get(recording.id)) for recording in found.page.items],
        "found": found,
        "release": by_id(releases_visible(request.user), wanted.get("release") or ""),
        "filtered": any(request.GET.get(name) for name in form.fields),
    }
    return render(request, "dashboards/recordings.html", context)


@login_required
def recording_detail(request: HttpRequest, recording_id: str) -> HttpResponse:
    """Sound, score, owners, consent, source, and what it trained and shaped."""
    recording = access_recording(request.user, recording_id)
    grants = selectors.grants_on(recording, parties=parties_of(request.user))
    claims = claims_visible(request.user).filter(id__in=[claim.id for claim in grants.claims])
    ownership = selectors.ownership(recording)
    training = selectors.trained([recording])
    context = {
        "recording": recording,
        "cases_seen": set(claims.values_list("id", flat=True)),
        "player": recording_player(recording),
        "keeper": kept([recording.id]).get(recording.id),
        "custodies": history(recording),
        "custodies_seen": set(
            custody_visible(request.user).filter(items__recording=recording).values_list("id", flat=True)
        ),
        "may_name": may_name(request.user, [recording]),
        "region": region_name(recording.work.region_code),
        "period": recording.work.period or recording.work.year,
        "may_state": may_state_shares(request.user, recording),
        "likenesses": selectors.likenesses(request.user, recording),
        "ownership": ownership,
        "state": recording_states([recording.id]).get(recording.id),
        "grants": grants,
        "marks": marks_of(recording),
        "may_reserve": (own := acting(request)) is not None
        and own.party_id is not None
        and any(share.party_id == own.party_id for side in ownership for share in side.shares)
        and may_sign(request.user, own.party_id),
        "mark": mark_says(recording) if recording.audio_sha256 and may_take_sound(request.user, recording) else None,
        "conflicts": list(conflicts(recording=recording)),
        "may_grant": selectors.may_grant(recording, organisation=acting(request)),
        "training": training,
        "influence": selectors.influence([recording], training),
        "earns": (organisation := acting(request)) is not None
        and organisation.party is not None
        and owners.visible_earned(organisation.party, recording),
    }
    return render(request, "dashboards/recording.html", context)


@login_required
def work_detail(request: HttpRequest, work_id: str) -> HttpResponse:
    """A composition: its recordings that the reader may see, and what these shaped, together."""
    work, recordings = access_work(request.user, work_id)
    shown, count = list(recordings[:RECORDINGS]), recordings.count()
    states = recording_states(recording.id for recording in shown)
    training = selectors.trained(recordings)
    context = {
        "work": work,
        "region": region_name(work.region_code),
        "period": work.period or work.year,
        "rows": [(recording, states.get(recording.id)) for recording in shown],
        "count": count,
        "more": count - len(shown),
        "hidden": work.recordings.count() - count,
        "training": training,
        "influence": selectors.influence(recordings, training),
    }
    return render(request, "dashboards/work.html", context)


@login_required
def recording_earned(request: HttpRequest, recording_id: str) -> HttpResponse:
    """What a recording shaped and what it earned the rights-holder one acts for."""
    organisation = acting(request)
    party = organisation.party if organisation is not None else None
    recording = by_id(Recording.objects.select_related("work"), recording_id)
    if recording is None or party is None or not owners.visible_earned(party, recording):
        raise NotFoundError(f"There is no recording {recording_id} that earns you something.")
    found = owners.recording_earned(party, recording)
    may_ask = may_sign(request.user, party.pk)
    return render(
        request,
        "dashboards/earned.html",
        {"recording": recording, "party": party, "found": found, "may_ask": may_ask},
    )
