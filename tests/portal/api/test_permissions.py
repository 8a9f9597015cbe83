"""Every address of the API, asked by everybody: generated from its own description."""

import json
import re
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from ninja import Schema

from music.sounds import RATE, tune
from portal.billing.shop import pdf, shop_open
from portal.certificates.made import certified
from portal.indemnity.desk import claimed, tick
from portal.making import SCOPES, Api, ident, problem
from stemma.ids import now
from stemma.music.audio import encode
from stemma.provenance.authority import Authority
from stemma.rights.covenant import house_covenant
from stemma_portal.accounts.invitations import invite
from stemma_portal.accounts.models import Domain
from stemma_portal.accounts.services import membership_set, token_create, user_create
from stemma_portal.accounts.signing_on import domain_add
from stemma_portal.api.api import api as the_api
from stemma_portal.audio.services import upload_begin
from stemma_portal.billing.deadlines import breach_state
from stemma_portal.billing.invoicing import order_place, quote_make
from stemma_portal.catalog.custody import custody_set
from stemma_portal.catalog.models import Likeness, Recording, Release, ShareQuestion, ShareRevision
from stemma_portal.consent.reservations import reservation_state
from stemma_portal.consent.services import claim_open, consent_withdraw
from stemma_portal.core.models import AuditEvent
from stemma_portal.intake.models import Import
from stemma_portal.licensing.models import Seat
from stemma_portal.licensing.services import api_key_create, license_grant
from stemma_portal.licensing.tasks import entitlement_publish
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.services import snapshot_create
from stemma_portal.webhooks.services import endpoint_create, ping

pytestmark = [pytest.mark.services, pytest.mark.django_db]

