"""The only writer of later versions of certificates."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from stemma.errors import InvalidError
from stemma.ids import now, timestamp
from stemma.proof.canonical import sha256
from stemma.provenance.certificate import Authorship, Contribution, restate
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.keys import keyring
from stemma_portal.core.services import Actor, audit, log_append
from stemma_portal.metering.models import Certificate

MOST_VERSIONS = 50


@transaction.atomic
def authorship_state(
    *, certificate: Certificate, contributions: Sequence[Contribution], replaces: str, by: Actor
) -> Certificate:
    """Sign and log a version that says what people have done; the versions before it stay.

    `replaces` is the SHA-256 of the version that whoever states this has seen.  Raises `ConflictError` when
    there is a later one, and `InvalidError` when there are too many or nothing is stated.
    """
    lock(f"certificate:{certificate.generation_id}")
    newest = Certificate.objects.filter(generation=certificate.generation_id).order_by("-version").first()
    if newest is None or newest.sha256 != replaces:
        raise ConflictError(
            "The certificate has a later version by now.", remedy="Load it again, and state what is to be added."
        )
    if newest.version >= MOST_VERSIONS:
        raise InvalidError(f"A certificate has at most {MOST_VERSIONS} versions.", remedy="Write to rights staff.")
    if not contributions:
        raise InvalidError("Nobody is named.", remedy="Name at least one person and what they did.")
    moment = now()
    authorship = Authorship(contributions=tuple(contributions), stated_by=by.email, at=timestamp(moment))
    token = restate(newest.token, authorship, keyring())
    mark = sha256(token.encode())
    receipt = log_append(kind="certificate", subject=str(newest.generation_id), document_digest=mark, at=moment)
    made = Certificate.objects.create(
        generation_id=newest.generation_id,
        version=newest.version + 1,
        licensee_id=newest.licensee_id,
        license_id=newest.license_id,
        at=newest.at,
        token=token,
        sha256=mark,
        pcm_sha256=newest.pcm_sha256,
        midi_sha256=newest.midi_sha256,
        sketch=newest.sketch,
        entry_id=receipt.entry.id,
    )
    audit(by=by, action="certificate.restate", subject=str(newest.generation_id), version=made.version)
    return made
