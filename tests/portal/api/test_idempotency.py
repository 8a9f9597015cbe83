"""Calls that are repeated with their `Idempotency-Key`."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from portal.making import SCOPES, Api, problem
from stemma_portal.api.idempotency import KEPT
from stemma_portal.api.models import AnsweredCall
from stemma_portal.api.tasks import answers_forget
from stemma_portal.consent.models import Consent

pytestmark = [pytest.mark.services, pytest.mark.django_db]
KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


@pytest.fixture
def body(catalog, covenant):
    return {"party": catalog["Label"].id, "recordings": "all", "scopes": SCOPES}


def test_the_second_call_gets_the_answer_of_the_first_and_does_nothing(api, body):
    owner = api("owner")
    first = owner.post("consents", body, idempotency_key=KEY)
    again = owner.post("consents", body, idempotency_key=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again["Content-Type"] == first["Content-Type"]
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert Consent.objects.count() == 1
    assert owner.post("consents", body, idempotency_key="another").json()["id"] != first.json()["id"]


def test_the_same_key_with_another_request_is_a_mistake(api, body):
    owner = api("owner")
    owner.post("consents", body, idempotency_key=KEY)
    problem(owner.post("consents", {**body, "territory": "NO"}, idempotency_key=KEY), 422, "idempotency-key-reused")
    problem(owner.post("claims", body, idempotency_key=KEY), 422, "idempotency-key-reused")
    assert Consent.objects.count() == 1


def test_nobody_gets_the_answer_to_anothers_call(api, body):
    api("owner").post("consents", body, idempotency_key=KEY)
    problem(api("stranger").post("consents", body, idempotency_key=KEY), 404)
    problem(Api().post("consents", body, idempotency_key=KEY), 401)


def test_what_was_refused_has_done_nothing_and_may_be_sent_again_corrected(api, body):
    owner = api("owner")
    problem(owner.post("consents", {**body, "scopes": []}, idempotency_key=KEY), 422)
    assert owner.post("consents", body, idempotency_key=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\tb"])
def test_a_key_that_is_none_is_refused(api, body, key):
    problem(api("owner").post("consents", body, idempotency_key=key), 400, "idempotency-key")
    assert not Consent.objects.exists()


def test_answers_are_kept_sealed_and_forgotten_after_two_days(api, cast, settings_changed, storage):
    settings_changed(webhook_private_hosts="localhost")
    owner = api("owner")
    wanted = {"organisation": cast.label.id, "url": "https://localhost/"}
    made = owner.post("webhooks", wanted, idempotency_key=KEY).json()
    kept = AnsweredCall.objects.get()
    assert made["secret"].encode() not in bytes(kept.sealed)
    assert owner.post("webhooks", wanted, idempotency_key=KEY).json() == made
    answers_forget()
    assert AnsweredCall.objects.exists()
    AnsweredCall.objects.update(at=kept.at - KEPT)
    assert owner.post("webhooks", wanted, idempotency_key=KEY).json()["id"] != made["id"]
    AnsweredCall.objects.update(at=kept.at - KEPT)
    answers_forget()
    assert not AnsweredCall.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_calls_at_once_one_acts_and_the_others_hear_of_it(api, body):
    owner, start = api("owner"), threading.Barrier(8)

    def call(_: int) -> tuple[int, bytes]:
        start.wait()
        response = owner.client.post(
            "/api/v1/consents",
            data=body,
            content_type="application/json",
            headers={**owner.headers, "Idempotency-Key": KEY},
        )
        connection.close()
        return response.status_code, response.content

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(8)))
    assert Consent.objects.count() == 1
    assert {status for status, _ in answers} <= {201, 409}
    assert len({content for status, content in answers if status == 201}) == 1
