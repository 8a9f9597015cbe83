"""What is due when, and who is reminded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.indemnity.desk import tick
from stemma_portal.indemnity.deadlines import working_days_after


@pytest.mark.unit
@given(st.integers(0, 40_000), st.integers(0, 12))
def test_working_days_are_monday_to_friday(hours, days):
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    end = working_days_after(moment, days)
    assert end.weekday() < 5
    assert end.time() == moment.time()
    between = [moment + timedelta(days=n) for n in range(1, (end - moment).days + 1)]
    begun = moment.weekday() >= 5
    assert sum(each.weekday() < 5 for each in between) == days + begun


@pytest.mark.unit
def test_what_comes_on_friday_is_acknowledged_by_tuesday():
    friday = datetime(2026, 1, 2, 15, tzinfo=UTC)
    assert working_days_after(friday, 2) == datetime(2026, 1, 6, 15, tzinfo=UTC)


@pytest.mark.services
@pytest.mark.django_db
def test_reminders_come_once_each_and_end_when_it_is_done(house):
    from stemma_portal.indemnity.deadlines import deadlines_keep, dues
    from stemma_portal.indemnity.services import claim_acknowledge
    from stemma_portal.notices.models import Notice

    letter = datetime.now(UTC) + timedelta(days=40)
    claim = house.send(tick(1), name="a.wav", letter_due=letter)
    assert [due.what for due in dues(claim)] == ["acknowledge", "dossier", "letter"]
    assert deadlines_keep() in {0, 1}  # of two working days one may be left at once
    late = claim.acknowledge_due + timedelta(hours=1)
    assert deadlines_keep(at=late) == 1
    assert deadlines_keep(at=late) == 0
    assert Notice.objects.filter(user=house.cast.rights, title__startswith="Acknowledge it").exists()
    claim_acknowledge(claim=claim, by=house.cast.rights)
    claim.refresh_from_db()
    assert [due.what for due in dues(claim)] == ["dossier", "letter"]
    assert deadlines_keep(at=claim.dossier_due - timedelta(days=2)) == 1
    assert deadlines_keep(at=claim.letter_due - timedelta(days=6)) == 2  # the dossier is late by then
    told = Notice.objects.filter(user=house.cast.licensee, title__startswith="Answer the letter")
    assert told.count() == 1
