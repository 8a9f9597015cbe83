"""Weights: who may have them, who had them, and that what arrives is what was signed."""

from __future__ import annotations

import os
import re

import httpx
import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from portal.bundling import bundle_make, bundle_upload
from portal.certificates.made import certified
from portal.making import SCOPES, problem
from serving.wire import Wire
from stemma.client.weights import bring
from stemma.errors import ProofError, UnavailableError
from stemma.proof.canonical import sha256
from stemma.rights.covenant import house_covenant
from stemma.training import release as releases
from stemma_portal.core.models import AuditEvent
from stemma_portal.licensing.models import CovenantAcceptance, License
from stemma_portal.licensing.services import covenant_accept, covenant_publish, license_grant, license_revoke
from stemma_portal.operations.models import ModelRelease, Snapshot, WeightsDownload
from stemma_portal.operations.services import release_register, snapshot_create
from stemma_portal.operations.weights import checks, files_of
from support.card import card

pytestmark = [pytest.mark.services, pytest.mark.django_db]

WEIGHTS = os.urandom(8 << 20)
NAME = "house-symbolic/1"
DOWNLOADS = f"releases/{NAME}/downloads"


@pytest.fixture
def bundle(granted, storage, keyring, tmp_path):
    """A bundle as `stemma release publish` leaves it: signed in both ways, logged, in object storage."""
    snapshot = snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)
    told = {name: getattr(snapshot, name) for name in ("id", "root", "covenant", "receipt")}
    folder = tmp_path / "bundle"
    statement = bundle_make(folder, told, storage.get(snapshot.manifest_key), keyring, WEIGHTS)
    bundle_upload(folder, release_register(statement=statement, run_id="run", metrics={}, by=None).receipt, storage)
    return folder


@pytest.fixture
def license_(bundle, cast) -> License:
    """The studio's, for nothing, with terms that nobody there has accepted."""
    return license_grant(organisation=cast.studio, tier="community", months=1, by=None)


@pytest.fixture
def accepted(license_, cast) -> License:
    held = license_.covenant
    return covenant_accept(license_=license_, covenant=held, replaces=held.digest, by=cast.licensee)


def test_weights_need_a_license_that_covers_them(bundle, api, cast):
    problem(api("licensee").post(DOWNLOADS), 403, "no-license")
    license_grant(organisation=cast.studio, tier="evaluation", months=1, by=None)
    problem(api("licensee").post(DOWNLOADS), 403, "no-license")
    assert not WeightsDownload.objects.exists()


def test_a_license_of_some_models_opens_no_others(bundle, api, cast, storage):
    """Granted by staff, for releases that there are; its entitlement, its files and weights say the same."""
    ask = {"organisation": "studio", "tier": "community", "months": 1}
    rights, licensee = api("rights"), api("licensee")
    problem(rights.post("licenses", {**ask, "model_releases": ["house-symbolic/99"]}), 404)
    problem(rights.post("licenses", {**ask, "model_releases": ["house-latent/*"]}), 404)
    problem(rights.post("licenses", {**ask, "model_releases": ["House"]}), 404)
    problem(rights.post("licenses", {**ask, "model_releases": []}), 422)
    made = rights.post("licenses", {**ask, "model_releases": ["house-symbolic/*", NAME]}).json()
    assert (made["model_releases"], made["territories"]) == (["house-symbolic/*", NAME], [])
    license_ = License.objects.get(id=made["id"])
    told = problem(licensee.post(DOWNLOADS), 403, "not-accepted")
    License.objects.filter(id=license_.id).update(model_releases=["house-latent/*"])
    assert "covers open weights of house-symbolic/1" in problem(licensee.post(DOWNLOADS), 403, "no-license")["detail"]
    assert told["code"] == "not-accepted"
    page = Client()
    page.force_login(cast.licensee)
    assert "house-latent/*" in page.get(f"/license/{license_.id}/").content.decode()


def test_a_tier_of_some_models_opens_no_weights_of_others(bundle, api, cast, accepted):
    assert api("licensee").post(DOWNLOADS).status_code == 201
    terms = house_covenant()
    tiers = tuple(t.model_copy(update={"models": ("house-latent/*",)}) for t in terms.tiers)
    changes = {"format": "stemma.covenant/3", "version": "4", "tiers": tiers}
    license_revoke(license_=accepted, by=None)
    covenant_publish(covenant=terms.model_copy(update=changes), by=None)
    license_grant(organisation=cast.studio, tier="community", months=1, by=None)
    problem(api("licensee").post(DOWNLOADS), 403, "no-license")
    ask = {"organisation": "studio", "tier": "community", "months": 1, "model_releases": [NAME]}
    problem(api("rights").post("licenses", ask), 422, "models-not-in-tier")


