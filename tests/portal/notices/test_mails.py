"""Notices as mails, as a real mail server takes them."""

import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemma.ids import now
from stemma_portal.accounts.models import User
from stemma_portal.accounts.services import membership_set
from stemma_portal.notices import mailing, tasks
from stemma_portal.notices.models import Mail, Notice, Topic
from stemma_portal.notices.services import due, one_line, preferences_set
from stemma_portal.notices.tasks import mails_due, notice_mail

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def at_once(monkeypatch):
    """A worker that takes each notice as soon as it is committed."""
    monkeypatch.setattr(notice_mail, "apply_async", lambda args, **_: notice_mail(*args))


def later(**ago):
    """Let time pass: what is due was due so long ago."""
    Notice.objects.filter(mail_due_at__isnull=False).update(mail_due_at=now() - timedelta(**(ago or {"minutes": 2})))


def text_of(mail) -> str:
    return mail.get_body(("plain",)).get_content().replace("\r\n", "\n")


def test_a_notice_comes_as_text_and_html_with_what_mail_programs_ask_for(server, tell, committed, at_once, cast):
    with committed():
        (notice,) = tell("Please confirm <b>it</b>", organisations=[cast.label], text="One line.\n\nAnother.")
    (mail,) = server.mails
    assert mail["To"] == cast.owner.email
    assert mail["From"] == "Stemma <post@stemma.example>"
    assert mail["Subject"] == "Please confirm <b>it</b>"
    assert mail["Message-ID"] == f"<{notice.id}@stemma.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    off = mail["List-Unsubscribe"].strip(" <>")
    assert off in text_of(mail)
    assert f"/notices/{notice.id}/" in text_of(mail)
    assert "One line.\n\nAnother." in text_of(mail)
    assert "as an owner of Label" in text_of(mail)
    page = mail.get_body(("html",)).get_content()
    assert "Please confirm &lt;b&gt;it&lt;/b&gt;" in page
    assert "<p>One line.</p>" in page
    assert "<img" not in page
    assert f"/notices/{notice.id}/" in page
    notice.refresh_from_db()
    assert notice.mailed_at is not None
    assert notice.mail_due_at is None


@pytest.mark.django_db(transaction=True)
def test_what_a_transaction_takes_back_is_never_mailed(server, tell, at_once):
    from django.db import transaction

    with transaction.atomic():
        tell()
        transaction.set_rollback(True)
    assert not Notice.objects.exists()
    assert not server.mails


def test_where_the_broker_is_away_the_clock_mails_it(server, tell, committed, monkeypatch):
    from kombu.exceptions import OperationalError

    def away(*_args, **_options):
        raise OperationalError

    monkeypatch.setattr(notice_mail, "apply_async", away)
    with committed():
        tell()
    assert mails_due() == 0, "a worker has a minute to take it"
    later()
    assert mails_due() == 1
    assert mails_due() == 0
    assert len(server.mails) == 1


def test_where_the_mail_server_is_away_it_is_tried_again_until_it_is_back(smtp, tell, committed, at_once, request):
    with committed():
        (notice,) = tell()
    notice.refresh_from_db()
    assert notice.mailed_at is None
    assert notice.mail_error == ""
    first = notice.mail_due_at - now()
    assert timedelta(seconds=50) < first <= timedelta(seconds=60)
    later()
    assert mails_due() == 0, "nobody answers: nothing is claimed"
    later()
    server = request.getfixturevalue("server")
    assert mails_due() == 1
    assert [mail["Subject"] for mail in server.mails] == ["A title"]
    notice.refresh_from_db()
    assert notice.mailed_at is not None


@pytest.mark.parametrize("answer", ["451 4.3.0 Later, please", "452 4.2.2 Mailbox full"])
def test_a_recipient_who_is_put_off_is_tried_again_with_growing_waits(server, tell, cast, answer):
    (notice,) = tell()
    server.refuses[cast.owner.email] = answer
    waits = []
    for _ in range(5):
        later()
        assert mails_due() == 0
        notice.refresh_from_db()
        waits.append(round((notice.mail_due_at - now()).total_seconds(), -1))
    assert waits == [60, 300, 900, 3600, 3600]
    assert notice.mail_error == ""
    server.refuses.clear()
    later()
    assert mails_due() == 1


def test_a_recipient_who_is_refused_is_not_tried_again_and_reads_why(server, tell, cast, client):
    (notice,) = tell()
    server.refuses[cast.owner.email] = "550 5.1.1 There is no such person"
    later()
    assert mails_due() == 0
    notice.refresh_from_db()
    assert notice.mail_error == "550 5.1.1 There is no such person"
    assert notice.mail_due_at is None
    asked = len(server.asked)
    assert mails_due() == 0
    assert len(server.asked) == asked
    client.force_login(cast.owner)
    assert "There is no such person" in client.get("/notices/").content.decode()


