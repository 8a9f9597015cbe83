"""`python -m stemma_portal set_up EMAIL`: what an installation needs that shows no demonstration."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from stemma.errors import StemmaError
from stemma_portal.accounts.models import Membership, Organisation, User
from stemma_portal.accounts.services import membership_set, organisation_create, token_create, user_create
from stemma_portal.consent.tasks import rights_status_publish
from stemma_portal.licensing.services import covenant_begin
from stemma_portal.licensing.tasks import revocations_publish


class Command(BaseCommand):
    """Publishes the terms and makes the first operator, with a token for the command line."""

    help = (
        "Publish the house covenant, where there are no terms yet, and make an operator; prints a token for the "
        "command line, this once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The operator's address."""
        parser.add_argument("email", help="E-mail address of the operator.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Run it; again for the same address, it only makes another token."""
        email = str(options["email"]).lower()
        try:
            with transaction.atomic():
                covenant_begin(by=None)
                house = Organisation.objects.filter(kind=Organisation.Kind.OPS, demo=False).first()
                house = house or organisation_create(
                    name="Operations", slug="operations", kind=Organisation.Kind.OPS, by=None
                )
                user = User.objects.filter(email=email).first()
                user = user or user_create(email=email, name="", password=None, by=None)
                if not Membership.objects.filter(user=user, organisation=house).exists():
                    membership_set(user=user, organisation=house, role=Membership.Role.OWNER, by=None)
                _, secret = token_create(user=user, name="Operator's command line", by=None)
            rights_status_publish()
            revocations_publish()
        except StemmaError as error:
            raise CommandError(str(error)) from error
        self.stderr.write("Set STEMMA_PORTAL_TOKEN to this; it is not shown again.")
        self.stdout.write(secret)
