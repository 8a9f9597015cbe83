"""What follows where a licensee outgrows its tier or breaks the terms: time, then people, then what the terms say.

Nothing ends on the day on which it becomes known.  The license goes on for the days that its covenant
gives; after them staff look at it; and where nobody decides otherwise, what the covenant says happens.
"""

from __future__ import annotations

from datetime import date, timedelta

from django.db import transaction
from django.db.models import QuerySet

from stemma.billing.prices import revenue_currency, tier_revenue_limit
from stemma.billing.revenue import Cause, remedy
from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.billing.models import Deadline, RevenueDeclaration
from stemma_portal.billing.tables import revenue_in
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.services import Actor, audit
from stemma_portal.licensing.models import License
from stemma_portal.licensing.services import license_revoke
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

State = Deadline.State
OPEN = (State.RUNNING, State.REVIEW)
REVIEW = timedelta(days=14)
"""How long staff have after the days of the covenant; then what it says happens by itself."""
SOON = timedelta(days=7)
"""How long before the last day owners are reminded."""
LONGEST = timedelta(days=366)
"""The furthest that staff move a last day."""


def growth_follow(organisation: Organisation) -> None:
    """Start the grace of licenses that are outgrown, once each; end it where they are not any more.

    Within the caller's transaction.  Declaring again does not prolong it.
    """
    declared = RevenueDeclaration.objects.filter(
        organisation=organisation, state=RevenueDeclaration.State.ACCEPTED, converted__isnull=False
    ).first()
    for license_ in _active(organisation=organisation):
        covenant = license_.covenant.covenant()
        limit = tier_revenue_limit(covenant, license_.tier)
        revenue = revenue_in(declared, revenue_currency(covenant))
        past = revenue is not None and limit is not None and revenue > limit
        known = license_.deadlines.filter(cause=Deadline.Cause.GROWTH, state__in=OPEN).first()
        if past and known is None:
            _open(
                license_, "growth", f"The declared revenue is past the limit of the {license_.tier} tier.", by=None,
                title="You have outgrown your tier", told="Your license goes on as it is. Please move to another tier",
            )  # fmt: skip
        elif known is not None and not past:
            _close(known, State.RIGHT, "The revenue is within the tier.", by=None)


@transaction.atomic
def breach_state(*, license_: License, reason: str, by: Actor) -> Deadline:
    """Tell a licensee that it breaks its terms, and until when it may put that right.

    Raises `ConflictError` while an earlier breach of the license is open, `InvalidError` for one that has ended.
    """
    if not reason.strip():
        raise InvalidError("Say what was done against which clause.", remedy="Write a reason.", code="why")
    if not _active(pk=license_.pk).exists():
        raise InvalidError("This license has ended.", remedy="Nothing is left to put right.", code="license-ended")
    lock(f"billing:deadline:{license_.pk}")
    if license_.deadlines.filter(cause=Deadline.Cause.BREACH, state__in=OPEN).exists():
        raise ConflictError("A breach of this license is open already.", remedy="Decide about that one first.")
    return _open(
        license_, "breach", reason.strip(), by=by, title="You break the terms of your license",
        told=f"{reason.strip()} Your license goes on as it is. Please put this right, and say so on its page,",
    )  # fmt: skip


@transaction.atomic
def deadline_answer(*, deadline: Deadline, text: str, by: Actor) -> Deadline:
    """Say for the licensee what was done, or why it is not so; staff read it before they decide."""
    row = _locked(deadline)
    if not text.strip():
        raise InvalidError("Say what you have done.", remedy="Write it down.", code="why")
    row.answer, row.answered_at, row.answered_by = text.strip(), now(), by.email
    row.save(update_fields=["answer", "answered_at", "answered_by"])
    audit(by=by, action="billing.deadline-answer", subject=row.pk, text=row.answer)
    return row