OPEN, MEMBER, OWN, MUSIC, PRIVATE = "open", "member", "own", "music", "private"
ACT, PRIVATE_ACT, OWNED = "act", "private act", "owned"
STAFF, OPERATOR, LACKING = "staff", "operator", "lacking"
CLASSIFIED = {
    "POST /billing/bank-statements": STAFF,
    "GET /billing/credit": MEMBER,
    "POST /billing/credit": ACT,
    "GET /billing/credit/{organisation}": OWN,
    "GET /billing/deadlines": MEMBER,
    "GET /billing/deadlines/{deadline}": OWN,
    "POST /billing/deadlines/{deadline}/answer": ACT,
    "POST /billing/deadlines/{deadline}/decision": STAFF,
    "GET /billing/declarations": MEMBER,
    "POST /billing/declarations": ACT,
    "POST /billing/declarations/{declaration}/decision": STAFF,
    "GET /billing/declarations/{declaration}/evidence": ACT,
    "POST /billing/declarations/with-evidence": ACT,
    "GET /billing/invoices": MEMBER,
    "GET /billing/invoices/{invoice}": OWN,
    "GET /billing/invoices/{invoice}.{form}": OWN,
    "GET /billing/invoices/{invoice}/credit-notes": OWN,
    "POST /billing/invoices/{invoice}/credit-notes": STAFF,
    "GET /billing/invoices/{invoice}/facts.csv": OWN,
    "POST /billing/invoices/{invoice}/refunds": STAFF,
    "GET /billing/orders": MEMBER,
    "GET /billing/orders/{order}": OWN,
    "POST /billing/orders/{order}/cancellation": ACT,
    "GET /billing/payments": STAFF,
    "POST /billing/payments/{payment}/invoice": STAFF,
    "POST /billing/payments/{payment}/refund": STAFF,
    "GET /billing/quotes": MEMBER,
    "POST /billing/quotes": ACT,
    "GET /billing/quotes/{quote}": OWN,
    "GET /billing/quotes/{quote}/quote.pdf": OWN,
    "POST /billing/quotes/{quote}/order": ACT,
    "GET /billing/refunds": STAFF,
    "POST /billing/refunds/{refund}/decision": STAFF,
    "GET /catalog/recordings": MEMBER,
    "POST /catalog/recordings": STAFF,
    "GET /catalog/recordings/{recording}": MUSIC,
    "GET /catalog/recordings/{recording}/absence/{snapshot}": MUSIC,
    "GET /catalog/recordings/{recording}/carried": MUSIC,
    "GET /catalog/recordings/{recording}/carried/pieces": OWN,
    "GET /catalog/recordings/{recording}/marked-audio": ACT,
    "GET /catalog/recordings/{recording}/carried/pieces/{attribution}": LACKING,
    "PUT /catalog/recordings/{recording}/reservation": ACT,
    "GET /catalog/recordings/{recording}/shares": MUSIC,
    "PUT /catalog/recordings/{recording}/shares": ACT,
    "GET /catalog/recordings/{recording}/shares/history": MUSIC,
    "GET /catalog/releases": MEMBER,
    "GET /catalog/releases/{release}": MUSIC,
    "GET /certificates": MEMBER,
    "GET /certificates/{generation}": OWN,
    "POST /certificates/{generation}/authorship": PRIVATE_ACT,
    "GET /certificates/{generation}/disclosure": OWN,
    "GET /certificates/{generation}/proof": OWN,
    "GET /certificates/{generation}/proof.pdf": OWN,
    "GET /claims": MEMBER,
    "POST /claims": ACT,
    "GET /claims/{claim}": OWN,
    "POST /claims/{claim}/deadline": STAFF,
    "GET /claims/{claim}/events": OWN,
    "GET /claims/{claim}/evidence": OWN,
    "POST /claims/{claim}/evidence": ACT,
    "POST /claims/{claim}/messages": ACT,
    "POST /claims/{claim}/resolution": STAFF,
    "POST /claims/{claim}/withdrawal": ACT,
    "GET /consents": MEMBER,
    "POST /consents": ACT,
    "GET /consents/{consent}": OWN,
    "GET /consents/{consent}/receipt": OWN,
    "GET /consents/{consent}/receipt.pdf": OWN,
    "GET /consents/{consent}/withdrawals": OWN,
    "POST /consents/{consent}/withdrawals": ACT,
    "GET /consents/{consent}/withdrawals/{withdrawal}/receipt": OWN,
    "GET /consents/{consent}/withdrawals/{withdrawal}/receipt.pdf": OWN,
    "GET /covenants": OPEN,
    "POST /covenants": STAFF,
    "GET /covenants/{digest}": OPEN,
    "GET /covenants/{digest}/comparison/{other}": OPEN,
    "GET /covenants/{digest}/text": OPEN,
    "GET /custody": MEMBER,
    "POST /custody": ACT,
    "GET /custody/{custody}": OWN,
    "GET /custody/{custody}/answers": OWN,
    "POST /custody/{custody}/answers": ACT,
    "POST /custody/{custody}/end": ACT,
    "GET /domains": MEMBER,
    "POST /domains": PRIVATE_ACT,
    "DELETE /domains/{domain}": OWNED,
    "POST /domains/{domain}/proof": OWNED,
    "POST /domains/{domain}/reading": ACT,
    "GET /duplicates": MEMBER,
    "GET /duplicates/{duplicate}": MUSIC,
    "POST /duplicates/{duplicate}/decision": ACT,
    "GET /generations": MEMBER,
    "POST /generations/{generation}/recomputation": OWN,
    "GET /health": OPEN,
    "GET /identities": STAFF,
    "POST /identities/{invitation}/decision": STAFF,
    "GET /imports": MEMBER,
    "POST /imports": ACT,
    "GET /imports/{import_id}": OWN,
    "POST /imports/{import_id}/cancellation": ACT,
    "PUT /imports/{import_id}/columns": ACT,
    "POST /imports/{import_id}/confirmation": ACT,
    "GET /imports/{import_id}/diff": OWN,
    "POST /imports/{import_id}/resumption": ACT,
    "GET /imports/{import_id}/rows": OWN,
    "GET /imports/{import_id}/to-correct.csv": OWN,
    "GET /indemnity-claims": MEMBER,
    "POST /indemnity-claims": PRIVATE_ACT,
    "GET /indemnity-claims/{case}": OWN,
    "POST /indemnity-claims/{case}/closing": ACT,
    "POST /indemnity-claims/{case}/decision": STAFF,
    "GET /indemnity-claims/{case}/dossiers/{number}.pdf": LACKING,
    "GET /indemnity-claims/{case}/dossiers/{number}.zip": LACKING,
    "GET /indemnity-claims/{case}/events": OWN,
    "POST /indemnity-claims/{case}/messages": ACT,
    "GET /indemnity-claims/{case}/reserve": STAFF,
    "POST /indemnity-claims/{case}/reserve": STAFF,
    "POST /indemnity-claims/{case}/reserve/{move}/approval": STAFF,
    "GET /invitations": MEMBER,
    "POST /invitations": PRIVATE_ACT,
    "DELETE /invitations/{invitation}": PRIVATE_ACT,
    "POST /invitations/{invitation}/resending": PRIVATE_ACT,
    "GET /jobs/{job_id}": STAFF,
    "GET /ledger/verify": STAFF,
    "GET /licenses": MEMBER,
    "POST /licenses": STAFF,
    "GET /licenses/{license_id}": OWN,
    "GET /licenses/{license_id}/acceptances": OWN,
    "GET /licenses/{license_id}/entitlement.jws": OWN,
    "POST /licenses/{license_id}/breaches": STAFF,
    "POST /licenses/{license_id}/covenant": PRIVATE_ACT,
    "GET /licenses/{license_id}/files": OWN,
    "POST /licenses/{license_id}/files": ACT,
    "POST /licenses/{license_id}/keys": ACT,
    "POST /licenses/{license_id}/keys/{key_id}/revocation": ACT,
    "POST /licenses/{license_id}/keys/{key_id}/rotation": ACT,
    "POST /licenses/{license_id}/receipts": ACT,
    "POST /licenses/{license_id}/revocation": STAFF,
    "GET /licenses/{license_id}/seats": OWN,
    "POST /licenses/{license_id}/seats": ACT,
    "DELETE /licenses/{license_id}/seats/{seat}": ACT,
    "GET /log/consistency": OPEN,
    "GET /log/entries": OPEN,
    "GET /log/entries/{entry}/receipt": OPEN,
    "GET /log/head": OPEN,
    "GET /members": MEMBER,
    "DELETE /members/{member}": PRIVATE_ACT,
    "PATCH /members/{member}": PRIVATE_ACT,
    "POST /metering/ingest": STAFF,
    "GET /notices": MEMBER,
    "GET /notices/{notice}": PRIVATE_ACT,
    "POST /notices/{notice}/reading": PRIVATE_ACT,
    "GET /notices/preferences": MEMBER,
    "PATCH /notices/preferences": MEMBER,
    "POST /notices/reading": MEMBER,
    "GET /organisations": MEMBER,
    "GET /organisations/{organisation}/sign-on": PRIVATE_ACT,
    "GET /parties/{party_id}/balance": OWN,
    "GET /parties/{party_id}/payment-details": PRIVATE,
    "GET /parties/{party}/missing-owners": OWN,
    "POST /parties/{party}/missing-owners/{owner}/asking": ACT,
    "GET /parties/{party}/tdmrep.json": OWN,
    "GET /parties/{party_id}/traced.csv": OWN,
    "GET /periods": MEMBER,
    "POST /periods": STAFF,
    "GET /periods/{period_id}": LACKING,
    "POST /periods/{period_id}/close": STAFF,
    "GET /periods/{period_id}/document": STAFF,
    "GET /periods/{period_id}/statements": LACKING,
    "GET /releases": MEMBER,
    "POST /releases": OPERATOR,
    "GET /releases/{name}/{version}": LACKING,
    "POST /releases/{name}/{version}/downloads": LACKING,
    "GET /reservations": MEMBER,
    "GET /reservations/{reservation}": OWN,
    "POST /reservations/{reservation}/settlement": ACT,
    "GET /share-questions": MEMBER,
    "POST /share-questions/{question}/answer": ACT,
    "GET /snapshots": MEMBER,
    "POST /snapshots": STAFF,
    "GET /snapshots/{snapshot}": STAFF,
    "GET /statements/{statement_id}.{form}": LACKING,
    "POST /statements/{statement_id}/corrections": LACKING,
    "GET /tokens": MEMBER,
    "DELETE /tokens/{token}": PRIVATE_ACT,
    "GET /trail": MEMBER,
    "GET /statements/{statement_id}/traced": LACKING,
    "GET /uploads": MEMBER,
    "POST /uploads": ACT,
    "DELETE /uploads/{upload}": ACT,
    "GET /uploads/{upload}": OWN,
    "POST /uploads/{upload}/acceptance": ACT,
    "POST /uploads/{upload}/addresses": ACT,
    "POST /uploads/{upload}/completion": ACT,
    "PUT /uploads/{upload}/recording": ACT,
    "POST /uploads/tags": ACT,
    "GET /webhooks": MEMBER,
    "POST /webhooks": ACT,
    "DELETE /webhooks/{webhook}": PRIVATE_ACT,
    "GET /webhooks/{webhook}": PRIVATE,
    "PATCH /webhooks/{webhook}": PRIVATE_ACT,
    "GET /webhooks/{webhook}/deliveries": PRIVATE,
    "POST /webhooks/{webhook}/deliveries/{delivery}/redelivery": PRIVATE_ACT,
    "POST /webhooks/{webhook}/keys": PRIVATE_ACT,
    "POST /webhooks/{webhook}/ping": PRIVATE_ACT,
    "GET /weights-downloads": MEMBER,
}
"""Who may ask: anyone (`OPEN`: proofs are for those who do not trust us); every account, for its own (`MEMBER`); the
organisation whose it is and staff (`OWN`), licensees too (`MUSIC`), or not even staff (`PRIVATE`); those who act for
the organisation, with staff (`ACT`), with operators alone (`OWNED`) or without (`PRIVATE_ACT`).  Of some the world here
has none (`LACKING`)."""


