"""How co-owners hear that shares were stated: a notice to those with an account, an invitation to those without."""

from __future__ import annotations

from collections.abc import Mapping

from stemma_portal.accounts.models import User
from stemma_portal.catalog.models import Party, ShareRevision


def owners_invite(*, revision: ShareRevision, addresses: Mapping[Party, str], by: User) -> None:
    """Tell every party that is asked; who has no account is invited at the address given."""