@transaction.atomic
def deadline_right(*, deadline: Deadline, why: str, by: Actor) -> Deadline:
    """Decide that it is put right: the license goes on."""
    return _close(_decidable(deadline, why, by), State.RIGHT, why, by=by)


@transaction.atomic
def deadline_move(*, deadline: Deadline, until: date, why: str, by: Actor) -> Deadline:
    """Give more time.  Raises `InvalidError` for a day that gives none, or that is further than a year away."""
    row, today = _decidable(deadline, why, by), now().date()
    if not max(row.until, today) < until <= today + LONGEST:
        raise InvalidError("This day gives no more time.", remedy="Choose a later one, within a year.", code="until")
    before, row.until, row.state = row.until, until, State.RUNNING
    row.decided_at, row.decided_by, row.decision = now(), by.email, why.strip()
    row.save(update_fields=["until", "state", "decided_at", "decided_by", "decision"])
    audit(
        by=by, action="billing.deadline-move", subject=row.pk, before=str(before), after=str(until), why=row.decision
    )  # fmt: skip
    _tell(row, "You have more time", f"{row.decision} Everything goes on until {until:%-d %B %Y}.", str(until))
    return row


@transaction.atomic
def deadline_end(*, deadline: Deadline, why: str, by: Actor) -> Deadline:
    """Decide that the license ends, as the covenant says.  Raises `ConflictError` before its days are over."""
    row = _decidable(deadline, why, by)
    if row.until >= now().date():
        raise ConflictError(
            f"The license goes on until {row.until:%-d %B %Y}: the covenant gives that time.",
            remedy="Decide when it is over.",
            code="too-early",
        )
    return _close(row, State.ENDED, why, by=by)


def deadlines_waiting() -> QuerySet[Deadline]:
    """What staff are to decide about or may: the days that are over first."""
    rows = Deadline.objects.filter(state__in=OPEN).select_related("license__organisation", "covenant")
    return rows.order_by("until", "id")


def deadlines_keep() -> int:
    """Do what the days say: remind, hand to staff, and let the covenant take its course.  How many rows changed.

    A repeat on the same day changes nothing.
    """
    for organisation in Organisation.objects.filter(
        declarations__state=RevenueDeclaration.State.ACCEPTED, licenses__state=License.State.ACTIVE
    ).distinct():
        with transaction.atomic():  # a later covenant that was accepted may have moved the limit
            lock(f"billing:revenue:{organisation.pk}")
            growth_follow(organisation)
    changed = 0
    for identifier in Deadline.objects.filter(state__in=OPEN).values_list("pk", flat=True):
        with transaction.atomic():
            changed += _keep(Deadline.objects.select_for_update(of=("self",)).get(pk=identifier), now().date())
    return changed


def _keep(row: Deadline, today: date) -> bool:
    if row.state not in OPEN:
        return False
    if not _active(pk=row.license_id).exists():
        _close(row, State.ENDED, "The license has ended by itself.", by=None)
        return True
    if today <= row.until:
        if row.until - today <= SOON:
            _tell(row, f"The time to put it right ends on {row.until:%-d %B}", _what(row), f"soon:{row.until}")
        return False
    moved = row.cause == Deadline.Cause.GROWTH and _moved(row.license)
    if moved or today > row.until + REVIEW:
        why = (
            "Another license has taken its place." if moved else "The days of the covenant and of the review are over."
        )
        _close(row, State.ENDED, why, by=None)
        return True
    if row.state == State.REVIEW:
        return False
    row.state = State.REVIEW
    row.save(update_fields=["state"])
    audit(by=None, action="billing.deadline-review", subject=row.pk, until=str(row.until))
    _tell(row, "The time to put it right is over", _what(row), f"review:{row.until}")
    staff = User.objects.filter(memberships__organisation__kind=Organisation.Kind.RIGHTS).distinct()
    notify(
        users=staff, topic=Topic.MONEY, title=f"A license of {row.license.organisation.name} waits for your decision",
        text=f"The covenant's days are over. Without a decision the license ends {_last(row):%-d %B %Y}.",
        href=f"/billing/deadlines/{row.pk}/", key=f"deadline-staff:{row.pk}:{row.until}",
    )  # fmt: skip
    return True


