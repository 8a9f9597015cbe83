import pytest

from portal.making import SCOPES, later, record
from stemma.errors import InvalidError, UnavailableError
from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import digest, sha256
from stemma.proof.log import Receipt, check_receipt
from stemma.rights.facts import read_facts
from stemma.rights.snapshot import Manifest, offences
from stemma_portal.catalog.models import Recording
from stemma_portal.catalog.services import recordings_import
from stemma_portal.consent.selectors import rights_status
from stemma_portal.consent.services import claim_open, consent_grant, consent_withdraw
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import LogEntry
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.selectors import eligibility, manifest_of, snapshot_offences
from stemma_portal.operations.services import snapshot_create
from stemma_portal.operations.tasks import snapshot_receipts_heal

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def take(include: str = "eligible", **terms) -> Snapshot:
    return snapshot_create(
        **{"name": "Test", "include": Snapshot.Include(include), "scopes": SCOPES, "by": None, **terms}
    )


def held(snapshot: Snapshot) -> set[str]:
    return {row.isrc[-1] for row in snapshot.members.all()}


def test_a_snapshot_holds_what_every_owner_has_granted(granted, storage, keyring, committed):
    with committed():
        snapshot = take()
    assert held(snapshot) == {"0", "1", "2", "3", "4"}
    manifest = manifest_of(snapshot)
    manifest.check_root()
    assert (manifest.id, manifest.root, len(manifest.recordings)) == (snapshot.id, snapshot.root, snapshot.recordings)
    assert [r.recording for r in manifest.recordings] == sorted(r.recording for r in manifest.recordings)
    assert set(manifest.consents) == {consent.id for consent in granted.values()}
    assert offences(manifest, rights_status(), keyring.jwks(), timestamp(now())) == []


def test_it_is_logged_and_everything_lies_in_storage(granted, storage, keyring, committed):
    with committed():
        snapshot = take()
    folder = f"snapshots/{snapshot.id}/"
    document = storage.get(folder + "manifest.json")
    receipt = Receipt.model_validate(storage.get_json(folder + "receipt.json"))
    assert sha256(document) == digest(Manifest.model_validate_json(document)) == receipt.entry.digest
    check_receipt(receipt, keyring.jwks(), digest=sha256(document))
    receipts = storage.get_json(folder + "consent_receipts.json")
    for name, consent in granted.items():
        check_receipt(
            Receipt.model_validate(receipts[consent.id]), keyring.jwks(), digest=sha256(consent.document.encode())
        )
        assert name


def test_what_is_withdrawn_or_held_leaves_the_next_snapshot(granted, cast, recordings):
    consent_withdraw(consent=granted["Artist"], recording_id=recordings[1].id, by=cast.rights)
    claim_open(recording=recordings[3], claimant="Somebody", reason="Mine.", by=cast.rights)
    assert held(take()) == {"0", "2", "4"}
    consent_withdraw(consent=granted["Label"], recording_id=None, by=cast.rights)
    assert held(take()) == {"4"}


def test_of_several_owners_each_must_have_granted_every_scope(covenant, cast, catalog):
    consent_grant(party=catalog["Label"], recordings="all", scopes=SCOPES, by=cast.rights)
    with pytest.raises(InvalidError, match="No recording may be used"):
        take()
    consent_grant(party=catalog["Artist"], recordings="all", scopes=["ai_generative_training"], by=cast.rights)
    with pytest.raises(InvalidError, match="No recording may be used"):
        take()
    assert held(take(scopes=["ai_generative_training"])) == {"0", "1", "2"}
    consent_grant(party=catalog["Artist"], recordings="all", scopes=["open_weights_release"], by=cast.rights)
    assert held(take()) == {"0", "1", "2"}


def test_a_grant_for_one_country_is_none_for_the_world(covenant, cast, catalog):
    consent_grant(party=catalog["Other"], recordings="all", scopes=SCOPES, territory="NO", by=cast.rights)
    with pytest.raises(InvalidError, match="No recording"):
        take()
    assert held(take(territory="NO")) == {"3", "4"}


