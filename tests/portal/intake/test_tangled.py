"""Rows that collide with what is there: with namesakes, with numbers that are taken, with what others registered."""

import pytest

from portal.intake.conftest import line, table
from stemma.ids import now
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
