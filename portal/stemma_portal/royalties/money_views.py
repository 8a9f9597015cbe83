"""What owners do about their money: say where it goes, and ask for a correction."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render

from stemma.errors import NotFoundError
from stemma.ids import now
from stemma_portal.accounts.access import is_owner
from stemma_portal.accounts.acting import acting
from stemma_portal.accounts.again import again
from stemma_portal.accounts.models import Organisation
from stemma_portal.catalog.access import access_party
from stemma_portal.catalog.models import Party
from stemma_portal.consent.case_forms import CorrectionForm
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.design.paging import page
from stemma_portal.design.table import table_response
from stemma_portal.royalties.access import party_access
from stemma_portal.royalties.corrections import access_line, correction_ask
from stemma_portal.royalties.forms import PaymentForm
from stemma_portal.royalties.payees import COOLING, payment_details_set, payment_details_usable, payment_history
from stemma_portal.royalties.traced import statements_traced, traced_most, traced_sums, traced_table

PERIODS, MOST = 6, 25
"""On a page of what was traced: periods, and recordings of each."""


def _own(request: HttpRequest) -> tuple[Organisation, Party]:
    """The organisation one acts for, as the rights-holder it is."""
    organisation = acting(request)
    if organisation is None or organisation.party is None:
        raise NotFoundError(
            "Your organisation is no rights-holder.", remedy="Ask rights staff to link it to its party in the catalog."
        )
    return organisation, organisation.party


@login_required
def payment(request: HttpRequest) -> HttpResponse:
    """Where the money goes now, and how that came to be; accounts by their last four characters alone."""
    organisation, party = _own(request)
    context = {
        "party": party,
        "history": payment_history(party_id=party.pk),
        "usable": payment_details_usable(party_id=party.pk),
        "may_change": is_owner(request.user, organisation),
        "days": COOLING.days,
        "now": now(),
    }
    return render(request, "royalties/payment.html", context)


@login_required
@again
def payment_change(request: HttpRequest) -> HttpResponse:
    """Say where it goes from now on."""
    organisation, party = _own(request)
    if not is_owner(request.user, organisation):
        raise ForbiddenError(f"Only owners of {organisation.name} may do this.", remedy="Ask one of its owners.")
    form = PaymentForm(request.POST or None)
    if form.is_valid():
        details = payment_details_set(party=party, payee=form.cleaned_data["payee"], by=request.user)
        messages.success(
            request,
            f"Saved. Payouts go to …{details.last4} from {details.usable_from:%-d %B %Y} on; all owners are told.",
        )
        return redirect("royalties:payment")
    context = {"form": form, "party": party, "days": COOLING.days}
    return render(request, "royalties/payment_change.html", context, status=422 if form.errors else 200)


@login_required
def traced(request: HttpRequest, party_id: str) -> HttpResponse:
    """What was traced to a rights-holder's recordings, period by period, and what they earned by it."""
    party = party_access(user=request.user, party_id=party_id)
    shown = page(statements_traced(party=party), request.GET, by="period__starts", size=PERIODS, descending=True)
    periods = []
    for statement in shown.items:
        sums = traced_sums(statement=statement)
        most = traced_most(statement=statement, limit=MOST)
        periods.append({"sums": sums, "most": most, "whole": sums.own + sums.others + sums.commons})
    return render(request, "royalties/traced.html", {"party": party, "periods": periods, "most": MOST, "page": shown})


@login_required
def traced_file(request: HttpRequest, party_id: str) -> StreamingHttpResponse:
    """The same with every recording, as CSV, written while it is sent."""
    party = party_access(user=request.user, party_id=party_id)
    return table_response(traced_table(party=party), name=f"traced-{party.pk}.csv")


@login_required
def correction(request: HttpRequest, statement_id: str, recording_id: str) -> HttpResponse:
    """Ask for a correction of one line of a statement; opens a case that keeps the line as it is."""
    statement, row = access_line(request.user, statement_id, recording_id)
    access_party(request.user, statement.party_id, act=True)
    form = CorrectionForm(request.POST or None)
    if form.is_valid():
        claim = correction_ask(statement=statement, row=row, reason=form.cleaned_data["reason"], by=request.user)
        messages.success(request, "Rights staff will answer here within 30 days.")
        return redirect("consent:case", claim.pk)
    return render(request, "royalties/correction.html", {"form": form, "statement": statement, "row": row})
