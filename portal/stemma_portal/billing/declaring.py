"""What licensees declare of their yearly revenue, who looks at it, and what follows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import BinaryIO

from django.db import transaction
from django.db.models import QuerySet

from stemma.billing.prices import revenue_currency, tier_revenue_limit
from stemma.billing.revenue import Standing, doubts, period_refusal, standing
from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma.proof.canonical import sha256
from stemma.rights.covenant import Covenant
from stemma.storage import storage
from stemma_portal.accounts.models import Organisation
from stemma_portal.billing.deadlines import growth_follow
from stemma_portal.billing.models import Deadline, RevenueDeclaration
from stemma_portal.billing.tables import exchanged, revenue_in
from stemma_portal.consent.evidence import MAX_BYTES, TYPES, content_format, plain_name
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.services import Actor, audit
from stemma_portal.licensing.models import License
from stemma_portal.licensing.selectors import covenant_current
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

State = RevenueDeclaration.State
RENEWED = timedelta(days=365)
REMINDED = (0, 7, 30)
"""Days before a declaration is due on which owners are told."""
WORDS = {
    "lowered": "Less than what was declared before",
    "no-rate": "No exchange rate is known for its currency",
    "group-differs": "Another company of the group declared another amount",
    "short-year": "Its period is shorter than a year",
}


@transaction.atomic
def declaration_make(
    *,
    organisation: Organisation,
    entity: str,
    amount: int,
    currency: str,
    starts: date,
    ends: date,
    by: Actor,
    group: str = "",
    short: str = "",
    evidence: BinaryIO | None = None,
    evidence_name: str = "",
) -> RevenueDeclaration:
    """Say what a year's revenue was.  It counts at once, unless there is a reason for staff to look.

    `short` is why its year is shorter than others; staff look at it then.  Raises `InvalidError` for a period that
    is not the last accounting year, and for evidence that is none.
    """
    lock(f"billing:revenue:{organisation.pk}")
    moment, current = now(), covenant_current()
    if current is None:
        raise InvalidError("No covenant is published yet.", remedy="Publish one first.", code="no-covenant")
    if refusal := period_refusal(starts=starts, ends=ends, today=moment.date(), short=short):
        field, wrong, right = refusal
        raise InvalidError(
            wrong, remedy=right, code="period", details=[{"field": field, "rule": wrong, "remedy": right}]
        )
    if amount < 0 or not entity.strip():
        raise InvalidError("Say whose revenue it is, and how much.", remedy="Fill in both.", code="revenue")
    target = revenue_currency(current.covenant())
    group, converted = group.strip(), exchanged(amount, currency, target, ends)
    before = declaration_standing(organisation)
    row = RevenueDeclaration(
        id=new_id(), organisation=organisation, entity=entity.strip(), group=group, amount=amount, currency=currency,
        starts=starts, ends=ends, short=short.strip(), converted=converted, converted_currency=target, made_at=moment,
        made_by=by.email, renew_on=moment.date() + RENEWED,
        doubts=doubts(
            amount=converted, before=revenue_in(before, target),
            others=_others(organisation, group, target), days=(ends - starts).days + 1,
        ),
    )  # fmt: skip
    row.state = State.REVIEW if row.doubts else State.ACCEPTED
    if evidence is not None:
        body = evidence.read(MAX_BYTES + 1)
        kind = content_format(body)
        row.evidence_name, row.evidence_sha256 = plain_name(evidence_name, kind), sha256(body)
        row.evidence_key = f"billing/evidence/{row.pk}"
        storage().put(row.evidence_key, body, TYPES[kind])
    row.save(force_insert=True)
    audit(
        by=by, action="billing.declare", subject=row.pk, organisation=organisation.pk, amount=amount,
        currency=currency, state=row.state, doubts=row.doubts,
    )  # fmt: skip
    if row.state == State.ACCEPTED:
        growth_follow(organisation)
    return row


@transaction.atomic
def declaration_decide(*, declaration: RevenueDeclaration, accept: bool, why: str, by: Actor) -> RevenueDeclaration:
    """Accept or decline a declaration that waits; its maker decides nothing about it."""
    lock(f"billing:revenue:{declaration.organisation_id}")
    row = RevenueDeclaration.objects.select_for_update(of=("self",)).get(pk=declaration.pk)
    if row.state != State.REVIEW:
        raise ConflictError("This declaration is decided already.", remedy="Look at it again.")
    if row.made_by == by.email:
        raise ForbiddenError("Who made a declaration does not decide about it.", remedy="Ask a colleague.")
    if not why.strip():
        raise InvalidError("A decision says why.", remedy="Write a reason.", code="why")
    if accept and row.converted is None:
        row.converted = exchanged(row.amount, row.currency, row.converted_currency, row.ends)
        if row.converted is None:
            raise InvalidError(
                f"There is still no rate for {row.currency}.", remedy="Import exchange rates first.", code="no-rate"
            )
    row.state = State.ACCEPTED if accept else State.DECLINED
    row.decided_at, row.decided_by, row.decision = now(), by.email, why.strip()
    row.save(update_fields=["state", "decided_at", "decided_by", "decision", "converted"])
    audit(by=by, action="billing.decide", subject=row.pk, before=State.REVIEW, after=row.state, why=row.decision)
    notify(
        organisations=[row.organisation],
        topic=Topic.MONEY,
        title=f"Your revenue declaration is {row.state}",
        text=row.decision,
        href="/billing/revenue/",
        key=f"declaration:{row.pk}",
    )
    if accept:
        growth_follow(row.organisation)
    return row


def declarations_waiting() -> QuerySet[RevenueDeclaration]:
    """What staff are to look at, the oldest first."""
    return RevenueDeclaration.objects.filter(state=State.REVIEW).select_related("organisation").order_by("made_at")


def declaration_standing(organisation: Organisation) -> RevenueDeclaration | None:
    """The declaration that counts: the newest that was accepted."""
    return RevenueDeclaration.objects.filter(organisation=organisation, state=State.ACCEPTED).first()


def tier_refusal(*, organisation: Organisation, tier: str, covenant: Covenant) -> str:
    """Why a tier is not open to an organisation; empty where it is."""
    limit = tier_revenue_limit(covenant, tier)
    if limit is None:
        return ""
    row = declaration_standing(organisation)
    state = standing(
        revenue=revenue_in(row, revenue_currency(covenant)), limit=limit, until=None,
        renew=row.renew_on if row else None, today=now().date(),
    ).state  # fmt: skip
    title = covenant.tier(tier).title
    return {
        "within": "",
        "none": f"The {title} tier asks for your yearly revenue.",
        "due": "Your revenue declaration is more than a year old.",
    }.get(state, f"Your revenue is past the limit of the {title} tier.")


def standing_of(license_: License) -> Standing:
    """Where a licensee stands with the tier of a license."""
    row = declaration_standing(license_.organisation)
    grace = license_.deadlines.filter(cause=Deadline.Cause.GROWTH).first()
    covenant = license_.covenant.covenant()
    return standing(
        revenue=revenue_in(row, revenue_currency(covenant)),
        limit=tier_revenue_limit(covenant, license_.tier),
        until=grace.until if grace else None,
        renew=row.renew_on if row else None,
        today=now().date(),
    )


def declarations_remind() -> int:
    """Tell owners that their yearly declaration is due: a month before, a week before and on the day, once each."""
    today, told = now().date(), 0
    active = License.objects.filter(state=License.State.ACTIVE, expires_at__gt=now())
    owners = Organisation.objects.filter(licenses__in=active, declarations__isnull=False)
    for organisation in owners.distinct():
        row, held = declaration_standing(organisation), active.filter(organisation=organisation)
        limits = [tier_revenue_limit(each.covenant.covenant(), each.tier) for each in held.select_related("covenant")]
        if row is None or all(limit is None for limit in limits):  # nothing depends on it
            continue
        step = next((days for days in REMINDED if (row.renew_on - today).days <= days), None)
        if step is None:
            continue
        when = f"is due on {row.renew_on:%-d %B %Y}" if row.renew_on > today else "is due now"
        told += len(
            notify(
                organisations=[organisation], topic=Topic.MONEY, title=f"Your revenue declaration {when}",
                text="Your license goes on as it is; without a new declaration its tier cannot be ordered again.",
                href="/billing/revenue/new/", key=f"declaration-due:{row.pk}:{step}",
            )
        )  # fmt: skip
    return told


def _others(organisation: Organisation, group: str, currency: str) -> set[int]:
    """What the other companies of the group said last."""
    if not group:
        return set()
    rows = RevenueDeclaration.objects.filter(group__iexact=group, state=State.ACCEPTED).exclude(
        organisation=organisation
    )
    newest: dict[str, int] = {}
    for row in rows:
        if (converted := revenue_in(row, currency)) is not None:
            newest.setdefault(str(row.organisation_id), converted)
    return set(newest.values())