def operations() -> list[tuple[str, str]]:
    schema = the_api.get_openapi_schema(path_prefix="/")
    return sorted(
        (method.upper(), path.rstrip("/") or "/") for path, found in schema["paths"].items() for method in found
    )


OPERATIONS = operations()


def test_every_operation_is_classified():
    found = {f"{method} {path}" for method, path in OPERATIONS}
    assert not found - CLASSIFIED.keys(), "say in CLASSIFIED who may have these"
    assert not CLASSIFIED.keys() - found, "these are gone"


@pytest.mark.parametrize("token", [None, "stp_forged"])
def test_nobody_gets_in_without_an_account(db, token):
    api = Api(token)
    for method, path in OPERATIONS:
        if CLASSIFIED[f"{method} {path}"] != OPEN:
            address = re.sub(r"\{[^}]+\}", ident("anything"), path).lstrip("/")
            response = api.get(address) if method == "GET" else api.send(method, address)
            problem(response, 401, "not-signed-in")
            assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.fixture
def world(granted, cast, recordings, storage, redis, settings_changed, keyring):
    """One of everything, none of it the stranger's."""
    own = recordings[0]
    Recording.objects.filter(id__in=[each.id for each in recordings[:2]]).update(organisation=cast.label)
    one, other = sorted(recordings[:2], key=lambda each: each.id)
    likeness = Likeness.objects.create(one=one, other=other, kind="score", score=0.8, found_at=own.created_at)
    batch = Import.objects.create(
        organisation=cast.label, name="x.csv", key="x", size=1, sha256="0" * 64, format="csv", headings=["Title"],
        state="staged", created_by="x", created_at=own.created_at,
    )  # fmt: skip
    revision = ShareRevision.objects.create(
        recording=own, number=9, valid_from=own.created_at.date(), shares=[], at=own.created_at, cause="test"
    )
    party = granted["Label"].party_id
    asked = ShareQuestion.objects.create(revision=revision, party_id=party, changes=[], at=own.created_at)
    snapshot = snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)
    withdrawal = consent_withdraw(consent=granted["Label"], recording_id=recordings[1].id, by=cast.owner)
    invitation = invite(organisation=cast.label, email="new@stemma.test", role="member", by=cast.owner)
    license_ = license_grant(organisation=cast.label, tier="community", months=1, by=None)
    key, _ = api_key_create(license_=license_, name="k", by=None)
    entitlement_publish(license_.id)
    settings_changed(webhook_private_hosts="localhost")
    hook = endpoint_create(organisation=cast.label, url="http://localhost:1/", by=cast.owner).endpoint
    claim = claim_open(recording=recordings[0], claimant="Somebody", reason="Mine.", by=cast.rights)
    shop = shop_open(cast, buyer=cast.label)
    quote = quote_make(organisation=cast.label, tier="enterprise", months=1, by=cast.owner)
    order = order_place(quote=quote, by=cast.owner)
    shop.declare(2, organisation=cast.label, by=cast.owner)
    mine = granted["Label"].party
    kept = custody_set(
        recordings=[own.id], party=mine, terms="In winter.", conditions=["ask_first"], by=None, by_staff=True
    )
    reservation = reservation_state(
        recording=recordings[2], party=mine, refused=["data_mining"], reason="x", by=cast.owner
    )
    assert reservation is not None
    Authority(keyring.folder).create()
    storage.put(own.audio_key, encode(tune(1), RATE, "flac"))
    generation = certified(license_, keyring, storage)
    storage.put_json(f"generations/{generation}/attribution.json", {"model_release": "toy/1", "store": "s"})
    storage.put_json(f"generations/{generation}/example.json", {"tokens": [], "condition": []})
    storage.put_json("stores/toy/1/s/manifest.json", {"files": {}})
    colleague = user_create(email="colleague@stemma.test", name="Colleague", password=None, by=None)
    [notice] = notify(users=[cast.owner], topic=Topic.AUDIO, title="x", text="x", href="/audio/")
    domain = domain_add(organisation=cast.label, name="old.label.example", by=cast.owner)
    Domain.objects.filter(id=domain.id).update(proved_at=now(), proved_by="file")
    seat = Seat.objects.create(license=license_, user=cast.teammate, given_at=now(), given_by="x")
    return {
        "custody": kept.id,
        "reservation": reservation.id,
        "deadline": breach_state(license_=license_, reason="x", by=None).pk,
        "seat": seat.id,
        "token": token_create(user=cast.owner, name="Another", by=cast.owner)[0].id,
        "quote": quote.pk,
        "order": order.pk,
        "invoice": order.invoices.get().pk,
        "declaration": shop.declare(
            1, organisation=cast.label, by=cast.owner, evidence=pdf(), evidence_name="a.pdf"
        ).pk,
        "form": "xml",
        "recording": own.id,
        "consent": granted["Label"].id,
        "claim": claim.id,
        "case": claimed(cast.label, cast.owner).pk,
        "number": "1",
        "domain": domain.id,
        "member": membership_set(user=colleague, organisation=cast.label, role="member", by=cast.owner).id,
        "notice": notice.id,
        "license_id": license_.id,
        "digest": license_.covenant_id,
        "key_id": key.id,
        "generation": generation,
        "snapshot": snapshot.id,
        "import_id": batch.id,
        "duplicate": likeness.id,
        "question": asked.id,
        "release": Release.objects.create(title="Album", organisation=cast.label).id,
        "withdrawal": withdrawal.id,
        "invitation": invitation.id,
        "party_id": party,
        "name": "house-symbolic",
        "version": "1",
        "party": granted["Label"].party_id,
        "organisation": cast.label.id,
        "webhook": hook.id,
        "upload": upload_begin(organisation=cast.label, name="a.wav", size=9, by=cast.owner).id,
        "delivery": ping(endpoint=hook, by=cast.owner).id,
    }


