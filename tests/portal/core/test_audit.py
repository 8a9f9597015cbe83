"""The audit trail says who did what, what became what, and from where; the database lets nobody change it."""

import uuid

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from portal.making import SCOPES
from stemma_portal.consent.tasks import rights_status_publish
from stemma_portal.core.models import AuditEvent
from stemma_portal.core.services import audit
from stemma_portal.core.whence import Whence, whence
from stemma_portal.webhooks.services import endpoint_change, endpoint_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_a_page_and_a_program_are_told_apart_and_found_again_by_their_request(cast, api, catalog, covenant):
    made = api("owner").post("consents", {"party": catalog["Label"].id, "recordings": "all", "scopes": SCOPES})
    event = AuditEvent.objects.get(action="consent.grant")
    assert (event.channel, event.address, event.actor) == ("api", "127.0.0.1", cast.owner.email)
    assert event.request == made["X-Request-Id"]
    browser = Client(headers={"user-agent": "Mozilla/5.0\x07 (Test)"}, REMOTE_ADDR="2001:db8::7")
    browser.force_login(cast.rights)
    answer = browser.post("/theme/", {"theme": "dark"})
    assert uuid.UUID(answer["X-Request-Id"])
    assert whence() == Whence(), "nothing of a request stays behind it"


def test_what_was_and_what_became_of_it(cast, settings_changed):
    settings_changed(webhook_private_hosts="localhost")
    hook = endpoint_create(organisation=cast.label, url="https://localhost/", by=cast.owner).endpoint
    endpoint_change(endpoint=hook, active=False, by=cast.owner)
    detail = AuditEvent.objects.get(action="webhook.change").detail
    assert (detail["before"]["active"], detail["after"]["active"]) == (True, False)


def test_what_a_task_does_is_told_with_its_name(db, storage, monkeypatch):
    from stemma_portal.consent import tasks

    monkeypatch.setattr(tasks, "rights_status", lambda: audit(by=None, action="seen", subject="x") or _status())
    rights_status_publish.apply()
    event = AuditEvent.objects.get(action="seen")
    assert (event.channel, event.agent) == ("task", rights_status_publish.name)
    assert whence() == Whence()


def _status():
    from stemma.rights.consent import RightsStatus

    return RightsStatus(at="2026-01-01T00:00:00.000Z")


def test_the_database_refuses_to_change_or_remove_it(db):
    audit(by=None, action="test", subject="x")
    for change in (
        lambda: AuditEvent.objects.update(actor="nobody"),
        lambda: AuditEvent.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    assert AuditEvent.objects.get().actor == "system"
