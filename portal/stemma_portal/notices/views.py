"""Notices as pages."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from stemma_portal.accounts.access import organisations_of
from stemma_portal.accounts.acting import SESSION_KEY
from stemma_portal.design.paging import page
from stemma_portal.notices import unsubscribing
from stemma_portal.notices.access import access_notice
from stemma_portal.notices.forms import TOLD, PreferencesForm
from stemma_portal.notices.models import ALWAYS, Mail, Topic
from stemma_portal.notices.selectors import unread_first
from stemma_portal.notices.services import mail_off, notice_read, notices_read, preferences_of, preferences_set


@login_required
@never_cache
def notice_list(request: HttpRequest) -> HttpResponse:
    """What the person was told, unread first."""
    topic = _topic(request.GET.get("topic", ""))
    context = {
        "page": page(unread_first(request.user, topic), request.GET, by="unread", descending=True),
        "topics": Topic.choices,
        "topic": topic,
    }
    return render(request, "notices/notices.html", context)


@login_required
@never_cache
@require_GET
def notice_open(request: HttpRequest, notice_id: str) -> HttpResponse:
    """Mark a notice as read and go where it leads, as the organisation that it was for."""
    notice = access_notice(request.user, notice_id)
    notice_read(notice=notice)
    if notice.organisation_id and any(each.pk == notice.organisation_id for each in organisations_of(request.user)):
        request.session[SESSION_KEY] = notice.organisation_id
    return redirect(notice.href)


@login_required
@require_POST
def notices_mark(request: HttpRequest) -> HttpResponse:
    """Mark one, or all of a topic, or all as read."""
    topic = _topic(request.POST.get("topic", ""))
    if identifier := request.POST.get("notice"):
        notice_read(notice=access_notice(request.user, identifier))
    else:
        notices_read(user=request.user, topic=topic)
    return redirect(reverse("notices:notices") + (f"?topic={topic}" if topic else ""))


@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    """When the person is mailed about each topic."""
    wishes = preferences_of(request.user)
    form = PreferencesForm(request.POST or None, initial=wishes)
    if request.method == "POST" and form.is_valid():
        preferences_set(user=request.user, wishes=form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("notices:preferences")
    always = [(topic.label, TOLD[topic]) for topic in Topic if topic in ALWAYS]
    return render(request, "notices/preferences.html", {"form": form, "always": always})


@csrf_exempt  # mail programs ask without our form; the signature says who may
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def off(request: HttpRequest, signed: str) -> HttpResponse:
    """Switch off mails of one kind; only a POST does, since mail scanners open every address (RFC 8058)."""
    found = unsubscribing.read(signed)
    if request.method == "POST":
        mail_off(user=found.user, topic=found.topic)
    kind, daily = unsubscribing.KINDS[found.topic], found.topic == Mail.DAILY
    context = {"done": request.method == "POST", "kind": kind, "daily": daily}
    return render(request, "notices/off.html", context)


def _topic(said: str) -> str:
    """The topic; empty, which means all, for what is none."""
    return said if said in Topic.values else ""