TODAY = now().date()
BODIES = {
    "/custody": {"recordings": ["{recording}"], "party": "{party}", "terms": "In spring."},
    "/custody/{custody}/answers": {"answer": "agreed"},
    "/reservations/{reservation}/settlement": {"party": "{party}", "reason": "Older."},
    "/catalog/recordings/{recording}/reservation": {"party": "{party}", "refused": ["data_mining"]},
    "/billing/deadlines/{deadline}/answer": {"text": "Done."},
    "/billing/deadlines/{deadline}/decision": {"then": "right", "why": "Done."},
    "/billing/invoices/{invoice}/refunds": {"amount": 10_000, "note": "x"},
    "/billing/payments/{payment}/invoice": {"invoice": "{invoice}"},
    "/billing/payments/{payment}/refund": {"note": "x"},
    "/billing/refunds/{refund}/decision": {"then": "sent", "note": "x"},
    "/licenses/{license_id}/breaches": {"reason": "x"},
    "/licenses/{license_id}/seats": {"email": "teammate@stemma.test"},
    "/billing/quotes": {"organisation": "{organisation}", "tier": "enterprise", "months": 1},
    "/billing/credit": {"organisation": "{organisation}", "amount": 5_000_000},
    "/billing/declarations": {
        "organisation": "{organisation}",
        "entity": "x",
        "amount": 1,
        "currency": "USD",
        "starts": str(TODAY - timedelta(days=365)),
        "ends": str(TODAY - timedelta(days=1)),
    },
    "/billing/declarations/{declaration}/decision": {"accept": True, "why": "Fine."},
    "/billing/invoices/{invoice}/credit-notes": {"total": 10_000, "reason": "Goodwill."},
    "/catalog/recordings": {"records": [{}]},
    "/consents": {"party": "{party}", "recordings": "all", "scopes": SCOPES},
    "/consents/{consent}/withdrawals": {"recording": None},
    "/claims": {"recording": "{recording}", "claimant": "{party}", "reason": "Mine."},
    "/claims/{claim}/resolution": {"resolution": "Done."},
    "/claims/{claim}/messages": {"text": "Here."},
    "/claims/{claim}/evidence": {"title": "x", "text": "y"},
    "/claims/{claim}/withdrawal": {"reason": "x"},
    "/claims/{claim}/deadline": {"reason": "x", "days": 3},
    "/indemnity-claims/{case}/closing": {"reason": "x"},
    "/indemnity-claims/{case}/decision": {"decision": "acknowledge", "reason": "x"},
    "/indemnity-claims/{case}/messages": {"text": "x"},
    "/indemnity-claims/{case}/reserve": {"kind": "settle", "amount": 1, "reason": "x"},
    "/indemnity-claims/{case}/reserve/{move}/approval": {"approve": True},
    "/snapshots": {"name": "x", "scopes": SCOPES},
    "/releases": {"name": "x", "version": "1", "statement": "x"},
    "/licenses": {"organisation": "label", "tier": "enterprise", "months": 12},
    "/covenants": {"document": house_covenant().model_dump(mode="json")},
    "/licenses/{license_id}/covenant": {"covenant": "{digest}", "replaces": "{digest}"},
    "/licenses/{license_id}/keys": {"name": "mine"},
    "/certificates/{generation}/authorship": {"contributions": [{"name": "A", "deed": "played"}], "replaces": "0" * 64},
    "/webhooks": {"organisation": "{organisation}", "url": "https://example.com/"},
    "/uploads": {"organisation": "{organisation}", "name": "b.wav", "size": 9},
    "/webhooks/{webhook}": {"active": False},
    "/uploads/{upload}/addresses": {"parts": [1]},
    "/uploads/{upload}/recording": {"recording": "{recording}"},
    "/imports/{import_id}/columns": {"mapping": {"Title": "title"}},
    "/catalog/recordings/{recording}/shares": {"shares": [{"side": "master", "ppm": 1_000_000, "party": "{party}"}]},
    "/share-questions/{question}/answer": {"answer": "confirmed"},
    "/duplicates/{duplicate}/decision": {"decision": "separate"},
    "/uploads/tags": {"organisation": "{organisation}"},
    "/statements/{statement_id}/corrections": {"recording": "{recording}", "reason": "x"},
    "/identities/{invitation}/decision": {"right": True},
    "/domains": {"organisation": "{organisation}", "name": "label.example"},
    "/members/{member}": {"role": "editor"},
    "/invitations": {"organisation": "{organisation}", "email": "more@stemma.test"},
    "/notices/preferences": {"mail": {"shares": "daily"}},
    "/periods": {"id": "2026-01"},
}
BROUGHT = (
    *("import_id", "duplicate", "question", "release", "withdrawal", "invitation", "organisation"),
    *("quote", "order", "invoice", "declaration"),
    *("custody", "reservation", "deadline", "seat", "domain", "member", "notice", "token"),
)


