"""Duplicates are found by reasons, decided by people, and remembered; one of them is in snapshots."""

import itertools

import pytest
from django.db import transaction
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from music.test_likeness import fingerprint, midi, noisy, tune
from portal.making import sha
from stemma.errors import InvalidError
from stemma_portal.catalog import likeness as module
from stemma_portal.catalog.likeness import (
    likeness_equal,
    likeness_find,
    likeness_merge,
    likeness_reopen,
    likeness_separate,
    likeness_sweep,
)
from stemma_portal.catalog.models import Asset, Cluster, Likeness, Print, Recording
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import AuditEvent
from stemma_portal.operations.selectors import recordings_as_offered

pytestmark = [pytest.mark.services, pytest.mark.django_db]
State = Likeness.State


@pytest.fixture
def copies(cast, recordings, storage):
    """Five recordings, the first three of the label; nothing alike yet."""
    for number, row in enumerate(recordings):
        row.organisation = cast.label if number < 3 else cast.other
        row.save()
        storage.put(row.midi_key, midi(tune(number)))
    return recordings


def pair(one, other, kind="isrc", score=1.0) -> Likeness:
    one, other = sorted((one, other), key=lambda each: each.id)
    return Likeness.objects.create(one=one, other=other, kind=kind, score=score, found_at=one.created_at)


def heard(recording, data: bytes) -> None:
    Asset.objects.create(
        recording=recording,
        kind="audio",
        name="a.wav",
        sha256=sha(recording.id),
        size=1,
        format="wav",
        key="k",
        fingerprint=data,
        at=recording.created_at,
    )


def found(recording) -> dict[str, float]:
    return {row.kind: round(row.score, 2) for row in likeness_find(recording)}


def test_strangers_are_not_alike(copies):
    for number, row in enumerate(copies):
        heard(row, fingerprint(number))
    assert [found(row) for row in copies] == [{}] * len(copies)
    assert Print.objects.count() == len(copies)


def test_the_same_isrc_from_two_organisations(copies):
    Recording.objects.filter(id=copies[3].id).update(isrc=copies[0].isrc)
    assert found(copies[0]) == {"isrc": 1.0}
    assert found(copies[0]) == {}  # known already
    row = Likeness.objects.get()
    assert {row.one_id, row.other_id} == {copies[0].id, copies[3].id}


def test_the_same_file_and_the_same_sound(copies):
    Recording.objects.filter(id=copies[3].id).update(audio_sha256=copies[0].audio_sha256)
    heard(copies[0], fingerprint(1))
    assert found(copies[0]) == {"audio": 1.0}
    heard(copies[3], noisy(fingerprint(1)[400:], 0.02))
    copies[3].refresh_from_db()
    assert found(copies[3]) == {"fingerprint": 0.96}
    heard(copies[3], fingerprint(77))  # another file came: it is compared anew
    assert found(copies[3]) == {}
    assert bytes(Print.objects.get(recording=copies[3]).fingerprint) == fingerprint(77)


def test_nearly_the_same_score_in_another_key(copies, storage):
    storage.put(copies[3].midi_key, midi(tune(0), move=-4))
    likeness_sweep()
    row = Likeness.objects.get()
    assert (row.kind, row.score) == ("score", 1.0)
    assert likeness_sweep() == 0


def test_a_score_that_cannot_be_read_is_no_reason_to_stop(copies, storage):
    storage.put(copies[0].midi_key, b"nonsense")
    storage.delete(copies[1].midi_key)
    assert likeness_sweep(most=4) == 4
    assert likeness_sweep() == 2


def test_merging_chooses_the_one_that_stands_for_all(copies, granted):
    row = pair(copies[0], copies[1])
    cluster = likeness_merge(likeness=row, by=_staff())
    earliest = min(copies[:2], key=lambda each: (each.created_at, each.id))
    assert cluster.canonical == earliest
    offered = {each.recording for each in recordings_as_offered()}
    assert offered & {copies[0].id, copies[1].id} == {earliest.id}
    assert likeness_merge(likeness=row, by=_staff()) == cluster
    assert AuditEvent.objects.filter(action="likeness.merge").count() == 1
    row.refresh_from_db()
    assert (row.state, row.decided_by) == (State.MERGED, _staff().email)


def _staff():
    from stemma_portal.accounts.models import User

    return User.objects.get(email="rights@stemma.test")


@pytest.mark.parametrize(
    "lesser", [{"taken_down_at": "2026-01-01T00:00Z"}, {"audio_sha256": ""}, {"source_free": False}]
)
def test_what_is_complete_and_allowed_comes_before_what_is_early(copies, lesser):
    early, late = sorted(copies[:2], key=lambda each: (each.created_at, each.id))
    Recording.objects.filter(id=early.id).update(**lesser)
    assert likeness_merge(likeness=pair(early, late), by=_staff()).canonical == late


def test_consent_and_a_choice_decide(copies):
    early, late = sorted(copies[:2], key=lambda each: (each.created_at, each.id))
    row = pair(early, late)
    cluster = likeness_merge(likeness=row, by=_staff(), consented={late.id})
    assert cluster.canonical == late
    assert likeness_merge(likeness=row, by=_staff(), canonical=early.id).canonical == early
    with pytest.raises(InvalidError):
        likeness_merge(likeness=row, by=_staff(), canonical=copies[2].id)