def test_one_who_is_refused_does_not_keep_the_others_waiting(server, tell, cast):
    tell(users=[cast.owner, cast.stranger, cast.licensee])
    server.refuses[cast.owner.email] = "550 No"
    later()
    assert mails_due() == 2
    assert {mail["To"] for mail in server.mails} == {cast.stranger.email, cast.licensee.email}


def test_mail_that_its_content_is_refused_for_is_given_up(server, tell):
    (notice,) = tell()
    server.says = "554 5.7.1 We do not like it"
    later()
    assert mails_due() == 0
    notice.refresh_from_db()
    assert "We do not like it" in notice.mail_error


def test_after_days_of_trying_it_is_given_up(server, tell, cast):
    (notice,) = tell()
    Notice.objects.update(created_at=now() - timedelta(days=6))
    server.refuses[cast.owner.email] = "451 Later"
    later()
    mails_due()
    notice.refresh_from_db()
    assert notice.mail_due_at is None
    assert notice.mail_error == "Given up after 5 days: 451 Later"


def test_a_worker_that_dies_with_a_notice_in_hand_loses_nothing(server, tell, monkeypatch):
    tell()
    later()

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mailing, "_message", dies)
        with pytest.raises(KeyboardInterrupt):
            mails_due()
    assert mails_due() == 0, "it is left to whoever has it in hand"
    later()
    assert mails_due() == 1


def test_whoever_closed_their_account_is_not_mailed(server, tell, cast):
    tell()
    User.objects.filter(pk=cast.owner.pk).update(is_active=False)
    later()
    assert mails_due() == 0
    assert not server.asked
    assert not Notice.objects.filter(mail_due_at__isnull=False).exists()


# --- What people want -------------------------------------------------------------------------------


def test_never_means_never_and_the_notice_is_there_all_the_same(server, tell, cast, committed, at_once):
    preferences_set(user=cast.owner, wishes={Topic.SHARES: Mail.NEVER})
    with committed():
        tell()
        tell("Money", topic=Topic.MONEY)
    later()
    mails_due()
    assert [mail["Subject"] for mail in server.mails] == ["Money"]
    assert Notice.objects.filter(user=cast.owner).count() == 2


def test_what_waits_follows_when_somebody_thinks_better_of_it(server, tell, cast):
    tell()
    preferences_set(user=cast.owner, wishes={Topic.SHARES: Mail.NEVER})
    later()
    assert mails_due() == 0
    assert not Notice.objects.filter(mail_due_at__isnull=False).exists()


def test_one_mail_a_day_holds_all_of_that_day(server, tell, cast, committed, at_once):
    wishes = dict.fromkeys((Topic.SHARES, Topic.IMPORTS), Mail.DAILY)
    preferences_set(user=cast.owner, wishes=wishes)
    with committed():
        tell("First & foremost")
        tell("Second", topic=Topic.IMPORTS)
        tell("Somebody else's", users=[cast.stranger])
    later(minutes=-5)
    assert mails_due() == 0
    assert [mail["To"] for mail in server.mails] == [cast.stranger.email]
    later()
    assert mails_due() == 1
    mail = server.mails[-1]
    assert mail["Subject"] == "2 notices of the last day"
    body = text_of(mail)
    assert body.index("Shares: First & foremost") < body.index("Imports: Second")
    assert "Somebody else" not in body
    assert "First &amp; foremost" in mail.get_body(("html",)).get_content()
    assert not Notice.objects.filter(mailed_at=None).exists()


def test_a_day_ends_in_the_morning():
    at = now().replace(hour=6, minute=59)
    assert due(Mail.DAILY, at).hour == 7
    assert due(Mail.DAILY, at).date() == at.date()
    assert due(Mail.DAILY, at.replace(hour=7)) - at > timedelta(days=1)


def test_claims_and_security_are_always_mailed(server, tell, cast, committed, at_once):
    every = {topic: Mail.NEVER for topic in Topic if topic not in {Topic.CLAIMS, Topic.ACCOUNT}}
    preferences_set(user=cast.owner, wishes=every)
    with committed():
        for topic in Topic:
            tell(topic.label, topic=topic)
    assert {mail["Subject"] for mail in server.mails} == {"Claims", "Account and security"}
    for mail in server.mails:
        assert mail["List-Unsubscribe"] is None
        assert "cannot be switched off" in text_of(mail)


# --- Switching off by one click ---------------------------------------------------------------------


def off_address(mail) -> str:
    return urlsplit(mail["List-Unsubscribe"].strip(" <>")).path


