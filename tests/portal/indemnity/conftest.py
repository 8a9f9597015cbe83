"""The desk that answers claims."""

from __future__ import annotations

import pytest

from portal.indemnity.desk import Desk


@pytest.fixture
def desk(granted, cast, storage, keyring) -> Desk:
    return Desk(cast, storage, keyring)


@pytest.fixture
def house(covenant, cast, storage):
    """The license alone, for what needs no output."""
    from stemma_portal.licensing.services import license_grant

    license_grant(organisation=cast.studio, tier="enterprise", months=12, by=None)
    desk = Desk.__new__(Desk)
    desk.cast, desk.storage = cast, storage
    return desk
