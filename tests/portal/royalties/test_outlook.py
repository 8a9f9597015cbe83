"""What a signer is told that recordings earn: what statements say, and nothing before there are any."""

import pytest
from django.db.models import Sum

from portal.royalties.world import World
from stemma_portal.consent.outlook import outlook
from stemma_portal.royalties.models import StatementLine

pytestmark = pytest.mark.services


def test_the_outlook_is_what_recordings_have_earned(world: World) -> None:
    assert outlook() is None
    world.made(3, of=0, ms=60_000)
    world.close("p1")
    told = outlook()
    earned = StatementLine.objects.filter(recording__isnull=False).order_by().values("recording")
    amounts = sorted(row["sum"] for row in earned.annotate(sum=Sum("amount")))
    assert len(amounts) == 6
    assert told is not None
    assert (told.currency, told.periods, told.recordings) == ("USD", 1, 6)
    # The smallest value at or below which the quarter lies: of six the second, third and fifth.
    assert (told.low, told.middle, told.high) == (amounts[1], amounts[2], amounts[4])
