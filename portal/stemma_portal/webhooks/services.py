"""The only writers of endpoints, their keys, events and deliveries."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import transaction

from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma_portal.accounts.models import Organisation
from stemma_portal.core.db import lock
from stemma_portal.core.services import Actor, audit
from stemma_portal.webhooks.calling import check_url
from stemma_portal.webhooks.models import Delivery, Endpoint, Event, Secret
from stemma_portal.webhooks.signing import Keys, new_keys
from stemma_portal.webhooks.tasks import deliver_soon

EVENTS: dict[str, str] = {
    "ping": "A test, sent when you ask for one.",
    "import.finished": "An import of a catalog has ended.",
    "consent.granted": "A grant was signed and logged.",
    "consent.withdrawn": "A grant was withdrawn, for one recording or as a whole.",
    "claim.news": "Something has happened in a claim that concerns you.",
    "share.proposed": "Shares of a recording were stated that ask for your yes.",
}
"""What an organisation can be told of, in words."""
MOST_ENDPOINTS = 10
OVERLAP = timedelta(hours=24)
"""For how long the keys before a rotation go on signing."""


class Made(NamedTuple):
    """A new endpoint, or new keys of one; the secret is shown this once."""

    endpoint: Endpoint
    keys: Keys


@transaction.atomic
def endpoint_create(
    *, organisation: Organisation, url: str, events: Collection[str] = (), by: Actor, identifier: str | None = None
) -> Made:
    """An address that is told of these kinds of events from now on, or of all.  Raises `InvalidError`."""
    check_url(url)
    _check_events(events)
    lock(f"webhooks:{organisation.id}")
    if organisation.webhooks.count() >= MOST_ENDPOINTS:
        raise InvalidError(
            f"{organisation.name} has {MOST_ENDPOINTS} endpoints already.", remedy="Remove one first.", code="too-many"
        )
    endpoint = Endpoint.objects.create(
        id=identifier or new_id(), organisation=organisation, url=url, events=sorted(set(events))
    )
    keys = _add_keys(endpoint)
    audit(by=by, action="webhook.create", subject=endpoint.id, url=url, events=endpoint.events)
    return Made(endpoint, keys)


@transaction.atomic
def endpoint_change(
    *,
    endpoint: Endpoint,
    by: Actor,
    url: str | None = None,
    events: Collection[str] | None = None,
    active: bool | None = None,
) -> Endpoint:
    """Another address, other events, or whether it is called at all."""
    endpoint = Endpoint.objects.select_for_update().get(id=endpoint.id)
    before = {"url": endpoint.url, "events": endpoint.events, "active": endpoint.active}
    if url is not None:
        endpoint.url = check_url(url)
    if events is not None:
        _check_events(events)
        endpoint.events = sorted(set(events))
    if active is not None:
        endpoint.active, endpoint.disabled_because = active, "" if active else "Switched off by its owner."
    endpoint.save()
    after = {"url": endpoint.url, "events": endpoint.events, "active": endpoint.active}
    if after != before:
        audit(by=by, action="webhook.change", subject=endpoint.id, before=before, after=after)
    return endpoint


@transaction.atomic
def endpoint_remove(*, endpoint: Endpoint, by: Actor) -> None:
    """Tell it nothing any more, and forget it."""
    audit(by=by, action="webhook.remove", subject=endpoint.id, url=endpoint.url)
    endpoint.delete()


@transaction.atomic
def keys_rotate(*, endpoint: Endpoint, by: Actor) -> Made:
    """New keys, which sign from now on; those before sign beside them for a day."""
    lock(f"webhooks:{endpoint.organisation_id}")
    moment = now()
    endpoint.secrets.filter(expires_at=None).update(expires_at=moment + OVERLAP)
    keys = _add_keys(endpoint)
    audit(by=by, action="webhook.rotate", subject=endpoint.id, public=keys.public)
    return Made(endpoint, keys)


@transaction.atomic
def event_emit(*, organisation: Organisation, type: str, data: dict[str, Any]) -> Event:  # noqa: A002 - the specification's word
    """Note that something happened, and tell every endpoint that wants to know once this is committed."""
    if type not in EVENTS:
        raise ValueError(f"{type} is no kind of event")
    moment = now()
    event = Event.objects.create(organisation=organisation, type=type, at=moment, data=data)
    wanting = [e for e in organisation.webhooks.filter(active=True) if not e.events or type in e.events]
    _send(event, wanting)
    return event


def party_told(*, party_id: str, type: str, data: dict[str, Any]) -> None:  # noqa: A002 - the specification's word
    """Note that something happened to every organisation that is this rights-holder."""
    for organisation in Organisation.objects.filter(party=party_id):
        event_emit(organisation=organisation, type=type, data=data)


@transaction.atomic
def ping(*, endpoint: Endpoint, by: Actor) -> Delivery:
    """Send a test to one endpoint, whatever events it wants."""
    event = Event.objects.create(
        organisation=endpoint.organisation, type="ping", at=now(), data={"endpoint": endpoint.id}
    )
    audit(by=by, action="webhook.ping", subject=endpoint.id)
    return _send(event, [endpoint])[0]


@transaction.atomic
def redeliver(*, delivery: Delivery, by: Actor) -> Delivery:
    """Begin the tries of a delivery anew."""
    delivery = Delivery.objects.select_for_update().get(id=delivery.id)
    delivery.state, delivery.tries, delivery.next_try_at = Delivery.State.WAITING, 0, now()
    delivery.save()
    audit(by=by, action="webhook.redeliver", subject=delivery.id)
    deliver_soon(delivery.id)
    return delivery


def _send(event: Event, endpoints: list[Endpoint]) -> list[Delivery]:
    made = Delivery.objects.bulk_create(
        Delivery(endpoint=endpoint, event=event, next_try_at=event.at) for endpoint in endpoints
    )
    for delivery in made:
        deliver_soon(delivery.id)
    return made


def _add_keys(endpoint: Endpoint) -> Keys:
    keys = new_keys()
    Secret.objects.create(endpoint=endpoint, sealed=keys.sealed(), public=keys.public, created_at=now())
    return keys


def _check_events(events: Collection[str]) -> None:
    if unknown := sorted(set(events) - EVENTS.keys()):
        raise InvalidError(
            f"There is no event {unknown[0]}.", remedy=f"Choose among {', '.join(sorted(EVENTS))}.", code="event"
        )
