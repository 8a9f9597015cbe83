"""What a signer says of each scope, how it is told back, and what follows from it."""

import json

import pytest
from django.test import Client

from portal.making import SCOPES, ident, problem
from stemma.proof.keys import verify
from stemma.provenance.documents import verify_document
from stemma.rights.consent import CONSENT, Condition, Grant
from stemma.rights.snapshot import Manifest
from stemma.storage import storage
from stemma_portal.catalog.models import Recording, Release
from stemma_portal.consent.models import Consent
from stemma_portal.consent.receipts import consent_pdf, consent_proof
from stemma_portal.consent.selectors import recording_states
from stemma_portal.consent.services import consent_grant
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.keys import keyring
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.services import snapshot_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]

EVERY = (*SCOPES, "data_mining", "ai_inference", "ai_training", "fine_tuning", "style_prompting")
REFUSED = {f"use_{scope}": "refused" for scope in EVERY}
ASKED = {"recordings": "all", "territory": "WORLD", **REFUSED}


@pytest.fixture
def owner(covenant, cast, catalog, redis) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": cast.owner.email, "password": "correct horse"})
    client.post("/accounts/reauthenticate/", {"password": "correct horse"})
    return client


def test_refusal_is_the_default(owner):
    page = owner.get("/consent/new/").content.decode()
    assert page.count('value="refused"') == len(EVERY)
    assert page.count("checked") == len(EVERY) + 1, "and all recordings"
    told = owner.post("/consent/new/", {"step": "review", **ASKED})
    assert "Choose at least one" in told.content.decode()
    told = owner.post("/consent/new/", {"step": "sign", "recordings": "all", "territory": "WORLD", "agree": "on"})
    assert not Consent.objects.exists(), "what is not said is not granted"
    assert told.status_code == 200


def test_a_scope_is_granted_under_conditions_and_told_so_everywhere(owner, cast):
    terms = {
        **ASKED,
        "use_ai_generative_training": "allowed",
        "use_open_weights_release": "constrained",
        "countries": "fr, DE",
        "until_day": "2099-03-31",
        "families": "symbolic",
        "same_covenant": "on",
        "creators": "45.5",
        "minute_fee": "0.04",
    }
    page = owner.post("/consent/new/", {"step": "review", **terms}).content.decode()
    words = "only for symbolic models; only under the covenant of the grant; only where creators get at least 45.5 %"
    assert words in page
    assert "only in DE, FR; only until 2099-03-31; " + words in page
    assert "only where a minute costs at least 0.040000" in page
    owner.post("/consent/new/", {"step": "sign", "agree": "on", **terms})
    consent = Consent.objects.get()
    grant = Grant.model_validate(verify(consent.document, keyring().jwks(), "rights", CONSENT))
    assert grant.use("open_weights_release") == "constrained"
    assert grant.conditions["open_weights_release"] == Condition(
        territories=("DE", "FR"), until="2099-03-31T23:59:59.999Z",
        families=("symbolic",), same_covenant=True, creators_ppm=455_000, minute_fee=40_000,
    )  # fmt: skip
    assert words in owner.get(f"/consent/{consent.id}/").content.decode()
    assert "(under conditions)" in owner.get("/consent/").content.decode()
    assert owner.get(f"/consent/{consent.id}/receipt.pdf").content.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Name at least one condition"),
        ({"creators": "101"}, "less than or equal to 100"),
        ({"creators": "0.00001"}, "decimal places"),
        ({"minute_fee": "-1"}, "greater than or equal to 0"),
        ({"countries": "Germany"}, "GERMANY is no country"),
        ({"countries": "FR", "territory": "DE"}, "The grant holds in DE alone"),
        ({"until_day": "2020-01-01"}, "This day has passed"),
        ({"until_day": "2099-01-02", "valid_until": "2099-01-01"}, "The grant ends before this day"),
        ({"families": "paintings"}, "not one of the available choices"),
        ({"use_data_mining": "perhaps"}, "not one of the available choices"),
    ],
)
def test_conditions_that_make_no_sense_are_told_at_their_field(owner, changes, said):
    terms = {**ASKED, "use_fine_tuning": "constrained", **changes}
    page = owner.post("/consent/new/", {"step": "review", **terms}).content.decode()
    assert said in page
    assert "This is what you grant" not in page


def test_only_a_snapshot_that_meets_the_conditions_holds_the_recordings(covenant, cast, catalog, recordings):
    only = {"ai_generative_training": Condition(families=("latent",))}
    for name, party in catalog.items():
        consent_grant(
            party=party, recordings="all", scopes=SCOPES, conditions=only if name == "Other" else None, by=cast.rights
        )

    def held(**given) -> set[str]:
        snapshot = snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None, **given)
        manifest = Manifest.model_validate_json(storage().get(snapshot.manifest_key))
        manifest.check_root()
        assert (manifest.family, snapshot.family) == (given["family"],) * 2
        return {recording.title for recording in manifest.recordings}

    assert held(family="symbolic") == {"Tune 0", "Tune 1", "Tune 2"}
    assert held(family="latent") == {f"Tune {n}" for n in range(5)}


def test_a_minimum_is_held_against_the_covenant_in_force(covenant, cast, catalog, recordings):
    more = {"open_weights_release": Condition(creators_ppm=500_001)}
    for name, party in catalog.items():
        consent_grant(
            party=party, recordings="all", scopes=SCOPES, conditions=more if name == "Label" else None, by=cast.rights
        )
    snapshot = snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)
    assert set(snapshot.members.values_list("title", flat=True)) == {"Tune 3", "Tune 4"}
    training = snapshot_create(name="t", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES[:1], by=None)
    assert training.recordings == 5


