"""The desk that answers claims."""

from __future__ import annotations

import pytest

from portal.indemnity.desk import Desk


@pytest.fixture
def desk(granted, cast, storage, keyring) -> Desk:
    return Desk(cast, storage, keyring)