def filled(text: str, world: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: world.get(found[1], ident("none")), text)


def ask(caller: Api, method: str, path: str, world: dict[str, str], done: dict[str, int]):
    """The answer; what it changed is undone.  `done` is told how many events what was done leaves in the trail."""
    address = filled(path, world).lstrip("/")
    with transaction.atomic():
        if method == "GET":
            answer = caller.get(address)
        elif path == "/licenses/{license_id}/receipts":
            answer = caller.upload(address, "receipts.jws", b"none\n", {})
        elif path == "/billing/bank-statements":
            answer = caller.upload(address, "bank.xml", b"<none/>", {})
        elif path == "/indemnity-claims" and method == "POST":
            said = {"organisation": world["organisation"], "claimant": "Acme", "story": "A letter came."}
            answer = caller.form(address, said, {"sound": ("a.wav", tick(2)), "letter": ("a.txt", b"Ours.")})
        elif path == "/billing/declarations/with-evidence":
            said = json.loads(filled(json.dumps(BODIES["/billing/declarations"]), world))
            answer = caller.form(address, said, {"evidence": ("a.pdf", pdf().read())})
        elif path == "/imports":
            answer = caller.upload(address, "a.csv", b"Title\nx\n", {"organisation": world["organisation"]})
        else:
            answer = caller.send(method, address, filled(json.dumps(BODIES.get(path, {})), world))
        if method != "GET" and answer.status_code < 300:
            done[f"{method} {path}"] = AuditEvent.objects.filter(request=answer["X-Request-Id"]).count()
        transaction.set_rollback(True)
    if answer.streaming:
        b"".join(answer.streaming_content)  # a file is closed once it is read
    return answer


