"""Registrations of works: what they make of works, and of the shares of recordings."""

import pytest

from catalog.registrations import message, song
from portal.intake.conftest import line, table
from stemma.rights.shares import WHOLE
from stemma_portal.catalog.models import Recording, Work

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def shares(recording):
    return {(s.party.name, s.side): s.ppm for s in recording.shares.all()}


def test_a_registration_is_new_then_the_same_then_changed(bring, labels):
    batch = bring(message(song(1, recorded=False)).encode(), name="works.v21")
    assert batch.state == "done", batch.message
    assert batch.counts["new"] == 1
    work = Work.objects.get()
    assert (work.title, work.reference, work.composer, work.organisation) == (
        *("SONG 1", "W1", "ERIKA EXAMPLE"),
        labels.label,
    )
    assert [share["ppm"] for share in work.publishing] == [WHOLE // 2, WHOLE // 2]
    assert not Recording.objects.exists()
    assert bring(message(song(1, recorded=False)).encode()).counts["same"] == 1
    changed = bring(message(song(1, recorded=False, publisher="02500", writer="07500")).encode())
    assert changed.counts["changed"] == 1
    assert [share["ppm"] for share in Work.objects.get().publishing] == [250_000, 750_000]


def test_a_registration_sets_publishing_beside_the_master_of_recordings(bring):
    bring(table(line(1, iswc="T0345246801")))
    bring(message(song(0, recorded=False)).encode())
    recording = Recording.objects.get()
    assert shares(recording) == {
        ("Label", "master"): WHOLE,
        ("EXAMPLE MUSIC", "publishing"): WHOLE // 2,
        ("ERIKA EXAMPLE", "publishing"): WHOLE // 2,
    }
    assert recording.share_revisions.count() == 2
    assert recording.work.title == "SONG 0"


def test_a_registration_with_an_isrc_is_a_recording(bring):
    bring(message(song(1)).encode())
    recording = Recording.objects.get()
    assert (recording.isrc, recording.title, recording.work.title) == ("QZSTM2600001", "Take 1", "SONG 1")
    assert shares(recording)["EXAMPLE MUSIC", "publishing"] == WHOLE // 2
