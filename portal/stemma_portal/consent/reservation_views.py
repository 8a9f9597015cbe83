"""Reservations as pages: what domains and files say, and conflicts with consents."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from stemma.rights.reservations import WELL_KNOWN
from stemma_portal.accounts.access import is_owner, is_staff
from stemma_portal.accounts.acting import acting
from stemma_portal.accounts.again import again
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.catalog.access import access_recording, access_sound, may_sign
from stemma_portal.catalog.models import Party
from stemma_portal.consent.access import access_reservation, access_site
from stemma_portal.consent.forms import SCOPES
from stemma_portal.consent.marking import file_marked
from stemma_portal.consent.reservation_models import Reservation
from stemma_portal.consent.reservations import reservation_settle, reservation_state
from stemma_portal.consent.reserved import conflicts, policy_url, sites, tdmrep_of
from stemma_portal.consent.tasks import domain_read_soon
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.design.paging import page


class ReserveForm(forms.Form):
    """What a rights-holder reserves on a recording."""

    refused = forms.MultipleChoiceField(
        label="What is reserved",
        choices=[(name, title) for name, (title, _) in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Choose nothing to take an earlier statement back.",
    )
    reason = forms.CharField(
        label="In your words", max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


class SettleForm(forms.Form):
    """Why a consent stands beside a reservation."""

    reason = forms.CharField(
        label="Why your consent stands",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="For example: the mark is older than our consent, or is meant for the open web.",
        error_messages={"required": "Say why, in a sentence: it is kept and shown to whoever asks."},
    )
    agree = forms.BooleanField(
        label="I may sign for this rights-holder, and our consent stands beside this reservation.",
        error_messages={"required": "Without your yes nothing is settled."},
    )


def _acting(request: HttpRequest) -> Organisation:
    organisation = acting(request)
    if organisation is None:
        raise Http404
    return organisation


@login_required
def reservation_list(request: HttpRequest) -> HttpResponse:
    """What the organisation's domains and files say, and where its consents do not agree."""
    organisation = _acting(request)
    found = sites(organisation)
    house = is_staff(request.user)  # it sees those of everybody
    shown = page(conflicts(organisation=None if house else organisation), request.GET, by="read_at", descending=True)
    context = {
        "organisation": organisation,
        "sites": found,
        "open_sites": [(site, row, count) for site in found for row, count in site.open],
        "page": shown,
        "house": house,
        "may": is_owner(request.user, organisation),
        "document": tdmrep_of(organisation.party).decode(),
        "policy": policy_url() if b"tdm-policy" in tdmrep_of(organisation.party) else "",
        "well_known": WELL_KNOWN,
    }
    return render(request, "consent/reservations.html", context)


@login_required
def reservation_file(request: HttpRequest) -> HttpResponse:
    """The organisation's own `tdmrep.json`."""
    body = tdmrep_of(_acting(request).party)
    headers = {"Content-Disposition": 'attachment; filename="tdmrep.json"'}
    return HttpResponse(body, content_type="application/json", headers=headers)


@login_required
@require_POST
def site_read(request: HttpRequest, domain_id: str) -> HttpResponse:
    """Have a domain read now, by a worker: the site may be slow, or worse."""
    domain = access_site(request.user, domain_id)
    away = "No worker can be reached. It is read within the hour once one is back."
    domain_read_soon(domain, by=request.user, away=lambda: messages.warning(request, away))
    messages.success(request, f"{domain.name} is being read. Load this page again in a moment.")
    return redirect("consent:reservations")


def _signer(user: User, organisation: Organisation | None, reservation: Reservation) -> Party:
    """In whose name the user settles it: a rights-holder whose site, recording or statement it is."""
    if reservation.party is not None:
        owners = Party.objects.filter(id=reservation.party.pk)
    elif reservation.recording is not None:
        owners = Party.objects.filter(shares__recording=reservation.recording).distinct()
    else:
        owners = Party.objects.filter(organisations=reservation.organisation)
    return _able(user, organisation, owners)


def _able(user: User, organisation: Organisation | None, owners: QuerySet[Party]) -> Party:
    """The one of these in whose name the user signs; raises `ForbiddenError` for whoever may only look."""
    own = organisation.party_id if organisation else None
    able = [party for party in owners if may_sign(user, party.id)]
    if not able:
        raise ForbiddenError("Only an owner of what this is about may sign for it.", remedy="Ask one of them to do it.")
    return next((party for party in able if party.id == own), able[0])


@login_required
@again
def recording_reserve(request: HttpRequest, recording_id: str) -> HttpResponse:
    """A rights-holder reserves uses of a recording, whatever its file or a website says."""
    recording = access_recording(request.user, recording_id)
    owners = Party.objects.filter(shares__recording=recording).distinct()
    party = _able(request.user, acting(request), owners)
    known = Reservation.objects.current().filter(recording=recording, party=party).first()
    initial = {"refused": known.refused, "reason": known.text} if known else {}
    form = ReserveForm(request.POST or None, initial=initial)
    if form.is_valid():
        reservation_state(recording=recording, party=party, **form.cleaned_data, by=request.user)
        messages.success(request, "Your statement is kept.")
        return redirect("dashboards:recording", recording.pk)
    return render(request, "consent/reserve.html", {"recording": recording, "party": party, "form": form})


@login_required
@require_GET
def recording_marked(request: HttpRequest, recording_id: str) -> FileResponse:
    """A recording's own file with what its consent says of mining and training."""
    found = file_marked(access_sound(request.user, recording_id))
    return FileResponse(found.file, as_attachment=True, filename=found.name, content_type=found.mime)


@login_required
@again
def reservation_settling(request: HttpRequest, reservation_id: str) -> HttpResponse:
    """Read what was found, and say that the consent stands beside it; or go and withdraw."""
    reservation = access_reservation(request.user, reservation_id)
    party = _signer(request.user, acting(request), reservation)
    form = SettleForm(request.POST or None)
    if form.is_valid():
        reservation_settle(reservation=reservation, party=party, reason=form.cleaned_data["reason"], by=request.user)
        messages.success(request, "Settled: your consent stands, and later snapshots may hold it again.")
        return redirect("consent:reservations")
    found = conflicts(recording=reservation.recording).filter(pk=reservation.pk) if reservation.recording else []
    context = {
        "reservation": reservation,
        "party": party,
        "form": form,
        "scopes": [SCOPES[name][0] for name in SCOPES if name in reservation.refused],
        "consent": next((row.consent for row in found), None),
        "settled": getattr(reservation, "settlement", None),
    }
    return render(request, "consent/settle.html", context)
