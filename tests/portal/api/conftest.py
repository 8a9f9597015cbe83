"""Labels with catalogs in tables, as tests of imports have them."""

import pytest

from portal.intake.conftest import at_once, labels

__all__ = ["labels", "worker"]

worker = pytest.fixture(at_once.__wrapped__ if hasattr(at_once, "__wrapped__") else at_once)