def test_one_click_switches_the_topic_off_without_signing_in(server, tell, cast, committed, at_once):
    with committed():
        tell()
    address, anyone = off_address(server.mails[0]), Client(enforce_csrf_checks=True)
    looked = anyone.get(address)
    assert looked.status_code == 200
    assert "Switch off mails about shares?" in looked.content.decode()
    assert cast.owner.email not in looked.content.decode()
    with committed():
        tell("Looking changes nothing")
    assert len(server.mails) == 2
    done = anyone.post(address, {"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200, "a redirect is no answer (RFC 8058)"
    assert "nothing about shares" in done.content.decode()
    assert anyone.post(address, {"List-Unsubscribe": "One-Click"}).status_code == 200
    with committed():
        tell("Unheard")
        tell("Money", topic=Topic.MONEY)
    assert [mail["Subject"] for mail in server.mails[2:]] == ["Money"]


def test_one_click_ends_the_daily_mail(server, tell, cast):
    wishes = dict.fromkeys((Topic.SHARES, Topic.IMPORTS), Mail.DAILY)
    preferences_set(user=cast.owner, wishes=wishes)
    tell()
    tell(topic=Topic.IMPORTS)
    later()
    mails_due()
    address, anyone = off_address(server.mails[0]), Client()
    assert "Switch off the daily mail?" in anyone.get(address).content.decode()
    anyone.post(address)
    for topic in wishes:
        assert tell(topic=topic)[0].mail == Mail.NEVER
    assert tell(topic=Topic.MONEY)[0].mail == Mail.AT_ONCE


def test_an_address_that_we_did_not_make_switches_nothing_off(server, tell, cast, committed, at_once):
    with committed():
        tell()
    address, anyone = off_address(server.mails[0]), Client()
    for wrong in (address[:-3] + "xx/", "/notices/off/x/", "/notices/off/WyJhIl0:x/"):
        assert anyone.post(wrong).status_code == 404
    assert tell()[0].mail == Mail.AT_ONCE


# --- Titles from outside ----------------------------------------------------------------------------


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    title=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400),
    tail=st.sampled_from(["", "\r\nBcc: x@y.z"]),
)
def test_no_title_makes_another_header(server, tell, cast, title, tail):
    Notice.objects.all().delete()
    server.mails.clear()
    (notice,) = tell(f"{title}{tail}\nX-Evil: yes", text=title)
    later()
    assert mails_due() == 1, Notice.objects.get().mail_error
    (mail,) = server.mails
    assert mail["X-Evil"] is None
    assert mail["Bcc"] is None
    assert mail["To"] == cast.owner.email
    assert server.asked[-1] == cast.owner.email
    assert len(mail.get_all("Subject")) == 1
    assert mail["Subject"].split() == notice.title.split()


@given(st.text())
def test_a_title_is_one_short_line(title):
    line = one_line(title)
    assert len(line) <= 200
    assert line.splitlines() in ([line], [])
    assert one_line(line) == line


# --- Several workers --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_several_workers_mail_each_notice_once(server, tell, cast, monkeypatch):
    monkeypatch.setattr(notice_mail, "apply_async", lambda *_, **__: None)
    membership_set(user=cast.teammate, organisation=cast.label, role="owner", by=None)
    preferences_set(user=cast.teammate, wishes={Topic.SHARES: Mail.DAILY})
    for number in range(8):
        tell(f"Title {number}", users=[cast.owner, cast.teammate])
    later()
    ready = threading.Barrier(3)

    def work():
        ready.wait()
        tasks.mails_due()
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    to = [mail["To"] for mail in server.mails]
    assert to.count(cast.owner.email) == 8
    assert to.count(cast.teammate.email) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # with smtps all of it is TLS
@pytest.mark.parametrize("way", ["smtp+starttls", "smtps"])
def test_a_mail_goes_over_tls_after_a_login(secured, way, tell, committed, at_once, cast):
    with secured(way) as post, committed():
        tell()
    assert post.logins == [("label@example.org", "p@ss/word")]
    assert post.secured == [True]
    assert [mail["To"] for mail in post.mails] == [cast.owner.email]


@pytest.mark.parametrize(
    ("terms", "logins"),
    [
        ({"password": "wrong"}, [("label@example.org", "wrong")]),
        ({"trusted": False}, []),  # nobody vouches for its certificate
        ({"offered": False}, []),  # it speaks no TLS: nothing is said in the clear
    ],
)
def test_a_mail_waits_where_login_or_tls_fails_and_no_password_is_told(
    secured, terms, logins, tell, committed, at_once
):
    with secured("smtp+starttls", **terms) as post, committed():
        (notice,) = tell()
    assert {*post.logins} == {*logins}
    assert post.mails == []
    notice.refresh_from_db()
    assert (notice.mailed_at, notice.mail_error) == (None, "")
    assert notice.mail_due_at > now()
