import pytest
from django.core.management import CommandError, call_command

from stemma.rights.consent import STATUS_KEY
from stemma.rights.entitlement import REVOCATIONS_KEY
from stemma_portal.accounts.access import is_operator
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.accounts.selectors import user_of_token
from stemma_portal.licensing.models import CovenantVersion

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_an_installation_without_a_demonstration(storage, capsys):
    call_command("set_up", "Admin@Example.org")
    first = user_of_token(capsys.readouterr().out.strip())
    assert first.email == "admin@example.org"
    assert is_operator(first)
    assert CovenantVersion.objects.count() == 1
    assert not Organisation.objects.filter(demo=True).exists()
    assert storage.exists(STATUS_KEY)
    assert storage.exists(REVOCATIONS_KEY)
    call_command("set_up", "admin@example.org")
    assert user_of_token(capsys.readouterr().out.strip()) == first
    assert (User.objects.count(), Organisation.objects.count()) == (1, 1)


def test_without_storage_it_says_so(db, storage, s3_away):
    with s3_away(), pytest.raises(CommandError, match="does not answer"):
        call_command("set_up", "admin@example.org")
    assert User.objects.count() == 0
