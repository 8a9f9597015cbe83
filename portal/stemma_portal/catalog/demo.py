"""The demonstration's labels and artist are rights-holders of the demonstration's catalog."""

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from stemma_portal.accounts.models import Organisation
from stemma_portal.accounts.services import organisation_link
from stemma_portal.catalog.models import Party, Share
from stemma_portal.core.services import Actor

SIDES = {"label": Share.Side.MASTER, "artist": Share.Side.PUBLISHING}
"""What each kind of organisation mostly owns."""


@transaction.atomic
def demo_link(*, by: Actor | None) -> None:
    """Say which made-up party each made-up organisation is, and give it that name.

    It is the party of its name, or else the largest that is left: of labels the one with the most
    master shares, of artists the one with the most publishing shares; equal ones by name.  Then it
    stays what it is.
    """
    demo = Organisation.objects.filter(demo=True, kind__in=SIDES)
    free = list(demo.filter(party=None).order_by("slug"))
    if not free:
        return
    parties = list(_parties_by_size())
    taken = set(demo.exclude(party=None).values_list("party_id", flat=True))
    for named in (True, False):
        for organisation in list(free):
            party = _choose([p for p in parties if p.id not in taken], organisation, named=named)
            if party is None:
                continue
            free.remove(organisation)
            taken.add(party.id)
            organisation_link(organisation=organisation, party=party, by=by)


def _parties_by_size() -> QuerySet[Party]:
    counts = {side: Count("shares", filter=Q(shares__side=side)) for side in Share.Side.values}
    return Party.objects.filter(demo=True).annotate(**counts).order_by("name")


def _choose(parties: list[Party], organisation: Organisation, *, named: bool) -> Party | None:
    if named:
        return next((party for party in parties if party.name == organisation.name), None)
    side = SIDES[organisation.kind]
    owning = [party for party in parties if getattr(party, side)]
    return max(owning, key=lambda party: getattr(party, side), default=None)
