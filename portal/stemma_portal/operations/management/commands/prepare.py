"""`python -m stemma_portal prepare`: what must be true before a new version of the portal starts."""

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from stemma.config import settings
from stemma.errors import StemmaError
from stemma.proof.keys import KEYS_KEY, ROLES, KeyRing
from stemma.storage import Storage

LOCK = 7_305_811_425_001
"""The number of the advisory lock; any, as long as nobody else takes it."""


class Command(BaseCommand):
    """Migrates under a lock, so that several may call it at once; or waits until somebody has."""

    help = (
        "Wait for the database, migrate it under a lock, make the buckets named, and publish the public keys; "
        "--wait only waits for that."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """How."""
        parser.add_argument("--wait", action="store_true", help="Change nothing; return once all is migrated.")
        parser.add_argument("--seconds", type=float, default=600, help="Patience.")
        parser.add_argument("--buckets", nargs="*", default=[], help="Buckets to make where they are missing.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Run it; repeating it is harmless."""
        until = time.monotonic() + options["seconds"]
        self._until("PostgreSQL", until, connection.ensure_connection, OperationalError)
        if options["wait"]:
            self._until("the migrations", until, self._migrated, LookupError, OperationalError)
            return
        for bucket in options["buckets"]:
            storage = Storage(settings().model_copy(update={"s3_bucket": bucket}))
            self._until(f"the bucket {bucket}", until, storage.ensure_bucket, StemmaError)
        keys = KeyRing(settings().keys_path).jwks()
        # Some of the keys in place of all would make what the others signed unbelievable.
        if {key["stemma_role"] for key in keys["keys"]}.issuperset(ROLES):
            self._until("object storage", until, lambda: Storage(settings()).put_json(KEYS_KEY, keys), StemmaError)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            try:
                call_command("migrate", interactive=False, verbosity=1)
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])

    def _until(self, what: str, until: float, ask: Any, *failures: type[Exception]) -> None:
        while True:
            try:
                ask()
            except failures as error:
                if time.monotonic() > until:
                    raise CommandError(f"Waited in vain for {what}: {error}") from error
                self.stdout.write(f"Waiting for {what}.")
                time.sleep(2)
            else:
                return

    def _migrated(self) -> None:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            raise LookupError(f"{len(plan)} migrations are still to be applied")
