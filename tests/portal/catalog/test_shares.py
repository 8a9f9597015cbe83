"""Who owns what: stated from a day on, always whole, kept forever, confirmed by whom it concerns."""

from datetime import date, timedelta

import pytest
from django.core.cache import cache
from django.db import DatabaseError, transaction
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.making import ident
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.rights.shares import SIDES, WHOLE, Share, check_shares, split
from stemma_portal.catalog.models import Party, Recording, ShareConfirmation, ShareQuestion, ShareRevision
from stemma_portal.catalog.models import Share as Share_
from stemma_portal.catalog.sharing import (
    changes,
    current,
    in_force,
    questions_open,
    share_confirm,
    shares_due,
    shares_set,
)
from stemma_portal.catalog.tasks import share_questions_tell
from stemma_portal.consent.models import Claim
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import AuditEvent
from stemma_portal.notices.models import Notice
from stemma_portal.notices.tasks import notice_mail

pytestmark = [pytest.mark.services, pytest.mark.django_db]
TODAY = now().date()


@pytest.fixture
def song(cast, recordings):
    """A recording that the label brought: its own master, the artist's publishing."""
    song = recordings[0]
    song.organisation = cast.label
    song.save()
    return song


def halves(catalog, *names: str, side: str = "master", territory: str = "WORLD") -> list[Share]:
    parts = split(WHOLE, [1] * len(names))
    return [
        Share(party=catalog[name].id, side=side, ppm=ppm, territory=territory)  # type: ignore[arg-type]
        for name, ppm in zip(names, parts, strict=True)
    ]


def set_(song, shares, by, **more):
    return shares_set(recording=song, shares=shares, by=by, cause="test", **more)


def held(song) -> dict[str, int]:
    return {f"{each.party.name} {each.side}": each.ppm for each in song.shares.select_related("party")}


def test_a_statement_is_kept_and_holds_at_once(cast, catalog, song):
    revision = set_(
        song, [*halves(catalog, "Label", "Other"), *halves(catalog, "Artist", side="publishing")], cast.owner
    )
    assert held(song) == {"Label master": 500_000, "Other master": 500_000, "Artist publishing": WHOLE}
    first, second = song.share_revisions.order_by("number")
    assert (first.cause, second) == ("import", revision)
    assert changes(first.shares, second.shares) == {
        (catalog["Label"].id, "master", "WORLD"): (WHOLE, 500_000),
        (catalog["Other"].id, "master", "WORLD"): (0, 500_000),
    }
    assert AuditEvent.objects.filter(action="shares.set", subject=song.id, actor=cast.owner.email).count() == 1
    again = set_(song, [*halves(catalog, "Artist", side="publishing"), *halves(catalog, "Label", "Other")], cast.owner)
    assert again == revision
    with pytest.raises(DatabaseError), transaction.atomic():
        ShareRevision.objects.filter(id=revision.id).update(shares=[])


def test_shares_that_nobody_stated_become_the_first_statement(cast, catalog, song):
    made = Recording.objects.create(title="By hand", work=song.work)
    Share_.objects.create(recording=made, party=catalog["Other"], side="master", ppm=WHOLE)
    set_(made, halves(catalog, "Label"), cast.rights)
    assert [(each.cause, each.shares[0]["party"]) for each in made.share_revisions.order_by("number")] == [
        ("as brought", catalog["Other"].id),
        ("test", catalog["Label"].id),
    ]


def test_what_does_not_sum_is_refused_and_changes_nothing(cast, catalog, song):
    before = held(song)
    short = [*halves(catalog, "Label", "Other")[:1], *halves(catalog, "Artist", side="publishing")]
    with pytest.raises(InvalidError, match="master shares in WORLD sum to 500000 ppm: 500000 ppm unassigned"):
        set_(song, short, cast.owner)
    with pytest.raises(InvalidError, match="500000 ppm over-claimed"):
        set_(song, [*halves(catalog, "Label"), *halves(catalog, "Other", "Artist")[:1]], cast.owner)
    with pytest.raises(InvalidError, match="two shares"):
        set_(song, halves(catalog, "Label", "Label"), cast.owner)
    with pytest.raises(InvalidError, match="There is no party"):
        set_(song, [Share(party=ident("nobody"), side="master", ppm=WHOLE)], cast.owner)
    with pytest.raises(InvalidError, match="past"):
        set_(song, halves(catalog, "Label"), cast.owner, valid_from=TODAY - timedelta(days=1))
    german = halves(catalog, "Other", side="publishing", territory="DE")
    with pytest.raises(InvalidError, match="in DE sum to 0 ppm"):
        set_(song, [*halves(catalog, "Label"), *halves(catalog, "Artist", side="publishing"), *german], cast.owner)
    assert held(song) == before
    assert song.share_revisions.count() == 1


def test_a_right_of_which_nobody_is_named_stays_open(cast, catalog, song):
    set_(song, halves(catalog, "Label"), cast.owner)
    assert held(song) == {"Label master": WHOLE}


