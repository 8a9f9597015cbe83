"""Redis or object storage away: pages say so, and background work heals what was missed."""

import pytest
from django.test import Client

from stemma.config import load
from stemma.rights.consent import STATUS_KEY
from stemma.storage import Storage
from support.patience import until

pytestmark = pytest.mark.services


@pytest.mark.django_db
def test_signing_in_without_redis_is_a_page_with_503(cast, settings, closed_port):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{closed_port}/0"}}
    response = Client(raise_request_exception=False).post(
        "/accounts/login/", {"login": "owner@stemma.test", "password": "wrong"}
    )
    assert response.status_code == 503
    assert response["Retry-After"] == "10"
    assert "Try again" in response.content.decode()


def test_the_worker_publishes_what_was_missed(portal, portal_worker):
    portal.manage("seed_demo")
    storage = Storage(load(portal.environ))
    storage.delete(STATUS_KEY)
    portal.shell("from stemma_portal.consent.tasks import rights_status_publish\nrights_status_publish.delay()")
    until(lambda: storage.exists(STATUS_KEY), "Nothing is published")


@pytest.mark.django_db(transaction=True)
def test_one_grant_sent_many_times_at_once_is_granted_once(covenant, cast, catalog):
    import threading

    from django.db import connection

    from portal.making import SCOPES
    from stemma.ids import new_id
    from stemma_portal.consent.models import Consent
    from stemma_portal.consent.services import consent_grant

    identifier, made, errors = new_id(), [], []

    def send() -> None:
        try:
            terms = {"party": catalog["Label"], "recordings": "all", "scopes": SCOPES, "by": cast.owner}
            made.append(consent_grant(**terms, identifier=identifier).id)
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, set(made), Consent.objects.count()) == ([], {identifier}, 1)
