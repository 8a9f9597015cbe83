"""Making music from a page: what a licensee's program would do through the API."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.errors import NotFoundError, StemmaError, UnavailableError
from stemma.ids import now
from stemma.music.instruments import MUSICAL, NAMES
from stemma.storage import storage
from stemma_portal.accounts.acting import acting
from stemma_portal.dashboards import serving
from stemma_portal.dashboards.forms import GenerationForm, KeyForm
from stemma_portal.design.player import Player
from stemma_portal.licensing.access import access_license
from stemma_portal.licensing.models import License
from stemma_portal.licensing.seats import require_seat
from stemma_portal.licensing.services import api_key_create
from stemma_portal.metering.heard import generation_player

SESSION_KEY = "playground_key"
KEY_HOURS = 8
KNOWN_WITHIN = 20
"""Seconds in which serving must know a key that was made just now."""


@login_required
def playground(request: HttpRequest) -> HttpResponse:
    """The form; on POST, the piece or the reasons why not."""
    key = request.session.get(SESSION_KEY)
    if request.method != "POST":
        return _page(request, GenerationForm(styles=serving.styles()))
    form = GenerationForm(request.POST, styles=serving.styles())
    if not key:
        form.add_error(None, "First choose a key to make music with.")
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        made = _generate(form.request(), key=key, fresh=request.session.get("playground_key_fresh", 0))
    except UnavailableError as error:
        return _page(
            request,
            form,
            problem=serving.Problem(503, error.code, "Not answering", error.message, error.remedy),
            status=503,
        )
    if isinstance(made, serving.Problem):
        for name, rule in made.fields.items():
            form.add_error(name if name in form.fields else None, rule)
        return _page(request, form, problem=made, status=made.status)
    return _page(request, form, made=made, heard=_heard(str(made["id"])))


def _generate(body: dict[str, Any], *, key: str, fresh: float) -> dict[str, Any] | serving.Problem:
    """Ask serving; a key made moments ago is given time to become known to it."""
    made = serving.generate(body, key=key)
    while isinstance(made, serving.Problem) and made.status == 401 and time.time() - fresh < KNOWN_WITHIN:
        time.sleep(1.5)
        made = serving.generate(body, key=key)
    return made


def _heard(identifier: str) -> Player | None:
    """The player of what was just made; serving has put its record beside the sound."""
    try:
        return generation_player(storage().get_json(f"generations/{identifier}/generation.json"))
    except (NotFoundError, UnavailableError):
        return None


def _page(request: HttpRequest, form: GenerationForm, *, status: int = 200, **shown: Any) -> HttpResponse:
    organisation = acting(request)
    license_ = None
    if organisation is not None:
        current = License.objects.filter(organisation=organisation, state=License.State.ACTIVE, expires_at__gt=now())
        license_ = current.order_by("-expires_at").first()
    context = {
        "form": form,
        "key_form": KeyForm(),
        "has_key": bool(request.session.get(SESSION_KEY)),
        "license": license_,
        "instruments": [NAMES[program] for program in MUSICAL],
        **shown,
    }
    return render(request, "dashboards/playground.html", context, status=status)


@login_required
@require_POST
def playground_key(request: HttpRequest) -> HttpResponse:
    """Choose the key for this session: paste one, make one for a few hours, or forget it."""
    action = request.POST.get("action")
    if action == "forget":
        request.session.pop(SESSION_KEY, None)
    elif action == "make":
        license_ = access_license(request.user, request.POST.get("license", ""), owner=True)
        try:
            require_seat(request.user, license_)
            _, secret = api_key_create(
                license_=license_, name="Playground", expires_at=now() + timedelta(hours=KEY_HOURS), by=request.user
            )
        except StemmaError as error:
            messages.error(request, str(error))
            return redirect("dashboards:playground")
        request.session[SESSION_KEY], request.session["playground_key_fresh"] = secret, time.time()
        messages.success(request, f"A key was made for this session. It ends by itself in {KEY_HOURS} hours.")
    else:
        form = KeyForm(request.POST)
        if form.is_valid():
            request.session[SESSION_KEY], request.session["playground_key_fresh"] = (
                form.cleaned_data["api_key"].strip(),
                0,
            )
        else:
            messages.error(request, "Paste an API key; it begins with stm_.")
    return redirect("dashboards:playground")