UNWRITTEN = {
    "POST /uploads/{upload}/addresses",  # signs addresses, and keeps nothing
    "POST /billing/quotes/{quote}/order",  # the order that was placed already
    "POST /catalog/recordings",  # a record that is rejected
    "POST /covenants",  # the same terms again
    "POST /generations/{generation}/recomputation",  # without a license of weights it hands out no file
    "POST /domains/{domain}/reading",  # a worker says later what it has read
    "POST /metering/ingest",  # nothing new in the lake
    "POST /notices/{notice}/reading",  # a mark for the reader alone
    "POST /notices/reading",
}
"""What succeeds in this world with another method than GET, and changes nothing."""
ENOUGH = 30
"""Operations that the owner's world lets succeed, at least: else the walk shows nothing."""
LET_IN = {
    MEMBER: {"stranger", "licensee", "teammate", "owner", "rights", "operator"},
    OWN: {"teammate", "owner", "rights", "operator"},
    MUSIC: {"licensee", "teammate", "owner", "rights", "operator"},
    PRIVATE: {"teammate", "owner"},
    ACT: {"owner", "rights", "operator"},
    PRIVATE_ACT: {"owner"},
    OWNED: {"owner", "operator"},
    STAFF: {"rights", "operator"},
    OPERATOR: {"operator"},
    LACKING: set(),
}


