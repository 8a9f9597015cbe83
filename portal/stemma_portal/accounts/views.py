"""Pages about organisations and their people: who belongs, who is invited, how one signs in, what was done."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import requests
from allauth.account.adapter import get_adapter
from allauth.account.views import SignupView as AllauthSignupView
from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from allauth.socialaccount.providers.saml.views import finish_acs
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from lxml.etree import XMLSyntaxError

from stemma.catalog.text import defuse
from stemma.errors import InvalidError, StemmaError, UnavailableError
from stemma_portal.accounts import invitations, signing_on
from stemma_portal.accounts.access import (
    access_domain,
    access_invitation,
    access_link,
    access_member,
    access_organisation,
    access_team,
    access_token,
    is_operator,
    is_owner,
    is_staff,
    require_staff,
)
from stemma_portal.accounts.acting import SESSION_KEY, acting
from stemma_portal.accounts.again import SIGNING_ON, again, again_for
from stemma_portal.accounts.forms import INVITED, DomainForm, InvitationForm, SignOnForm, TokenForm
from stemma_portal.accounts.models import Domain, Membership, Organisation, User
from stemma_portal.accounts.selectors import trail_visible
from stemma_portal.accounts.services import token_make, token_revoke
from stemma_portal.core.models import AuditEvent
from stemma_portal.design.paging import page
from stemma_portal.design.table import table_response

log = logging.getLogger(__name__)


@login_required
@require_POST
def organisation_switch(request: HttpRequest) -> HttpResponse:
    """Act for another organisation of one's own from now on."""
    organisation = access_organisation(request.user, request.POST.get("organisation", ""))
    request.session[SESSION_KEY] = organisation.id
    return redirect("/")


def _own(request: HttpRequest) -> Organisation:
    organisation = acting(request)
    if organisation is None:
        raise Http404
    return organisation


# --- People -----------------------------------------------------------------------------------------


def _makes_an_owner(request: HttpRequest) -> bool:
    """Whether somebody is to see to money and sign-on: as sensitive as these are themselves."""
    return request.method == "POST" and request.POST.get("role") == Membership.Role.OWNER


@login_required
@again_for(_makes_an_owner)
def team(request: HttpRequest) -> HttpResponse:
    """Who belongs to the organisation, who is invited, and a form to invite."""
    organisation = _own(request)
    may = is_owner(request.user, organisation)
    form = InvitationForm(request.POST or None)
    if request.method == "POST":
        access_team(request.user, organisation.id)
        if form.is_valid():
            try:
                invitations.invite(organisation=organisation, **form.cleaned_data, by=request.user)
            except StemmaError as error:
                form.add_error("email", str(error))
            else:
                messages.success(request, f"{form.cleaned_data['email']} is invited for {invitations.DAYS} days.")
                return redirect("accounts:team")
    members = organisation.memberships.select_related("user").order_by("role", "user__email")
    context = {
        "organisation": organisation,
        "may": may,
        "form": form,
        "members": members,
        "roles": Membership.Role.choices,
        "invitations": invitations.open_invitations(organisation) if may else (),
    }
    return render(request, "accounts/team.html", context)


@login_required
@require_POST
@again_for(lambda request: _makes_an_owner(request) and request.POST.get("action") != "remove")
def member_act(request: HttpRequest, membership_id: str) -> HttpResponse:
    """Change what a person may do, or part with them; everybody may leave."""
    remove = request.POST.get("action") == "remove"
    membership = access_member(request.user, membership_id, leave=remove)
    leaving = remove and membership.user_id == request.user.pk
    try:
        if remove:
            invitations.member_remove(membership=membership, by=request.user)
        elif (role := request.POST.get("role", "")) in Membership.Role.values:
            invitations.role_set(membership=membership, role=role, by=request.user)
        else:
            raise InvalidError("There is no such role.", remedy="Choose one of the list.")
    except StemmaError as error:
        messages.error(request, str(error))
    return redirect("/" if leaving else reverse("accounts:team"))


@login_required
@require_POST
def invitation_act(request: HttpRequest, invitation_id: str) -> HttpResponse:
    """Send an invitation again, or take it back."""
    invitation = access_invitation(request.user, invitation_id)
    try:
        if request.POST.get("action") == "revoke":
            invitations.invitation_revoke(invitation=invitation, by=request.user)
        else:
            invitations.invitation_resend(invitation=invitation, by=request.user)
            messages.success(request, f"Sent again to {invitation.email}.")
    except StemmaError as error:
        messages.error(request, str(error))
    return redirect("accounts:team" if invitation.inviting_id else "accounts:identities")


