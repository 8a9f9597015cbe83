"""The notice centre, as the people whom it tells see it."""

import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from stemma.errors import InvalidError
from stemma.ids import now
from stemma_portal.accounts.services import membership_set, organisation_create
from stemma_portal.core.models import AuditEvent
from stemma_portal.notices.models import Mail, Notice, Preference, Topic
from stemma_portal.notices.services import preferences_of, preferences_set

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def owner(client, cast):
    client.force_login(cast.owner)
    return client


def shown(client, address="/notices/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def titles(page: str) -> list[str]:
    return re.findall(r'<a class="row-title"[^>]*>([^<]*)</a>', page)


# --- Who is told ------------------------------------------------------------------------------------


def test_owners_are_told_and_nobody_else(tell, cast):
    membership_set(user=cast.licensee, organisation=cast.label, role="owner", by=None)
    told = tell(organisations=[cast.label])
    assert {notice.user_id for notice in told} == {cast.owner.pk, cast.licensee.pk}
    assert {notice.organisation for notice in told} == {cast.label}


def test_whoever_owns_two_organisations_is_told_once(tell, cast):
    membership_set(user=cast.owner, organisation=cast.other, role="owner", by=None)
    assert len(tell(organisations=[cast.label, cast.other])) == 2  # with the other label's own
    assert Notice.objects.filter(user=cast.owner).count() == 1


def test_whoever_did_it_is_not_told_of_it(tell, cast):
    membership_set(user=cast.licensee, organisation=cast.label, role="owner", by=None)
    (notice,) = tell(organisations=[cast.label], besides=cast.owner)
    assert notice.user_id == cast.licensee.pk


def test_saying_it_twice_with_a_key_changes_nothing(tell, cast):
    assert len(tell(key="import:1")) == 1
    assert tell("Another title", key="import:1") == []
    assert len(tell(key="import:1", users=[cast.owner, cast.stranger])) == 1
    assert len(tell()) == len(tell()) == 1


def test_what_is_said_leads_nowhere_else(tell, cast):
    for href in ("https://example.com/", "//example.com/", "/\\example.com", "javascript:alert(1)", "", "catalog/"):
        with pytest.raises(ValueError, match="no page of the portal"):
            tell(href=href)
    (notice,) = tell()
    with pytest.raises(IntegrityError, match="notice_leads_nowhere_else"), transaction.atomic():
        Notice.objects.filter(pk=notice.pk).update(href="//example.com/")


# --- The page ---------------------------------------------------------------------------------------


def test_an_empty_centre_says_what_will_come(owner):
    page = shown(owner)
    assert "Nothing yet" in page
    assert "claims on your music" in page


def test_unread_notices_come_first_and_pages_follow_one_another(owner, tell):
    told = [tell(f"Title {number:02d}")[0] for number in range(30)]
    Notice.objects.filter(pk__in=[notice.pk for notice in told[20:]]).update(read_at=now())
    first = shown(owner)
    expected = [f"Title {number:02d}" for number in [*range(19, -1, -1), *range(29, 19, -1)]]
    assert titles(first) == expected[:25]
    assert first.count(">New<") == 20
    following = re.search(r'href="(\?after=[^"]+)" rel="next"', first)[1]
    assert titles(shown(owner, f"/notices/{following}")) == expected[25:]


def test_a_topic_is_shown_alone(owner, tell):
    tell("About shares")
    tell("About money", topic=Topic.MONEY)
    assert titles(shown(owner, "/notices/?topic=money")) == ["About money"]
    assert titles(shown(owner, "/notices/?topic=nonsense")) == ["About money", "About shares"]
    assert "Nothing of this yet" in shown(owner, "/notices/?topic=audio")


def test_what_outsiders_write_stays_text(owner, tell):
    tell("<script>alert(1)</script>", text="<img src=x>")
    page = shown(owner)
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_opening_marks_as_read_and_leads_on(owner, tell, cast):
    (notice,) = tell(href="/shares/")
    answer = owner.get(f"/notices/{notice.id}/")
    assert (answer.status_code, answer["Location"]) == (302, "/shares/")
    notice.refresh_from_db()
    read = notice.read_at
    assert read is not None
    owner.get(f"/notices/{notice.id}/")
    notice.refresh_from_db()
    assert notice.read_at == read


def test_opening_acts_for_the_organisation_that_was_told(owner, tell, cast):
    second = organisation_create(name="A second", slug="a-second", kind="label", by=None)
    membership_set(user=cast.owner, organisation=second, role="owner", by=None)
    (notice,) = tell(organisations=[second])
    owner.get(f"/notices/{notice.id}/")
    assert owner.session["organisation"] == second.id
    second.memberships.all().delete()
    owner.post("/organisation/", {"organisation": cast.label.id})
    owner.get(f"/notices/{notice.id}/")
    assert owner.session["organisation"] == cast.label.id, "they have left it"


def test_another_persons_notice_is_not_there(client, tell, cast):
    (notice,) = tell(organisations=[cast.label])
    for who in ("teammate", "stranger", "rights", "operator"):
        client.force_login(getattr(cast, who))
        assert client.get(f"/notices/{notice.id}/").status_code == 404
        assert client.post("/notices/read/", {"notice": notice.id}).status_code == 404
        client.post("/notices/read/")
        assert "A title" not in shown(client)
    notice.refresh_from_db()
    assert notice.read_at is None


def test_one_a_topic_or_all_are_marked_as_read(owner, tell):
    one = tell("One")[0]
    tell("Two")
    tell("Three", topic=Topic.MONEY)
    unread = lambda: set(Notice.objects.filter(read_at=None).values_list("title", flat=True))  # noqa: E731
    assert owner.post("/notices/read/", {"notice": one.id})["Location"] == "/notices/"
    assert unread() == {"Two", "Three"}
    assert owner.post("/notices/read/", {"topic": "money"})["Location"] == "/notices/?topic=money"
    assert unread() == {"Two"}
    owner.post("/notices/read/")
    assert unread() == set()
    assert owner.get("/notices/read/").status_code == 405


# --- The bell ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("many", "name"), [(0, "Notices"), (3, "Notices, 3 unread"), (120, "Notices, 99+ unread")])
def test_the_bell_says_how_many_are_unread(owner, cast, many, name):
    Notice.objects.bulk_create(
        Notice(user=cast.owner, topic=Topic.SHARES, title="x", text="x", href="/", created_at=now(), mail=Mail.NEVER)
        for _ in range(many)
    )
    assert f'aria-label="{name}"' in shown(owner, "/catalog/")


def test_the_bell_costs_one_query(owner, tell, django_assert_max_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    tell()
    with CaptureQueriesContext(
        connection,
    ) as seen:
        shown(owner, "/verify/")
    assert sum("notices_notice" in query["sql"] for query in seen) == 1


def test_strangers_see_no_bell(client):
    assert "bell" not in shown(client, "/verify/")


# --- Preferences ------------------------------------------------------------------------------------


def test_preferences_are_chosen_per_topic(owner, cast):
    page = shown(owner, "/notices/preferences/")
    assert page.count("<fieldset") == len(Topic) - 2
    assert 'name="claims"' not in page
    assert "cannot be switched off" in page
    wishes = {topic.value: "at-once" for topic in Topic if topic not in {Topic.CLAIMS, Topic.ACCOUNT}}
    answer = owner.post("/notices/preferences/", wishes | {"money": "daily", "audio": "never", "claims": "never"})
    assert answer["Location"] == "/notices/preferences/"
    said = preferences_of(cast.owner)
    assert (said[Topic.MONEY], said[Topic.AUDIO], said[Topic.CLAIMS]) == (Mail.DAILY, Mail.NEVER, Mail.AT_ONCE)
    assert re.search(r'name="money" value="daily"[^>]*checked', shown(owner, "/notices/preferences/"))
    event = AuditEvent.objects.get(action="notices.preferences")
    assert event.detail["after"] == {"money": "daily", "audio": "never"}


def test_what_is_no_choice_is_told_at_its_topic(owner, cast):
    page = owner.post("/notices/preferences/", {"money": "sometimes"}).content.decode()
    assert "sometimes is not one of the available choices" in page
    assert not Preference.objects.exists()


def test_what_has_a_deadline_cannot_be_switched_off(cast):
    for topic in (Topic.CLAIMS, Topic.ACCOUNT):
        with pytest.raises(InvalidError, match="cannot be switched off"):
            preferences_set(user=cast.owner, wishes={topic: Mail.NEVER})
        with pytest.raises(IntegrityError, match="notice_preference_of_free_topic"), transaction.atomic():
            Preference.objects.create(user=cast.owner, topic=topic, mail=Mail.NEVER)


def test_a_notice_says_when_it_was_said(owner, tell):
    (notice,) = tell()
    assert now() - notice.created_at < timedelta(minutes=1)
    assert f'datetime="{notice.created_at.isoformat()}"' in shown(owner)
