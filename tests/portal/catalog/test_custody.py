"""Communities look after recordings: statements and answers as facts, and what follows from them."""

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from portal.making import SCOPES, ident, problem, record
from stemma.errors import InvalidError, NotFoundError
from stemma_portal.catalog.access import access_recording
from stemma_portal.catalog.custody import (
    custody_answer,
    custody_end,
    custody_set,
    history,
    in_question,
    kept,
    kept_out,
    questions_of,
)
from stemma_portal.catalog.models import Cluster, Custody, CustodyAnswer, Party, Recording
from stemma_portal.catalog.services import recordings_import
from stemma_portal.consent.selectors import recording_states
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import AuditEvent
from stemma_portal.notices.models import Notice
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.selectors import eligibility, recordings_as_offered
from stemma_portal.operations.services import snapshot_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def community(cast, catalog) -> Party:
    """The other label's party looks after what it does not own."""
    return catalog["Other"]


@pytest.fixture
def say(cast, community):
    """State custody; of staff unless said otherwise."""

    def stated(recordings, *conditions, by_staff: bool = True, **more) -> Custody:
        more = {"party": community, "terms": "Sing it in winter only.", **more}
        by = cast.rights if by_staff else cast.owner
        return custody_set(
            recordings=[each.id for each in recordings], conditions=conditions, by=by, by_staff=by_staff, **more
        )

    return stated


def held(*scopes: str) -> set[str]:
    return set(kept_out(scopes).values_list("isrc", flat=True))


def test_ask_first_keeps_out_until_the_custodian_agrees(say, cast, recordings, granted, storage):
    custody = say(recordings[:2], "ask_first")
    assert held() == {recordings[0].isrc, recordings[1].isrc}
    assert recording_states([recordings[0].id])[recordings[0].id].state == "withheld"
    taken = snapshot_create(name="a", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)
    assert {row.isrc[-1] for row in taken.members.all()} == {"2", "3", "4"}
    everything = snapshot_create(name="b", include=Snapshot.Include.ALL, scopes=SCOPES, by=None)
    assert {row.isrc[-1] for row in everything.members.all()} == {"2", "3", "4", "5"}, "nobody goes past a custodian"
    assert recordings[0].id not in eligibility(scopes=tuple(SCOPES), territory="WORLD")

    custody_answer(custody=custody, answer="agreed", by=cast.stranger)
    assert held() == set()
    assert recording_states([recordings[0].id])[recordings[0].id].state == "consented"
    again = snapshot_create(name="c", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)
    assert again.recordings == 5

    custody_answer(custody=custody, answer="taken-back", recording_id=recordings[0].id, by=cast.stranger)
    assert held() == {recordings[0].isrc}
    custody_answer(custody=custody, answer="agreed", by=cast.stranger)
    assert held() == set(), "word for the whole changes what was said of one"
    custody_answer(custody=custody, answer="taken-back", by=cast.stranger)
    assert len(held()) == 2


def test_new_terms_ask_anew_and_earlier_ones_stay_readable(say, cast, recordings):
    first = say(recordings[:1], "ask_first")
    custody_answer(custody=first, answer="agreed", by=cast.stranger)
    second = say(recordings[:1], "ask_first", "attribution", terms="And name us.")
    assert held() == {recordings[0].isrc}
    assert [(row.number, row.custody_id) for row in history(recordings[0])] == [(2, second.id), (1, first.id)]
    assert kept([recordings[0].id])[recordings[0].id].custody == second


def test_of_an_owner_it_waits_for_the_custodian(say, cast, recordings, community):
    custody = say(recordings[:1], "ask_first", by_staff=False)
    assert (held(), kept([recordings[0].id])) == (set(), {})
    assert in_question().count() == questions_of([community.id]) == 1
    custody_answer(custody=custody, answer="accepted", by=cast.stranger)
    assert held() == {recordings[0].isrc}
    assert not in_question().exists()
    assert questions_of([community.id]) == 1, "now it is asked for its agreement"
    custody_answer(custody=custody, answer="declined", by=cast.stranger)
    assert held() == set()


def test_a_program_names_asks_and_answers(cast, catalog, recordings, community, api):
    Recording.objects.filter(id=recordings[0].id).update(organisation=cast.label)
    given = {"recordings": [recordings[0].id], "party": community.id, "conditions": ["ask_first"]}
    made = api("owner").post("custody", given).json()
    assert (made["state"], made["recordings"], made["community"]) == ("proposed", 1, community.name)
    told = Notice.objects.get(user=cast.stranger, topic="consent")
    assert "asked to look after 1 recording" in told.title
    assert told.href == f"/custody/{made['id']}/"
    place = f"custody/{made['id']}"
    problem(api("owner").post(f"{place}/answers", {"answer": "accepted"}), 404)
    for answer in ("accepted", "agreed"):
        assert api("stranger").post(f"{place}/answers", {"answer": answer}).status_code == 201
    assert [each["answer"] for each in api("owner").get(f"{place}/answers").json()] == ["agreed", "accepted"]
    assert api("owner").get(place).json()["state"] == "in-force"
    assert held() == set()
    assert api("owner").post(f"{place}/end").json()["state"] == "proposed"
    alone = {**given, "party": Party.objects.create(name="Nobody").id}
    problem(api("rights").post("custody", alone), 422, "custodian")


