"""A person's notices, as their own programs read them."""

import re

import pytest
from django.test import Client

from portal.making import problem
from stemma_portal.core.models import AuditEvent
from stemma_portal.notices.models import Notice, Topic
from stemma_portal.notices.services import notify

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def told(redis, cast):
    """Three notices of the label's owner, one of them as themselves; the other label has one."""
    for topic, title in ((Topic.SHARES, "A share"), (Topic.AUDIO, "A file")):
        notify(organisations=[cast.label], topic=topic, title=title, text="Look.", href="/shares/")
    notify(users=[cast.owner], topic=Topic.ACCOUNT, title="A key", text="Look.", href="/")
    notify(organisations=[cast.other], topic=Topic.SHARES, title="Theirs", text="Look.", href="/shares/")


def test_what_one_was_told_is_listed_newest_first(api, cast, told):
    owner = api("owner")
    items = owner.get("notices").json()["items"]
    assert [(row["title"], row["organisation"]) for row in items] == [
        ("A key", None), ("A file", cast.label.id), ("A share", cast.label.id)
    ]  # fmt: skip
    assert {row["read_at"] for row in items} == {None}
    assert [row["title"] for row in owner.get("notices", topic="shares").json()["items"]] == ["A share"]
    first = owner.get("notices", limit=2).json()
    assert [row["title"] for row in owner.get("notices", cursor=first["next"]).json()["items"]] == ["A share"]
    problem(owner.get("notices", topic="weather"), 422, "invalid")
    problem(owner.get("notices", cursor="x"), 422, "cursor")


def test_a_notice_is_read_once_and_keeps_its_moment(api, told):
    owner = api("owner")
    one = owner.get("notices").json()["items"][0]
    assert owner.get(f"notices/{one['id']}").json() == one, "looking is not reading"
    read = owner.post(f"notices/{one['id']}/reading")
    assert (read.status_code, read.json()["read_at"] is None) == (200, False)
    assert owner.post(f"notices/{one['id']}/reading").json() == read.json()
    assert [row["title"] for row in owner.get("notices", unread="true").json()["items"]] == ["A file", "A share"]


def test_a_topic_or_everything_is_marked_as_read(api, cast, told):
    owner = api("owner")
    assert owner.post("notices/reading", {"topic": "shares"}).json() == {"read": 1}
    assert owner.post("notices/reading", {}).json() == {"read": 2}
    assert owner.post("notices/reading", {}).json() == {"read": 0}
    problem(owner.post("notices/reading", {"topic": "weather"}), 422, "invalid")
    assert Notice.objects.filter(user=cast.stranger, read_at=None).count() == 1


@pytest.mark.parametrize("who", ["stranger", "teammate", "rights", "operator"])
def test_nobody_else_reads_a_notice(api, cast, told, who):
    one = Notice.objects.filter(user=cast.owner).first()
    problem(api(who).get(f"notices/{one.pk}"), 404)
    problem(api(who).post(f"notices/{one.pk}/reading"), 404)
    assert "A share" not in api(who).get("notices").content.decode()
    one.refresh_from_db()
    assert one.read_at is None


# --- When by e-mail ---------------------------------------------------------------------------------


def wishes(answer) -> dict[str, str]:
    assert answer.status_code == 200, answer.content
    return {row["topic"]: row["mail"] for row in answer.json()["items"]}


def test_what_one_is_mailed_is_read_and_changed_by_topic(redis, api, cast):
    owner = api("owner")
    before = owner.get("notices/preferences")
    assert wishes(before) == dict.fromkeys(map(str, Topic), "at-once"), "who has said nothing is mailed at once"
    assert {row["topic"] for row in before.json()["items"] if row["always"]} == {"claims", "account"}
    changed = owner.send("PATCH", "notices/preferences", {"mail": {"shares": "daily", "audio": "never"}})
    assert wishes(changed) == wishes(before) | {"shares": "daily", "audio": "never"}
    event = AuditEvent.objects.get(request=changed["X-Request-Id"])
    assert (event.action, event.detail["after"]) == ("notices.preferences", {"shares": "daily", "audio": "never"})
    owner.send("PATCH", "notices/preferences", {"mail": {"shares": "at-once"}})
    assert wishes(owner.get("notices/preferences")) == wishes(before) | {"audio": "never"}
    assert wishes(api("teammate").get("notices/preferences")) == wishes(before), "everybody has their own"


def test_the_page_and_a_program_change_the_same_wishes(redis, api, cast):
    page = Client()
    page.force_login(cast.owner)
    free = dict.fromkeys(("shares", "consent", "imports", "audio"), "at-once")
    page.post("/notices/preferences/", {**free, "money": "daily"})
    assert wishes(api("owner").get("notices/preferences"))["money"] == "daily"
    api("owner").send("PATCH", "notices/preferences", {"mail": {"money": "never"}})
    shown = page.get("/notices/preferences/").content.decode()
    assert re.search(r'name="money" value="never"[^>]*checked', shown)


def test_mails_that_wait_follow_a_change(redis, api, cast, told):
    api("owner").send("PATCH", "notices/preferences", {"mail": {"shares": "never"}})
    waiting = Notice.objects.filter(user=cast.owner, mail_due_at__isnull=False)
    assert set(waiting.values_list("topic", flat=True)) == {"audio", "account"}


@pytest.mark.parametrize("topic", ["claims", "account"])
def test_what_has_a_deadline_or_guards_the_account_stays(redis, api, topic):
    said = {"mail": {topic: "never", "shares": "never"}}
    problem(api("owner").send("PATCH", "notices/preferences", said), 422, "notice-topic")
    assert set(wishes(api("owner").get("notices/preferences")).values()) == {"at-once"}, "nothing was changed"


@pytest.mark.parametrize(
    "said", [{}, {"mail": {}}, {"mail": {"weather": "daily"}}, {"mail": {"shares": "hourly"}}, {"mail": None}, {"x": 1}]
)
def test_what_is_no_wish_is_refused(redis, api, said):
    problem(api("owner").send("PATCH", "notices/preferences", said), 422, "invalid")
