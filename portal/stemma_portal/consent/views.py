"""Granting, reading and withdrawing consent; claims."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from stemma.errors import InvalidError, StemmaError
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.acting import acting
from stemma_portal.accounts.again import again
from stemma_portal.catalog.access import access_party
from stemma_portal.catalog.models import Party, Recording, Release
from stemma_portal.catalog.selectors import recordings_of_party
from stemma_portal.consent.access import access_consent, access_withdrawal
from stemma_portal.consent.asking import owner_ask
from stemma_portal.consent.forms import SCOPES, GrantForm, InviteForm, SignForm, WithdrawForm
from stemma_portal.consent.outlook import outlook
from stemma_portal.consent.receipts import consent_pdf, consent_proof, withdrawal_pdf, withdrawal_proof
from stemma_portal.consent.selectors import consents_visible, owners_missing, owners_missing_count
from stemma_portal.consent.services import consent_grant, consent_withdraw
from stemma_portal.core.selectors import covenant_in_force
from stemma_portal.design.paging import page
from stemma_portal.design.values import identifiers


def _party(request: HttpRequest) -> Party | None:
    organisation = acting(request)
    return organisation.party if organisation is not None else None


@login_required
def consent_list(request: HttpRequest) -> HttpResponse:
    """What was granted, newest first, and what waits for an answer."""
    party = _party(request)
    rows = (
        consents_visible(request.user)
        .defer("document", "receipt")
        .annotate(
            count=Count("items", distinct=True),
            ended=Count("withdrawals", filter=Q(withdrawals__recording=None), distinct=True),
            parted=Count("withdrawals", filter=Q(withdrawals__recording__isnull=False), distinct=True),
        )
    )
    shown = page(rows, request.GET, by="granted_at", descending=True)
    waiting = None
    if party is not None:
        own = recordings_of_party(party_id=party.id)
        waiting = own.filter(source_free=True).exclude(consent_items__consent__party=party).count()
    missing = owners_missing_count(party.id) if party is not None else 0
    context = {"page": shown, "party": party, "waiting": waiting, "missing": missing}
    return render(request, "consent/consents.html", context)


@login_required
@again
def consent_sign(request: HttpRequest) -> HttpResponse:
    """Choose terms, read them in plain words, sign them."""
    party = _party(request)
    if party is None:
        raise Http404
    party = access_party(request.user, party.id, act=True)
    available = recordings_of_party(party_id=party.id).filter(source_free=True)
    if not available.exists():
        raise InvalidError(
            f"{party.name} has no share in a recording whose source is free.",
            remedy="Look in the catalog: each recording says why it cannot be granted.",
        )
    asked = identifiers([*request.GET.getlist("recording"), *request.POST.get("chosen", "").split()])
    releases = identifiers([*request.GET.getlist("release"), *request.POST.get("releases", "").split()])
    if not request.POST.get("chosen"):  # afterwards what is signed is what was shown, though a track came meanwhile
        asked += available.filter(release__in=releases).values_list("id", flat=True)
    chosen = list(available.filter(id__in=asked).order_by("title")) if asked else []
    step = request.POST.get("step", "choose")
    form = (SignForm if step == "sign" else GrantForm)(
        request.POST if step in {"review", "sign"} else None,
        initial={
            "recordings": "chosen" if chosen else "all",
            "chosen": " ".join(each.id for each in chosen),
            "releases": " ".join(releases),
        },
        available=available.count(),
        chosen=len(chosen),
    )
    valid = form.is_valid()
    named = list(Release.objects.filter(id__in=releases, recordings__in=chosen).distinct().order_by("title"))
    some = valid and form.cleaned_data["recordings"] == "chosen"
    if step == "sign" and valid:
        consent = consent_grant(
            party=party,
            recordings=[each.id for each in chosen] if some else "all",
            releases=[each.id for each in named] if some else [],
            scopes=form.cleaned_data["scopes"],
            conditions=form.cleaned_data["conditions"],
            territory=form.cleaned_data["territory"],
            valid_until=form.cleaned_data["valid_until"],
            by=request.user,
        )
        messages.success(request, "Signed and logged. The receipt below proves it, to anyone.")
        return redirect("consent:consent", consent.id)
    if (step == "review" and valid) or (step == "sign" and set(form.errors) == {"agree"}):
        return render(request, "consent/review.html", _review(form, party, chosen, named))
    return render(request, "consent/grant.html", {"form": form, "party": party, "named": named})


def _review(form: GrantForm, party: Party, chosen: list[Recording], named: list[Release]) -> dict[str, Any]:
    """The terms in plain words, and again as they were sent, for the signature."""
    terms = form.cleaned_data
    some = terms["recordings"] == "chosen"
    return {
        "form": form,
        "party": party,
        "terms": terms,
        "count": len(chosen) if some else form.available,
        "titles": [each.title for each in chosen] if some else [],
        "named": [(each, sum(track.release_id == each.id for track in chosen)) for each in named] if some else [],
        "granted": [
            (*SCOPES[name], condition.told() if (condition := terms["conditions"].get(name)) else [])
            for name in SCOPES
            if name in terms["scopes"]
        ],
        "refused": [SCOPES[name][0] for name in SCOPES if name not in terms["scopes"]],
        "sent": [(name, value) for name in form.fields if name != "agree" for value in form.data.getlist(name)],
        "covenant": covenant_in_force(),
        "outlook": outlook(),
    }


@login_required
def owners_asked(request: HttpRequest) -> HttpResponse:
    """Whose yes is missing to what we have granted, and a way to ask for it.  Staff name the party."""
    party = _party(request)
    if is_staff(request.user) and (asked := request.GET.get("party")):
        party = access_party(request.user, asked)
    if party is None:
        raise Http404
    error = {}
    if request.method == "POST":
        access_party(request.user, party.id, act=True)
        try:
            messages.success(request, _asked(request, party))
            return redirect(request.get_full_path())
        except StemmaError as refused:
            error = {"party": request.POST.get("party", ""), "text": str(refused)}
            error["email"] = request.POST.get("email", "")[:254]
    missing = owners_missing(party.id)
    return render(request, "consent/missing.html", {"party": party, "missing": missing, "error": error})


def _asked(request: HttpRequest, party: Party) -> str:
    """Remind an owner who is here, invite one who is not; what was done, in words."""
    form = InviteForm(request.POST)
    email = form.cleaned_data["email"] if form.is_valid() else ""
    asked = owner_ask(party=party, owner_id=request.POST.get("party", ""), email=email, by=request.user)
    if asked.email:
        return f"{asked.email} is invited to act for {asked.owner.name}."
    return f"{asked.owner.name} is reminded; once a day is enough."


@login_required
def consent_detail(request: HttpRequest, consent_id: str) -> HttpResponse:
    """One grant: its terms in plain words, what it covers, its receipt."""
    consent = access_consent(request.user, consent_id)
    items = consent.items.select_related("recording__work")
    shown = page(items, request.GET, by="recording__title", size=50)
    withdrawals = list(consent.withdrawals.select_related("recording"))
    context = {
        "consent": consent,
        "page": shown,
        "count": items.count(),
        "withdrawals": withdrawals,
        "over": next((each for each in withdrawals if each.recording_id is None), None),
        "gone": {each.recording_id for each in withdrawals},
        "granted": [(*SCOPES[name], told) for name, told in consent.told()],
        "own": (party := _party(request)) is not None and party.id == consent.party_id,
    }
    return render(request, "consent/consent.html", context)


@login_required
def consent_receipt(request: HttpRequest, consent_id: str, form: str) -> HttpResponse:
    """The signed document and its receipt, as a file that verifies offline, or on paper."""
    consent = access_consent(request.user, consent_id)
    pdf = form == "pdf"
    body = consent_pdf(consent, recordings=consent.items.count()) if pdf else _json(consent_proof(consent))
    return _download(body, f"consent-{consent.id}.{form}")


@login_required
def withdrawal_receipt(request: HttpRequest, consent_id: str, withdrawal_id: str, form: str) -> HttpResponse:
    """The withdrawal and its receipt, in both forms."""
    withdrawal = access_withdrawal(request.user, consent_id, withdrawal_id)
    body = withdrawal_pdf(withdrawal) if form == "pdf" else _json(withdrawal_proof(withdrawal))
    return _download(body, f"withdrawal-{withdrawal.id}.{form}")


def _json(proof: dict[str, Any]) -> bytes:
    return json.dumps(proof, indent=2, ensure_ascii=False).encode()


def _download(body: bytes, name: str) -> HttpResponse:
    kind = "application/pdf" if name.endswith(".pdf") else "application/json"
    return HttpResponse(body, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@login_required
@again
def consent_end(request: HttpRequest, consent_id: str) -> HttpResponse:
    """Withdraw a grant, or one recording from it."""
    consent = access_consent(request.user, consent_id, act=True)
    form = WithdrawForm(request.POST if request.POST.get("step") == "withdraw" else None, initial=request.GET.dict())
    asked = identifiers([request.POST.get("recording") or request.GET.get("recording", "")])
    recording = Recording.objects.filter(consent_items__consent=consent, id__in=asked).first() if asked else None
    if form.is_valid():
        consent_withdraw(consent=consent, recording_id=recording.id if recording else None, by=request.user)
        messages.success(request, "Withdrawn and logged. It leaves every later snapshot.")
        return redirect("consent:consent", consent.id)
    return render(request, "consent/withdraw.html", {"consent": consent, "recording": recording, "form": form})
