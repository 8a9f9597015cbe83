"""`python -m stemma_portal seed_demo`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from stemma.errors import StemmaError
from stemma_portal.billing.demo import billing_demo
from stemma_portal.operations.demo import demo_seed


class Command(BaseCommand):
    """Makes the demonstration's organisations, people, terms, licenses, keys, and an invoice."""

    help = "Make whatever is missing of the demonstration; secrets go to demo.json in the home folder."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Run it."""
        try:
            known = demo_seed()
            billing_demo()
        except StemmaError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{len(known['logins'])} demo logins, {len(known['licenses'])} licenses; see demo.json.")
