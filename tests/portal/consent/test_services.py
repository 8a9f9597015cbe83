from datetime import timedelta

import pytest

from portal.making import SCOPES, later, record
from stemma.errors import InvalidError
from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import sha256
from stemma.proof.keys import verify
from stemma.proof.log import Receipt, check_receipt
from stemma.rights.consent import CONSENT, STATUS, STATUS_KEY, Grant, RightsStatus
from stemma_portal.catalog.services import recordings_import
from stemma_portal.consent.models import Claim, Consent, Withdrawal
from stemma_portal.consent.selectors import (
    recording_states,
    recordings_to_consent,
    rights_status,
    standings,
)
from stemma_portal.consent.services import claim_open, claim_resolve, consent_grant, consent_withdraw
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import AuditEvent, LogEntry
from stemma_portal.notices.models import Notice

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def published(storage, keyring) -> RightsStatus:
    token = storage.get(STATUS_KEY).decode()
    return RightsStatus.model_validate(verify(token, keyring.jwks(), "rights", STATUS))


def test_a_grant_is_signed_logged_and_has_a_receipt(covenant, cast, catalog, recordings, keyring):
    until = now() + timedelta(days=365)
    consent = consent_grant(
        party=catalog["Label"],
        recordings=[recordings[1].id, recordings[0].id],
        scopes=SCOPES,
        valid_until=until,
        by=cast.owner,
    )
    grant = Grant.model_validate(verify(consent.document, keyring.jwks(), "rights", CONSENT))
    assert grant.recordings == tuple(sorted((recordings[0].id, recordings[1].id)))
    assert (grant.party, grant.party_name, grant.signed_by) == (catalog["Label"].id, "Label", "owner@stemma.test")
    assert (grant.covenant, grant.valid_until) == (covenant.digest, timestamp(until))
    receipt = Receipt.model_validate(consent.receipt)
    assert receipt.entry.subject == consent.id
    check_receipt(receipt, keyring.jwks(), digest=sha256(consent.document.encode()))
    assert consent.items.count() == 2
    assert not Notice.objects.filter(user=cast.owner).exists(), "they signed it themselves"
    assert AuditEvent.objects.filter(action="consent.grant", subject=consent.id, actor="owner@stemma.test").exists()


def test_all_means_what_the_party_has_and_the_source_allows(covenant, cast, catalog, recordings):
    consent = consent_grant(party=catalog["Label"], recordings="all", scopes=SCOPES, by=cast.owner)
    assert set(consent.recordings.all()) == set(recordings[:3])


def test_nobody_grants_what_is_not_theirs_or_what_the_source_keeps(covenant, cast, catalog, recordings):
    with pytest.raises(InvalidError, match="no share") as refused:
        consent_grant(party=catalog["Label"], recordings=[recordings[3].id], scopes=SCOPES, by=cast.owner)
    assert refused.value.code == "not-owned"
    with pytest.raises(InvalidError, match="reserves") as refused:
        consent_grant(party=catalog["Label"], recordings=[recordings[5].id], scopes=SCOPES, by=cast.owner)
    assert refused.value.code == "source-reserved"
    with pytest.raises(InvalidError, match="over no recordings"):
        consent_grant(party=catalog["Label"], recordings=[], scopes=SCOPES, by=cast.owner)
    with pytest.raises(InvalidError, match="without scopes"):
        consent_grant(party=catalog["Label"], recordings="all", scopes=[], by=cast.owner)
    with pytest.raises(InvalidError, match="ended before"):
        consent_grant(party=catalog["Label"], recordings="all", scopes=SCOPES, valid_until=now(), by=cast.owner)
    assert Consent.objects.count() == 0
    assert LogEntry.objects.filter(kind="consent").count() == 0


def test_without_terms_there_is_nothing_to_consent_to(cast, catalog):
    with pytest.raises(InvalidError, match="No covenant"):
        consent_grant(party=catalog["Label"], recordings="all", scopes=SCOPES, by=cast.owner)


def test_a_grant_with_a_known_identifier_is_not_made_twice(covenant, cast, catalog):
    terms = {"party": catalog["Label"], "recordings": "all", "scopes": SCOPES, "by": cast.owner, "identifier": new_id()}
    first = consent_grant(**terms)
    assert consent_grant(**terms) == first
    with pytest.raises(ConflictError):
        consent_grant(**{**terms, "scopes": ["data_mining"]})
    with pytest.raises(ConflictError):
        consent_grant(**{**terms, "party": catalog["Artist"]})
    assert LogEntry.objects.filter(kind="consent").count() == 1


def test_a_withdrawal_is_logged_published_and_final(granted, cast, recordings, storage, keyring, committed):
    consent = granted["Label"]
    with committed():
        fact = consent_withdraw(consent=consent, recording_id=recordings[0].id, by=cast.owner)
    check_receipt(Receipt.model_validate(fact.receipt), keyring.jwks())
    status = published(storage, keyring)
    assert status.withdrawal(consent.id, recordings[0].id) is not None
    assert status.withdrawal(consent.id, recordings[1].id) is None
    assert consent_withdraw(consent=consent, recording_id=recordings[0].id, by=cast.owner) == fact
    with committed():
        whole = consent_withdraw(consent=consent, recording_id=None, by=cast.owner)
    assert published(storage, keyring).withdrawal(consent.id, recordings[1].id) is not None
    assert consent_withdraw(consent=consent, recording_id=recordings[2].id, by=cast.owner) == whole
    assert Withdrawal.objects.count() == 2