def test_a_planned_statement_comes_into_force_on_its_day(cast, catalog, song):
    day = TODAY + timedelta(days=10)
    set_(song, halves(catalog, "Other"), cast.owner, valid_from=day)
    assert held(song) == {"Label master": WHOLE, "Artist publishing": WHOLE}
    assert shares_due() == 0
    assert shares_due(on=day) == 1
    assert held(song) == {"Other master": WHOLE}
    assert shares_due(on=day) == 0


def test_a_later_statement_replaces_what_was_planned(cast, catalog, song):
    day = TODAY + timedelta(days=10)
    set_(song, halves(catalog, "Other"), cast.owner, valid_from=day)
    set_(song, halves(catalog, "Label", "Other"), cast.owner)
    assert shares_due(on=day) == 0
    assert held(song) == {"Label master": 500_000, "Other master": 500_000}


def test_who_gains_or_loses_is_asked_and_the_stater_is_not(cast, catalog, song):
    revision = set_(song, halves(catalog, "Other"), cast.owner)  # the artist loses its publishing
    asked = {question.party.name: question.changes for question in revision.questions.all()}
    assert asked == {
        "Artist": [{"side": "publishing", "territory": "WORLD", "before": WHOLE, "after": 0}],
        "Other": [{"side": "master", "territory": "WORLD", "before": 0, "after": WHOLE}],
    }
    other = catalog["Other"]
    assert [question.party for question in questions_open([other.id])] == [other]
    share_confirm(revision=revision, party=other, answer="confirmed", by=cast.stranger)
    assert not questions_open([other.id]).exists()
    assert share_confirm(revision=revision, party=other, answer="confirmed", by=cast.stranger).by == cast.stranger.email
    with pytest.raises(ConflictError):
        share_confirm(revision=revision, party=other, answer="disputed", note="No.", by=cast.stranger)
    with pytest.raises(InvalidError, match="was not asked"):
        share_confirm(revision=revision, party=catalog["Label"], answer="confirmed", by=cast.owner)
    set_(song, halves(catalog, "Label"), cast.owner)
    assert questions_open([catalog["Artist"].id]).count() == 0  # a later statement leaves it as it is
    assert ShareQuestion.objects.count() == 3


def test_a_dispute_opens_a_case_that_holds_the_recording(cast, catalog, song, storage):
    revision = set_(song, halves(catalog, "Other"), cast.owner)
    with pytest.raises(InvalidError, match="reason"):
        share_confirm(revision=revision, party=catalog["Artist"], answer="disputed", note=" ", by=cast.rights)
    share_confirm(revision=revision, party=catalog["Artist"], answer="disputed", note="I wrote it.", by=cast.rights)
    case = Claim.objects.get(recording=song)
    assert (case.claimant_party, case.reason) == (catalog["Artist"], "Shares: I wrote it.")


PARTIES = ("Label", "Artist", "Other")
edits = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.sampled_from(PARTIES), st.integers(1, WHOLE)), max_size=3, unique_by=lambda each: each[0]
        ),
        st.sampled_from(SIDES),
        st.sampled_from(("WORLD", "DE")),
        st.integers(-1, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=edits)
def test_no_sequence_of_edits_leaves_sums_wrong(cast, catalog, song, edits):
    """Whatever is tried, in force is always a statement that sums, today and on every planned day."""
    with transaction.atomic():
        for parts, side, territory, days, exact in edits:
            ppm = split(WHOLE, [weight for _, weight in parts]) if exact and parts else [w for _, w in parts]
            shares = [
                Share(party=catalog[name].id, side=side, ppm=amount, territory=territory)  # type: ignore[arg-type]
                for (name, _), amount in zip(parts, ppm, strict=True)
                if amount
            ]
            try:
                set_(song, shares, cast.owner, valid_from=TODAY + timedelta(days=days))
            except InvalidError:
                continue
        for day in range(5):
            on = TODAY + timedelta(days=day)
            shares_due(on=on)
            stands = [Share(**each) for each in current(song.id)]
            assert current(song.id) == in_force(song, on=on)
            for side in {share.side for share in stands}:
                own = [share for share in stands if share.side == side]
                other = next(each for each in SIDES if each != side)
                check_shares(
                    [*own, *(Share(party="x", side=other, ppm=WHOLE, territory=t) for t in {s.territory for s in own})]
                )
        transaction.set_rollback(True)


# --- Pages ---------------------------------------------------------------------------------------


def sent(step: str, *rows: tuple[str, str, str], valid_from: date = TODAY, **more: str) -> dict:
    """What the sheet sends: rows of (side, party, percent)."""
    body: dict = {"step": step, "valid_from": valid_from.isoformat(), "why": "contract 7", **more}
    for side, party, percent in rows:
        for name, value in (("party", party), ("territory", "WORLD"), ("percent", percent), ("email", "")):
            body.setdefault(f"{name}-{side}", []).append(value)
    return body


