"""For those who write programs: quick start, client, descriptions, refusals, and the limits of their licenses."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stemma.client import quickstart
from stemma.config import settings
from stemma.ids import now
from stemma.refusals import REFUSALS
from stemma_portal.accounts.acting import acting
from stemma_portal.billing.models import SpendingLimit
from stemma_portal.billing.spending import month_start, spent
from stemma_portal.licensing.models import License
from stemma_portal.licensing.selectors import keys_of, licenses_visible, tier_of
from stemma_portal.metering.selectors import license_usage


@dataclass(frozen=True)
class Standing:
    """What a license allows a program, and what was used of it this month."""

    license: License
    title: str
    per_minute: int
    key: str
    """The beginning of its newest key; empty without one."""
    milliseconds: int
    cost: int
    currency: str
    limit: int | None
    """From which cost on owners are warned; None: nobody has set one."""

    @property
    def percent(self) -> int | None:
        """How much of the limit is spent."""
        return 100 * self.cost // self.limit if self.limit else None


def developers(request: HttpRequest) -> HttpResponse:
    """What a program needs; to whoever has signed in with the addresses and limits of their own licenses."""
    config, organisation = settings(), acting(request)
    standings: list[Standing] = []
    if organisation is not None:
        moment = now()
        rows = licenses_visible(request.user).filter(
            organisation=organisation, state=License.State.ACTIVE, not_before__lte=moment, expires_at__gt=moment
        )
        standings = [_standing(each) for each in rows]
    context = {
        "serving": config.serving_url,
        "portal": config.portal_url,
        "shell": quickstart.shell(config.serving_url),
        "python": quickstart.python(config.serving_url, config.portal_url),
        "standings": standings,
        "prefix": next((each.key for each in standings if each.key), ""),
        "refusals": REFUSALS,
    }
    return render(request, "dashboards/developers.html", context)


def _standing(license_: License) -> Standing:
    tier, start = tier_of(license_=license_), month_start(now())
    key = keys_of(license_=license_).filter(revoked_at=None).exclude(expires_at__lte=now()).last()
    limit = SpendingLimit.objects.filter(license=license_).first()
    return Standing(
        license=license_,
        title=tier.title,
        per_minute=tier.requests_per_minute,
        key=key.prefix if key else "",
        milliseconds=license_usage(license_=license_.pk, since=start).billable_ms,
        cost=spent(license_=license_, since=start),
        currency=license_.covenant.covenant().currency,
        limit=limit.amount if limit else None,
    )
