"""The demonstration's labels and artist are the largest rights-holders of the demonstration's catalog."""

from django.db import transaction
from django.db.models import Count, Q

from stemma_portal.accounts.models import Organisation
from stemma_portal.accounts.services import organisation_link
from stemma_portal.catalog.models import Party, Share
from stemma_portal.core.services import Actor


@transaction.atomic
def demo_link(*, by: Actor | None) -> None:
    """Say which made-up party each made-up organisation is, and give it that name.

    Labels are those with the most master shares, artists those with the most publishing shares;
    equal ones by name.  Once an organisation's party has signed a grant it stays what it is.
    """
    organisations = list(Organisation.objects.filter(demo=True, kind__in=["label", "artist"]).order_by("slug"))
    signed = {o.party_id for o in organisations if o.party_id and o.party and o.party.consents.exists()}
    free = [o for o in organisations if o.party_id not in signed]
    if not free:
        return
    taken = set(signed)
    for kind, side in (("label", Share.Side.MASTER), ("artist", Share.Side.PUBLISHING)):
        for organisation in (o for o in free if o.kind == kind):
            owned = Count("shares", filter=Q(shares__side=side))
            ranking = Party.objects.filter(demo=True).exclude(id__in=taken).annotate(owned=owned)
            party = ranking.filter(owned__gt=0).order_by("-owned", "name").first()
            if party is None:
                continue
            taken.add(party.id)
            if organisation.party_id != party.id:
                organisation_link(organisation=organisation, party=party, by=by)
