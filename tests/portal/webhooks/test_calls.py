"""Webhooks as a receiver meets them: a real HTTP server, and the specification's own client."""

import base64
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from portal.making import problem
from stemma.errors import InvalidError
from stemma.ids import now
from stemma_portal.consent.services import claim_open, consent_withdraw
from stemma_portal.core.models import AuditEvent
from stemma_portal.core.outside import address_of
from stemma_portal.notices.models import Notice
from stemma_portal.webhooks import tasks
from stemma_portal.webhooks.calling import check_url
from stemma_portal.webhooks.models import Delivery, Endpoint, Event
from stemma_portal.webhooks.services import endpoint_create, event_emit, keys_rotate
from stemma_portal.webhooks.tasks import WAITS, deliver

pytestmark = [pytest.mark.services, pytest.mark.django_db]


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it is sent, and answers what it is told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver(settings_changed):
    settings_changed(webhook_private_hosts="localhost")
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.got, server.status = [], 204
        server.url = f"http://localhost:{server.server_port}/hooks?from=stemma"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A worker that takes each delivery as soon as it is committed."""
    monkeypatch.setattr(deliver, "delay", deliver)


@pytest.fixture
def made(cast, receiver):
    return endpoint_create(organisation=cast.label, url=receiver.url, by=cast.owner)


def due(delivery: Delivery) -> None:
    Delivery.objects.filter(id=delivery.id).update(next_try_at=now())


def ed25519(headers: dict[str, str], body: bytes, public: str) -> bool:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for part in headers["webhook-signature"].split():
        version, _, signature = part.partition(",")
        if version == "v1a":
            try:
                key.verify(base64.b64decode(signature), signed)
            except InvalidSignature:
                continue
            return True
    return False


def test_an_event_reaches_its_receiver_signed_in_both_ways(cast, receiver, made, committed):
    with committed():
        event = event_emit(organisation=cast.label, type="import.finished", data={"rows": 3, "name": "Ünïcode"})
    ((headers, body),) = receiver.got
    assert json.loads(body) == {
        "type": "import.finished",
        "timestamp": json.loads(body)["timestamp"],
        "data": {"rows": 3, "name": "Ünïcode"},
    }
    assert headers["webhook-id"] == event.id
    assert Webhook(made.keys.secret).verify(body, headers)["data"]["rows"] == 3
    assert ed25519(headers, body, made.keys.public)
    changed = body.replace(b"3", b"4")
    assert not ed25519(headers, changed, made.keys.public)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.keys.secret).verify(changed, headers)
    assert Delivery.objects.get().state == "delivered"


def test_while_keys_are_rotated_the_old_and_the_new_ones_verify(cast, receiver, made, committed):
    fresh = keys_rotate(endpoint=made.endpoint, by=cast.owner)
    with committed():
        event_emit(organisation=cast.label, type="claim.news", data={})
    ((headers, body),) = receiver.got
    for keys in (made.keys, fresh.keys):
        Webhook(keys.secret).verify(body, headers)
        assert ed25519(headers, body, keys.public)
    made.endpoint.secrets.filter(public=made.keys.public).update(expires_at=now())
    with committed():
        event_emit(organisation=cast.label, type="claim.news", data={})
    headers, body = receiver.got[1]
    assert ed25519(headers, body, fresh.keys.public)
    assert not ed25519(headers, body, made.keys.public)


def test_only_what_is_wanted_is_told_and_only_to_its_organisation(cast, receiver, committed):
    endpoint_create(organisation=cast.label, url=receiver.url, events=["consent.granted"], by=cast.owner)
    endpoint_create(organisation=cast.other, url=receiver.url, by=cast.stranger)
    with committed():
        event_emit(organisation=cast.label, type="import.finished", data={})
        event_emit(organisation=cast.label, type="consent.granted", data={})
    assert [json.loads(body)["type"] for _, body in receiver.got] == ["consent.granted"]


def test_a_receiver_that_fails_is_tried_ten_times_over_three_days_and_then_told_no_more(
    cast, receiver, made, committed
):
    receiver.status = 500
    with committed():
        event_emit(organisation=cast.label, type="import.finished", data={})
    delivery = Delivery.objects.get()
    waited = timedelta()
    for wait in WAITS:
        delivery.refresh_from_db()
        assert delivery.state == "waiting"
        assert abs(delivery.next_try_at - now() - timedelta(seconds=wait)) < timedelta(seconds=30)
        waited += timedelta(seconds=wait)
        tasks.deliver(delivery.id)
        assert Delivery.objects.get().tries == delivery.tries, "nothing is tried before its time"
        due(delivery)
        tasks.deliveries_due()
    assert timedelta(hours=70) < waited < timedelta(hours=80)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.status) == ("failed", 10, 500)
    assert len(receiver.got) == 10
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    endpoint = Endpoint.objects.get()
    assert not endpoint.active
    assert "Ten tries failed" in endpoint.disabled_because
    assert AuditEvent.objects.filter(action="webhook.disable").exists()


def test_a_receiver_that_wants_no_more_is_called_no_more(cast, receiver, made, committed):
    receiver.status = 410
    with committed():
        event_emit(organisation=cast.label, type="import.finished", data={})
    assert Delivery.objects.get().state == "failed"
    endpoint = Endpoint.objects.get()
    assert not endpoint.active
    notice = Notice.objects.get()
    assert (notice.user, notice.href) == (cast.owner, f"/webhooks/{endpoint.id}/")
    assert "It answered 410" in notice.text


def test_redirects_are_not_followed(cast, receiver, made, committed):
    receiver.status = 302
    with committed():
        event_emit(organisation=cast.label, type="import.finished", data={})
    delivery = Delivery.objects.get()
    assert delivery.state == "waiting"
    assert "redirects are not followed" in delivery.told


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://user:secret@example.com/",
        "https://example.com:notaport/",
        "https:///path",
        "ftp://example.com/",
        "https://example.com/#part",
        "javascript:alert(1)",
        "https://example.com/" + "x" * 500,
    ],
)
def test_an_address_that_may_not_be_called_is_refused(cast, url):
    with pytest.raises(InvalidError):
        endpoint_create(organisation=cast.label, url=url, by=cast.owner)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.1", "::1", "fe80::1"),
        *("::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2130706433", "0x7f.1", "fd00::1", "224.0.0.1"),
    ],
)
def test_a_call_never_leads_into_a_private_network(host):
    """SSRF: also names and spellings that only lead there."""
    with pytest.raises(InvalidError, match=r"not on the public internet|cannot be found"):
        address_of(host, 443)


def test_public_addresses_may_be_called():
    assert address_of("93.184.215.14", 443) == "93.184.215.14"
    assert check_url("https://example.com/hooks?a=b") == "https://example.com/hooks?a=b"


def test_a_name_that_has_come_to_mean_something_private_is_not_called(cast, receiver, committed, settings_changed):
    made = endpoint_create(organisation=cast.label, url=receiver.url, by=cast.owner)
    settings_changed(webhook_private_hosts="")
    Endpoint.objects.filter(id=made.endpoint.id).update(url=receiver.url.replace("http:", "https:"))
    with committed():
        event_emit(organisation=cast.label, type="import.finished", data={})
    assert not receiver.got
    assert "not on the public internet" in Delivery.objects.get().told


def test_webhooks_over_the_api(cast, api, receiver):
    owner = api("owner")
    made = owner.post("webhooks", {"organisation": cast.label.id, "url": receiver.url})
    assert made.status_code == 201, made.content
    hook = made.json()
    assert hook["secret"].startswith("whsec_")
    assert owner.get(f"webhooks/{hook['id']}").json()["public_keys"] == hook["public_keys"]
    assert "secret" not in owner.get(f"webhooks/{hook['id']}").json()
    told = owner.post(f"webhooks/{hook['id']}/ping")
    assert told.status_code == 202
    ((headers, body),) = receiver.got
    assert Webhook(hook["secret"]).verify(body, headers)["type"] == "ping"
    (delivery,) = owner.get(f"webhooks/{hook['id']}/deliveries").json()["items"]
    assert (delivery["state"], delivery["tries"]) == ("delivered", 1)
    assert owner.post(f"webhooks/{hook['id']}/deliveries/{delivery['id']}/redelivery").status_code == 202
    assert len(receiver.got) == 2
    assert owner.send("PATCH", f"webhooks/{hook['id']}", {"active": False}).json()["active"] is False
    rotated = owner.post(f"webhooks/{hook['id']}/keys").json()
    assert len(rotated["public_keys"]) == 2
    problem(owner.send("PATCH", f"webhooks/{hook['id']}", {"events": ["no.such"]}), 422, "event")
    assert owner.send("DELETE", f"webhooks/{hook['id']}").status_code == 204
    assert owner.get("webhooks").json()["items"] == []
    assert Event.objects.count() == 1, "what was told stays told"


def test_what_happens_to_a_rights_holder_is_told_to_its_organisation(granted, cast, recordings, receiver, committed):
    endpoint_create(organisation=cast.label, url=receiver.url, by=cast.owner)
    with committed():
        consent_withdraw(consent=granted["Label"], recording_id=recordings[0].id, by=cast.owner)
        consent_withdraw(consent=granted["Other"], recording_id=recordings[3].id, by=cast.stranger)
        claim_open(recording=recordings[1], claimant="Somebody", reason="Mine.", by=cast.rights)
    told = [json.loads(body) for _, body in receiver.got]
    assert sorted(each["type"] for each in told) == ["claim.news", "consent.withdrawn"]
    withdrawn = next(each for each in told if each["type"] == "consent.withdrawn")
    assert withdrawn["data"]["recording"] == recordings[0].id
