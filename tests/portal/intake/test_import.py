"""A catalog comes in: what is new, changed, same or contested, and what history keeps."""

import io

import pytest
from django.test import Client
from django.urls import reverse

from catalog.messages import ern43
from portal.intake.conftest import line, table
from stemma.errors import InvalidError
from stemma.rights.shares import WHOLE
from stemma_portal.catalog.models import Party, Recording, RecordingVersion, Release, Share, ShareRevision, Work
from stemma_portal.consent.models import Claim, Reservation
from stemma_portal.consent.reserved import conflicts, marks_of
from stemma_portal.consent.selectors import rights_status
from stemma_portal.consent.services import consent_grant
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.jobs import job_cancel
from stemma_portal.core.models import AuditEvent, Job
from stemma_portal.intake import importing, tasks
from stemma_portal.intake.models import ColumnMapping, Import
from stemma_portal.intake.services import import_cancel, import_confirm, import_create, import_map, import_resume
from stemma_portal.notices.models import Notice
from stemma_portal.webhooks.models import Event

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def everything() -> list[object]:
    return [
        sorted(map(repr, model.objects.values_list()))
        for model in (Party, Work, Release, Recording, Share, ShareRevision, RecordingVersion)
    ]


def test_a_table_becomes_recordings_works_releases_owners_and_shares(bring, labels):
    batch = bring(table(line(1), line(2), line(3, upc="", release="")))
    assert batch.state == "done", batch.message
    assert batch.counts == {"new": 3, "rows": 3, "errors": 0, "warnings": 0}
    one, two, three = Recording.objects.order_by("isrc")
    assert (one.title, one.artist, one.duration_ms) == ("Song 1", "The Examples", 225_000)
    assert one.organisation == labels.label
    assert one.release == two.release
    assert three.release is None
    assert (one.release.title, one.release.upc) == ("Album", "036000291452")
    assert one.work.iswc.startswith("T000000001")
    shares = {(s.party.name, s.side): s.ppm for s in one.shares.all()}
    assert shares == {
        ("Label", "master"): WHOLE,
        ("Erika Example", "publishing"): WHOLE // 2,
        ("John Example", "publishing"): WHOLE // 2,
    }
    assert Party.objects.filter(introduced_by=labels.label).count() == 2
    assert one.versions.get().record["title"] == "Song 1"
    assert one.share_revisions.get().number == 1
    assert AuditEvent.objects.filter(action="import.finish", subject=batch.id).exists()
    assert Event.objects.get().data["counts"]["new"] == 3
    notice = Notice.objects.get()
    assert (notice.user, notice.text) == (labels.owner, "Of its rows, 3 new.")
    assert notice.title == f"{batch.name} is imported"


def test_the_same_file_again_changes_nothing(bring):
    body = table(line(1), line(2, isrc=""), line(3, isrc="", reference=""))
    bring(body)
    before = everything()
    batch = bring(body)
    assert batch.counts == {"same": 3, "rows": 3, "errors": 0, "warnings": 0}
    assert everything() == before


def test_a_bad_row_takes_no_good_one_along_and_comes_again_corrected(bring):
    first = bring(table(line(1), line(2, isrc="NOT"), line(3, two_share="40")))
    assert (first.counts["new"], first.counts["errors"]) == (1, 2)
    assert Recording.objects.count() == 1
    second = bring(table(line(2), line(3)))
    assert second.counts["new"] == 2
    assert Recording.objects.count() == 3


def test_a_change_is_a_version_and_takes_nothing_away_that_it_does_not_name(bring):
    bring(table(line(1)))
    batch = bring(table(line(1, title="Song one", duration="", one_share="60", two_share="40")))
    assert batch.counts["changed"] == 1
    recording = Recording.objects.get()
    assert (recording.title, recording.duration_ms, recording.version) == ("Song one", 225_000, 2)
    assert [v.record["title"] for v in recording.versions.order_by("number")] == ["Song 1", "Song one"]
    assert [r.number for r in recording.share_revisions.order_by("number")] == [1, 2]
    assert recording.shares.get(party__name="Erika Example").ppm == 600_000
    assert recording.work.title == "Song one"


def test_a_takedown_keeps_the_recording_and_its_history(bring):
    bring(table(line(1), line(2)))
    batch = bring(table(line(1, takedown="yes"), line(7, takedown="yes")))
    assert batch.state == "done"
    one, two = Recording.objects.order_by("isrc")
    assert one.taken_down_at is not None
    assert two.taken_down_at is None
    assert one.versions.count() == 2
    bring(table(line(1)))
    one.refresh_from_db()
    assert one.taken_down_at is None
    assert one.versions.count() == 3


