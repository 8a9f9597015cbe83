"""A case from its opening to its end: turns, deadlines, evidence, who sees it, and what stays for ever."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from PIL import Image

from stemma.errors import InvalidError
from stemma.ids import now
from stemma.rights.shares import Share
from stemma_portal.catalog.models import Recording, ShareRevision
from stemma_portal.catalog.models import Share as ShareRow
from stemma_portal.consent import cases
from stemma_portal.consent.case_access import seat_of
from stemma_portal.consent.evidence import MAX_BYTES, content_format, plain_name
from stemma_portal.consent.models import Claim, ClaimEvent, ClaimEvidence, Ruling
from stemma_portal.consent.selectors import rights_status
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import AuditEvent, LogEntry

pytestmark = [pytest.mark.services, pytest.mark.django_db]
Kind, State, Side, Outcome = Claim.Kind, Claim.State, Claim.Side, Claim.Outcome


@pytest.fixture
def case(cast, catalog, recordings) -> Claim:
    """The other label says that the first recording is its own."""
    return cases.case_open(
        kind=Kind.AUTHORSHIP,
        recording=recordings[0],
        party=catalog["Other"],
        organisation=cast.other,
        reason="We recorded it in 1998.",
        by=cast.stranger,
    )


def kinds(claim: Claim) -> list[str]:
    return [event.kind for event in claim.events.all()]


def whole(*parts: tuple[str, int], publishing: str) -> list[Share]:
    shares = [Share(party=party, side="master", ppm=ppm) for party, ppm in parts]
    return [*shares, Share(party=publishing, side="publishing", ppm=1_000_000)]


def test_each_side_has_its_turn_and_thirty_days(case, cast):
    assert (case.state, case.due_side, case.due_at - case.opened_at) == (State.OPEN, Side.OWNERS, timedelta(days=30))
    owners, claimant = seat_of(cast.owner, case), seat_of(cast.stranger, case)
    assert (owners.side, owners.name, claimant.side) == (Side.OWNERS, "Label", Side.CLAIMANT)
    with pytest.raises(ConflictError, match="not your turn"):
        cases.case_say(claim=case, seat=claimant, text="Well?", answer=True, by=cast.stranger)
    cases.case_say(claim=case, seat=owners, text="What did you record?", by=cast.owner)
    case.refresh_from_db()
    assert case.state == State.OPEN
    case = cases.case_say(claim=case, seat=owners, text="Here is our contract.", answer=True, by=cast.owner)
    assert (case.state, case.due_side) == (State.ANSWERED, Side.CLAIMANT)
    case = cases.case_say(claim=case, seat=claimant, text="It was not signed.", answer=True, by=cast.stranger)
    assert (case.state, case.due_side) == (State.REVIEW, Side.STAFF)
    case = cases.case_resolve(claim=case, outcome=Outcome.AS_THEY_ARE, reason="The contract holds.", by=cast.rights)
    assert (case.state, case.due_at, case.outcome) == (State.RESOLVED, None, Outcome.AS_THEY_ARE)
    assert kinds(case) == ["opened", "message", "answer", "answer", "resolved"]
    assert LogEntry.objects.filter(kind="claim", subject=case.id).count() == 2
    assert AuditEvent.objects.filter(subject=case.id, action="claim.resolve", actor="rights@stemma.test").exists()


@pytest.mark.parametrize("end", [State.RESOLVED, State.WITHDRAWN, State.LAPSED])
def test_what_is_over_stays_over(case, cast, end):
    for to, allowed in cases.TRANSITIONS.items():
        assert end in allowed or to in {State.REVIEW, *cases.TRANSITIONS} - {State.OPEN, State.ANSWERED}
    Claim.objects.filter(pk=case.pk).update(state=end, resolved_at=now())
    case.refresh_from_db()
    seat = seat_of(cast.stranger, case)
    with pytest.raises(ConflictError, match="over"):
        cases.case_say(claim=case, seat=seat, text="And yet", by=cast.stranger)
    with pytest.raises(ConflictError):
        cases.case_review(claim=case, by=cast.rights)
    if end != State.RESOLVED:
        with pytest.raises(ConflictError, match="over"):
            cases.case_resolve(claim=case, outcome=Outcome.AS_THEY_ARE, reason="x", by=cast.rights)
    if end != State.WITHDRAWN:
        with pytest.raises(ConflictError, match="over"):
            cases.case_withdraw(claim=case, seat=seat, reason="x", by=cast.stranger)


def test_the_same_case_is_not_opened_twice(case, cast, catalog, recordings):
    again = {"recording": recordings[0], "party": catalog["Other"], "reason": "Again.", "by": cast.stranger}
    assert cases.case_open(kind=Kind.AUTHORSHIP, **again) == case
    assert cases.case_open(kind=Kind.SHARE, **again) != case
    assert LogEntry.objects.filter(kind="claim").count() == 2


def test_what_is_under_claim_is_held_both_recordings_of_one_identifier_too(cast, catalog, recordings):
    case = cases.case_open(
        kind=Kind.SAME_IDENTIFIER, recording=recordings[0], other=recordings[3], party=catalog["Label"],
        reason="Both say QZSTM0000000.", by=cast.owner,
    )  # fmt: skip
    status = rights_status()
    assert {status.hold(recordings[n].id).claim for n in (0, 3)} == {case.id}
    assert set(case.parties.values_list("party__name", "side")) == {
        ("Label", "claimant"), ("Artist", "owners"), ("Other", "owners"),
    }  # fmt: skip
    cases.case_withdraw(claim=case, seat=seat_of(cast.owner, case), reason="A slip of the pen.", by=cast.owner)
    assert rights_status().held == ()


def test_a_correction_holds_nothing_and_goes_to_staff(cast, catalog, recordings):
    case = cases.case_open(
        kind=Kind.CORRECTION, recording=recordings[0], party=catalog["Label"], reason="Too low.", by=cast.owner
    )
    assert (case.due_side, case.holds, rights_status().held) == (Side.STAFF, False, ())
    assert list(case.parties.values_list("party__name", "side")) == [("Label", "claimant")]
    with pytest.raises(InvalidError, match="not resolved by"):
        cases.case_resolve(claim=case, outcome=Outcome.SHARES, reason="x", by=cast.rights)
    done = cases.case_resolve(claim=case, outcome=Outcome.EXPLAINED, reason="Two of it are late.", by=cast.rights)
    assert done.outcome == Outcome.EXPLAINED


def test_silent_owners_bring_it_before_staff_and_a_silent_claimant_lets_it_lapse(case, cast, recordings):
    late = case.due_at + timedelta(seconds=1)
    assert cases.deadlines_keep(at=late) == {"reminded": 0, "reviewed": 1, "lapsed": 0}
    case.refresh_from_db()
    assert (case.state, case.due_side) == (State.REVIEW, Side.STAFF)
    other = cases.case_open(
        kind=Kind.AUTHORSHIP, recording=recordings[1], claimant="Nobody", reason="Mine.", by=cast.rights
    )
    cases.case_say(claim=other, seat=seat_of(cast.owner, other), text="No.", answer=True, by=cast.owner)
    other.refresh_from_db()
    assert cases.deadlines_keep(at=other.due_at + timedelta(seconds=1))["lapsed"] == 1
    other.refresh_from_db()
    assert (other.state, other.outcome) == (State.LAPSED, Outcome.AS_THEY_ARE)
    assert {held.recording for held in rights_status().held} == {recordings[0].id}


def test_each_reminder_comes_once(case):
    for days, reminded in ((10, 0), (6.5, 1), (6, 0), (0.9, 1), (0.5, 0)):
        at = case.due_at - timedelta(days=days)
        assert cases.deadlines_keep(at=at)["reminded"] == reminded, days
    assert kinds(case).count("reminded") == 2


def test_staff_give_more_time_with_a_reason(case, cast):
    before = case.due_at
    case = cases.case_extend(claim=case, days=10, reason="They are on tour.", by=cast.rights)
    assert case.due_at == before + timedelta(days=10)
    assert cases.deadlines_keep(at=before + timedelta(days=1)) == {"reminded": 0, "reviewed": 0, "lapsed": 0}
    for days, reason in ((0, "x"), (91, "x"), (5, " ")):
        with pytest.raises(InvalidError):
            cases.case_extend(claim=case, days=days, reason=reason, by=cast.rights)


def test_resolving_puts_other_shares_in_force_and_rules(case, cast, catalog, recordings):
    other, artist = catalog["Other"].id, catalog["Artist"].id
    with pytest.raises(InvalidError, match="sum"):
        cases.case_resolve(
            claim=case, outcome=Outcome.SHARES, shares=whole((other, 900_000), publishing=artist), reason="x",
            by=cast.rights,
        )  # fmt: skip
    assert Claim.objects.get(pk=case.pk).state == State.OPEN
    shares = whole((other, 1_000_000), publishing=artist)
    case = cases.case_resolve(claim=case, outcome=Outcome.SHARES, shares=shares, reason="It is.", by=cast.rights)
    assert set(ShareRow.objects.filter(recording=recordings[0]).values_list("party__name", "side")) == {
        ("Other", "master"), ("Artist", "publishing"),
    }  # fmt: skip
    revision = ShareRevision.objects.get(recording=recordings[0], cause=f"claim {case.id}")
    assert revision.shares == Ruling.objects.get(claim=case).shares
    assert cases.case_resolve(claim=case, outcome=Outcome.AS_THEY_ARE, reason="no", by=cast.rights).outcome == "shares"


def test_of_two_recordings_one_is_taken_down_or_both_are_one(cast, catalog, recordings):
    def opened(one: int, two: int) -> Claim:
        return cases.case_open(
            kind=Kind.SAME_IDENTIFIER, recording=recordings[one], other=recordings[two], claimant="Intake",
            reason="One ISRC.", by=cast.rights,
        )  # fmt: skip

    case = opened(0, 3)
    with pytest.raises(InvalidError, match="which of the two"):
        cases.case_resolve(claim=case, outcome=Outcome.TAKEN_DOWN, reason="x", down=recordings[1], by=cast.rights)
    cases.case_resolve(claim=case, outcome=Outcome.TAKEN_DOWN, reason="A copy.", down=recordings[3], by=cast.rights)
    assert Recording.objects.get(pk=recordings[3].pk).taken_down_at is not None
    ruling = Ruling.objects.get(claim=case)
    assert ruling.recording_id == recordings[3].pk
    assert {share["party"] for share in ruling.shares} == {catalog["Label"].id, catalog["Artist"].id}
    cases.case_resolve(claim=opened(1, 4), outcome=Outcome.SAME, reason="A reissue.", by=cast.rights)
    clusters = set(Recording.objects.filter(pk__in=[recordings[1].pk, recordings[4].pk]).values_list("cluster"))
    assert len(clusters) == 1
    assert (None,) not in clusters


def test_what_together_passes_the_whole_is_an_over_claim(client, cast, catalog, recordings):
    label, other, artist = (catalog[name] for name in ("Label", "Other", "Artist"))
    new = {"kind": "share", "reason": "We paid for half of it."}
    for wrong in ({"side": "master"}, {"percent": "50"}, {"side": "master", "percent": "101"}):
        answer = post(client, cast.stranger, "/claims/new/", recording=recordings[0].isrc, **new, **wrong)
        assert answer.status_code == 422, wrong
    post(client, cast.stranger, "/claims/new/", recording=recordings[0].isrc, side="master", percent="12,5", **new)
    case = Claim.objects.get()
    assert (case.kind, case.detail["sums"]) == (Kind.OVER_CLAIM, {"master in World": 1_125_000})
    assert {row["party"]: row["ppm"] for row in case.detail["asserted"] if row["side"] == "master"} == {
        label.id: 1_000_000, other.id: 125_000,
    }  # fmt: skip
    assert set(case.parties.values_list("party__name", "side")) == {
        ("Other", "claimant"), ("Label", "owners"), ("Artist", "owners"),
    }  # fmt: skip
    client.force_login(cast.rights)
    assert "112.5" in client.get(f"/claims/{case.id}/").content.decode()
    less = cases.share_claim(
        recording=recordings[1], party=artist, side="publishing", ppm=900_000, reason="Not all.", by=cast.rights
    )
    assert (less.kind, less.detail["sums"]) == (Kind.SHARE, {})


def test_the_database_refuses_to_change_what_was_said_and_brought(case, cast, catalog):
    shares = whole((catalog["Other"].id, 1_000_000), publishing=catalog["Artist"].id)
    cases.case_resolve(claim=case, outcome=Outcome.SHARES, shares=shares, reason="x", by=cast.rights)
    for model, change in ((ClaimEvent, {"text": "other"}), (Ruling, {"shares": []})):
        with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
            model.objects.update(**change)
        with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
            model.objects.all()._raw_delete("default")


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"%PDF-1.7\n%%EOF\n", "pdf"),
        (png(), "png"),
        (b"fLaC\x00\x00\x00\x22", "flac"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "wav"),
        (b"ID3\x04\x00", "mp3"),
        ("Vertrag über Töne\n".encode(), "text"),
    ],
    ids=["pdf", "png", "flac", "wav", "mp3", "text"],
)
def test_a_file_is_what_its_content_says(body, found):
    assert content_format(body) == found


@pytest.mark.parametrize(
    "body",
    [b"", b"%PDF-1.7 cut", png()[:30], b"MZ\x90\x00", b"PK\x03\x04", b"<html><script>alert(1)</script>", b"\xff\xfe"],
    ids=["empty", "cut-pdf", "cut-png", "program", "zip", "html", "no-text"],
)
def test_a_file_that_is_nothing_we_take_is_refused_by_content(body):
    with pytest.raises(InvalidError):
        content_format(body)


def test_a_file_too_large_is_refused_and_its_name_made_plain():
    with pytest.raises(InvalidError, match="larger than 20 MB"):
        content_format(b"a" * (MAX_BYTES + 1))
    assert plain_name('..\\..\\a"b\n.exe', "pdf") == "a_b.pdf"
    assert plain_name("../../x.png", "png") == "x.png"
    assert plain_name("...", "text") == "evidence.txt"


def post(client, user, path, **data):
    client.force_login(user)
    return client.post(path, data)


def test_a_case_on_its_page_from_claim_to_outcome(client, cast, catalog, recordings, storage, committed):
    new = {"kind": "authorship", "recording": recordings[0].isrc, "reason": "We recorded it."}
    answer = post(client, cast.stranger, "/claims/new/", **new)
    case = Claim.objects.get()
    assert answer.url == f"/claims/{case.id}/"
    assert (case.claimant, case.claimant_party_id) == ("Other", catalog["Other"].id)
    page = f"/claims/{case.id}/"
    file = SimpleUploadedFile("contract.exe", b"%PDF-1.4\n%%EOF", content_type="application/x-msdownload")
    assert post(client, cast.owner, f"{page}evidence/", title="Our contract", file=file).status_code == 302
    evidence = ClaimEvidence.objects.get()
    assert (evidence.name, evidence.format, evidence.side) == ("contract.pdf", "pdf", "owners")
    assert storage.get(evidence.key) == b"%PDF-1.4\n%%EOF"
    bad = SimpleUploadedFile("contract.pdf", b"MZ\x90\x00")
    refused = post(client, cast.owner, f"{page}evidence/", title="A program", file=bad)
    assert refused.status_code == 422
    assert b"whatever its name says" in refused.content
    client.force_login(cast.stranger)
    assert f"cases/{case.id}/" in client.get(f"{page}evidence/{evidence.id}/").url
    post(client, cast.owner, f"{page}message/", text="Here it is.", **{"as": "answer"})
    post(client, cast.rights, f"{page}message/", text="Looks forged.", **{"as": "note"})
    client.force_login(cast.stranger)
    assert b"Looks forged" not in client.get(page).content
    assert b"owner@stemma.test" not in client.get(page).content
    client.force_login(cast.rights)
    seen = client.get(page).content
    assert b"Looks forged" in seen
    assert b"owner@stemma.test" in seen
    decided = post(
        client, cast.rights, f"{page}resolution/", outcome="shares", reason="It is theirs.",
        **{f"master-{catalog['Other'].id}": "66.6667", f"master-{catalog['Label'].id}": "33,3333",
           f"publishing-{catalog['Artist'].id}": "100"},
    )  # fmt: skip
    assert decided.status_code == 302
    assert set(ShareRow.objects.filter(recording=recordings[0]).values_list("party__name", "ppm")) == {
        ("Other", 666_667), ("Label", 333_333), ("Artist", 1_000_000),
    }  # fmt: skip
    client.force_login(cast.owner)
    assert b"It is theirs." in client.get(page).content


def test_shares_that_are_not_whole_are_said_so_and_nothing_ends(client, case, cast, catalog):
    answer = post(
        client, cast.rights, f"/claims/{case.id}/resolution/", outcome="shares", reason="x",
        **{f"master-{catalog['Other'].id}": "99.5", f"publishing-{catalog['Artist'].id}": "abc"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert b"A percentage such as" in answer.content
    assert Claim.objects.get().pending


def test_the_queue_shows_the_overdue_first_and_finds(client, case, cast, recordings):
    late = cases.case_open(
        kind=Kind.SHARE, recording=recordings[1], claimant="Estate of X", reason="Half is ours.", by=cast.rights
    )
    Claim.objects.filter(pk=late.pk).update(due_at=now() - timedelta(days=3), opened_at=now() - timedelta(days=33))
    client.force_login(cast.rights)
    page = client.get("/claims/")
    assert [row.id for row in page.context["rows"]] == [late.id, case.id]
    assert (page.context["counts"].overdue, page.context["counts"].oldest) == (1, 33)
    assert b"1 case is overdue" in page.content
    for query, found in (("q=estate", [late]), ("kind=authorship", [case]), ("state=resolved", []), ("turn=staff", [])):
        assert [row.id for row in client.get(f"/claims/?{query}").context["rows"]] == [row.id for row in found], query
    assert client.get("/claims/?state=nonsense&page=9999").status_code == 200


ACTIONS = ("message/", "evidence/", "withdrawal/", "review/", "deadline/", "resolution/")


@pytest.mark.parametrize(
    ("who", "page", "allowed"),
    [
        ("licensee", 404, {}),
        ("teammate", 200, {}),
        ("owner", 200, {"message/": 302, "evidence/": 302, "withdrawal/": 422}),
        ("stranger", 200, {"message/": 302, "evidence/": 302, "withdrawal/": 302}),
        ("rights", 200, {"message/": 302, "evidence/": 302, "withdrawal/": 422, "review/": 302, "deadline/": 302,
                         "resolution/": 302}),
    ],
)  # fmt: skip
def test_who_may_do_what_in_a_case(client, case, cast, who, page, allowed):
    """The cast's stranger is the claimant here; the licensee is one to whom the case is nothing."""
    client.force_login(getattr(cast, who))
    assert client.get(f"/claims/{case.id}/").status_code == page
    body = {"text": "x", "title": "x", "link": "https://example.org/", "reason": "x", "days": "3", "as": "message",
            "outcome": "as-they-are"}  # fmt: skip
    for action in ACTIONS:
        with transaction.atomic():
            answer = client.post(f"/claims/{case.id}/{action}", body)
            transaction.set_rollback(True)
        assert answer.status_code == allowed.get(action, 404 if page == 404 else 403), action