def test_everything_holds_offenders_that_the_gate_names(granted, cast, recordings, storage, keyring):
    consent_withdraw(consent=granted["Label"], recording_id=recordings[0].id, by=cast.rights)
    claim_open(recording=recordings[1], claimant="Somebody", reason="Mine.", by=cast.rights)
    snapshot = take("all")
    assert held(snapshot) == set("012345")
    found = {(offence.title, offence.rule) for offence in snapshot_offences(snapshot)}
    assert found == {("Tune 0", "withdrawn"), ("Tune 1", "held"), ("Tune 5", "no-consent")}


def test_why_each_recording_may_or_may_not_be_used(granted, recordings):
    found = eligibility(scopes=tuple(SCOPES), territory="WORLD")
    assert found[recordings[0].id] == []
    assert {offence.rule for offence in found[recordings[5].id]} == {"no-consent"}


def test_a_recording_without_score_is_in_snapshots_for_models_of_sound_alone(granted, recordings, storage, keyring):
    for row in recordings:
        if row.isrc[-1] in "01":
            row.midi_sha256, row.tempo, row.key = "", None, ""
            row.save()
    notes, sound = take(), take(family="latent")
    assert (held(notes), notes.unreadable) == ({"2", "3", "4"}, 2)
    assert (held(sound), sound.unreadable) == ({"0", "1", "2", "3", "4"}, 0)
    first, second = manifest_of(notes), manifest_of(sound)
    assert (first.format, second.format) == ("stemma.snapshot/2", "stemma.snapshot/3")
    second.check_root()
    assert {r.isrc[-1] for r in second.recordings if r.midi_sha256 == "" and r.tempo is None and r.audio_sha256} == {
        "0",
        "1",
    }
    assert read_facts(first, storage).unreadable == 2
    assert offences(second, rights_status(), keyring.jwks(), timestamp(now())) == []
    assert recordings[0].id not in eligibility(scopes=tuple(SCOPES), territory="WORLD")
    assert eligibility(scopes=tuple(SCOPES), territory="WORLD", family="latent")[recordings[0].id] == []
    Recording.objects.update(midi_sha256="")
    with pytest.raises(InvalidError, match="any of the 5 recordings"):
        take()


def test_nothing_is_half_written_while_storage_is_away(granted, storage, s3_away):
    logged = LogEntry.objects.count()
    with s3_away(), pytest.raises(UnavailableError, match="does not answer"):
        take()
    assert (Snapshot.objects.count(), LogEntry.objects.count()) == (0, logged)


def test_a_receipt_that_could_not_be_stored_follows(granted, storage, committed, monkeypatch):
    from stemma_portal.operations import tasks

    monkeypatch.setattr(tasks.snapshot_receipt_publish, "run", _unavailable)
    later(monkeypatch, tasks.snapshot_receipt_publish)
    with committed():
        snapshot = take()
    key = f"snapshots/{snapshot.id}/receipt.json"
    assert not storage.exists(key)
    monkeypatch.undo()
    snapshot_receipts_heal()
    assert storage.get_json(key) == snapshot.receipt
    assert Snapshot.objects.get(id=snapshot.id).published


def _unavailable(*args):
    raise UnavailableError("Storage is away.")


def test_a_snapshot_with_a_known_identifier_is_not_taken_twice(granted, storage):
    identifier = new_id()
    first = take(identifier=identifier)
    assert take(identifier=identifier) == first
    with pytest.raises(ConflictError):
        take("all", identifier=identifier)


def test_an_empty_catalog_and_no_purpose_give_no_snapshot(covenant):
    with pytest.raises(InvalidError, match="catalog is empty"):
        take("all")
    with pytest.raises(InvalidError, match="without scopes"):
        take(scopes=[])


def test_the_number_of_queries_does_not_grow_with_the_catalog(covenant, cast, storage, django_assert_max_num_queries):
    from stemma_portal.catalog.models import Party

    recordings_import(records=[record(n) for n in range(300)], by=None)
    for party in Party.objects.all():
        consent_grant(party=party, recordings="all", scopes=SCOPES, by=cast.rights)
    with django_assert_max_num_queries(40):
        assert take().recordings == 300
