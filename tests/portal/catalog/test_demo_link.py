import pytest

from portal.making import SCOPES, record
from stemma_portal.accounts.models import Organisation
from stemma_portal.catalog.models import Party
from stemma_portal.catalog.services import recordings_import
from stemma_portal.consent.services import consent_grant

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def demo(db):
    def made(slug: str, kind: str) -> Organisation:
        return Organisation.objects.create(slug=slug, name=slug, kind=kind, demo=True)

    return [made("demo-label", "label"), made("demo-label-two", "label"), made("demo-artist", "artist")]


def names(organisations) -> list[str]:
    for organisation in organisations:
        organisation.refresh_from_db()
    return [organisation.name for organisation in organisations]


def test_demo_organisations_are_the_largest_demo_parties(demo):
    recordings_import(
        records=[record(n, master=f"M{n % 3 and 1}", publishing=f"P{n % 4 and 1}") for n in range(9)], by=None
    )
    assert names(demo) == ["M1", "M0", "P1"]
    recordings_import(records=[record(n, master="M2") for n in range(10, 30)], by=None)
    assert names(demo) == ["M2", "M1", "Artist"]


def test_who_has_signed_stays_who_it_is(demo, covenant, cast):
    recordings_import(records=[record(n, master=f"M{n % 2}") for n in range(4)], by=None)
    assert names(demo) == ["M0", "M1", "Artist"]
    consent_grant(party=Party.objects.get(name="M0"), recordings="all", scopes=SCOPES, by=cast.rights)
    recordings_import(records=[record(n, master="M2") for n in range(10, 30)], by=None)
    assert names(demo) == ["M0", "M2", "Artist"]


def test_real_parties_are_never_taken(demo):
    from portal.making import share

    shares = [share("Real", side, demo=False) for side in ("master", "publishing")]
    recordings_import(records=[record(1, shares=shares)], by=None)
    assert all(organisation.party_id is None for organisation in Organisation.objects.filter(demo=True))
