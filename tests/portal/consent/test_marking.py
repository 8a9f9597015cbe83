"""A recording's own file with its consent written into it, from the page and the API to whoever reads it."""

from datetime import timedelta

import numpy as np
import pytest
import soundfile
from django.test import Client
from django.urls import reverse

from music.sounds import tune, write
from portal.audio.conftest import at_once, label, send  # noqa: F401 - fixtures
from portal.intake.conftest import bring, labels  # noqa: F401 - fixtures
from portal.making import problem
from stemma.errors import InvalidError, NotFoundError
from stemma.ids import now
from stemma.provenance.authority import Authority
from stemma.provenance.mining import mining_of
from stemma.rights.consent import Condition
from stemma_portal.catalog.models import Party, Recording, Share
from stemma_portal.consent import marking
from stemma_portal.consent.marking import file_marked, mark_says
from stemma_portal.consent.models import Reservation
from stemma_portal.consent.reservations import reservation_settle, reservation_state
from stemma_portal.consent.reserved import conflicts, licensed_here
from stemma_portal.consent.services import claim_open, consent_grant, consent_withdraw

pytestmark = [pytest.mark.services, pytest.mark.django_db]

REFUSED = dict.fromkeys(("data_mining", "ai_inference", "ai_training", "ai_generative_training"), "notAllowed")


@pytest.fixture(autouse=True)
def _signing(keyring, storage):
    Authority(keyring.folder).create()


@pytest.fixture
def recording(label, covenant) -> Recording:  # noqa: F811
    """The label's alone, without a sound."""
    found = Recording.objects.get(isrc="QZSTM2600001")
    Share.objects.filter(recording=found).exclude(party=label.label.party).delete()
    return found


@pytest.fixture
def party(label) -> Party:  # noqa: F811
    return Party.objects.get(id=label.label.party_id)


def grant(party, label, *scopes, **given):  # noqa: F811
    return consent_grant(party=party, recordings="all", scopes=scopes, by=label.owner, **given)


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def take(user, recording, path):
    """The file as a browser saves it."""
    answer = signed_in(user).get(reverse("consent:marked", args=[recording.id]))
    assert answer.status_code == 200, answer.content
    path.write_bytes(b"".join(answer.streaming_content))
    return answer


# --- What it says -----------------------------------------------------------------------------------


def test_nothing_is_allowed_that_nobody_has_granted(recording):
    assert mark_says(recording).uses == REFUSED


def test_what_every_owner_has_granted_leads_to_a_license(recording, party, label, cast):  # noqa: F811
    other = Party.objects.create(name="Composer", demo=True)
    Share.objects.create(recording=recording, party=other, side="publishing", ppm=1_000_000)
    grant(party, label, "ai_training", "ai_generative_training")
    assert mark_says(recording).uses == REFUSED, "one of two owners has said nothing"
    mine = consent_grant(party=other, recordings="all", scopes=["ai_training", "data_mining"], by=cast.rights)
    said = mark_says(recording)
    assert said.uses == {**REFUSED, "ai_training": "constrained"}
    assert said.constraints == {"ai_training": licensed_here()}
    consent_withdraw(consent=mine, recording_id=recording.id, by=cast.rights)
    assert mark_says(recording).uses == REFUSED


def test_conditions_territory_and_end_stand_beside_it(recording, party, label):  # noqa: F811
    until = now() + timedelta(days=30)
    condition = {"ai_training": Condition(families=("symbolic",))}
    grant(party, label, "ai_training", conditions=condition, territory="NO", valid_until=until)
    words = mark_says(recording).constraints["ai_training"]
    assert words == f"{licensed_here()}; only in NO; only until {until:%Y-%m-%d}; only for symbolic models"


def test_what_is_claimed_or_reserved_is_not_allowed(recording, party, label, cast):  # noqa: F811
    grant(party, label, "ai_training", "data_mining")
    mark = reservation_state(recording=recording, party=party, refused=["data_mining"], reason="No.", by=label.owner)
    assert mark_says(recording).uses == {**REFUSED, "ai_training": "constrained"}
    reservation_settle(reservation=mark, party=party, reason="It is older.", by=label.owner)
    assert mark_says(recording).uses["data_mining"] == "constrained"
    claim_open(recording=recording, claimant="Somebody", reason="Mine.", by=cast.rights)
    assert mark_says(recording).uses == REFUSED


