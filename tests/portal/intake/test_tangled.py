"""Rows that collide with what is there: with namesakes, with numbers that are taken, with what others registered."""

import pytest

from catalog.registrations import message, song
from portal.intake.conftest import line, table
from stemma.ids import now
from stemma.rights.shares import WHOLE
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.consent.models import Claim
from stemma_portal.consent.selectors import rights_status

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.mark.parametrize("together", [True, False])
def test_two_people_of_one_name_and_two_ipis_are_two_parties(bring, together):
    head, rows = b"Title,Publisher 1,Publisher 1 IPI\n", [b"Tune,Pablo,00014107338\n", b"Air,Pablo,00000000199\n"]
    for body in [head + b"".join(rows)] if together else [head + row for row in rows]:
        batch = bring(body)
        assert batch.counts["errors"] == 0, [row.problems for row in batch.rows.all()]
    assert {p.ipi for p in Party.objects.filter(name="Pablo")} == {"00014107338", "00000000199"}


def test_a_name_that_looks_like_a_known_one_is_told_with_both(bring, labels):
    """Whole words in another script: Cyrillic Косо beside Latin Koco of another label."""
    bring(table(line(1, artist="Koco"), line(2, artist="Océan", isrc="QZSTM2600002")))
    theirs = {"organisation": labels.other, "by": labels.stranger}
    batch = bring(table(line(3, artist="Косо"), line(4, artist="Ocean"), line(5, one="Косо")), **theirs)
    assert batch.counts["warnings"] == 2, [row.problems for row in batch.rows.all()]
    for row, field in zip(batch.rows.exclude(problems=[]).order_by("number"), ("artist", "shares"), strict=True):
        [(where, value, rule, remedy, severity)] = row.problems
        assert (where, value, rule, severity) == (field, "Косо", "homograph", "warning")
        assert "“Косо” looks like “Koco”" in remedy
    assert Recording.objects.filter(artist="Косо").exists()  # a warning keeps nothing out
    (row,) = bring(table(line(6, artist="KOCO"))).rows.all()
    assert [problem[2] for problem in row.problems] == ["homograph"]
    assert bring(table(line(7, artist="Ocean"))).counts["warnings"] == 0


def test_a_number_that_another_recording_has_takes_no_other_row_along(bring):
    bring(table(line(1), line(2)))
    batch = bring(table(line(1, reference="EX-2"), line(4)))
    assert batch.state == "done", batch.message
    assert Recording.objects.filter(isrc="QZSTM2600004").exists()


def test_another_isrc_under_a_known_number_rewrites_no_recording(bring):
    bring(table(line(1)))
    bring(table(line(3, reference="EX-1"), line(4)))
    assert Recording.objects.filter(isrc="QZSTM2600001", title="Song 1").exists()


def test_an_isrc_that_comes_later_and_is_anothers_is_contested_too(bring, labels):
    bring(table(line(1)))
    theirs = {"organisation": labels.other, "by": labels.stranger}
    bring(table(line(1, isrc="")), **theirs)
    batch = bring(table(line(1)), **theirs)
    assert batch.counts["conflicting"] == 1
    claim = Claim.objects.get(state="open", kind="same-identifier")
    assert {held.recording for held in rights_status().held} == {claim.recording_id, claim.other_id}


def test_what_comes_back_after_a_takedown_keeps_what_it_does_not_name(bring):
    bring(table(line(1)))
    bring(b"Title,ISRC,Takedown\nSong 1,QZSTM2600001,yes\n")
    bring(b"Title,ISRC\nSong one,QZSTM2600001\n")
    recording = Recording.objects.get()
    assert recording.taken_down_at is None
    assert (recording.title, recording.artist, recording.reference) == ("Song one", "The Examples", "EX-1")
    assert recording.release is not None
    assert recording.share_revisions.count() == 1


def test_a_recording_without_publishing_of_its_own_takes_what_its_work_registered(bring):
    bring(message(song(0, recorded=False)).encode())
    bring(b"Title,ISRC,ISWC\nTake,QZSTM2600001,T0345246801\n")
    shares = {(s.party.name, s.side): s.ppm for s in Recording.objects.get().shares.all()}
    assert shares == {
        ("Label", "master"): WHOLE,
        ("EXAMPLE MUSIC", "publishing"): WHOLE // 2,
        ("ERIKA EXAMPLE", "publishing"): WHOLE // 2,
    }


def test_a_takedown_of_what_is_not_here_is_told(bring):
    batch = bring(table(line(7, takedown="yes")))
    assert batch.counts.get("new", 0) == 0
    assert not Recording.objects.exists()


def test_a_correction_that_does_not_name_the_release_is_taken(bring):
    bring(table(line(1)))
    batch = bring(b"Title,ISRC\nSong one,QZSTM2600001\n")
    assert batch.state == "done", batch.message
    assert Recording.objects.get().release.upc == "036000291452"


def test_a_change_of_the_master_alone_leaves_publishing_as_it_is(bring):
    bring(table(line(1, release="", upc="")))
    batch = bring(b"Title,ISRC,Master owner 1\nSong 1,QZSTM2600001,Somebody Else\n")
    assert batch.state == "done", batch.message
    assert Recording.objects.get().shares.filter(side="publishing").count() == 2


def test_a_takedown_that_staff_ruled_is_not_undone_by_bringing_the_file_again(bring):
    bring(table(line(1)))
    Recording.objects.update(taken_down_at=now())  # as `consent.cases` does when it rules so
    bring(table(line(1, title="Song one")))
    assert Recording.objects.get().taken_down_at is not None


def test_publishing_of_one_country_does_not_stand_beside_a_master_of_the_world(bring):
    batch = bring(b"Title,ISRC,Publisher 1,Publisher 1 territory\nTune,QZSTM2600001,Pablo,US\nAir,QZSTM2600002,,\n")
    assert batch.counts["errors"] == 1, "`shares_check` refuses what was stored"


def test_a_row_rejected_for_its_number_comes_out_whole_and_in_again(bring):
    bring(table(line(1), line(2)))
    batch = bring(table(line(5, reference="EX-2", one_share="62.5", two_share="37.5"), line(6)))
    assert batch.counts["errors"] == 1
    row = batch.rows.get(verdict="rejected")
    assert row.problems[-1][2] == "taken"
    lines = [",".join(batch.headings), ",".join(row.raw.get(name, "") for name in batch.headings)]
    bring("\n".join([lines[0], lines[1].replace("EX-2", "EX-5"), ""]).encode())
    recording = Recording.objects.get(reference="EX-5")
    assert (recording.title, recording.artist, recording.duration_ms) == ("Song 5", "The Examples", 225_000)
    assert recording.release.upc == "036000291452"
    assert recording.shares.get(party__name="Erika Example").ppm == 625_000
