"""Every address of the API, asked by everybody: generated from its own description."""

import json
import re

import pytest

from portal.making import SCOPES, Api, ident, problem
from stemma_portal.api.api import api as the_api
from stemma_portal.audio.services import upload_begin
from stemma_portal.consent.services import claim_open
from stemma_portal.core.models import AuditEvent
from stemma_portal.licensing.services import api_key_create, license_grant
from stemma_portal.webhooks.services import endpoint_create, ping

pytestmark = [pytest.mark.services, pytest.mark.django_db]

OPEN = {"/health", "/log/head", "/log/entries/{entry}/receipt", "/log/consistency"}
"""What anyone may ask: proofs are for those who do not trust us."""


def operations() -> list[tuple[str, str]]:
    schema = the_api.get_openapi_schema(path_prefix="/")
    return sorted(
        (method.upper(), path.rstrip("/") or "/") for path, found in schema["paths"].items() for method in found
    )


OPERATIONS = operations()


def test_the_whole_api_is_described():
    assert len(OPERATIONS) >= 25
    assert set(OPEN) <= {path for _, path in OPERATIONS}


@pytest.mark.parametrize("token", [None, "stp_forged"])
def test_nobody_gets_in_without_an_account(db, token):
    api = Api(token)
    for method, path in OPERATIONS:
        if path not in OPEN:
            address = re.sub(r"\{[^}]+\}", ident("anything"), path).lstrip("/")
            response = api.get(address) if method == "GET" else api.send(method, address)
            problem(response, 401, "not-signed-in")
            assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.fixture
def world(granted, cast, recordings, storage, settings_changed):
    """One of everything, none of it the stranger's."""
    license_ = license_grant(organisation=cast.label, tier="community", months=1, by=None)
    key, _ = api_key_create(license_=license_, name="k", by=None)
    settings_changed(webhook_private_hosts="localhost")
    hook = endpoint_create(organisation=cast.label, url="http://localhost:1/", by=cast.owner).endpoint
    claim = claim_open(recording=recordings[0], claimant="Somebody", reason="Mine.", by=cast.rights)
    return {
        "recording": recordings[0].id,
        "consent": granted["Label"].id,
        "claim": claim.id,
        "license_id": license_.id,
        "key_id": key.id,
        "snapshot": ident("none"),
        "name": "house-symbolic",
        "version": "1",
        "party": granted["Label"].party_id,
        "organisation": cast.label.id,
        "webhook": hook.id,
        "upload": upload_begin(organisation=cast.label, name="a.wav", size=9, by=cast.owner).id,
        "delivery": ping(endpoint=hook, by=cast.owner).id,
    }


BODIES = {
    "/catalog/recordings": {"records": [{}]},
    "/consents": {"party": "{party}", "recordings": "all", "scopes": SCOPES},
    "/consents/{consent}/withdrawals": {"recording": None},
    "/claims": {"recording": "{recording}", "claimant": "{party}", "reason": "Mine."},
    "/claims/{claim}/resolution": {"resolution": "Done."},
    "/claims/{claim}/messages": {"text": "Here."},
    "/claims/{claim}/evidence": {"title": "x", "text": "y"},
    "/claims/{claim}/withdrawal": {"reason": "x"},
    "/claims/{claim}/deadline": {"reason": "x", "days": 3},
    "/snapshots": {"name": "x", "scopes": SCOPES},
    "/releases": {"name": "x", "version": "1", "statement": "x"},
    "/licenses": {"organisation": "label", "tier": "enterprise", "months": 12},
    "/licenses/{license_id}/keys": {"name": "mine"},
    "/webhooks": {"organisation": "{organisation}", "url": "https://example.com/"},
    "/uploads": {"organisation": "{organisation}", "name": "a.wav", "size": 9},
    "/uploads/{upload}/addresses": {"parts": [1]},
    "/uploads/{upload}/recording": {"recording": "{recording}"},
}
ROOMS = {"catalog", "consents", "claims", "snapshots", "releases", "licenses", "organisations"}
ROOMS |= {"webhooks", "uploads"}
LISTS = {"/catalog/recordings", "/consents", "/claims", "/snapshots", "/licenses", "/organisations", "/webhooks"}
LISTS |= {"/uploads"}
"""What a stranger may ask, and gets only their own of."""


def filled(text: str, world: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: world.get(found[1], ident("none")), text)


@pytest.mark.parametrize("who", ["stranger", "licensee", "teammate"])
def test_who_has_no_part_in_it_changes_nothing_and_sees_nothing(world, api, who):
    """ASVS 8.2.2, 8.4.1: a stranger is told that it is not there; a teammate may look and not sign."""
    caller, before = api(who), AuditEvent.objects.count()
    for method, path in OPERATIONS:
        address = filled(path, world).lstrip("/")
        if path in OPEN or (method == "GET" and path in LISTS) or path.split("/")[1] not in ROOMS:
            continue
        if method == "GET":
            response = caller.get(address)
            if response.status_code == 200:
                assert who == "teammate" or (who, path) == ("licensee", "/catalog/recordings/{recording}")
                continue
        else:
            response = caller.send(method, address, filled(json.dumps(BODIES.get(path, {})), world))
        assert response.status_code in {403, 404}, (method, path, response.content)
        problem(response, response.status_code)
        if who == "stranger" and "{" in path:
            assert response.status_code == 404, (method, path)
    assert AuditEvent.objects.count() == before


def test_lists_show_a_stranger_only_their_own(world, api):
    stranger = api("stranger")
    for path in LISTS:
        text = stranger.get(path.lstrip("/")).content.decode()
        for name in ("recording", "consent", "claim", "license_id", "key_id", "party", "webhook", "upload"):
            assert world[name] not in text


def test_the_owner_of_a_party_signs_for_it_and_for_no_other(covenant, api, cast, catalog, recordings):
    owner = api("owner")
    made = owner.post("consents", {"party": catalog["Label"].id, "recordings": "all", "scopes": SCOPES})
    assert made.status_code == 201
    assert made.json()["recordings"] == 3
    other = owner.post("consents", {"party": catalog["Other"].id, "recordings": "all", "scopes": SCOPES})
    problem(other, 404)
    body = {"recording": recordings[3].id, "claimant": catalog["Label"].id, "reason": "Ours."}
    assert owner.post("claims", body).status_code == 201
    problem(owner.post("claims", {**body, "claimant": catalog["Other"].id}), 404)
    problem(owner.post("claims", {**body, "claimant": "Somebody"}), 404)


def test_a_browser_needs_its_csrf_token(cast, covenant, catalog):
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.owner)
    assert browser.get("/api/v1/consents").status_code == 200
    body = json.dumps({"party": catalog["Label"].id, "recordings": "all", "scopes": SCOPES})
    refused = browser.post("/api/v1/consents", body, content_type="application/json")
    problem(refused, 403)
    browser.cookies["csrftoken"] = token = "a" * 32
    made = browser.post("/api/v1/consents", body, content_type="application/json", headers={"X-CSRFToken": token})
    assert made.status_code == 201
