from datetime import timedelta

import pytest

from stemma.ids import now
from stemma_portal.accounts.models import Token
from stemma_portal.accounts.selectors import user_of_token
from stemma_portal.accounts.services import token_create, token_revoke

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_a_token_speaks_for_its_account_and_is_kept_as_a_hash(cast):
    token, secret = token_create(user=cast.operator, name="laptop", by=cast.operator)
    assert secret.startswith("stp_")
    assert len(secret) > 40
    assert user_of_token(secret) == cast.operator
    assert secret not in str(Token.objects.values().get(id=token.id))
    assert Token.objects.get(id=token.id).last_used is not None


@pytest.mark.parametrize("secret", ["", "stp_", "stp_nothing", "x" * 10_000, "\x00"])
def test_nonsense_speaks_for_nobody(cast, secret):
    assert user_of_token(secret) is None


def test_a_token_ends(cast):
    token, secret = token_create(user=cast.operator, name="a", by=None)
    token_revoke(token=token, by=None)
    assert user_of_token(secret) is None
    _, secret = token_create(user=cast.operator, name="b", expires_at=now() - timedelta(seconds=1), by=None)
    assert user_of_token(secret) is None
    _, secret = token_create(user=cast.operator, name="c", by=None)
    cast.operator.is_active = False
    cast.operator.save()
    assert user_of_token(secret) is None


def test_using_a_token_often_writes_seldom(cast, django_assert_num_queries):
    _, secret = token_create(user=cast.operator, name="a", by=None)
    user_of_token(secret)
    with django_assert_num_queries(1):
        user_of_token(secret)