def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What somebody is invited to; signed in they accept, else they sign up or in first."""
    found = invitations.invitation_of(token)
    if request.method == "POST" and request.user.is_authenticated:
        organisation = invitations.invitation_accept(invitation=found, user=request.user)
        request.session[SESSION_KEY] = organisation.id
        request.session.pop(INVITED, None)
        messages.success(request, f"You belong to {organisation.name} now.")
        return redirect("/")
    request.session[INVITED] = token
    has_account = User.objects.filter(email__iexact=found.email).exists()
    context = {"invitation": found, "token": token, "has_account": has_account}
    return render(request, "accounts/invitation.html", context)


class SignupView(AllauthSignupView):  # type: ignore[misc]
    """Signing up; who follows an invitation has shown already that the address is theirs."""

    def get_form_kwargs(self) -> dict[str, Any]:
        """The address of the invitation, where there is one."""
        email = invitations.invited_address(self.request.session.get(INVITED, ""))
        return {**super().get_form_kwargs(), "invited": email}

    def form_valid(self, form: Any) -> HttpResponse:
        """Take an invited address as proved, and go back to the invitation."""
        token = self.request.session.get(INVITED, "")
        if email := invitations.invited_address(token):
            get_adapter().stash_verified_email(self.request, email)
            self.success_url = reverse("accounts:invitation", args=[token])
        return super().form_valid(form)


@login_required
def identities(request: HttpRequest) -> HttpResponse:
    """What rights staff decide: organisations that say who they are, and domains nobody has proved."""
    require_staff(request.user, "decide who is who")
    if request.method == "POST":
        found = access_link(request.user, request.POST.get("invitation", ""))
        try:
            invitations.link_decide(invitation=found, right=request.POST.get("action") == "right", by=request.user)
        except StemmaError as error:
            messages.error(request, str(error))
        return redirect("accounts:identities")
    context = {
        "links": invitations.links_waiting()[:200],
        "domains": Domain.objects.filter(proved_at=None).select_related("organisation")[:200],
        "operator": is_operator(request.user),
    }
    return render(request, "accounts/identities.html", context)


# --- Sign-on ----------------------------------------------------------------------------------------


def sign_on(request: HttpRequest) -> HttpResponse:
    """Somebody writes their address and is sent to their organisation's provider."""
    email = request.POST.get("email", "")
    found = signing_on.sign_on_of(email) if email else None
    if found is not None:
        # A page between, which leads on by itself: browsers hold a form's redirects to the form's own policy.
        request.session[SIGNING_ON] = [found.organisation.slug, "/"]
        return render(request, "accounts/sign_on_go.html", {"sign_on": found})
    return render(request, "accounts/sign_on.html", {"email": email, "unknown": bool(email)})


def sign_on_go(request: HttpRequest) -> HttpResponse:
    """On to the provider."""
    slug, back = request.session.pop(SIGNING_ON, ("", "/"))
    found = signing_on.sign_on_by_slug(slug)
    if found is None:
        return redirect("accounts:sign_on")
    provider = get_social_adapter().get_provider(request, provider=slug)
    # Who is signed in here comes to show it again: the provider is to ask anew.
    asked = {"auth_params": {"prompt": "login"}} if request.user.is_authenticated and found.kind == "oidc" else {}
    try:
        return provider.redirect(request, process="login", next_url=back, **asked)  # type: ignore[no-any-return]
    except (requests.RequestException, ValueError, KeyError) as error:
        log.warning("The provider of %s: %s", slug, error)
        raise UnavailableError(
            f"The sign-on of {provider.app.name} does not answer as it should.",
            remedy="Try again in a minute, or ask whoever keeps it.",
        ) from error


def saml_finish(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """What a provider's assertion comes to; one that is no XML, or brings entities along, comes to nothing."""
    try:
        return finish_acs(request, organization_slug=organization_slug)  # type: ignore[no-any-return]
    except (XMLSyntaxError, ValueError) as error:  # entities and document types are kinds of ValueError
        log.warning("An assertion for %s cannot be read: %s", organization_slug, error)
        return render(request, "socialaccount/authentication_error.html", status=400)


@login_required
@again
def sign_on_settings(request: HttpRequest) -> HttpResponse:
    """An organisation's provider and domains; only its owners come here."""
    organisation = access_team(request.user, _own(request).id)
    known = signing_on.sign_on_kept(organisation)
    names = ("kind", "issuer", "client_id", "sso_url", "certificate", "required")
    initial = {name: getattr(known, name) for name in names} if known else {}
    form = SignOnForm(request.POST or None, initial=initial)
    if request.method == "POST" and request.POST.get("action") == "remove":
        signing_on.sign_on_remove(organisation=organisation, by=request.user)
        return redirect("accounts:sign_on_settings")
    if request.method == "POST" and form.is_valid():
        try:
            signing_on.sign_on_set(organisation=organisation, **form.cleaned_data, by=request.user)
        except StemmaError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "It is kept. Try it in another browser before you refuse passwords.")
            return redirect("accounts:sign_on_settings")
    context = {
        "organisation": organisation,
        "known": known,
        "form": form,
        "domains": organisation.domains.all(),
        "domain_form": DomainForm(),
        "file": signing_on.FILE,
        "asks": signing_on.provider_asks(organisation, request.build_absolute_uri),
    }
    return render(request, "accounts/sign_on_settings.html", context)


