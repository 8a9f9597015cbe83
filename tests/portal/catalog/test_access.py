import pytest

from stemma.errors import NotFoundError
from stemma_portal.catalog.access import access_party, access_recording, recordings_visible
from stemma_portal.core.errors import ForbiddenError

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_everyone_sees_what_is_theirs(cast, recordings):
    def seen(user):
        return {row.isrc[-1] for row in recordings_visible(user)}

    assert seen(cast.owner) == seen(cast.teammate) == {"0", "1", "2", "5"}
    assert seen(cast.stranger) == {"3", "4"}
    assert seen(cast.licensee) == seen(cast.rights) == seen(cast.operator) == set("012345")


def test_a_stranger_is_told_that_there_is_nothing(cast, recordings, catalog):
    """ASVS 8.2.2, 8.4.1."""
    assert access_recording(cast.owner, recordings[0].id) == recordings[0]
    with pytest.raises(NotFoundError):
        access_recording(cast.stranger, recordings[0].id)
    with pytest.raises(NotFoundError):
        access_party(cast.stranger, catalog["Label"].id)
    with pytest.raises(NotFoundError):
        access_party(cast.licensee, catalog["Label"].id)


def test_only_owners_sign_and_staff_only_for_the_demonstration(cast, catalog):
    label = catalog["Label"]
    assert access_party(cast.owner, label.id, act=True) == label
    assert access_party(cast.rights, label.id, act=True) == label
    with pytest.raises(ForbiddenError):
        access_party(cast.teammate, label.id, act=True)
    label.demo = False
    label.save()
    assert access_party(cast.owner, label.id, act=True) == label
    with pytest.raises(ForbiddenError):
        access_party(cast.rights, label.id, act=True)


def test_who_was_deactivated_sees_nothing(cast, recordings):
    cast.rights.is_active = False
    cast.rights.save()
    assert recordings_visible(cast.rights).count() == 0
