"""The home of owners answers five questions, from real facts; and what one recording shaped and earned."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from portal.certificates.made import Output, put
from portal.making import SCOPES
from portal.royalties.world import World
from stemma.attribution.shares import explain
from stemma.attribution.workings import APART, OwnInputs
from stemma.cli import build
from stemma.errors import InvalidError, ProofError
from stemma.ids import new_id, now
from stemma.proof.canonical import digest
from stemma.rights.covenant import OnWithdrawal, house_covenant
from stemma.royalties.facts import COMMONS, PPB
from stemma_portal.accounts.services import membership_set, user_create
from stemma_portal.catalog.models import Recording
from stemma_portal.consent import cases
from stemma_portal.consent.services import consent_grant, consent_withdraw
from stemma_portal.core.services import log_append
from stemma_portal.dashboards import homes, owners, selectors
from stemma_portal.licensing.models import CovenantVersion, License
from stemma_portal.metering.models import Attribution, Certificate
from stemma_portal.metering.services import facts_ingest
from stemma_portal.operations.carrying import carried
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


def test_what_carries_a_recording_says_what_the_covenant_of_each_says(heard: World, client, keyring) -> None:
    """Each license, piece and grant by its own version; licensees are told nothing of what is the owners'."""
    house = house_covenant()
    ending = OnWithdrawal(outputs="end", weights="end", prompting_days=30, owner_earns=False)
    later = house.model_copy(update={"version": "9", "withdrawal": ending})
    # Nobody may publish it while others hold more: it is put where published ones are.
    receipt = log_append(kind="covenant", subject="9", document_digest=digest(later), at=now()).model_dump(mode="json")
    CovenantVersion.objects.create(
        digest=digest(later), version="9", document=later.model_dump(mode="json"), receipt=receipt, published_at=now()
    )
    recording = heard.recordings[1]
    first = consent_grant(party=heard.parties[0], recordings=[recording.pk], scopes=list(SCOPES), by=heard.staff)
    second = consent_grant(party=heard.parties[2], recordings=[recording.pk], scopes=list(SCOPES), by=heard.staff)
    assert first.covenant == second.covenant == digest(later)
    new = heard.licenses[1]
    License.objects.filter(pk=new.pk).update(covenant=digest(later))
    usage = heard.usage(of=1, covenant=digest(later))
    token = Output(new, keyring, generation=usage.id)
    put(heard.lake, token.fact(), usage)
    heard.put_attribution(heard.attribution(usage, {1: PPB}))
    facts_ingest(lake=heard.lake)
    gone = consent_withdraw(consent=first, recording_id=recording.pk, by=heard.owner)

    where = carried(recording, owners=True)
    [(release, weights)] = where.releases
    assert release.id == "house-symbolic/1"
    kept, lost = "A model that was trained on it before keeps its license.", "A model that was trained on it before"
    assert [(each.covenant, each.under_it, each.ends) for each in weights] == [
        ("9", 1, True),
        (house.version, 1, False),
    ]
    assert weights[1].text == kept
    assert weights[0].text == f"{lost} loses its license."
    assert [(each.covenant, each.under_it, each.ends) for each in where.outputs] == [
        ("9", 1, True), (house.version, 2, False),
    ]  # fmt: skip
    owner = {each.party: each for each in where.grants}
    mine, theirs = owner[heard.parties[0]], owner[heard.parties[2]]
    assert where.withdrawn_at == mine.withdrawn_at == gone.at
    assert mine.prompting_ends == gone.at + timedelta(days=30)
    assert mine.earns == "The owner earns nothing more from what was licensed before."
    assert (theirs.withdrawn_at, theirs.prompting_ends) == (None, None)

    client.force_login(heard.owner)
    certificate = Certificate.objects.get()
    page = client.get(f"/catalog/{recording.pk}/carried/").content.decode()
    for said in (kept, mine.prompting, "Under covenant 9, 1 piece:", certificate.sha256):
        assert said in page
    assert usage.id not in page  # whose it is, its licensee tells
    client.force_login(heard.staff)
    assert f"/certificate/{usage.id}/" in client.get(f"/catalog/{recording.pk}/carried/").content.decode()
    listed = client.get(f"/api/v1/catalog/recordings/{recording.pk}/carried/pieces", {"limit": 1}).json()
    assert listed["items"][0]["certificate"] == certificate.sha256
    assert listed["items"][0]["log_index"] == certificate.entry.position
    assert listed["next"]
    _told_to_a_licensee(client, recording, new, certificate)