@login_required
@require_POST
@again
def domain_act(request: HttpRequest) -> HttpResponse:
    """Add, prove or remove a domain; operators vouch for those of others."""
    action, identifier = request.POST.get("action", ""), request.POST.get("domain", "")
    back = "accounts:sign_on_settings"
    try:
        if action == "add":
            organisation = access_team(request.user, _own(request).id)
            signing_on.domain_add(organisation=organisation, name=request.POST.get("name", ""), by=request.user)
            return redirect(back)
        domain = access_domain(request.user, identifier)
        if is_operator(request.user):
            back = "accounts:identities"
        if action == "remove":
            signing_on.domain_remove(domain=domain, by=request.user)
        else:
            signing_on.domain_prove(domain=domain, by=request.user)
            messages.success(request, f"{domain.name} is proved.")
    except InvalidError as error:
        messages.error(request, str(error))
    return redirect(back)


# --- Tokens of one's own programs -------------------------------------------------------------------


@login_required
def tokens(request: HttpRequest) -> HttpResponse:
    """Which tokens speak for the person, and which did."""
    shown = page(request.user.tokens.all(), request.GET, by="created_at", descending=True)
    return render(request, "accounts/tokens.html", {"page": shown})


@login_required
@again
@never_cache
def token_new(request: HttpRequest) -> HttpResponse:
    """Make a token; its secret is shown on this one page and never again."""
    form, secret = TokenForm(request.POST or None), None
    if form.is_valid():
        try:
            _, secret = token_make(user=request.user, **form.cleaned_data)
        except StemmaError as error:
            form.add_error("name", str(error))
    return render(request, "accounts/token.html", {"form": form, "secret": secret})


@login_required
@require_POST
def token_end(request: HttpRequest, token_id: str) -> HttpResponse:
    """End one of one's own tokens."""
    token = access_token(request.user, token_id)
    token_revoke(token=token, by=request.user)
    messages.success(request, f"“{token.name}” speaks for you no more.")
    return redirect("accounts:tokens")


# --- What was done ----------------------------------------------------------------------------------


def _events(request: HttpRequest) -> QuerySet[AuditEvent]:
    """What people of one's organisation have done; rights staff see everything."""
    own = _own(request)
    organisation = None if is_staff(request.user) else access_team(request.user, own.id)
    names = ("action", "who", "subject")
    wanted = {name: request.GET.get(name, "").replace("\x00", "").strip()[:200] for name in names}
    return trail_visible(request.user, organisation=organisation, **wanted)


@login_required
def trail(request: HttpRequest) -> HttpResponse:
    """Who did what, from where, and what it changed."""
    rows = _events(request)
    if request.GET.get("as") == "csv":
        return table_response(_rows(rows), name="trail.csv")
    shown = page(rows, request.GET, by="at", descending=True, size=50)
    told = [(event, _detail(event)) for event in shown.items]
    return render(request, "accounts/trail.html", {"page": shown, "events": told, "all": is_staff(request.user)})


def _detail(event: AuditEvent) -> list[tuple[str, str, str]]:
    """Each field with what it was and what it became; for what only happened, what is known of it."""
    detail = event.detail or {}
    before, after = detail.get("before") or {}, detail.get("after") or {}
    if not isinstance(before, dict) or not isinstance(after, dict):
        before, after = {"": before}, {"": after}
    changed = [(name, _told(before.get(name)), _told(after.get(name))) for name in {**before, **after}]
    rest = [(name, "", _told(value)) for name, value in detail.items() if name not in {"before", "after"}]
    return [*changed, *rest][:12]


def _told(value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:119] + "…"


def _rows(events: QuerySet[AuditEvent]) -> Iterator[tuple[str, ...]]:
    yield ("at", "actor", "action", "subject", "detail", "channel", "address", "agent", "request")
    for event in events.iterator(chunk_size=1000):
        cells = (
            *(event.at.isoformat(), event.actor, event.action, event.subject),
            *(json.dumps(event.detail, ensure_ascii=False), event.channel, event.address or "", event.agent),
            event.request,
        )
        yield tuple(defuse(str(cell)) for cell in cells)