def test_staff_who_are_a_side_do_not_decide(client, case, cast):
    from stemma_portal.accounts.services import membership_set

    membership_set(user=cast.rights, organisation=cast.label, role="owner", by=None)
    answer = post(client, cast.rights, f"/claims/{case.id}/resolution/", outcome="as-they-are", reason="x")
    assert answer.status_code == 403


def test_a_member_who_is_no_owner_opens_none(client, cast, recordings):
    new = {"kind": "authorship", "recording": recordings[0].isrc, "reason": "x"}
    assert post(client, cast.teammate, "/claims/new/", **new).status_code == 403
    client.logout()
    assert "/accounts/login/" in client.get("/claims/").url
    assert not Claim.objects.exists()


def test_nobody_lays_siege_with_claims(client, case, cast, recordings, monkeypatch):
    new = {"kind": "authorship", "reason": "Ours!"}
    monkeypatch.setattr(cases, "MOST_PENDING", 1)
    answer = post(client, cast.stranger, "/claims/new/", recording=recordings[1].isrc, **new)
    assert answer.status_code == 422
    assert b"claims that are not over" in answer.content
    cases.case_resolve(claim=case, outcome=Outcome.AS_THEY_ARE, reason="No.", by=cast.rights)
    answer = post(client, cast.stranger, "/claims/new/", recording=recordings[0].isrc, **new)
    assert b"ended a short while ago" in answer.content
    assert post(client, cast.stranger, "/claims/new/", recording=recordings[1].isrc, **new).status_code == 302


def test_the_other_side_hears_of_it_by_mail(redis, case, cast, committed, monkeypatch):
    from django.core import mail

    from stemma_portal.notices.models import Notice
    from stemma_portal.notices.tasks import notice_mail

    monkeypatch.setattr(notice_mail, "apply_async", lambda args, **_: notice_mail(*args))
    with committed():
        cases.case_say(claim=case, seat=seat_of(cast.owner, case), text="It is not.", answer=True, by=cast.owner)
    assert {address for message in mail.outbox for address in message.to} == {
        "stranger@stemma.test",
        "rights@stemma.test",
    }
    assert "It is not." in mail.outbox[0].body
    assert Notice.objects.get(user=cast.stranger).href == f"/claims/{case.id}/"


def test_a_recording_nobody_has_is_no_case(client, cast, catalog):
    answer = post(client, cast.owner, "/claims/new/", kind="same-identifier", recording="QZ-XXX-99-00001", reason="x")
    assert answer.status_code == 422
    assert b"Name the second recording" in answer.content
    answer = post(client, cast.owner, "/claims/new/", kind="authorship", recording="QZXXX9900001", reason="x")
    assert b"There is no recording" in answer.content