def test_a_grant_of_something_else_is_no_consent_to_training(covenant, cast, catalog, recordings):
    for party in catalog.values():
        consent_grant(party=party, recordings="all", scopes=["data_mining"], by=cast.rights)
    assert recording_states([recordings[0].id])[recordings[0].id].state == "unconsented"


def test_the_api_grants_under_conditions_and_again_the_same(covenant, cast, catalog, api):
    from portal.making import ident

    body = {
        "id": ident("mine"),
        "party": catalog["Label"].id,
        "recordings": "all",
        "scopes": list(SCOPES),
        "conditions": {"open_weights_release": {"families": ["symbolic"], "until": "2030-01-01T00:00:00.000Z"}},
    }
    answer = api("owner").post("consents", body)
    assert answer.status_code == 201, answer.content
    assert json.loads(answer.content)["conditions"]["open_weights_release"]["families"] == ["symbolic"]
    assert api("owner").post("consents", body).status_code == 201
    assert Consent.objects.count() == 1
    other = {**body, "conditions": {"open_weights_release": {"families": ["latent"]}}}
    assert problem(api("owner").post("consents", other), 409)
    for conditions in ({"fine_tuning": {"same_covenant": True}}, {"open_weights_release": {}}, {"x": {}}):
        assert api("owner").post("consents", {**body, "conditions": conditions}).status_code in {400, 422}


def test_a_grant_of_the_same_identifier_keeps_its_conditions(covenant, cast, catalog):
    from portal.making import ident

    given = {"party": catalog["Label"], "recordings": "all", "scopes": SCOPES, "by": cast.owner}
    consent_grant(**given, identifier=ident("g"), conditions={SCOPES[0]: Condition(same_covenant=True)})
    with pytest.raises(ConflictError):
        consent_grant(**given, identifier=ident("g"))


@pytest.fixture
def album(cast, recordings) -> Release:
    """Two tracks of the label, and one of another's."""
    made = Release.objects.create(title="First Light", upc="036000291452", organisation=cast.label)
    Recording.objects.filter(id__in=[recordings[0].id, recordings[1].id, recordings[3].id]).update(release=made)
    return made


def test_a_grant_for_a_release_names_it_beside_its_tracks(owner, cast, catalog, album, recordings):
    tracks = sorted([recordings[0].id, recordings[1].id])
    page = owner.get(f"/consent/new/?release={album.id}").content.decode()
    assert "“First Light” (UPC 036000291452)" in page
    terms = {**ASKED, "use_ai_generative_training": "allowed", "recordings": "chosen"}
    terms |= {"chosen": " ".join(tracks), "releases": str(album.id)}
    page = owner.post("/consent/new/", {"step": "review", **terms}).content.decode()
    assert "(UPC 036000291452): 2 tracks, as the release is today." in page
    Recording.objects.filter(id=recordings[2].id).update(release=album)  # comes after it was read
    signed = owner.post(f"/consent/new/?release={album.id}", {"step": "sign", "agree": "on", **terms}, follow=True)
    words = "“First Light” (UPC 036000291452), 2 tracks"
    assert words in signed.content.decode()
    assert "First Light" in owner.get("/consent/").content.decode()
    row = Consent.objects.get()
    grant = Grant.model_validate(verify(row.document, keyring().jwks(), "rights", CONSENT))
    (named,) = grant.releases
    assert (named.release, named.title, named.upc) == (album.id, "First Light", "036000291452")
    assert list(named.recordings) == list(grant.recordings) == tracks
    for body in (json.dumps(consent_proof(row)).encode(), consent_pdf(row, recordings=2)):
        assert f"for 2 recordings ({words})" in verify_document(body).steps[0].detail


def test_releases_are_named_over_the_api(api, covenant, cast, catalog, album, recordings):
    label = str(catalog["Label"].id)
    body = {"id": ident("by release"), "party": label, "releases": [album.id], "scopes": SCOPES}
    made = api("owner").post("consents", body).json()
    assert (made["recordings"], made["releases"][0]["title"]) == (2, "First Light")
    assert api("owner").post("consents", body).json()["document"] == made["document"]
    problem(api("owner").post("consents", {**body, "releases": []}), 409, "conflict")
    more = {"party": label, "recordings": [recordings[1].id, recordings[2].id], "releases": [album.id]}
    made = api("owner").post("consents", {**more, "scopes": SCOPES}).json()
    assert (made["recordings"], made["releases"][0]["recordings"]) == (2, [recordings[1].id])
    detail = verify_document(json.dumps(api("owner").get(f"consents/{made['id']}/receipt").json()).encode()).steps[0]
    assert "1 track; and 1 besides)" in detail.detail
    problem(
        api("owner").post("consents", {**more, "recordings": [recordings[2].id], "scopes": SCOPES}), 422, "not-owned"
    )
    problem(api("owner").post("consents", {"party": label, "scopes": SCOPES}), 422)


def test_a_grant_without_releases_keeps_its_form(granted):
    told = verify(granted["Label"].document, keyring().jwks(), "rights", CONSENT)
    assert "releases" not in told
    stray = {"release": "r", "title": "Stray", "upc": "", "recordings": ["none"]}
    with pytest.raises(ValueError, match="tracks that are not granted"):
        Grant.model_validate({**told, "releases": [stray]})
