"""The home of owners answers five questions, from real facts; and what one recording shaped and earned."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portal.royalties.world import World
from stemma.ids import now
from stemma.royalties.facts import PPB
from stemma_portal.catalog.models import Recording
from stemma_portal.consent import cases
from stemma_portal.dashboards import homes, owners, selectors
from stemma_portal.metering.services import facts_ingest
from stemma_portal.operations.models import ModelRelease, Snapshot, SnapshotMember
from stemma_portal.royalties.models import Account, StatementLine
from stemma_portal.royalties.services import estimates_refresh, period_open

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def world(db: None, storage) -> World:
    return World(storage)


@pytest.fixture
def heard(world: World) -> World:
    """A model that learned from all but the last recording; a closed period and an open one with pieces."""
    snapshot = Snapshot.objects.create(
        id=world.snapshot, name="one", include="all", root="0" * 64, recordings=5, scopes=[], territory="WORLD",
        covenant=world.covenant.digest, manifest_key="x", receipt={}, created_at=now(),
    )  # fmt: skip
    SnapshotMember.objects.bulk_create(SnapshotMember(snapshot=snapshot, recording=r) for r in world.recordings[:5])
    ModelRelease.objects.create(
        id="house-symbolic/1", name="house-symbolic", version="1", run_id="x", snapshot=snapshot, statement="",
        receipt={}, created_at=now(),
    )  # fmt: skip
    world.made(6)
    world.close("p1")
    world.made(3)
    period_open(period_id="p2", by=None)
    facts_ingest(lake=world.lake)
    estimates_refresh(lake=world.lake)
    return world


def test_the_five_answers(heard: World, django_assert_max_num_queries) -> None:
    alder = heard.parties[0]
    cases.case_open(
        kind="authorship", recording=heard.recordings[3], claimant="X", reason="It is ours.", by=heard.staff
    )
    assert estimates_refresh(lake=heard.lake) == 3  # a claim changes what would be on hold
    with django_assert_max_num_queries(30):
        found = owners.overview(alder)
    assert {each.name: each.count for each in found.standings} == {
        "in the newest model": 1, "under claim": 1, "waits for your answer": 1,
    }  # fmt: skip
    assert [(each.release.id, each.own) for each in found.trained] == [("house-symbolic/1", 2)]
    assert found.pieces == 4  # numbers 1, 3 and 5 of six pieces, and 1 of three
    assert {(each.recording.title, each.pieces) for each in found.heard} == {
        ("Recording 1", 2), ("Recording 3", 1), ("Recording 5", 1),
    }  # fmt: skip
    [money] = found.money
    assert money.balance.confirmed == Account.objects.get(kind="payable", party=alder).balance > 0
    assert 0 < money.balance.estimated.held < money.balance.estimated.amount
    assert sum(amount for _, amount in money.top) == money.history[0].earned


def test_the_home_says_what_needs_one(heard: World, client) -> None:
    case = cases.case_open(
        kind="authorship", recording=heard.recordings[3], claimant="X", reason="It is ours.", by=heard.staff
    )
    client.force_login(heard.owner)
    page = client.get("/").content.decode()
    for title in ("What of yours is in", "What it trained", "What it was heard in", "What it earned"):
        assert title in page
    assert "Your word is asked: Recording 3" in page
    assert f"/claims/{case.id}/" in page
    assert "Enter an account" in page
    assert "not owed yet" in page
    client.force_login(heard.stranger)
    assert "What of yours is in" not in client.get("/").content.decode()


def test_what_one_recording_shaped_and_earned(heard: World, client) -> None:
    recording = heard.recordings[1]
    found = owners.recording_earned(heard.parties[0], recording)
    lines = StatementLine.objects.filter(statement__party=heard.parties[0], recording=recording)
    assert found.totals == [("USD", sum(line.amount for line in lines))]
    assert found.pieces == len(found.strongest) == 2
    client.force_login(heard.owner)
    page = client.get(f"/catalog/{recording.id}/earned/")
    assert page.status_code == 200
    assert b"Ask for a correction" in page.content
    assert client.get(f"/catalog/{heard.recordings[0].id}/earned/").status_code == 404
    for user in (heard.stranger, heard.staff):
        client.force_login(user)
        assert client.get(f"/catalog/{recording.id}/earned/").status_code == 404


def test_an_owner_of_nothing_is_told_what_to_do(world: World) -> None:
    from stemma_portal.accounts.models import Organisation
    from stemma_portal.accounts.services import organisation_create, organisation_link
    from stemma_portal.catalog.models import Party

    party = Party.objects.create(name="Newcomer")
    organisation = organisation_create(name="N", slug="n", kind=Organisation.Kind.ARTIST, by=None)
    organisation_link(organisation=organisation, party=party, by=None)
    home = homes.owner(world.owner, organisation)
    assert (home.overview.total, home.overview.heard, home.overview.money, home.todos) == (0, [], [], [])


def test_what_a_recording_shaped_over_time(heard: World, client) -> None:
    """Months in their order, those without a piece too; and why nothing is traced where nothing is."""
    first = heard.recordings[0]
    old = heard.usage(at=datetime(2026, 3, 31, 23, 59, tzinfo=UTC))
    older = heard.usage(at=datetime(2026, 1, 1, tzinfo=UTC))
    heard.put_usage(old, older)
    heard.put_attribution(heard.attribution(old, {0: 250_000_000, 1: 100_000_000}), heard.attribution(older, {0: PPB}))
    facts_ingest(lake=heard.lake)
    found = selectors.influence([first], selectors.trained([first]))
    assert found.generations == sum(month.pieces for month in found.months)
    assert [(f"{m.begins:%Y-%m}", m.pieces, m.weight) for m in found.months[-3:]] == [
        ("2026-03", 1, 250_000_000), ("2026-02", 0, 0), ("2026-01", 1, PPB),
    ]  # fmt: skip
    assert "March 2026: 1 pieces, 0.25 of a piece" in found.picture
    client.force_login(heard.staff)
    page = client.get(f"/catalog/{first.pk}/").content.decode()
    assert "What it shaped, over time" in page
    assert page.index("March 2026</th>") < page.index("February 2026</th>") < page.index("January 2026</th>")

    second = heard.recordings[1]
    Recording.objects.filter(pk=second.pk).update(work=first.work)
    both = selectors.influence(first.work.recordings.all(), [])
    assert both.generations < found.generations + selectors.influence([second], []).generations  # some have both
    assert sum(month.weight for month in both.months) == sum(
        month.weight for each in (first, second) for month in selectors.influence([each], []).months
    )
    page = client.get(f"/catalog/works/{first.work_id}/").content.decode()
    assert f"/catalog/{first.pk}/" in page
    assert f"/catalog/{second.pk}/" in page
    assert "What it shaped, over time" in page
    client.force_login(heard.stranger)
    assert client.get(f"/catalog/works/{first.work_id}/").status_code == 404
    client.force_login(heard.staff)

    unheard = Recording.objects.create(title="Unheard", work=first.work, source_free=True)
    page = client.get(f"/catalog/{unheard.pk}/").content.decode()
    assert "over time" not in page
    assert "in no snapshot, so no model has learned from it and nothing can be traced" in page
    SnapshotMember.objects.create(snapshot_id=heard.snapshot, recording=unheard)

    def why() -> str:
        return selectors.influence([unheard], selectors.trained([unheard])).why_none

    assert "11 pieces made with models that learned from it were traced. In none" in why()
    ModelRelease.objects.update(id="another/1")
    assert "nothing has been made with them" in why()
    ModelRelease.objects.all().delete()
    assert "no model has been made" in why()
