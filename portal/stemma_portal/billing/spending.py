"""What licenses used: invoiced month by month, and warned about as it nears a limit."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q, QuerySet

from stemma.billing.usage import facts_digest
from stemma.config import settings
from stemma.errors import InvalidError, StemmaError
from stemma.ids import now, timestamp
from stemma.quota import Quota
from stemma.rights.months import month_starts
from stemma.rights.prices import Line, Price
from stemma_portal.billing.credit import credit_apply, credit_draw, credit_hold
from stemma_portal.billing.invoicing import figures, invoice_issue, invoice_told
from stemma_portal.billing.models import Invoice, InvoiceLine, SpendingLimit
from stemma_portal.core.db import lock
from stemma_portal.core.services import Actor, audit
from stemma_portal.licensing.models import License
from stemma_portal.licensing.services import license_cap_set
from stemma_portal.metering.models import FactObject, Generation
from stemma_portal.metering.selectors import license_usage, license_usage_by_day
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

log = logging.getLogger(__name__)
WARNINGS = (80, 100)
"""Percent of the limit at which owners are told."""


@dataclass(frozen=True)
class Covered:
    """The facts that an invoice of usage covers, so that each is invoiced once, however late it comes.

    They are those before `until` in objects of the lake up to `position`, less what the invoice before
    covers by the same rule.
    """

    license: str
    until: datetime
    position: int
    before: tuple[datetime, int] | None

    def facts(self) -> QuerySet[Generation]:
        """The facts, sorted by identifier."""
        rows = Generation.objects.filter(license=self.license, at__lt=self.until, source__lte=self.position)
        if self.before is not None:
            until, position = self.before
            rows = rows.exclude(Q(at__lt=until) & Q(source__lte=position))
        return rows.order_by("id")

    def trace(self) -> dict[str, object]:
        """As the invoice's line keeps it, with count, sum and hash of the facts."""
        seen = {"facts": 0, "ms": 0}

        def counted() -> Iterator[tuple[str, int]]:
            for identifier, ms in self.facts().values_list("id", "billable_ms").iterator(chunk_size=10_000):
                seen["facts"] += 1
                seen["ms"] += ms
                yield str(identifier), ms

        digest = facts_digest(counted())
        before = [timestamp(self.before[0]), self.before[1]] if self.before else None
        return {
            "license": self.license, "until": timestamp(self.until), "position": self.position, "before": before,
            **seen, "sha256": digest,
        }  # fmt: skip

    @classmethod
    def of(cls, trace: dict[str, object]) -> Covered:
        """From what a line keeps: who recounts its facts compares their count, sum and hash."""
        before = trace["before"]
        return cls(
            license=str(trace["license"]),
            until=datetime.fromisoformat(str(trace["until"])),
            position=int(str(trace["position"])),
            before=(datetime.fromisoformat(str(before[0])), int(before[1])) if isinstance(before, list) else None,
        )


FACTS = ("id", "at", "model_release", "billable_ms")


def invoice_facts(invoice: Invoice) -> Iterator[Sequence[str]]:
    """The facts that an invoice of usage follows from, with headings, in the order in which their hash takes them.

    All its lines follow from the same ones; an invoice of something else has none.
    """
    yield FACTS
    line = invoice.lines.first()
    if line is None or "sha256" not in line.trace:
        return
    rows = Covered.of(line.trace).facts().values_list("id", "at", "model_release", "billable_ms")
    for identifier, at, release, ms in rows.iterator(chunk_size=10_000):
        yield str(identifier), timestamp(at), release, str(ms)


def usage_invoice(*, license_: License, until: datetime) -> Invoice | None:
    """Invoice what a license used before a moment and was not invoiced yet; None where that costs nothing."""
    with transaction.atomic():
        lock(f"billing:usage:{license_.pk}")
        key = f"usage:{license_.pk}:{timestamp(until)}"
        if known := Invoice.objects.filter(key=key).first():
            return known
        last = InvoiceLine.objects.filter(invoice__license=license_, invoice__kind=Invoice.Kind.USAGE)
        newest = last.order_by("-invoice__issued_at", "-id").first()
        before = Covered.of(newest.trace) if newest else None
        covered = Covered(
            license=license_.pk,
            until=until,
            position=int(FactObject.objects.aggregate(last=Max("position"))["last"] or 0),
            before=(before.until, before.position) if before else None,
        )
        trace = covered.trace()
        lines, currency = _lines(covered, int(str(trace["ms"])), license_)
        moment, organisation = now(), license_.organisation
        made, document = figures(organisation=organisation, lines=lines, currency=currency, at=moment)
        if not made.total:  # nothing, or less than a cent: the next invoice covers it too
            return None
        credit_hold(organisation)
        lines, taken = credit_apply(organisation, currency, lines)
        if taken:
            made, document = figures(organisation=organisation, lines=lines, currency=currency, at=moment)
        invoice = invoice_issue(
            key=key, kind=Invoice.Kind.USAGE, organisation=license_.organisation, license_=license_, made=made,
            document={**document, "tier": license_.tier, "covenant": license_.covenant_id, "until": timestamp(until)},
            traces=[trace] * len(lines), by=None, at=moment,
        )  # fmt: skip
        credit_draw(invoice, taken)
        how = f"Please pay it with {invoice.reference}." if invoice.total else "Your prepaid credit has paid it."
        text = f"What your {license_.tier} license used is invoiced. {how}"
        invoice_told(invoice, text)
        return invoice


