import pytest

from portal.billing.shop import Shop, shop_open


@pytest.fixture
def shop(covenant, cast, storage, redis) -> Shop:
    return shop_open(cast)