def test_an_owner_recomputes_its_part_and_learns_nothing_else(heard: World, client, tmp_path) -> None:
    """By page, API and command line; of the piece, its licensee, other recordings and their owners nothing is told."""
    names = [recording.pk for recording in heard.recordings]
    scores, decoys = np.array([9.0, 6.0, 4.0, 0.1, -0.2, 0.0]), np.array([-0.4, -0.1, 0.0, 0.1, 0.4])
    whole = explain(names, scores, decoys, weights=np.array([1.0, 1.2, 0.7, 1.0, 1.0, 1.0]), clusters=list("aabcde"))
    usage, older = heard.usage(), heard.usage()
    fact = heard.attribution(usage, {names.index(n): ppb for n, ppb in whole.shares.items() if n != COMMONS}, store="7")
    heard.put_usage(usage, older)
    heard.put_attribution(fact, heard.attribution(older, {1: 2}))
    heard.lake.put(f"generations/{usage.id}/workings/7.json", whole.workings.model_dump_json().encode())
    facts_ingest(lake=heard.lake)

    mine = heard.recordings[1]
    client.force_login(heard.owner)
    address = f"/api/v1/catalog/recordings/{mine.pk}/carried/pieces"
    assert f'href="{address}/{fact.id}"' in client.get(f"/catalog/{mine.pk}/carried/").content.decode()
    assert fact.id in [piece["attribution"] for piece in client.get(address).json()["items"]]
    answer = client.get(f"{address}/{fact.id}")
    told = OwnInputs.model_validate_json(answer.content)
    assert (told.recording, told.share, told.commons) == (mine.pk, whole.shares[mine.pk], whole.shares[COMMONS])
    assert told.share > 1000
    assert told.apart() <= APART
    secrets = {usage.id, usage.license, usage.licensee, usage.key, heard.parties[1].name, heard.parties[2].name}
    assert not [each for each in secrets | set(names) - {mine.pk} if each in answer.content.decode()]

    path = tmp_path / "own.json"

    def recompute(body: dict) -> str:
        path.write_text(json.dumps(body))
        done = CliRunner().invoke(build({"attribution"}), ["attribution", "recompute", fact.id, "--inputs", str(path)])
        if done.exception is not None:
            raise done.exception
        return done.output

    assert "the same" in recompute(answer.json())
    with pytest.raises(ProofError, match="1000 ppb from what its score gives"):
        recompute(answer.json() | {"share": told.share - 1000, "others": told.others + 1000})
    with pytest.raises(InvalidError, match="not to 1000000000"):
        recompute(answer.json() | {"share": told.share - 1000})
    with pytest.raises(InvalidError, match="owner's inputs: share"):
        recompute(answer.json() | {"share": -1})
    with pytest.raises(InvalidError, match="are about attribution"):
        recompute(answer.json() | {"attribution": usage.id})

    before = Attribution.objects.get(generation=older.id)
    kept = OwnInputs.model_validate(client.get(f"{address}/{before.pk}").json())
    assert (kept.share, kept.workings) == (2, None)
    with pytest.raises(InvalidError, match="was not kept yet"):
        kept.apart()
    shaped_nothing = heard.recordings[3]
    for other, status in ((heard.recordings[0], 404), (shaped_nothing, 404), (mine, 200)):
        found = client.get(f"/api/v1/catalog/recordings/{other.pk}/carried/pieces/{fact.id}")
        assert found.status_code == status
    assert client.get(f"{address}/{new_id()}").status_code == 404
    buyer = user_create(email="buyer@example.org", name="Buyer", password=None, by=None)
    membership_set(user=buyer, organisation=heard.licenses[0].organisation, role="owner", by=None)
    for user in (buyer, heard.stranger):  # a licensee sees the recording, and is told nothing of its owners' part
        client.force_login(user)
        assert client.get(f"{address}/{fact.id}").status_code == 404


def _told_to_a_licensee(client, recording, license_, certificate) -> None:
    buyer = user_create(email="buyer@example.org", name="Buyer", password=None, by=None)
    membership_set(user=buyer, organisation=license_.organisation, role="owner", by=None)
    client.force_login(buyer)
    page = client.get(f"/catalog/{recording.pk}/carried/").content.decode()
    assert "house-symbolic/1" in page
    assert certificate.sha256 not in page
    assert "What it means for each owner" not in page
    assert client.get(f"/api/v1/catalog/recordings/{recording.pk}/carried").json()["grants"] == []
    assert client.get(f"/api/v1/catalog/recordings/{recording.pk}/carried/pieces").status_code == 404