def test_a_recording_is_known_by_its_number_where_it_had_no_isrc(bring):
    bring(table(line(1, isrc="")))
    bring(table(line(1)))
    assert Recording.objects.get().isrc == "QZSTM2600001"


def test_one_isrc_of_two_labels_is_claimed_and_held_and_nothing_of_the_other_changes(bring, labels):
    bring(table(line(1)))
    theirs = everything()[3]
    batch = bring(table(line(1), line(2)), organisation=labels.other, by=labels.stranger)
    assert batch.counts["conflicting"] == 1
    assert Recording.objects.filter(isrc="QZSTM2600001").count() == 2
    assert sorted(map(repr, Recording.objects.filter(organisation=labels.label).values_list())) == theirs
    claim = Claim.objects.get(state="open", kind="same-identifier")
    assert {claim.recording.organisation, claim.other.organisation} == {labels.label, labels.other}
    assert {held.recording for held in rights_status().held} == {claim.recording_id, claim.other_id}
    assert bring(table(line(1), line(2)), organisation=labels.other, by=labels.stranger).counts["same"] == 2


def test_owners_are_one_party_by_their_number_and_two_by_a_name_of_two_labels(bring, labels):
    bring(table(line(1)))
    bring(table(line(2)), organisation=labels.other, by=labels.stranger)
    assert Party.objects.filter(name="Erika Example").count() == 2
    head = b"Title,Publisher 1,Publisher 1 IPI\n"
    for who, by in ((labels.label, labels.owner), (labels.other, labels.stranger)):
        bring(head + b"Tune,Pablo,00014107338\n", organisation=who, by=by)
    assert Party.objects.get(ipi="00014107338").shares.count() == 2


def test_columns_are_remembered_for_the_next_file_with_the_same_ones(bring, labels, committed):
    body = b"Wie es heisst,Von wem\nLied,Erika\n"
    with committed():
        batch = import_create(organisation=labels.label, file=io.BytesIO(body), name="l.csv", by=labels.owner)
    assert (batch.state, batch.mapping) == ("mapping", {})
    with pytest.raises(InvalidError, match="title"):
        import_map(batch=batch, mapping={"Von wem": "artist"}, by=labels.owner)
    said = {"Wie es heisst": "title", "Von wem": "artist"}
    with committed():
        import_map(batch=batch, mapping=said, by=labels.owner)
    assert ColumnMapping.objects.get().mapping == said
    again = import_create(organisation=labels.label, file=io.BytesIO(body), name="l.csv", by=labels.owner)
    assert again.mapping == said
    theirs = import_create(organisation=labels.other, file=io.BytesIO(body), name="l.csv", by=labels.stranger)
    assert theirs.mapping == {}


def test_an_import_that_is_stopped_keeps_what_it_has_done_and_goes_on(bring, labels, committed, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 10)
    batch = bring(table(*(line(n) for n in range(1, 36))), confirm=False)
    advance = tasks.job_advance

    def stopping(*, job_id, progress, **told):
        if progress == 20:
            job_cancel(job_id=job_id, by=labels.owner)
        return advance(job_id=job_id, progress=progress, **told)

    monkeypatch.setattr(tasks, "job_advance", stopping)
    with committed():
        import_confirm(batch=batch, by=labels.owner)
    batch.refresh_from_db()
    assert (batch.state, Recording.objects.count()) == ("cancelled", 20)
    with committed():
        import_resume(batch=batch, by=labels.owner)
    batch.refresh_from_db()
    assert (batch.state, Recording.objects.count()) == ("done", 35)
    assert batch.rows.filter(done=False).count() == 0


def test_a_worker_that_dies_leaves_whole_chunks_and_the_next_one_goes_on(bring, labels, committed, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 10)
    batch = bring(table(*(line(n) for n in range(1, 26))), confirm=False)
    copy, calls = importing._copy, []

    def dying(made):
        copy(made)
        calls.append(made)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(importing, "_copy", dying)
    with pytest.raises(KeyboardInterrupt), committed():
        import_confirm(batch=batch, by=labels.owner)
    assert Recording.objects.count() == 10
    assert batch.rows.filter(done=True).count() == 10
    monkeypatch.setattr(importing, "_copy", copy)
    tasks.import_run(batch.id, labels.owner.id)
    batch.refresh_from_db()
    assert (batch.state, Recording.objects.count(), Share.objects.count()) == ("done", 25, 75)


