import pytest

from portal.making import record
from stemma_portal.accounts.models import Organisation
from stemma_portal.catalog.services import recordings_import

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


def test_demo_organisations_are_the_largest_demo_parties_and_stay_it(demo):
    recordings_import(
        records=[record(n, master=f"M{n % 3 and 1}", publishing=f"P{n % 4 and 1}") for n in range(9)], by=None
    )
    assert names(demo) == ["M1", "M0", "P1"]
    recordings_import(records=[record(n, master="M2") for n in range(10, 30)], by=None)
    assert names(demo) == ["M1", "M0", "P1"]


def test_an_organisation_is_the_party_of_its_name(demo):
    Organisation.objects.filter(slug="demo-label-two").update(name="Label")
    recordings_import(records=[record(n, master="Big") for n in range(5)] + [record(9)], by=None)
    assert names(demo) == ["Big", "Label", "Artist"]


def test_real_parties_are_never_taken(demo):
    from portal.making import share

    shares = [share("Real", side, demo=False) for side in ("master", "publishing")]
    recordings_import(records=[record(1, shares=shares)], by=None)
    assert all(organisation.party_id is None for organisation in Organisation.objects.filter(demo=True))
