"""Labels and artists who sign up are rights-holders of their own from then on.

The name is theirs alone within their catalog: it takes no share that stands under the same name elsewhere.
"""

from typing import Any

from django.dispatch import receiver

from stemma_portal.accounts.models import Organisation
from stemma_portal.accounts.services import organisation_link
from stemma_portal.accounts.signals import organisation_signed_up
from stemma_portal.catalog.models import Party

OWNING = (Organisation.Kind.LABEL, Organisation.Kind.ARTIST)


@receiver(organisation_signed_up)
def party_make(organisation: Organisation, by: Any, **_: Any) -> None:
    """Make the rights-holder that the organisation is."""
    if organisation.kind in OWNING:
        party = Party.objects.create(name=organisation.name, introduced_by=organisation)
        organisation_link(organisation=organisation, party=party, by=by)
