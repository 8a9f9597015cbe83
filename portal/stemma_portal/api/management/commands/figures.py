"""`python -m stemma_portal figures`: what an operator watches of the portal, for Prometheus."""

import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections

from stemma.config import settings
from stemma_portal.metering.models import Attribution, Generation
from stemma_portal.royalties.verification import books_verify

QUEUE = "celery"
LEDGER_SECONDS = 60.0
"""How often the books are added up."""


class Command(BaseCommand):
    """One process for the installation: each figure is asked for when it is, the books once a minute."""

    help = "Serve figures for Prometheus at /metrics."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where."""
        parser.add_argument("--port", type=int, default=9104)

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Serve for as long as the process lives."""
        server(options["port"]).serve_forever()


def server(port: int) -> HTTPServer:
    """One thread, and so one connection to the database: one for each request would never come back to the pool."""
    figures = Figures()

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            answer = figures.text().encode() if self.path == "/metrics" else b""
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: it is asked all the time."""

    return HTTPServer(("", port), Handler)


class Figures:
    """What is asked of the database and of Redis; a part that is away leaves its lines out."""

    def __init__(self) -> None:
        self._faults, self._at = 0, 0.0

    def text(self) -> str:
        """The lines for Prometheus."""
        lines: list[str] = []
        close_old_connections()
        try:
            lines += [
                f"stemma_portal_generations {Generation.objects.count()}",
                f"stemma_portal_attributions {Attribution.objects.count()}",
                f"stemma_portal_ledger_imbalance {self._ledger()}",
            ]
        except DatabaseError:
            lines.append("stemma_portal_database_up 0")
        else:
            lines.append("stemma_portal_database_up 1")
        try:
            with redis.Redis.from_url(settings().redis_url.get_secret_value(), socket_timeout=2) as client:
                lines.append(f"stemma_portal_tasks_waiting {client.llen(QUEUE)}")
        except redis.RedisError:
            lines.append("stemma_portal_redis_up 0")
        else:
            lines.append("stemma_portal_redis_up 1")
        return "\n".join(lines) + "\n"

    def _ledger(self) -> int:
        if not self._at or time.monotonic() - self._at > LEDGER_SECONDS:
            self._faults = sum(len(check.faults) for check in books_verify().checks)
            self._at = time.monotonic()
        return self._faults