def test_owners_hear_of_what_others_sign_in_their_name(granted, cast, recordings):
    notice = Notice.objects.get(user=cast.owner)
    assert notice.title == "rights@stemma.test signed a grant for Label"
    assert notice.href == f"/consent/{granted['Label'].id}/"
    consent_withdraw(consent=granted["Label"], recording_id=recordings[0].id, by=cast.rights)
    assert "withdrew part of a grant of Label" in Notice.objects.filter(user=cast.owner).first().title


def test_only_what_was_granted_can_be_withdrawn(granted, cast, recordings):
    with pytest.raises(InvalidError, match="does not name"):
        consent_withdraw(consent=granted["Label"], recording_id=recordings[3].id, by=cast.owner)


def test_a_claim_holds_a_recording_until_it_is_resolved(
    granted, cast, catalog, recordings, storage, keyring, committed
):
    with committed():
        claim = claim_open(
            recording=recordings[0], claimant="x", party=catalog["Other"], reason="It is ours.", by=cast.rights
        )
    assert claim.claimant == "Other"
    held = published(storage, keyring).hold(recordings[0].id)
    assert (held.claim, held.reason) == (claim.id, "It is ours.")
    again = claim_open(recording=recordings[0], claimant="Other", reason="It is ours.", by=cast.rights)
    assert again == claim
    with committed():
        resolved = claim_resolve(claim=claim, resolution="It was not.", by=cast.rights)
    assert resolved.state == Claim.State.RESOLVED
    assert published(storage, keyring).hold(recordings[0].id) is None
    assert claim_resolve(claim=claim, resolution="Again", by=cast.rights).resolution == "It was not."
    assert LogEntry.objects.filter(kind="claim", subject=claim.id).count() == 2


def test_the_status_waits_while_storage_is_away_and_nothing_is_lost(
    granted, cast, recordings, storage, keyring, committed, s3_away, monkeypatch
):
    from stemma_portal.consent.tasks import rights_status_publish

    waiting = later(monkeypatch, rights_status_publish)
    with s3_away(), committed():
        consent_withdraw(consent=granted["Label"], recording_id=recordings[0].id, by=cast.owner)
    assert len(waiting) == 1
    assert Withdrawal.objects.count() == 1
    rights_status_publish()
    assert published(storage, keyring).withdrawal(granted["Label"].id, recordings[0].id) is not None


def test_how_recordings_stand(covenant, cast, catalog, recordings, django_assert_max_num_queries):
    def state(number):
        return recording_states([recordings[number].id])[recordings[number].id].state

    assert state(0) == "unconsented"
    assert state(5) == "not-free"
    label = consent_grant(party=catalog["Label"], recordings="all", scopes=SCOPES, by=cast.owner)
    assert state(0) == "partial"
    consent_grant(party=catalog["Artist"], recordings="all", scopes=SCOPES, by=cast.rights)
    assert state(0) == "consented"
    consent_withdraw(consent=label, recording_id=recordings[0].id, by=cast.owner)
    assert (state(0), state(1)) == ("withdrawn", "consented")
    consent_grant(party=catalog["Label"], recordings=[recordings[0].id], scopes=SCOPES, by=cast.owner)
    assert state(0) == "consented"
    claim_open(recording=recordings[1], claimant="Somebody", reason="Mine.", by=cast.rights)
    assert state(1) == "claimed"
    with django_assert_max_num_queries(6):  # however many recordings
        assert len(recording_states(row.id for row in recordings)) == 6


def test_how_each_owner_stands_to_a_recording(granted, cast, catalog, recordings):
    consent_withdraw(consent=granted["Label"], recording_id=recordings[0].id, by=cast.owner)
    found = {s.party.name: s.state for s in standings(recording_id=recordings[0].id)}
    assert found == {"Label": "withdrawn", "Artist": "granted"}
    assert {s.state for s in standings(recording_id=recordings[5].id)} == {"none"}


def test_what_a_party_could_still_grant(covenant, cast, catalog, recordings):
    label = catalog["Label"]
    assert set(recordings_to_consent(label.id)) == set(recordings[:3])
    consent = consent_grant(party=label, recordings=[recordings[0].id], scopes=SCOPES, by=cast.owner)
    assert set(recordings_to_consent(label.id)) == set(recordings[1:3])
    consent_withdraw(consent=consent, recording_id=None, by=cast.owner)
    assert set(recordings_to_consent(label.id)) == set(recordings[:3])


def test_a_grant_over_many_recordings_takes_few_queries(covenant, cast, django_assert_max_num_queries):
    from stemma_portal.catalog.models import Party

    recordings_import(records=[record(n) for n in range(400)], by=None)
    with django_assert_max_num_queries(20):
        consent = consent_grant(party=Party.objects.get(name="Label"), recordings="all", scopes=SCOPES, by=cast.rights)
    assert consent.items.count() == 400


def test_the_status_of_nothing_is_empty(db):
    status = rights_status()
    assert (status.withdrawn, status.held) == ((), ())
