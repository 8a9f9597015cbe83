"""Growth and breach end no license suddenly: the covenant's days, then people, then what the covenant says."""

from datetime import timedelta

import pytest

from portal.billing.shop import today
from portal.making import problem
from stemma.errors import InvalidError
from stemma.rights.covenant import house_covenant
from stemma_portal.billing.deadlines import (
    REVIEW,
    breach_state,
    deadline_answer,
    deadline_end,
    deadline_move,
    deadline_right,
    deadlines_keep,
    deadlines_waiting,
)
from stemma_portal.billing.declaring import declaration_decide, standing_of
from stemma_portal.billing.models import Deadline
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.models import AuditEvent
from stemma_portal.licensing.models import License
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]
HOUSE = house_covenant()


@pytest.fixture
def licensed(shop):
    shop.declare(500_000)
    return shop.order("community").license


@pytest.fixture
def on(monkeypatch):
    """`on(40)` looks at everything as it is in forty days."""
    from stemma.ids import now

    def move(days: int) -> None:
        for module in ("billing.deadlines", "billing.declaring", "licensing.services"):
            monkeypatch.setattr(f"stemma_portal.{module}.now", lambda: now() + timedelta(days=days))

    return move


def state_of(license_) -> str:
    return License.objects.get(pk=license_.pk).state


def titles(user) -> list[str]:
    return list(Notice.objects.filter(user=user, topic="money").order_by("id").values_list("title", flat=True))


def test_growth_starts_the_days_of_the_covenant_once(shop, licensed):
    assert standing_of(licensed).state == "within"
    shop.declare(2_000_000)
    row = Deadline.objects.get()
    assert row.until == today() + timedelta(days=HOUSE.growth.grace_days)
    assert (standing_of(licensed).state, standing_of(licensed).until) == ("grace", row.until)
    shop.declare(3_000_000)
    assert deadlines_keep() == 0
    assert Deadline.objects.get() == row, "declaring again does not prolong it"
    assert state_of(licensed) == "active"
    with pytest.raises(InvalidError, match="past the limit"):
        shop.quote("community")
    assert "You have outgrown your tier" in titles(shop.cast.licensee)


def test_a_program_states_answers_and_decides(shop, licensed, api):
    reason = {"reason": "Clause 3."}
    row = api("rights").post(f"licenses/{licensed.pk}/breaches", reason).json()
    place = f"billing/deadlines/{row['id']}"
    assert api("licensee").get(place).json() == row
    assert api("licensee").get("billing/deadlines", waiting=True).json()["items"] == [row]
    assert api("licensee").post(f"{place}/answer", {"text": "Taken down."}).json()["answer"] == "Taken down."
    problem(api("operator").post(f"{place}/decision", {"then": "move", "why": "x"}), 422, "until")
    later = {"then": "move", "until": str(today() + timedelta(days=200)), "why": "They try."}
    assert api("operator").post(f"{place}/decision", later).json()["until"] == later["until"]
    assert api("operator").post(f"{place}/decision", {"then": "right", "why": "Fine."}).json()["state"] == "right"
    assert api("licensee").get("billing/deadlines", waiting=True).json()["items"] == []


def test_after_the_days_staff_look_and_without_them_the_covenant_takes_its_course(shop, licensed, on):
    shop.declare(2_000_000)
    days = HOUSE.growth.grace_days
    on(days - 7)
    assert deadlines_keep() == 0
    on(days)
    assert (deadlines_keep(), state_of(licensed)) == (0, "active"), "the last day still counts"
    on(days + 1)
    assert (deadlines_keep(), deadlines_keep()) == (1, 0)
    assert Deadline.objects.get().state == "review"
    assert standing_of(licensed).state == "over"
    assert state_of(licensed) == "active", "nothing stops while staff look at it"
    assert titles(shop.cast.rights) == ["A license of Studio waits for your decision"]
    on(days + REVIEW.days + 1)
    assert (deadlines_keep(), deadlines_keep()) == (1, 0)
    assert (Deadline.objects.get().state, state_of(licensed)) == ("ended", "revoked")
    told = [t for t in titles(shop.cast.licensee) if "license is active" not in t]
    ends = f"The time to put it right ends on {today() + timedelta(days=days):%-d %B}"
    over = ["The time to put it right is over", "Your license has ended"]
    assert told == ["You have outgrown your tier", ends, *over]
    actions = AuditEvent.objects.filter(action__startswith="billing.deadline").order_by("id")
    assert [each.action for each in actions] == ["billing.deadline-review", "billing.deadline"]


