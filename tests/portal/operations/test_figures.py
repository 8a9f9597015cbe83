"""What an operator watches is told for as long as the process lives."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.conf import settings

from stemma_portal.api.management.commands.figures import server

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def test_more_questions_than_the_database_has_connections_are_all_answered(redis: str) -> None:
    questions = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] + 4
    with server(0) as serving, ThreadPoolExecutor(1) as asker:
        url = f"http://127.0.0.1:{serving.server_port}/metrics"
        for _ in range(questions):
            answer = asker.submit(httpx.get, url, timeout=30)
            serving.handle_request()
            lines = answer.result().text.splitlines()
            assert {"stemma_portal_database_up 1", "stemma_portal_ledger_imbalance 0"} <= set(lines)
            assert any(line.startswith("stemma_portal_tasks_waiting ") for line in lines)
