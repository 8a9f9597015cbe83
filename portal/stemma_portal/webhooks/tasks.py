"""Calling endpoints in the background: ten tries over about three days, then it is given up and said."""

import json
import logging
import time
from datetime import timedelta

from celery import shared_task
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from kombu.exceptions import OperationalError as BrokerError

from stemma.errors import UnavailableError
from stemma.ids import now, timestamp
from stemma_portal.core.services import audit
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify
from stemma_portal.webhooks.calling import Answer, call
from stemma_portal.webhooks.models import Delivery, Endpoint, Event
from stemma_portal.webhooks.signing import opened

log = logging.getLogger(__name__)

WAITS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each further try: ten tries within 76 hours, as the specification proposes."""
LEASE = timedelta(minutes=2)
"""For how long a try that was begun keeps others away."""


@shared_task
def deliver(delivery_id: str) -> None:
    """Make the next try of a delivery, if it is due; several workers make it once."""
    delivery = _claim(delivery_id)
    if delivery is None:
        return
    answer = _call(delivery)
    state, wait = Delivery.State.WAITING, None
    if answer.well:
        state = Delivery.State.DELIVERED
    elif answer.gone or delivery.tries > len(WAITS):
        state = Delivery.State.FAILED
    else:
        wait = now() + timedelta(seconds=WAITS[delivery.tries - 1])
    Delivery.objects.filter(id=delivery.id).update(
        state=state, status=answer.status, told=answer.told, next_try_at=wait, updated_at=now()
    )
    if state == Delivery.State.FAILED:
        why = "It answered 410: it wants no more." if answer.gone else f"Ten tries failed; the last: {answer.told}"
        _disable(delivery.endpoint, why)


@transaction.atomic
def _disable(endpoint: Endpoint, why: str) -> None:
    Endpoint.objects.filter(id=endpoint.id).update(active=False, disabled_because=why[:300])
    audit(by=None, action="webhook.disable", subject=endpoint.id, why=why)
    notify(
        organisations=[endpoint.organisation],
        topic=Topic.ACCOUNT,
        title="A webhook was switched off",
        text=f"{endpoint.url} is told nothing any more. {why} Mend your receiver, then switch it on again on its page.",
        href=reverse("webhooks:endpoint", args=[endpoint.id]),
    )


@shared_task
def deliveries_due() -> None:
    """Hand out the tries whose time has come; also those that a broken moment has left behind."""
    due = Delivery.objects.filter(state=Delivery.State.WAITING, next_try_at__lte=now(), endpoint__active=True)
    for identifier in due.order_by("next_try_at").values_list("id", flat=True)[:500]:
        deliver.delay(identifier)


def deliver_soon(delivery_id: str) -> None:
    """Hand the delivery to a worker when the transaction commits; the periodic run has the rest."""

    def run() -> None:
        try:
            deliver.delay(delivery_id)
        except BrokerError:
            log.warning("The broker is away; delivery %s waits for the periodic run.", delivery_id)

    transaction.on_commit(run, robust=True)


def _claim(delivery_id: str) -> Delivery | None:
    with transaction.atomic():
        delivery = (
            Delivery.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("event", "endpoint__organisation")
            .filter(id=delivery_id, state=Delivery.State.WAITING, next_try_at__lte=now(), endpoint__active=True)
            .first()
        )
        if delivery is not None:
            delivery.tries += 1
            delivery.next_try_at = now() + LEASE
            delivery.save(update_fields=["tries", "next_try_at"])
    return delivery


def _call(delivery: Delivery) -> Answer:
    endpoint, body = delivery.endpoint, body_of(delivery.event)
    moment = int(time.time())
    current = endpoint.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=now()))
    try:
        signatures = [opened(secret.sealed).sign(delivery.event.id, moment, body) for secret in current]
    except UnavailableError as error:
        return Answer(None, error.message[:300])
    headers = {
        "webhook-id": delivery.event.id,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(signatures),
    }
    return call(endpoint.url, body, headers)


def body_of(event: Event) -> bytes:
    """What is sent of an event: the same bytes at every try."""
    told = {"type": event.type, "timestamp": timestamp(event.at), "data": event.data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