def test_the_sheet_states_shares(client, cast, catalog, song):
    client.force_login(cast.owner)
    address = reverse("dashboards:shares", args=[song.id])
    assert 'value="Label"' in client.get(address).content.decode()
    rows = [("master", "label", "66.6667 %"), ("master", "A new band", "33,3333"), ("publishing", "Artist", "100")]
    text = client.post(address, sent("preview", *rows)).content.decode()
    assert "new to the catalog" in text
    assert text.count("It sums.") == 2
    assert not Party.objects.filter(name="A new band").exists()
    answer = client.post(address, sent("state", *rows), follow=True)
    assert "1 owner is asked to confirm" in answer.content.decode()
    assert held(song) == {"Label master": 666_667, "A new band master": 333_333, "Artist publishing": WHOLE}
    assert Party.objects.get(name="A new band").introduced_by == cast.label
    assert "editor: contract 7" in answer.content.decode()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("master", "Label", "99.9999")], "0.0001 % missing"),
        ([("master", "Label", "100"), ("master", "Other", "0.0001")], "0.0001 % too much"),
        ([("master", "Label", "33.33333")], "at most four decimals"),
        ([("master", "Label", "much")], "Write the share as a percentage"),
        ([("master", "", "100")], "Who? Write the name"),
        ([("master", "Label", "nan")], "more than 0 and at most 100"),
        ([("master", "Label", "50"), ("master", "LABEL", "50")], "two shares of one right"),
        ([("master", "L\u202eabel", "100")], "Write a name"),
        ([], "No shares are named"),
    ],
)
def test_the_sheet_tells_what_is_wrong_and_keeps_what_was_written(client, cast, catalog, song, rows, told):
    client.force_login(cast.owner)
    answer = client.post(reverse("dashboards:shares", args=[song.id]), sent("state", *rows))
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert song.share_revisions.count() == 1


def test_only_who_brought_it_and_staff_state_shares(client, cast, catalog, song):
    address = reverse("dashboards:shares", args=[song.id])
    for user, status in ((cast.teammate, 403), (cast.stranger, 404), (cast.licensee, 403), (cast.rights, 200)):
        client.force_login(user)
        assert client.get(address).status_code == status, user
    client.logout()
    assert client.get(address).status_code == 302


def test_a_party_answers_on_its_page(client, cast, catalog, song, storage):
    revision = set_(
        song, [*halves(catalog, "Label", "Other"), *halves(catalog, "Artist", side="publishing")], cast.owner
    )
    question = revision.questions.get()
    client.force_login(cast.owner)
    assert (
        client.post(reverse("dashboards:share_answer", args=[question.id]), {"answer": "confirmed"}).status_code == 404
    )
    client.force_login(cast.stranger)
    text = client.get(reverse("dashboards:share_questions")).content.decode()
    assert song.title in text
    assert "It is right" in text
    client.post(reverse("dashboards:share_answer", args=[question.id]), {"answer": "disputed", "note": ""})
    assert not ShareConfirmation.objects.exists()
    answer = client.post(
        reverse("dashboards:share_answer", args=[question.id]),
        {"answer": "disputed", "note": "It is all mine."},
        follow=True,
    )
    assert "a case is open" in answer.content.decode()
    assert "Nothing to confirm" in answer.content.decode()
    history = client.get(reverse("dashboards:share_history", args=[song.id])).content.decode()
    assert "It is all mine." in history


def test_who_is_asked_hears_of_it_in_one_mail(
    cast, catalog, song, recordings, mailoutbox, monkeypatch, committed, redis
):
    monkeypatch.setattr(notice_mail, "apply_async", lambda args, **_: notice_mail(*args))
    waiting = []
    cache.clear()
    monkeypatch.setattr(
        "stemma_portal.catalog.telling.current_app.send_task", lambda name, args, **_: waiting.append((name, *args))
    )
    stranger = Party.objects.create(name="A demo guitarist")
    with committed():
        for row in (song, recordings[1]):
            shares = [Share(party=each, side="master", ppm=WHOLE // 2) for each in (catalog["Other"].id, stranger.id)]
            set_(row, shares, cast.owner, addresses={stranger.id: "guitar@example.org"})
    parties = {catalog[name].id for name in ("Other", "Artist", "Label")} | {stranger.id}
    assert {party for _, party in waiting} <= parties
    assert len(waiting) == len({party for _, party in waiting})  # two recordings, one mail each
    for _, party in waiting * 2:  # a task may be given twice
        with committed():
            share_questions_tell(party)
    told = {tuple(mail.to): mail.body for mail in mailoutbox}
    assert told.keys() == {(cast.stranger.email,), ("guitar@example.org",), (cast.owner.email,)}
    assert "Tune 0" in told[("guitar@example.org",)]
    assert "Tune 1" in told[("guitar@example.org",)]
    assert "no account" in told[("guitar@example.org",)]
    assert "under Shares" in told[(cast.stranger.email,)]
    notice = Notice.objects.get(user=cast.stranger)
    assert (notice.title, notice.href) == ("Please confirm what Other owns", "/shares/")