def _active(**which: object) -> QuerySet[License]:
    rows = License.objects.filter(state=License.State.ACTIVE, expires_at__gt=now(), **which)
    return rows.select_related("covenant", "organisation")


def _moved(outgrown: License) -> bool:
    """Whether the licensee holds a license that its revenue fits."""
    declared = RevenueDeclaration.objects.filter(
        organisation=outgrown.organisation, state=RevenueDeclaration.State.ACCEPTED
    ).first()
    for each in _active(organisation=outgrown.organisation).exclude(pk=outgrown.pk):
        covenant = each.covenant.covenant()
        limit = tier_revenue_limit(covenant, each.tier)
        revenue = revenue_in(declared, revenue_currency(covenant))
        if limit is None or (revenue is not None and revenue <= limit):
            return True
    return False


def _open(license_: License, cause: Cause, reason: str, *, by: Actor | None, title: str, told: str) -> Deadline:
    says, moment = remedy(license_.covenant.covenant(), cause), now()
    row = Deadline.objects.create(
        id=new_id(), license=license_, cause=cause, covenant=license_.covenant, reason=reason, opened_at=moment,
        opened_by=by.email if by else "system", until=moment.date() + timedelta(days=says.days), outputs=says.outputs,
    )  # fmt: skip
    audit(by=by, action=f"billing.{cause}", subject=row.pk, license=license_.pk, until=str(row.until), reason=reason)
    _tell(row, title, f"{told} by {row.until:%-d %B %Y}. {_after(row)}", "opened")
    return row


def _close(row: Deadline, state: Deadline.State, why: str, *, by: Actor | None) -> Deadline:
    before, row.state, row.decided_at = row.state, state, now()
    row.decided_by, row.decision = by.email if by else "system", why.strip()
    row.save(update_fields=["state", "decided_at", "decided_by", "decision"])
    audit(by=by, action="billing.deadline", subject=row.pk, before=before, after=state, why=row.decision)
    if state == State.ENDED:
        license_revoke(license_=row.license, by=by)
    title = "Your license has ended" if state == State.ENDED else "Your license goes on"
    _tell(row, title, f"{row.decision} {_after(row) if state == State.ENDED else ''}", f"closed:{state}")
    return row


def _decidable(deadline: Deadline, why: str, by: Actor) -> Deadline:
    row = _locked(deadline)
    if row.opened_by == by.email:
        raise ForbiddenError("Who stated a breach does not decide about it.", remedy="Ask a colleague.")
    if not why.strip():
        raise InvalidError("A decision says why.", remedy="Write a reason.", code="why")
    return row


def _locked(deadline: Deadline) -> Deadline:
    row = Deadline.objects.select_for_update(of=("self",)).select_related("license__organisation").get(pk=deadline.pk)
    if row.state not in OPEN:
        raise ConflictError("This is decided already.", remedy="Look at it again.")
    return row


def _last(row: Deadline) -> date:
    """The day after which the license ends unless staff decide otherwise."""
    return row.until + REVIEW


def _what(row: Deadline) -> str:
    return f"{row.reason} Without a decision of our staff the license ends after {_last(row):%-d %B %Y}. {_after(row)}"


def _after(row: Deadline) -> str:
    kept = "keeps its license" if row.outputs == "stay" else "loses its license"
    return f"If the license ends, what was made before {kept}."


def _tell(row: Deadline, title: str, text: str, step: str) -> None:
    notify(
        organisations=[row.license.organisation], topic=Topic.MONEY, title=title, text=text.strip(),
        href=f"/billing/deadlines/{row.pk}/", key=f"deadline:{row.pk}:{step}",
    )  # fmt: skip