def test_who_has_moved_loses_the_outgrown_license_on_its_day_and_not_before(shop, licensed, on):
    shop.declare(2_000_000)
    order = shop.order("professional")
    from portal.billing.shop import dollars

    invoice = order.invoices.get()
    shop.bank(dollars(invoice.total, invoice.reference))
    assert (deadlines_keep(), state_of(licensed)) == (0, "active")
    on(HOUSE.growth.grace_days + 1)
    assert (deadlines_keep(), state_of(licensed)) == (1, "revoked")
    order.refresh_from_db()
    assert state_of(order.license) == "active"


def test_a_lower_declaration_that_staff_accept_ends_the_grace(shop, licensed):
    shop.declare(2_000_000)
    lower = shop.declare(400_000)
    assert Deadline.objects.get().state == "running", "nothing follows from what staff have not looked at"
    declaration_decide(declaration=lower, accept=True, why="The accounts say so.", by=shop.cast.rights)
    assert Deadline.objects.get().state == "right"
    shop.declare(2_000_000)
    assert Deadline.objects.filter(state="running").count() == 1, "another growth has days of its own"


def test_a_breach_has_its_days_and_two_people_look_at_it(shop, licensed, on):
    with pytest.raises(InvalidError, match="what was done"):
        breach_state(license_=licensed, reason=" ", by=shop.cast.rights)
    row = breach_state(license_=licensed, reason="The notice is missing.", by=shop.cast.rights)
    assert row.until == today() + timedelta(days=HOUSE.breach.cure_days)
    with pytest.raises(ConflictError, match="open already"):
        breach_state(license_=licensed, reason="Again.", by=shop.cast.operator)
    with pytest.raises(ForbiddenError, match="Who stated"):
        deadline_right(deadline=row, why="Fine now.", by=shop.cast.rights)
    with pytest.raises(ConflictError, match="goes on until"):
        deadline_end(deadline=row, why="At once!", by=shop.cast.operator)
    deadline_answer(deadline=row, text="It is back.", by=shop.cast.licensee)
    assert deadlines_waiting().get().answer == "It is back."
    with pytest.raises(InvalidError, match="no more time"):
        deadline_move(deadline=row, until=row.until, why="Holidays.", by=shop.cast.operator)
    moved = deadline_move(deadline=row, until=row.until + timedelta(days=5), why="Holidays.", by=shop.cast.operator)
    on(HOUSE.breach.cure_days + 6)
    deadlines_keep()
    assert Deadline.objects.get().state == "review"
    deadline_end(deadline=moved, why="Still missing.", by=shop.cast.operator)
    assert (Deadline.objects.get().decided_by, state_of(licensed)) == (shop.cast.operator.email, "revoked")
    with pytest.raises(ConflictError, match="decided already"):
        deadline_right(deadline=moved, why="Late.", by=shop.cast.operator)


def test_the_pages_of_a_deadline(shop, licensed):
    from django.test import Client

    row = breach_state(license_=licensed, reason="The notice is missing.", by=shop.cast.operator)
    page = f"/billing/deadlines/{row.pk}/"
    owner, staff = Client(), Client()
    owner.force_login(shop.cast.licensee)
    staff.force_login(shop.cast.rights)
    assert "The notice is missing." in owner.get(page).content.decode()
    assert owner.post(f"{page}answer/", {"text": "It is back."}).status_code == 302
    assert "It is back." in staff.get(page).content.decode()
    assert staff.post(f"{page}decision/", {"then": "move", "why": "x"}).status_code == 422
    assert "cannot end before" in staff.get(page).content.decode()
    assert staff.post(f"{page}decision/", {"then": "end", "why": "x"}).status_code == 422
    assert staff.post(f"{page}decision/", {"then": "right", "why": "Seen."}).status_code == 302
    assert "Put right" in owner.get(page).content.decode()
    assert owner.post(f"/billing/licenses/{licensed.pk}/breach/", {"reason": "x"}).status_code == 403
    assert staff.post(f"/billing/licenses/{licensed.pk}/breach/", {"reason": "Again."}).status_code == 302