def test_weights_need_the_licensee_s_own_yes_to_its_terms(license_, api, cast):
    told = problem(api("licensee").post(DOWNLOADS), 403, "not-accepted")
    assert f"stemma covenant accept {license_.id} 3.0.0" in told["remedy"]
    own = {"covenant": license_.covenant_id, "replaces": license_.covenant_id}
    problem(api("rights").post(f"licenses/{license_.id}/covenant", own), 403)
    for _ in range(2):
        assert api("licensee").post(f"licenses/{license_.id}/covenant", own).status_code == 200
    ((act),) = CovenantAcceptance.objects.all()
    assert (act.covenant_id, act.replaces_id, act.accepted_by) == (*own.values(), "licensee@stemma.test")
    assert api("licensee").post(DOWNLOADS).status_code == 201
    problem(api("owner").post(DOWNLOADS, {"license": license_.id}), 403, "no-license")
    license_revoke(license_=license_, by=None)
    problem(api("licensee").post(DOWNLOADS), 403, "no-license")


def test_every_address_is_written_down_and_stays(accepted, api, cast):
    answer = api("licensee").post(DOWNLOADS, {"files": ["model.safetensors"]}).json()
    ((file),) = answer["files"]
    assert (file["bytes"], file["sha256"]) == (len(WEIGHTS), sha256(WEIGHTS))
    ((row),) = WeightsDownload.objects.all()
    assert (row.release_id, row.file, row.license, row.by) == (
        NAME, "model.safetensors", accepted, "licensee@stemma.test",
    )  # fmt: skip
    event = AuditEvent.objects.get(action="release.download")
    assert (event.channel, event.detail["files"]) == ("api", ["model.safetensors"])
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        WeightsDownload.objects.update(by="nobody@stemma.test")
    assert len(api("rights").get("weights-downloads").json()["items"]) == 1
    assert len(api("licensee").get("weights-downloads").json()["items"]) == 1
    assert api("owner").get("weights-downloads").json()["items"] == []
    problem(api("licensee").post(DOWNLOADS, {"files": ["../production.json"]}), 404)
    ModelRelease.objects.update(state=ModelRelease.State.RETIRED)
    problem(api("licensee").post(DOWNLOADS), 422, "retired")


def test_an_attribution_can_be_made_again_by_whoever_may_see_it(license_, api, cast, keyring, storage):
    """Its fact and what the model saw by the licensee and staff; the store of gradients as weights are."""
    generation = certified(license_, keyring, storage)
    address = f"generations/{generation}/recomputation"
    problem(api("licensee").post(address), 404, "pending")
    fact, example = {"model_release": NAME, "store": "0a1b"}, {"tokens": [1, 2], "condition": []}
    storage.put_json(f"generations/{generation}/attribution.json", fact)
    storage.put_json(f"generations/{generation}/example.json", example)
    storage.put_json(f"stores/{NAME}/0a1b/manifest.json", {"files": {"step-1/length.npy": "a" * 64}})
    storage.put(f"stores/{NAME}/0a1b/step-1/length.npy", b"gradients")

    problem(api("owner").post(address), 404)
    told = api("licensee").post(address).json()
    assert (told["fact"], told["example"], told["store"], told["expires_at"]) == (fact, example, [], None)
    assert "stemma covenant accept" in told["lacking"]
    assert not AuditEvent.objects.filter(action="store.download").exists()
    own = {"covenant": license_.covenant_id, "replaces": license_.covenant_id}
    assert api("licensee").post(f"licenses/{license_.id}/covenant", own).status_code == 200
    for who in ("licensee", "rights"):
        told = api(who).post(address).json()
        assert [file["path"] for file in told["store"]] == ["manifest.json", "step-1/length.npy"]
        assert httpx.get(told["store"][1]["url"]).content == b"gradients"
        assert told["lacking"] == ""
    events = AuditEvent.objects.filter(action="store.download")
    assert [(e.subject, e.detail["store"]) for e in events] == [(generation, "0a1b")] * 2


def test_an_address_can_be_gone_on_with_and_runs_out(accepted, api, monkeypatch):
    url = api("licensee").post(DOWNLOADS, {"files": ["model.safetensors"]}).json()["files"][0]["url"]
    rest = httpx.get(url, headers={"Range": "bytes=1000000-"})
    assert (rest.status_code, rest.content == WEIGHTS[1_000_000:]) == (206, True)
    assert rest.headers["content-range"] == f"bytes 1000000-{len(WEIGHTS) - 1}/{len(WEIGHTS)}"
    assert "attachment" in rest.headers["content-disposition"]
    assert httpx.get(url.replace("model.safetensors", "manifest.json", 1)).status_code == 403
    late = re.sub(r"X-Amz-Date=\d{8}", "X-Amz-Date=20200101", url)
    assert httpx.get(late).status_code == 403


