"""How diverse a snapshot is: counted when it is taken, kept, and shown with its picture and its table."""

import json
import re

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from portal.making import SCOPES, record
from stemma.errors import ProofError
from stemma.proof.canonical import digest, sha256
from stemma.proof.log import Receipt, check_receipt
from stemma.rights.diversity import Diversity
from stemma.rights.facts import read_facts
from stemma.rights.snapshot import Manifest
from stemma_portal.catalog.custody import custody_set
from stemma_portal.catalog.models import Work
from stemma_portal.catalog.services import recordings_import
from stemma_portal.operations.diversity import shape
from stemma_portal.operations.models import ModelRelease, Snapshot
from stemma_portal.operations.selectors import manifest_of
from stemma_portal.operations.services import snapshot_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def origins(catalog, cast):
    """Two of Ireland, one of Scotland's eighteenth century, one somewhere; the rest unknown."""
    known = [
        record(0, region="Ireland", year=1903, style="reel"),
        record(1, region="IE", year=1883, style="jig"),
        record(2, region="Scotland", period="17XX", style="reel"),
        record(3, region="Over the hills", style="reel", master="Other", publishing="Other"),
    ]
    assert recordings_import(records=known, by=cast.rights).changed == 4


@pytest.fixture
def snapshot(origins, granted, storage) -> Snapshot:
    return snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)


def test_it_is_counted_when_it_is_taken(snapshot):
    found = Diversity.model_validate(snapshot.diversity)
    assert found.recordings == snapshot.recordings == 5
    assert found.repertoire.groups == (("reel", 3), ("fiddle", 1), ("jig", 1))
    assert (found.region.groups, found.region.unknown) == ((("IE", 2), ("GB-SCT", 1)), 2)
    assert (found.period.groups, found.period.unknown) == ((("17XX", 1), ("18XX", 1), ("19XX", 1)), 2)


def test_what_the_catalog_says_later_changes_nothing(snapshot):
    Work.objects.update(region_code="NO", period="", year=1999)
    before = snapshot.diversity
    snapshot.refresh_from_db()
    assert snapshot.diversity == before
    for change in ({"diversity": {}}, {"facts_sha256": "0" * 64}):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            Snapshot.objects.filter(id=snapshot.id).update(**change)
    Snapshot.objects.filter(id=snapshot.id).update(published=True)


def test_it_lies_beside_the_manifest_which_verifies_as_before(snapshot, storage, keyring):
    manifest = manifest_of(snapshot)
    manifest.check_root()
    check_receipt(Receipt.model_validate(snapshot.receipt), keyring.jwks(), digest=digest(manifest))
    key = f"snapshots/{snapshot.id}/facts.json"
    assert sha256(storage.get(key)) == snapshot.facts_sha256
    facts = read_facts(manifest, storage)
    assert facts is not None
    assert facts.diversity.model_dump(mode="json") == snapshot.diversity

    other = json.loads(storage.get(key)) | {"root": "0" * 64}
    storage.put_json(key, other)
    with pytest.raises(ProofError, match="of another one"):
        read_facts(manifest, storage)
    storage.put_json(key, {})
    with pytest.raises(ProofError, match="well-formed"):
        read_facts(manifest, storage)
    older = Manifest.model_validate(manifest.model_dump() | {"id": "older"})
    assert read_facts(older, storage) is None


def test_custody_stands_beside_it(origins, granted, storage, cast, catalog, recordings):
    custody = custody_set(
        recordings=[recordings[0].id], party=catalog["Other"], community="Céilí House", terms="Name us.",
        conditions=["no_style_prompting", "attribution"], by=cast.rights, by_staff=True,
    )  # fmt: skip
    taken = snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)
    facts = read_facts(manifest_of(taken), storage)
    assert facts is not None
    assert [(each.recording, each.custody, each.conditions) for each in facts.custody] == [
        (recordings[0].id, custody.id, ("attribution", "no_style_prompting"))
    ]
    assert facts.credits == ["Céilí House"]


def test_an_older_snapshot_is_counted_today_and_says_so(snapshot):
    assert shape(snapshot).then
    snapshot.diversity = None
    found = shape(snapshot)
    assert (found.then, found.recordings) == (False, 5)
    assert [row.title for row in found.facets[1].rows] == ["Ireland", "Scotland", "Unknown"]


def test_pages_show_figures_a_picture_and_a_table(snapshot, cast, redis):
    release = ModelRelease.objects.create(
        id="m/1", name="m", version="1", run_id="r", snapshot=snapshot, statement="", metrics={},
        receipt=snapshot.receipt, created_at=snapshot.created_at,
    )  # fmt: skip
    browser = Client()
    browser.force_login(cast.rights)
    for address in (f"/snapshots/{snapshot.id}/", f"/models/{release.id}/"):
        answer = browser.get(address)
        assert answer.status_code == 200
        page = answer.content.decode()
        text = page[page.index('aria-labelledby="diversity"') :]
        assert text.count('class="groups"') == 3
        # exp H of 2 : 1 is 1.89, of three equal groups 3, of 3 : 1 : 1 2.59.
        assert re.findall(r"<dt>effective (\w+)</dt><dd>([\d.]+)</dd>", text) == [
            ("repertoires", "2.6"), ("regions", "1.9"), ("centuries", "3.0"),
        ]  # fmt: skip
        assert "Ireland has 66.7" in text
        for row in ("Ireland", "Scotland", "1700–1799", "Unknown", "Reel"):
            assert f'<th scope="row">{row}</th>' in text