def test_separating_is_remembered_for_every_later_reason(copies):
    row = pair(copies[0], copies[3])
    likeness_separate(likeness=row, by=_staff())
    Recording.objects.filter(id=copies[3].id).update(audio_sha256=copies[0].audio_sha256)
    made = likeness_find(copies[0])
    assert [(each.kind, each.state) for each in made] == [("audio", State.SEPARATE)]
    with pytest.raises(ConflictError, match="were separated by rights@"):
        likeness_merge(likeness=row, by=_staff())
    likeness_reopen(likeness=row, by=_staff())
    assert likeness_merge(likeness=row, by=_staff()).recordings.count() == 2


def test_a_merge_may_not_bring_together_what_was_separated(copies):
    likeness_separate(likeness=pair(copies[0], copies[2]), by=_staff())
    likeness_merge(likeness=pair(copies[0], copies[1]), by=_staff())
    with pytest.raises(ConflictError):
        likeness_merge(likeness=pair(copies[1], copies[2]), by=_staff())
    assert Cluster.objects.get().recordings.count() == 2


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(("merge", "separate", "reopen")), st.integers(0, 9)), min_size=1, max_size=12
    )
)
def test_whatever_is_decided_clusters_are_whole(copies, steps):
    """Every cluster has two members or more and its canonical one; nothing separated is in one; offered once."""
    with transaction.atomic():
        pairs = [pair(*two) for two in itertools.combinations(copies[:5], 2)]
        for step, place in steps:
            try:
                getattr(module, f"likeness_{step}")(likeness=pairs[place], by=_staff())
            except ConflictError:
                assert step == "merge"
        for cluster in Cluster.objects.all():
            members = set(cluster.recordings.values_list("id", flat=True))
            assert len(members) >= 2
            assert cluster.canonical_id in members
        of = dict(Recording.objects.values_list("id", "cluster_id"))
        for row in Likeness.objects.all():
            together = of[row.one_id] is not None and of[row.one_id] == of[row.other_id]
            assert together == (row.state == State.MERGED), row
        offered = [each.recording for each in recordings_as_offered()]
        alone = sum(1 for cluster in of.values() if cluster is None)
        assert len(offered) == alone + Cluster.objects.count()
        transaction.set_rollback(True)


def test_equal_ones_are_found_over_the_whole_catalog_and_each_pair_once(copies):
    Recording.objects.filter(id=copies[3].id).update(isrc=copies[0].isrc)
    Recording.objects.filter(id__in=[row.id for row in copies]).update(audio_sha256=sha("one file"))
    assert likeness_equal(most=3) == 1 + 3
    assert likeness_equal() == len(copies) - 1 - 3
    assert likeness_equal() == 0
    first = min(row.id for row in copies)
    assert set(Likeness.objects.filter(kind="audio").values_list("one", flat=True)) == {first}
    assert likeness_find(Recording.objects.get(id=first)) == []  # the same reasons, known already


# --- Pages ---------------------------------------------------------------------------------------


def test_the_page_shows_both_and_decides(client, cast, copies):
    row = pair(copies[0], copies[3])
    pair(copies[0], copies[3], kind="fingerprint", score=0.96)
    Likeness.objects.filter(kind="fingerprint").update(detail={"bit_error": 0.02, "limit": 0.15})
    client.force_login(cast.rights)
    listed = client.get(reverse("dashboards:duplicates")).content.decode()
    assert "The same ISRC" not in listed
    assert "They carry the same ISRC" in listed
    text = client.get(reverse("dashboards:duplicate", args=[row.id])).content.decode()
    assert text.count('class="player"') == 2
    assert 'id="wave-A-played"' in text
    assert 'id="wave-B-played"' in text
    assert "not a proof" in text
    assert "may be the same as" in client.get(reverse("dashboards:recording", args=[copies[0].id])).content.decode()
    decide = reverse("dashboards:duplicate_decide", args=[row.id])
    merged = client.post(decide, {"decision": "merge-other"}, follow=True).content.decode()
    assert "stands for all" in merged
    assert Cluster.objects.get().canonical_id == row.other_id
    for each in (row.one, row.other):
        assert "in snapshots" in client.get(reverse("dashboards:recording", args=[each.id])).content.decode()
    assert "Separate:" in client.post(decide, {"decision": "separate"}, follow=True).content.decode()
    assert "were separated by" in client.post(decide, {"decision": "merge"}, follow=True).content.decode()
    assert "Merge them or separate" in client.post(decide, {"decision": "x"}, follow=True).content.decode()
    assert "open again" in client.post(decide, {"decision": "reopen"}, follow=True).content.decode()


def test_who_sees_both_sees_it_and_who_brought_both_decides(client, cast, copies):
    across, within = pair(copies[0], copies[3]), pair(copies[0], copies[1])
    for user, statuses in (
        (cast.owner, (404, 404, 200, 302)),
        (cast.teammate, (404, 404, 200, 403)),
        (cast.stranger, (404, 404, 404, 404)),
        (cast.licensee, (200, 403, 200, 403)),
    ):
        client.force_login(user)
        seen = []
        for row in (across, within):
            seen.append(client.get(reverse("dashboards:duplicate", args=[row.id])).status_code)
            decide = reverse("dashboards:duplicate_decide", args=[row.id])
            seen.append(client.post(decide, {"decision": "separate"}).status_code)
        assert tuple(seen) == statuses, user
    assert client.get(reverse("dashboards:duplicates")).status_code == 200