@pytest.mark.parametrize("change", [{"source_free": False}, {"taken_down_at": now()}])
def test_what_cannot_be_used_is_not_allowed(recording, party, label, change):  # noqa: F811
    grant(party, label, "ai_training")
    Recording.objects.filter(id=recording.id).update(**change)
    recording.refresh_from_db()
    assert mark_says(recording).uses == REFUSED


# --- The file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "mime"), [("wav", "audio/wav"), ("flac", "audio/flac"), ("mp3", "audio/mpeg")])
def test_an_owner_takes_the_file_as_it_was_brought_with_the_mark(send, recording, party, label, tmp_path, form, mime):  # noqa: F811
    brought = write(tmp_path / f"QZSTM2600001.{form}", tune(10))
    assert send(brought).state == "taken"
    grant(party, label, "ai_training")
    answer = take(label.owner, recording, tmp_path / f"taken.{form}")
    assert (answer["Content-Type"], answer["Content-Disposition"]) == (mime, f'attachment; filename="{brought.name}"')
    found = mining_of(tmp_path / f"taken.{form}", form)
    assert found is not None
    assert found.mining.uses == {**REFUSED, "ai_training": "constrained"}
    assert (found.mining.constraint, found.intact) == (licensed_here(), True)
    assert np.array_equal(soundfile.read(tmp_path / f"taken.{form}")[0], soundfile.read(brought)[0])


def test_what_came_in_a_format_without_marks_is_taken_as_flac(send, recording, label, tmp_path):  # noqa: F811
    brought = write(tmp_path / "QZSTM2600001.aif", tune(10))
    assert send(brought).state == "taken"
    answer = take(label.owner, recording, tmp_path / "taken.flac")
    assert 'filename="QZSTM2600001.flac"' in answer["Content-Disposition"]
    found = mining_of(tmp_path / "taken.flac", "flac")
    assert found is not None
    assert found.mining.uses == REFUSED
    assert np.array_equal(soundfile.read(tmp_path / "taken.flac")[0], soundfile.read(brought)[0])


def test_our_own_mark_that_comes_back_is_no_conflict(send, recording, party, label, tmp_path):  # noqa: F811
    assert send(write(tmp_path / "QZSTM2600001.wav", tune(10))).state == "taken"
    grant(party, label, "ai_training")
    take(label.owner, recording, tmp_path / "again.wav")
    again = send(tmp_path / "again.wav", name="QZSTM2600001.wav")
    assert again.recording_id == recording.id
    assert "replaces" not in [finding[0] for finding in again.findings], "it is the same sound"
    fact = Reservation.objects.current().get(source="cawg")
    assert fact.uses["ai_training"] == "constrained"
    assert sorted(fact.refused) == ["ai_generative_training", "ai_inference", "data_mining"]
    assert not conflicts(recording=recording).exists()
    grant(party, label, "data_mining")
    assert conflicts(recording=recording).exists(), "the file is older than this grant"


def test_a_recording_without_sound_or_with_too_much_of_it_is_refused(send, recording, tmp_path, monkeypatch):  # noqa: F811
    with pytest.raises(NotFoundError, match="no sound yet"):
        file_marked(recording)
    send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    recording.refresh_from_db()
    monkeypatch.setattr(marking, "MOST_BYTES", 1000)
    with pytest.raises(InvalidError, match="are marked here"):
        file_marked(recording)


# --- Who may ----------------------------------------------------------------------------------------


def test_only_owners_take_it_from_the_page_and_by_the_api(send, recording, party, api, cast, tmp_path):  # noqa: F811
    send(write(tmp_path / "QZSTM2600001.wav", tune(10)))
    Party.objects.filter(id=party.id).update(demo=False)
    address, call = reverse("consent:marked", args=[recording.id]), f"catalog/recordings/{recording.id}/marked-audio"
    page = reverse("dashboards:recording", args=[recording.id])
    for who, status in {"teammate": 403, "rights": 403, "stranger": 404, "licensee": 404}.items():
        browser = signed_in(getattr(cast, who))
        assert browser.get(address).status_code == status, who
        assert address not in browser.get(page).content.decode(), who
        problem(api(who).get(call), status)
    assert address in signed_in(cast.owner).get(page).content.decode()
    answer = api("owner").get(call)
    body = b"".join(answer.streaming_content)
    assert (answer.status_code, answer["Content-Type"], int(answer["Content-Length"])) == (200, "audio/wav", len(body))
    assert b"cawg.training-mining" in body