def _lines(covered: Covered, ms: int, license_: License) -> tuple[list[Line], str]:
    """What the covered facts cost, filled up to the commitment of the months that ended with them; the currency."""
    schedule = license_.covenant.covenant().schedule(license_.tier)
    releases = covered.facts().order_by().values("model_release").distinct().count()
    lines = schedule.use(ms=ms, releases=releases)
    if schedule.minimum:
        ends = min(covered.until, license_.expires_at, license_.revoked_at or license_.expires_at)
        since = covered.before[0] if covered.before else license_.not_before
        months = sum(since <= moment < ends for moment in month_starts(license_.not_before, ends))
        lines += schedule.fill([*schedule.fees(months=months, seats=license_.seats), *lines], months=months)
    return lines, schedule.currency


def usage_invoices_due() -> list[Invoice]:
    """Invoice the months that are over; a license that cannot be invoiced stops no other."""
    until, issued = month_start(now()), []
    for license_ in License.objects.select_related("organisation", "covenant").order_by("id"):
        try:
            invoice = usage_invoice(license_=license_, until=until)
        except StemmaError as error:
            log.warning("The usage of license %s is not invoiced: %s", license_.pk, error)
            continue
        if invoice is not None:
            issued.append(invoice)
    return issued


@transaction.atomic
def limit_set(*, license_: License, amount: int | None, by: Actor, stops: bool = False) -> None:
    """Say from which monthly cost owners want to be warned, and whether serving stops there; None: from none."""
    lock(f"billing:limit:{license_.pk}")
    if amount is not None and amount <= 0:
        raise InvalidError("A limit is more than nothing.", remedy="Leave it empty for none.", code="limit")
    if stops and amount is not None and _minutes(license_) is None:
        raise InvalidError(
            "Generated minutes of this license cost nothing: there is nothing to stop at.",
            remedy="Set the limit without stopping.",
            code="limit",
        )
    if amount is None:
        SpendingLimit.objects.filter(license=license_).delete()
    else:
        SpendingLimit.objects.update_or_create(
            license=license_, defaults={"amount": amount, "stops": stops, "set_at": now(), "set_by": by.email}
        )
    audit(by=by, action="billing.limit", subject=license_.pk, after=amount, stops=stops)
    _cap(license_, by)


def _minutes(license_: License) -> Price | None:
    return license_.covenant.covenant().schedule(license_.tier).price("minute")


def _cap(license_: License, by: Actor | None) -> None:
    """Let the entitlement say what the limit comes to by the terms of now."""
    limit, price = SpendingLimit.objects.filter(license=license_, stops=True).first(), _minutes(license_)
    license_cap_set(license_=license_, monthly_ms=price.within(limit.amount) if limit and price else None, by=by)


def spent(*, license_: License, since: datetime, until: datetime | None = None) -> int:
    """What the generations of a stretch of time cost so far, before tax."""
    used = license_usage(license_=license_.pk, since=since, until=until)
    price = _minutes(license_)
    return price.amount(used.billable_ms) if price else 0


def spent_by_day(*, license_: License, days: int = 30) -> list[tuple[datetime, int, int, int]]:
    """Day, generations, milliseconds and cost so far on it; each day's cost is what it adds to the days before."""
    price = _minutes(license_)
    since = (now() - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    rows, total = [], 0
    for day, count, ms in license_usage_by_day(license_=license_.pk, since=since):
        before, total = total, total + ms
        rows.append((day, count, ms, price.amount(total) - price.amount(before) if price else 0))
    return rows


def spending_watch() -> int:
    """Warn owners whose license nears or passes its limit this month; once for each step.  How many were told.

    And see to it that serving counts no less than the facts say, whatever Redis has forgotten.
    """
    start, told, quota = month_start(now()), 0, Quota(settings().redis_url.get_secret_value())
    for limit in SpendingLimit.objects.select_related("license__organisation", "license__covenant"):
        used = license_usage(license_=limit.license_id, since=start)
        if limit.stops:
            _cap(limit.license, None)
            quota.lift(license_=limit.license_id, month=f"{start:%Y-%m}", ms=used.billable_ms)
        price = _minutes(limit.license)
        cost = price.amount(used.billable_ms) if price else 0
        then = "At the limit nothing more is generated this month." if limit.stops else "Nothing is stopped."
        for step in WARNINGS:
            if 100 * cost >= step * limit.amount:
                told += len(
                    notify(
                        organisations=[limit.license.organisation],
                        topic=Topic.MONEY,
                        title=f"{step} % of your spending limit is used",
                        text=f"{then} You can look at the usage day by day.",
                        href=f"/billing/usage/{limit.license_id}/",
                        key=f"spending:{limit.license_id}:{start:%Y-%m}:{limit.amount}:{step}",
                    )
                )
    return told


def month_start(moment: datetime) -> datetime:
    """The beginning of the month, in UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
