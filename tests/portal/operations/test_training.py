"""The page of trainings where there is no cluster; tests/cluster starts and ends one from it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from portal.making import SCOPES
from stemma.config import settings
from stemma_portal.core.models import AuditEvent
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.services import snapshot_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def snapshot(granted):
    return snapshot_create(name="Spring", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)


@pytest.fixture
def operator(cast):
    browser = Client()
    browser.force_login(cast.operator)
    return browser


@pytest.fixture
def told(monkeypatch):
    """An installation that may start trainings, whose cluster is away."""
    monkeypatch.setenv("STEMMA_TRAINING_TEMPLATE", "stemma-training")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def test_an_installation_without_a_cluster_says_where_to_train(operator, snapshot):
    text = operator.get(reverse("operations:training")).content.decode()
    assert "stemma train" in text
    assert "<select" not in text
    answer = operator.post(reverse("operations:training"), {"snapshot": snapshot.id, "preset": "tiny"})
    assert answer.status_code == 503
    assert "training.fromPortal" in answer.content.decode()


def test_a_cluster_that_is_away_is_told_beside_the_form(operator, snapshot, told):
    text = operator.get(reverse("operations:training"), {"snapshot": snapshot.id}).content.decode()
    assert f'value="{snapshot.id}" selected' in text
    assert "does not run in a pod" in text
    assert operator.post(reverse("operations:training"), {"snapshot": snapshot.id, "preset": "tiny"}).status_code == 503
    assert not AuditEvent.objects.filter(action__startswith="training.").exists()


def test_only_operators_start_a_training(cast, snapshot, told):
    for who in (cast.rights, cast.owner):
        browser = Client()
        browser.force_login(who)
        assert browser.get(reverse("operations:training")).status_code == 403
        answer = browser.post(reverse("operations:training"), {"snapshot": snapshot.id, "preset": "tiny"})
        assert answer.status_code == 403
