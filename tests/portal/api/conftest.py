"""Labels with their rights-holders, as tests of imports have them."""

from portal.intake.conftest import labels

__all__ = ["labels"]