@pytest.mark.parametrize("who", ["stranger", "licensee", "teammate", "owner", "rights", "operator"])
def test_who_may_ask_what(world, api, who):
    """ASVS 8.2.2, 8.4.1: a stranger is told that it is not there; a teammate may look and not sign."""
    caller, before, done = api(who), AuditEvent.objects.count(), {}
    # What is taken away goes last: object storage undoes nothing.
    for method, path in sorted(OPERATIONS, key=lambda each: each[0] == "DELETE"):
        kind = CLASSIFIED[f"{method} {path}"]
        if kind == OPEN:
            continue
        answer = ask(caller, method, path, world, done)
        told = (who, method, path, answer.status_code)
        assert answer.status_code < 500, told
        if who in LET_IN[kind]:
            # Of what is for staff alone the world here lacks some: 404 is no refusal then.
            assert answer.status_code not in ({401, 403} if kind == STAFF else {401, 403, 404}), told
        else:
            problem(answer, answer.status_code)
            assert answer.status_code in {403, 404}, told
            if who == "stranger" and "{" in path and kind != STAFF:
                assert answer.status_code == 404, told
    assert AuditEvent.objects.count() == before
    assert {name for name, events in done.items() if not events} <= UNWRITTEN, "let the trail say who did these"
    if who == "owner":
        assert len(done.keys() - UNWRITTEN) > ENOUGH


