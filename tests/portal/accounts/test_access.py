import pytest

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import (
    access_organisation,
    is_operator,
    is_owner,
    is_staff,
    organisations_of,
    parties_of,
    require_operator,
    require_staff,
)
from stemma_portal.accounts.services import membership_set
from stemma_portal.core.errors import ForbiddenError

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_who_belongs_to_the_house(cast):
    assert [name for name in vars(cast) if name in PEOPLE and is_staff(getattr(cast, name))] == ["rights", "operator"]
    assert [name for name in vars(cast) if name in PEOPLE and is_operator(getattr(cast, name))] == ["operator"]
    assert not is_staff(None)
    require_staff(cast.rights, "look")
    require_operator(cast.operator, "run")
    with pytest.raises(ForbiddenError, match="Only rights and operations staff may look"):
        require_staff(cast.owner, "look")
    with pytest.raises(ForbiddenError, match="Only operators may run"):
        require_operator(cast.rights, "run")


PEOPLE = ("owner", "teammate", "stranger", "licensee", "rights", "operator")


def test_whose_organisations_and_parties(cast, catalog):
    assert organisations_of(cast.owner) == [cast.label]
    assert parties_of(cast.teammate) == {catalog["Label"].id}
    assert parties_of(cast.licensee) == set()
    assert is_owner(cast.owner, cast.label)
    assert not is_owner(cast.teammate, cast.label)
    assert not is_owner(cast.rights, cast.label)


def test_an_organisation_is_not_there_for_strangers(cast):
    assert access_organisation(cast.owner, cast.label.id, owner=True) == cast.label
    assert access_organisation(cast.teammate, cast.label.id) == cast.label
    assert access_organisation(cast.rights, cast.label.id, owner=True) == cast.label
    with pytest.raises(ForbiddenError):
        access_organisation(cast.teammate, cast.label.id, owner=True)
    for identifier in (cast.label.id, "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFoundError):
            access_organisation(cast.stranger, identifier)


def test_a_changed_role_counts_at_once(cast):
    membership_set(user=cast.teammate, organisation=cast.label, role="owner", by=cast.owner)
    assert is_owner(cast.teammate, cast.label)
    assert cast.label.memberships.count() == 2