def test_a_failure_is_told_and_can_be_gone_on_with(bring, labels, committed, monkeypatch):
    batch = bring(table(line(1)), confirm=False)

    def failing(_):
        raise RuntimeError("no disk")

    monkeypatch.setattr(importing, "_copy", failing)
    with committed():
        import_confirm(batch=batch, by=labels.owner)
    batch.refresh_from_db()
    assert batch.state == "failed"
    assert "RuntimeError" in batch.message
    notice = Notice.objects.get()
    assert (notice.user, notice.href) == (labels.owner, f"/imports/{batch.id}/")
    assert notice.title.endswith("has stopped")
    assert "RuntimeError" in notice.text
    assert Recording.objects.count() == 0
    monkeypatch.undo()
    with committed():
        import_resume(batch=batch, by=labels.owner)
    batch.refresh_from_db()
    assert batch.state == "staged"


@pytest.mark.parametrize("body", [b"", b"\x00\x01", b"Title" + b"," * 5000 + b"\n", b"PK\x03\x04broken"])
def test_a_hostile_file_leaves_nothing(labels, storage, body):
    with pytest.raises(InvalidError) as refused:
        import_create(organisation=labels.label, file=io.BytesIO(body), name="x.csv", by=labels.owner)
    assert refused.value.remedy
    assert not Import.objects.exists()
    assert not list(storage.keys("intake/"))


def test_a_file_that_breaks_on_the_way_is_told_and_imports_nothing(bring):
    batch = bring(b"Title\n" + b"One\n" * 9 + b'"' + b"x" * 70_000 + b"\n")
    assert batch.state == "failed"
    assert "cannot be read further" in batch.message
    assert Recording.objects.count() == 0


def test_a_file_that_is_too_large_is_refused(labels, monkeypatch):
    monkeypatch.setattr("stemma_portal.intake.services.MOST_BYTES", 10)
    with pytest.raises(InvalidError, match="larger than"):
        import_create(organisation=labels.label, file=io.BytesIO(b"Title\n" * 10), name="x.csv", by=labels.owner)


def test_nothing_is_confirmed_before_it_is_read_or_twice(bring, labels, committed):
    batch = bring(table(line(1)), confirm=False)
    with committed():
        import_confirm(batch=batch, by=labels.owner)
        import_confirm(batch=batch, by=labels.owner)
    assert Job.objects.filter(kind="import.run").count() == 1
    with pytest.raises(ConflictError):
        import_map(batch=batch, mapping={"Title": "title"}, by=labels.owner)
    empty = bring(table(line(2, isrc="NOT")), confirm=False)
    with pytest.raises(InvalidError, match="no row to take"):
        import_confirm(batch=empty, by=labels.owner)
    with committed():
        import_cancel(batch=empty, by=labels.owner)
    empty.refresh_from_db()
    assert empty.state == "cancelled"


def test_an_organisation_without_a_rights_holder_is_told_what_to_do(cast):
    with pytest.raises(InvalidError, match="rights-holder"):
        import_create(organisation=cast.label, file=io.BytesIO(b"Title\n"), name="x.csv", by=cast.owner)


def test_what_a_message_says_of_training_stands_among_the_reservations(bring, covenant, labels, cast):
    text = ern43(2).replace(">Stream<", ">Stream</UseType><UseType>UseForTrainingGenerativeAI<")
    bring(text.encode(), name="spring.xml")
    rows = Reservation.objects.current().order_by("recording__isrc")
    assert {(row.source, row.place, *row.uses.items()) for row in rows} == {
        ("ern", "spring.xml", ("ai_generative_training", "allowed"))
    }
    first, second = Recording.objects.order_by("isrc")
    owner = Party.objects.get(name="Example Records")
    consent_grant(party=owner, recordings=[first.id], scopes=["ai_generative_training"], by=labels.owner)
    policy = (
        "<RightsClaimPolicy><RightsClaimPolicyType>BlockAccess</RightsClaimPolicyType></RightsClaimPolicy></DealTerms>"
    )
    update = text.replace("</DealTerms>", policy)
    bring(update.encode(), name="autumn.xml")
    bring(update.encode(), name="again.xml")
    assert Reservation.objects.count() == 4
    found = Reservation.objects.current().get(recording=first)
    assert (found.place, found.refused, found.supersedes.place) == (
        "autumn.xml",
        ["ai_generative_training"],
        "spring.xml",
    )
    assert [row.recording_id for row in conflicts()] == [first.id]
    assert [row.source for row in marks_of(second)] == ["ern"]
    client = Client()
    client.force_login(cast.rights)
    page = client.get(reverse("dashboards:recording", args=[first.id])).content.decode()
    assert "DDEX deals of autumn.xml refuse ai generative training" in page
    assert "UseForTrainingGenerativeAI: BlockAccess" in page
