"""Money as its owners see it: what is confirmed, what is estimated, and each line beneath."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.errors import StemmaError
from stemma.storage import storage
from stemma_portal.accounts.access import is_operator, is_staff, require_operator
from stemma_portal.accounts.acting import acting
from stemma_portal.accounts.models import Organisation
from stemma_portal.catalog.access import may_sign
from stemma_portal.catalog.models import Party
from stemma_portal.catalog.selectors import recordings_visible
from stemma_portal.consent.selectors import claims_visible
from stemma_portal.design.paging import page
from stemma_portal.design.svg.bars import curve
from stemma_portal.royalties import selectors
from stemma_portal.royalties.access import party_access, period_access, statement_access
from stemma_portal.royalties.models import Period
from stemma_portal.royalties.services import period_close_start

LINES = 50
ADDRESS_SECONDS = 300
KINDS = ("training", "attribution", "commons")
USES = ("training", "attribution", "commons", "reserve", "platform")
"""What becomes of a period's revenue; together they are all of it."""


@login_required
def royalties(request: HttpRequest) -> HttpResponse:
    """A rights-holder's balance and statements; staff choose whose, or look at the periods."""
    organisation = acting(request)
    party = organisation.party if organisation is not None else None
    if party is not None:
        return _party_page(request, party)
    if not is_staff(request.user):
        return render(request, "royalties/none.html")
    shown = page(selectors.period_list(user=request.user), request.GET, by="starts", descending=True)
    context = {"page": shown, "set_aside": list(selectors.set_aside())}
    return render(request, "royalties/periods.html", context)


@login_required
def party_detail(request: HttpRequest, party_id: str) -> HttpResponse:
    """The same for any rights-holder whose money the reader may see."""
    return _party_page(request, party_access(user=request.user, party_id=party_id))


def _party_page(request: HttpRequest, party: Party) -> HttpResponse:
    statements = selectors.statement_list(user=request.user, party_id=party.id)
    history = selectors.balance_history(party_id=party.id)
    points = [(float(i + 1), point.closing / 1_000_000) for i, point in enumerate(history)]
    context = {
        "party": party,
        "balances": selectors.balance(party_id=party.id),
        "holds": selectors.on_hold(party_id=party.id),
        "own": (organisation := acting(request)) is not None and organisation.party_id == party.id,
        "statements": list(statements[:60]),
        "history": history,
        "curve": curve(points, label=f"Balance of {party.name} after each period") if len(points) > 1 else None,
    }
    return render(request, "royalties/party.html", context)


@login_required
def period_detail(request: HttpRequest, period_id: str) -> HttpResponse:
    """What came in, how it was divided, and every statement of the period."""
    period = period_access(user=request.user, period_id=period_id)
    staff = is_staff(request.user)
    summary = selectors.period_summary(period=period) if staff else None
    billed = summary.licenses if summary else []
    names = Organisation.objects.in_bulk([row["licensee"] for row in billed])
    context = {
        "period": period,
        "summary": summary,
        "uses": [(name, summary.totals[name]) for name in USES if name in summary.totals] if summary else [],
        "billed": [(names.get(row["licensee"]), row) for row in billed],
        "statements": list(
            selectors.statement_list(user=request.user, period=period).order_by("-earned", "party__name")[:200]
        ),
        "may_close": period.state == Period.State.OPEN and is_operator(request.user),
    }
    return render(request, "royalties/period.html", context)


@login_required
@require_POST
def period_close(request: HttpRequest, period_id: str) -> HttpResponse:
    """Begin to close a period; it goes on in the background."""
    require_operator(request.user, "close periods")
    try:
        period_close_start(period_id=period_id, by=request.user, early=request.POST.get("early") == "yes")
    except StemmaError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The period is being closed. Reload this page to see it done.")
    return redirect("royalties:period", period_id)


@login_required
def statement_detail(request: HttpRequest, statement_id: str) -> HttpResponse:
    """What a party earned in a period, recording by recording."""
    statement = statement_access(user=request.user, statement_id=statement_id)
    rows = selectors.statement_recordings(statement=statement)
    kinds = selectors.statement_kinds(statement=statement)
    shown = Paginator(rows, LINES).get_page(request.GET.get("page"))
    ids = [row["recording"].id for row in shown]
    context = {
        "statement": statement,
        "rows": shown,
        "kinds": [(kind, kinds.get(kind, 0)) for kind in KINDS],
        "corrections": list(selectors.statement_lines(statement=statement).filter(kind="correction")),
        "asked": {
            claim.recording_id: claim
            for claim in claims_visible(request.user).filter(subject=statement.pk).order_by("opened_at")
        },
        "may_ask": may_sign(request.user, statement.party_id),
        "most": max((int(row["total"]) for row in rows), default=0),
        "seen": set(recordings_visible(request.user).filter(id__in=ids).values_list("id", flat=True)),
    }
    return render(request, "royalties/statement.html", context)


@login_required
def statement_file(request: HttpRequest, statement_id: str, kind: str) -> HttpResponse:
    """The statement as CSV or PDF, straight from object storage."""
    statement = statement_access(user=request.user, statement_id=statement_id)
    key = statement.csv_key if kind == "csv" else statement.pdf_key
    name = f"statement-{statement.period_id}-{statement.party_id[-8:]}.{kind}"
    return redirect(storage().url(key, seconds=ADDRESS_SECONDS, filename=name))
