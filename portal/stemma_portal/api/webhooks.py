"""Webhooks: where an organisation's own systems are told what happened."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from stemma_portal.accounts.access import access_organisation
from stemma_portal.api.auth import caller, surely
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import (
    Deliveries,
    DeliveryOut,
    WebhookChange,
    WebhookIn,
    WebhookMade,
    WebhookOut,
    Webhooks,
)
from stemma_portal.webhooks.access import access_delivery, access_endpoint, endpoints_visible
from stemma_portal.webhooks.models import Delivery, Endpoint
from stemma_portal.webhooks.services import (
    Made,
    endpoint_change,
    endpoint_create,
    endpoint_remove,
    keys_rotate,
    ping,
    redeliver,
)

router = Router(tags=["webhooks"])


@router.get("webhooks", response=Webhooks)
def list_webhooks(
    request: HttpRequest, cursor: str | None = None, limit: int = Query(50, ge=1, le=MAX_LIMIT)
) -> Webhooks:
    """The endpoints of the caller's organisations."""
    rows, following = page(endpoints_visible(caller(request)), cursor=cursor, limit=limit)
    return Webhooks(items=[_endpoint(row) for row in rows], next=following)


@router.post("webhooks", response={201: WebhookMade})
def create_webhook(request: HttpRequest, body: WebhookIn) -> Status[WebhookMade]:
    """Have an address told; the secret is in this answer and nowhere else."""
    user = surely(request)
    organisation = access_organisation(user, str(body.organisation), owner=True)
    return Status(201, _made(endpoint_create(organisation=organisation, url=body.url, events=body.events, by=user)))


@router.get("webhooks/{webhook}", response=WebhookOut)
def show_webhook(request: HttpRequest, webhook: UUID) -> WebhookOut:
    """One endpoint."""
    return _endpoint(access_endpoint(caller(request), str(webhook)))


@router.patch("webhooks/{webhook}", response=WebhookOut)
def change_webhook(request: HttpRequest, webhook: UUID, body: WebhookChange) -> WebhookOut:
    """Another address, other events, on or off; what is not named stays."""
    user = caller(request)
    endpoint = access_endpoint(user, str(webhook), act=True)
    return _endpoint(endpoint_change(endpoint=endpoint, url=body.url, events=body.events, active=body.active, by=user))


@router.delete("webhooks/{webhook}", response={204: None})
def remove_webhook(request: HttpRequest, webhook: UUID) -> HttpResponse:
    """Tell it nothing any more."""
    user = caller(request)
    endpoint_remove(endpoint=access_endpoint(user, str(webhook), act=True), by=user)
    return HttpResponse(status=204)


@router.post("webhooks/{webhook}/keys", response={201: WebhookMade})
def rotate_keys(request: HttpRequest, webhook: UUID) -> Status[WebhookMade]:
    """New keys; the ones before sign beside them for a day."""
    user = surely(request)
    return Status(201, _made(keys_rotate(endpoint=access_endpoint(user, str(webhook), act=True), by=user)))


@router.post("webhooks/{webhook}/ping", response={202: DeliveryOut})
def ping_webhook(request: HttpRequest, webhook: UUID) -> Status[DeliveryOut]:
    """Send a test."""
    user = caller(request)
    return Status(202, _delivery(ping(endpoint=access_endpoint(user, str(webhook), act=True), by=user)))


@router.get("webhooks/{webhook}/deliveries", response=Deliveries)
def list_deliveries(
    request: HttpRequest, webhook: UUID, cursor: str | None = None, limit: int = Query(50, ge=1, le=MAX_LIMIT)
) -> Deliveries:
    """What the endpoint was told, newest first, and how it went."""
    endpoint = access_endpoint(caller(request), str(webhook))
    rows, following = page(endpoint.deliveries.select_related("event"), cursor=cursor, limit=limit, newest_first=True)
    return Deliveries(items=[_delivery(row) for row in rows], next=following)


@router.post("webhooks/{webhook}/deliveries/{delivery}/redelivery", response={202: DeliveryOut})
def redeliver_event(request: HttpRequest, webhook: UUID, delivery: UUID) -> Status[DeliveryOut]:
    """Begin its tries anew."""
    user = caller(request)
    found = access_delivery(user, str(webhook), str(delivery), act=True)
    return Status(202, _delivery(redeliver(delivery=found, by=user)))


def _endpoint(row: Endpoint) -> WebhookOut:
    return WebhookOut(
        id=row.id,
        organisation=row.organisation_id,
        url=row.url,
        events=row.events,
        active=row.active,
        disabled_because=row.disabled_because,
        public_keys=[secret.public for secret in row.secrets.all()],
        created_at=row.created_at,
    )


def _made(made: Made) -> WebhookMade:
    return WebhookMade(**_endpoint(made.endpoint).dict(), secret=made.keys.secret)


def _delivery(row: Delivery) -> DeliveryOut:
    return DeliveryOut(
        id=row.id,
        event=row.event_id,
        type=row.event.type,
        at=row.event.at,
        state=row.state,
        tries=row.tries,
        status=row.status,
        told=row.told,
        next_try_at=row.next_try_at,
    )
