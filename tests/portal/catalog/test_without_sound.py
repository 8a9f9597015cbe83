"""Recordings come before their sound: every page and answer copes with one of which only a title is known."""

import pytest
import symusic
from django.urls import reverse

from portal.making import ident, sha
from stemma_portal.catalog.heard import recording_player
from stemma_portal.catalog.models import Recording, Share, Work
from stemma_portal.operations.selectors import recordings_as_offered

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def bare(cast, catalog, storage):
    """Of the label's own, with a title and owners and nothing else."""
    work = Work.objects.create(id=ident("bare work"), title="Bare")
    made = Recording.objects.create(id=ident("bare"), title="Bare", work=work, organisation=cast.label)
    for side in Share.Side.values:
        Share.objects.create(recording=made, party=catalog["Label"], side=side, ppm=1_000_000)
    return made


def test_its_page_says_what_is_missing(client, cast, bare):
    client.force_login(cast.owner)
    page = client.get(reverse("dashboards:recording", args=[bare.id]))
    assert page.status_code == 200
    text = page.content.decode()
    assert "No sound yet" in text
    assert "It lacks a sound, its length." in text
    assert "<audio" not in text
    Recording.objects.filter(id=bare.id).update(audio_sha256=sha("bare"), duration_ms=1000)
    text = client.get(reverse("dashboards:recording", args=[bare.id])).content.decode()
    assert "It lacks a score (MIDI or MusicXML), a tempo. Models that make sound learn from the recording" in text
    assert "None" not in text


def test_lists_show_it(client, cast, bare):
    client.force_login(cast.owner)
    text = client.get(reverse("dashboards:recordings"), {"q": "bare"}).content.decode()
    assert "no sound yet" in text
    assert "None" not in text


def test_its_owner_has_a_home_where_nothing_can_be_heard(client, cast, bare):
    Recording.objects.exclude(id=bare.id).update(audio_sha256="", midi_sha256="")
    client.force_login(cast.owner)
    page = client.get("/")
    assert page.status_code == 200
    assert b"<audio" not in page.content


def test_the_api_shows_it(api, bare):
    body = api("owner").get(f"catalog/recordings/{bare.id}").json()
    assert (body["isrc"], body["composer"], body["duration_ms"]) == ("", "", None)


def test_it_is_in_no_snapshot_and_has_nothing_to_take_away(bare):
    assert bare.id not in {each.recording for each in recordings_as_offered()}
    player = recording_player(bare)
    assert (player.audio, player.wave, player.roll, list(player.links)) == ("", None, None, [])


def test_a_score_without_sound_is_drawn(client, cast, bare, storage):
    score = symusic.Score(480)
    track = symusic.Track(name="Violin")
    track.notes.append(symusic.Note(0, 960, 67, 80))
    score.tracks.append(track)
    bare.midi_sha256 = sha("bare")
    bare.save()
    storage.put(bare.midi_key, score.dumps_midi())
    client.force_login(cast.owner)
    text = client.get(reverse("dashboards:recording", args=[bare.id])).content.decode()
    assert "The score alone is here." in text
    assert 'class="roll"' in text
    assert "Score (MIDI)" in text
    assert "Recording (FLAC)" not in text


def test_who_brought_it_sees_it_without_a_share(client, cast, bare):
    bare.shares.all().delete()
    client.force_login(cast.owner)
    assert client.get(reverse("dashboards:recording", args=[bare.id])).status_code == 200
    client.force_login(cast.stranger)
    assert client.get(reverse("dashboards:recording", args=[bare.id])).status_code == 404