def test_nobody_is_made_a_custodian_against_their_will(say, cast, recordings):
    first = say(recordings[:1], "attribution")
    second = say(recordings[:1], terms="Everything is allowed.")
    assert kept([recordings[0].id])[recordings[0].id].custody == second
    custody_answer(custody=second, answer="declined", by=cast.stranger)
    assert kept([recordings[0].id])[recordings[0].id].custody == first, "what held before holds"
    custody_answer(custody=first, answer="declined", by=cast.stranger)
    assert kept([recordings[0].id]) == {}


def test_an_owner_cannot_push_a_custodian_aside(say, cast, catalog, recordings):
    custody = say(recordings[:1], "ask_first")
    with pytest.raises(ConflictError, match="Another community"):
        say(recordings[:1], party=catalog["Label"], by_staff=False)
    say(recordings[:1], terms="Softer.", by_staff=False)
    custody_end(custody=custody, by=cast.owner, by_staff=False)
    assert held() == {recordings[0].isrc}, "both wait for the custodian"
    over = Custody.objects.get(ended=True)
    custody_answer(custody=over, answer="accepted", by=cast.stranger)
    assert held() == set()


def test_staff_end_it(say, cast, recordings):
    custody = say(recordings[:2], "ask_first")
    custody_end(custody=custody, by=cast.rights, by_staff=True)
    assert kept(each.id for each in recordings) == {}
    assert len(history(recordings[0])) == 2
    with pytest.raises(InvalidError, match="No recording"):
        custody_end(custody=custody, by=cast.rights, by_staff=True)


def test_no_style_prompting_leaves_out_where_that_is_what_it_is_for(say, recordings, catalog, cast, covenant, storage):
    from stemma_portal.consent.services import consent_grant

    scopes = [*SCOPES, "style_prompting"]
    for party in catalog.values():
        consent_grant(party=party, recordings="all", scopes=scopes, by=cast.rights)
    say(recordings[:1], "no_style_prompting")
    assert (held(), held("style_prompting")) == (set(), {recordings[0].isrc})
    assert "no style prompting" in recording_states([recordings[0].id])[recordings[0].id].why
    assert recordings[0].id not in {each.recording for each in recordings_as_offered(("style_prompting",))}
    assert recordings[0].id in {each.recording for each in recordings_as_offered()}
    for wanted, count in ((SCOPES, 5), (scopes, 4)):
        taken = snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=wanted, by=None)
        assert taken.recordings == count


def test_what_stands_for_it_is_kept_out_too(say, recordings):
    say(recordings[:1], "ask_first")
    cluster = Cluster.objects.create(canonical=recordings[1])
    Recording.objects.filter(id__in=[each.id for each in recordings[:2]]).update(cluster=cluster)
    assert held() == {recordings[0].isrc, recordings[1].isrc}


def test_an_answer_twice_is_one_and_what_is_not_asked_is_refused(say, cast, recordings):
    custody = say(recordings[:1], "ask_first")
    one = custody_answer(custody=custody, answer="agreed", by=cast.stranger)
    assert custody_answer(custody=custody, answer="agreed", by=cast.stranger) == one
    assert custody_answer(custody=custody, answer="agreed", recording_id=recordings[0].id, by=cast.stranger) == one
    assert CustodyAnswer.objects.count() == 1
    with pytest.raises(InvalidError, match="does not name"):
        custody_answer(custody=custody, answer="agreed", recording_id=recordings[3].id, by=cast.stranger)
    with pytest.raises(InvalidError, match="as a whole"):
        custody_answer(custody=custody, answer="declined", recording_id=recordings[0].id, by=cast.stranger)
    with pytest.raises(InvalidError, match="do not ask"):
        custody_answer(custody=say(recordings[1:2]), answer="agreed", by=cast.stranger)


@pytest.mark.parametrize(
    ("terms", "conditions", "code"),
    [("", [], "terms"), ("x" * 4001, [], "too-long"), ("x", ["share_ppm"], "condition")],
)
def test_terms_that_cannot_be(say, recordings, terms, conditions, code):
    with pytest.raises(InvalidError) as error:
        say(recordings[:1], *conditions, terms=terms)
    assert error.value.code == code
    assert not Custody.objects.exists()


