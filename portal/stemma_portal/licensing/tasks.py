"""What the licensing app publishes: serving decides from these documents alone."""

from typing import TypeVar

from django.db import transaction
from pydantic import BaseModel

from stemma.errors import NotFoundError, ProofError
from stemma.ids import now, timestamp
from stemma.proof.keys import Speaker, verify
from stemma.rights.entitlement import (
    ENTITLEMENT,
    ENTITLEMENTS_PREFIX,
    REVOCATIONS,
    REVOCATIONS_KEY,
    Entitlement,
    Revocations,
)
from stemma.rights.prompting import PROMPTING, PROMPTING_KEY, Prompting
from stemma.storage import storage
from stemma_portal.core.db import lock
from stemma_portal.core.keys import keyring
from stemma_portal.core.publish import publisher
from stemma_portal.licensing.models import License
from stemma_portal.licensing.prompting import closed_names
from stemma_portal.licensing.selectors import entitlement, revocations

JOSE = "application/jose"
Document = TypeVar("Document", bound=BaseModel)


@publisher
def entitlement_publish(license_id: str) -> None:
    """Put the newest entitlement of a license where serving reads it."""
    with transaction.atomic():
        # Not joined with its terms: if it accepts others meanwhile, the row would be gone from the join.
        license_ = License.objects.select_for_update(of=("self",)).select_related("organisation").get(id=license_id)
        key = f"{ENTITLEMENTS_PREFIX}{license_.id}.jws"
        last = _last(key, "license", ENTITLEMENT, Entitlement)
        given = entitlement(license_=license_, after=last.serial if last else 0)
        storage().put(key, keyring().sign("license", ENTITLEMENT, given).encode(), JOSE)
        License.objects.filter(id=license_.id).update(published=True)


@publisher
def revocations_publish() -> None:
    """Put the signed list of revoked licenses and keys where serving reads it.

    Run once more every half a minute, with any entitlement that an earlier failure has left behind.
    """
    with transaction.atomic():
        lock("revocations")
        last = _last(REVOCATIONS_KEY, "license", REVOCATIONS, Revocations)
        given = revocations(after=last.sequence if last else 0)
        storage().put(REVOCATIONS_KEY, keyring().sign("license", REVOCATIONS, given).encode(), JOSE)
    for waiting in License.objects.filter(published=False).values_list("id", flat=True):
        entitlement_publish(waiting)


@publisher
def prompting_publish() -> None:
    """Put the signed list of names that no prompt may name where serving reads it, when it has changed."""
    with transaction.atomic():
        lock("prompting")
        before, names = _last(PROMPTING_KEY, "rights", PROMPTING, Prompting), closed_names()
        if before is not None and before.names == names:
            return
        given = Prompting(at=timestamp(now()), sequence=before.sequence + 1 if before else 1, names=names)
        storage().put(PROMPTING_KEY, keyring().sign("rights", PROMPTING, given).encode(), JOSE)


def _last(key: str, role: Speaker, typ: str, model: type[Document]) -> Document | None:
    """The document that lies in object storage; None where none does that we signed."""
    try:
        return model.model_validate(verify(storage().get(key).decode(), keyring().jwks(), role, typ))
    except (NotFoundError, ProofError, ValueError):
        return None
