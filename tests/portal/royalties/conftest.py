"""Fixtures of money: a world in the transaction of the test, and one that other connections see."""

from __future__ import annotations

import pytest

from portal.royalties.world import World


@pytest.fixture
def world(db: None, storage) -> World:
    return World(storage)


@pytest.fixture
def shared_world(transactional_db: None, storage) -> World:
    return World(storage)