def test_it_is_audited_and_never_changed(say, cast, recordings):
    custody = say(recordings[:1], "ask_first")
    custody_answer(custody=custody, answer="agreed", by=cast.stranger)
    actions = AuditEvent.objects.filter(subject=custody.id).values_list("action", "actor")
    assert set(actions) == {("custody.state", cast.rights.email), ("custody.answer", cast.stranger.email)}
    for rows in (Custody.objects.all(), custody.items.all(), custody.answers.all()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            rows.update(id=rows[0].pk)
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            rows._raw_delete(rows.db)


def test_a_custodian_sees_what_it_looks_after(say, cast, recordings):
    with pytest.raises(NotFoundError):
        access_recording(cast.stranger, recordings[0].id)
    say(recordings[:1], by_staff=False)
    assert access_recording(cast.stranger, recordings[0].id) == recordings[0]


def again(user) -> Client:
    """A browser whose person has just typed the password."""
    browser = Client()
    browser.force_login(user)
    assert browser.post("/accounts/reauthenticate/", {"password": "correct horse"}).status_code == 302
    return browser


@pytest.fixture
def brought(cast, recordings):
    """The label brought the first two; they are one collection."""
    Recording.objects.filter(id__in=[each.id for each in recordings[:2]]).update(organisation=cast.label)
    return Recording.objects.get(id=recordings[0].id)


def test_an_owner_names_a_custodian_who_accepts_and_agrees(cast, brought, community, redis):
    owner, keeper = again(cast.owner), again(cast.stranger)
    address = f"/custody/new/?recording={brought.id}"
    assert "All 2 of the collection" in owner.get(address).content.decode()
    given = {
        "which": "collection",
        "custodian": "other",
        "conditions": ["ask_first", "attribution"],
        "community": "Sea",
    }
    sent = owner.post(address, {**given, "terms": "Only <b>with</b> us."}, follow=True)
    assert "Waits for an answer" in sent.content.decode()
    custody = Custody.objects.get()
    assert (custody.items.count(), custody.collection, custody.party) == (2, "Tunes", community)

    assert "custody waits for your answer" in keeper.get("/").content.decode()
    assert "Your answer is asked" in keeper.get("/custody/").content.decode()
    page = f"/custody/{custody.id}/"
    assert "Only &lt;b&gt;with&lt;/b&gt; us." in keeper.get(page).content.decode()
    assert "look after these recordings" in keeper.get(f"{page}answer/?answer=accepted").content.decode()
    keeper.post(f"{page}answer/", {"answer": "accepted"})
    shown = keeper.get(f"/catalog/{brought.id}/").content.decode()
    assert "Sea" in shown
    assert "in no new snapshot until the custodian agrees" in shown
    assert held() == set(custody.items.values_list("recording__isrc", flat=True))

    keeper.post(f"{page}answer/", {"answer": "agreed", "note": "This winter."})
    assert held() == set()
    keeper.post(f"{page}answer/", {"answer": "taken-back", "recording": brought.id})
    assert held() == {brought.isrc}
    text = keeper.get(page).content.decode()
    assert "This winter." in text
    assert "In your custody" in keeper.get("/").content.decode()

    ended = owner.post(f"{page}end/", follow=True).content.decode()
    assert "once the custodian has said yes" in ended
    assert held() == {brought.isrc}


def test_the_password_is_asked_once_more(cast, brought, say):
    custody = say([brought])
    for who, address in (
        (cast.owner, f"/custody/new/?recording={brought.id}"),
        (cast.stranger, f"/custody/{custody.id}/answer/?answer=declined"),
        (cast.rights, f"/custody/{custody.id}/end/"),
    ):
        browser = Client()
        browser.force_login(who)
        answer = browser.get(address)
        assert answer.status_code == 302
        assert "reauthenticate" in answer["Location"]


def test_who_may_not(cast, brought, say, recordings):
    custody = say([brought], "ask_first")
    for who, address in (
        (cast.teammate, f"/custody/new/?recording={brought.id}"),
        (cast.stranger, f"/custody/new/?recording={brought.id}"),
        (cast.owner, f"/custody/new/?recording={recordings[2].id}"),
        (cast.owner, f"/custody/{custody.id}/answer/?answer=agreed"),
        (cast.stranger, f"/custody/{custody.id}/end/"),
        (cast.licensee, f"/custody/{custody.id}/"),
    ):
        browser = again(who)
        for answer in (browser.get(address), browser.post(address, {"answer": "agreed"})):
            assert answer.status_code in {403, 404, 405}, address
    assert not custody.answers.exists()
    assert Custody.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"custodian": "Nobody"}, "No party of this name"),
        ({"terms": " "}, "Write the terms"),
        ({"terms": "x" * 4001}, "at most 4000"),
        ({"conditions": ["share_ppm"]}, "not one of the available"),
        ({"which": "release"}, "not one of the available"),
    ],
)
def test_what_cannot_be_stated_is_told(cast, brought, change, told):
    given = {"which": "recording", "custodian": "Other", "terms": "x", **change}
    answer = again(cast.rights).post(f"/custody/new/?recording={brought.id}", given)
    assert answer.status_code == 422
    assert told in answer.content.decode()


def test_many_recordings_take_few_queries(say, cast, community, django_assert_max_num_queries):
    recordings_import(records=[record(n) for n in range(10, 210)], by=cast.rights)
    ids = [ident(f"recording {n}") for n in range(10, 210)]
    rows = list(Recording.objects.filter(id__in=ids))
    with django_assert_max_num_queries(14):  # Two of them tell the custodian.
        say(rows, "ask_first", collection="Tunes")
    with django_assert_max_num_queries(1):
        assert len(kept(ids)) == 200
    with django_assert_max_num_queries(1):
        assert len(held()) == 200