def test_no_two_shapes_of_the_api_share_a_name():
    """The description knows shapes by their names: of two that share one, one would be told for both."""

    def all_of(shape: type) -> list[type]:
        return [each for sub in shape.__subclasses__() for each in (sub, *all_of(sub))]

    names = [shape.__name__ for shape in set(all_of(Schema)) if shape.__module__.startswith("stemma_portal.api")]
    assert len(names) > 100
    assert [name for name in names if names.count(name) > 1] == []


def test_lists_show_a_stranger_only_their_own(world, api):
    stranger = api("stranger")
    for path in (name.removeprefix("GET ") for name, kind in CLASSIFIED.items() if kind == MEMBER):
        text = stranger.get(path.lstrip("/")).content.decode()
        for name in (
            "recording",
            "consent",
            "claim",
            "case",
            "license_id",
            "key_id",
            "party",
            "webhook",
            "upload",
            *BROUGHT,
        ):
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


def test_a_browser_needs_its_csrf_token(cast, catalog, recordings):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.owner)
    assert browser.get("/api/v1/claims").status_code == 200
    body = json.dumps({"recording": recordings[3].id, "claimant": catalog["Label"].id, "reason": "Ours."})
    refused = browser.post("/api/v1/claims", body, content_type="application/json")
    problem(refused, 403)
    browser.cookies["csrftoken"] = token = "a" * 32
    made = browser.post("/api/v1/claims", body, content_type="application/json", headers={"X-CSRFToken": token})
    assert made.status_code == 201


ASKED_AGAIN = {
    "POST /billing/quotes/{quote}/order": "owner",
    "PUT /catalog/recordings/{recording}/reservation": "owner",
    "POST /consents": "owner",
    "POST /consents/{consent}/withdrawals": "owner",
    "POST /custody": "owner",
    "POST /custody/{custody}/answers": "owner",
    "POST /custody/{custody}/end": "owner",
    "POST /domains": "owner",
    "DELETE /domains/{domain}": "owner",
    "POST /domains/{domain}/proof": "owner",
    "POST /indemnity-claims/{case}/reserve/{move}/approval": "rights",
    "POST /licenses/{license_id}/covenant": "owner",
    "POST /licenses/{license_id}/files": "owner",
    "POST /licenses/{license_id}/keys": "owner",
    "POST /licenses/{license_id}/keys/{key_id}/rotation": "owner",
    "POST /reservations/{reservation}/settlement": "owner",
    "POST /webhooks": "owner",
    "POST /webhooks/{webhook}/keys": "owner",
}
"""What pages do only for who has just shown again who they are, and who may do it."""


def test_a_browser_shows_again_who_it_is_where_the_pages_ask(world, cast):
    """Who finds a browser open does not get past the pages by asking the API from it."""
    assert ASKED_AGAIN.keys() <= CLASSIFIED.keys()
    for operation, who in ASKED_AGAIN.items():
        method, path = operation.split()
        browser = Client()
        browser.force_login(getattr(cast, who))
        body = filled(json.dumps(BODIES.get(path, {})), world)
        with transaction.atomic():
            answer = browser.generic(method, "/api/v1" + filled(path, world), body, content_type="application/json")
            transaction.set_rollback(True)
        assert problem(answer, 403)["code"] == "show-again", operation