def test_what_breaks_off_goes_on_and_appears_whole(accepted, api, keyring, s3, settings_changed, tmp_path):
    folder, seen, cut = tmp_path / "model", [], []
    address = httpx.URL(s3)
    wire = Wire((address.host, address.port))
    settings_changed(s3_endpoint=f"http://127.0.0.1:{wire.port}")
    caller = api("licensee")

    def ask(paths):
        return caller.post(DOWNLOADS, {"files": list(paths)} if paths else {}).json()

    def told(path, done, total):
        seen.append((path, done, total))
        if path == "model.safetensors" and done > 1 << 20 and not cut:
            cut.append(True)
            wire.cut()

    with pytest.raises(UnavailableError, match="goes on where it stopped"):
        bring(NAME, folder, ask, keyring.jwks(), progress=told, pause=lambda _: None)
    assert not folder.exists()
    waiting = tmp_path / "model.part" / "model.safetensors.unfinished"
    assert 1 << 20 <= waiting.stat().st_size < len(WEIGHTS)  # a chunk, and what was on its way
    begun = waiting.stat().st_size
    wire.mend()
    seen.clear()
    statement = bring(
        NAME,
        folder,
        ask,
        keyring.jwks(),
        verify=releases.verify,
        progress=lambda *s: seen.append(s),
        pause=lambda _: None,
    )
    assert statement.id == NAME
    first = min(done for path, done, _ in seen if path == "model.safetensors")
    assert first > begun, "the bytes that were here were not fetched again"
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not (tmp_path / "model.part").exists()
    bring(NAME, folder, lambda _: {}, keyring.jwks())  # it is there: nothing is asked
    with pytest.raises(ProofError, match="not house-symbolic/2"):
        bring("house-symbolic/2", folder, lambda _: {}, keyring.jwks())


def test_what_is_not_what_was_signed_does_not_appear(accepted, api, keyring, storage, tmp_path):
    folder, caller = tmp_path / "model", api("licensee")

    def ask(paths):
        return caller.post(DOWNLOADS, {"files": list(paths)} if paths else {}).json()

    storage.put(f"releases/{NAME}/model.safetensors", WEIGHTS[:-1] + b"x")
    with pytest.raises(ProofError, match="came with SHA-256"):
        bring(NAME, folder, ask, keyring.jwks())
    foreign = {"keys": [key for key in keyring.jwks()["keys"] if key["stemma_role"] != "release"]}
    with pytest.raises(ProofError, match="not a known release key"):
        bring(NAME, folder, ask, foreign)

    def outside(paths):
        answer = ask(paths)
        answer["files"][0]["path"] = "../outside"
        return answer

    with pytest.raises(ProofError, match="leads outside"):
        bring(NAME, folder, outside, keyring.jwks())
    assert not folder.exists()
    storage.put(f"releases/{NAME}/model.safetensors", WEIGHTS)
    assert bring(NAME, folder, ask, keyring.jwks()).id == NAME


def test_the_page_tells_what_holds_and_hands_out(license_, cast, storage, redis):
    from stemma.training.fidelity import words  # with torch, which the portal itself never needs

    browser = Client()
    browser.force_login(cast.licensee)
    address = reverse("operations:release", args=["house-symbolic", "1"])
    page = browser.get(address).content.decode()
    assert "Accept version 3.0.0 of the covenant" in page
    assert "<script>alert" not in page
    assert page.count('<li class="no">') == 0
    assert 'name="file"' not in page
    assert "No measurement at hand" in page
    storage.put_json(f"fidelity/{NAME}/fidelity.json", card())
    storage.put(f"fidelity/{NAME}/fidelity.md", words(card()).encode())
    page = browser.get(address).content.decode()
    assert "No measurement at hand" not in page
    for figure in ("0.480", "0.810", "0.82", "trigrams of tokens", "joik", "What it does not say"):
        assert figure in page
    covenant_accept(license_=license_, covenant=license_.covenant, replaces=license_.covenant_id, by=cast.licensee)
    assert 'name="file" value="model.safetensors"' in browser.get(address).content.decode()
    handed = browser.post(f"{address}download/", {"file": "model.safetensors"}).content.decode()
    assert sha256(WEIGHTS) in handed
    sums = browser.get(f"{address}SHA256SUMS").content.decode()
    assert f"{sha256(WEIGHTS)}  model.safetensors\n" in sums
    assert "model.safetensors" in browser.get(reverse("operations:downloads")).content.decode()
    storage.delete(f"releases/{NAME}/model.safetensors")
    release = ModelRelease.objects.get()
    assert [each.holds for each in checks(release, files_of(release))] == [True, True, True, False]
    ModelRelease.objects.update(statement=release.statement[:-6] + "AAAAAA")
    page = browser.get(address)
    assert (page.status_code, page.content.decode().count('<li class="no">')) == (200, 4)
    assert browser.post(f"{address}download/").status_code == 409
