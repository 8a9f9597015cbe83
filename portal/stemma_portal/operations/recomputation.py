"""What an attribution is made again from, for whoever may see the generation; and one share, for its owners."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from stemma.attribution.ranked import PPB
from stemma.errors import NotFoundError
from stemma.ids import now, timestamp
from stemma.proof.canonical import sha256
from stemma.storage import storage
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import User
from stemma_portal.catalog.models import Recording
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.services import audit
from stemma_portal.metering.models import Attribution, Generation, GenerationShare
from stemma_portal.operations.weights import URL_SECONDS, weights_license

MANIFEST = "manifest.json"
EVIDENCE = ("model_release", "snapshot", "method", "store", "checkpoints", "lds", "lds_low", "lds_high")
OLDER = "When this piece was traced, how its shares were computed was not kept yet. Ask the house to recompute it."


@dataclass(frozen=True)
class StoreFile:
    """A file of the store that the fact names."""

    path: str
    sha256: str
    url: str


@dataclass(frozen=True)
class Recomputation:
    """The inputs of one attribution; the weights of its release are handed out apart."""

    fact: dict[str, Any]
    """As it was stated."""
    example: dict[str, Any]
    """The output as the model sees it."""
    store: list[StoreFile] = field(default_factory=list)
    """Empty where the caller may not have what a model learned from its recordings; `lacking` says why."""
    expires_at: datetime | None = None
    """Until when the addresses begin a download."""
    lacking: str = ""


def recomputation(*, generation: Generation, by: User) -> Recomputation:
    """Fact and example of a generation that `by` may see, with addresses of the store's files.

    A store tells of a model's gradients as much as its weights do: it goes to staff and to those whose license covers
    open weights, and each time is written down.  Raises `NotFoundError` while the generation is not attributed.
    """
    lake = storage()
    try:
        fact = lake.get_json(f"{generation.prefix}attribution.json")
    except NotFoundError:
        raise NotFoundError(
            f"Generation {generation.pk} is not attributed yet.", remedy="Ask again in a minute.", code="pending"
        ) from None
    example = lake.get_json(f"{generation.prefix}example.json")
    if not is_staff(by):
        try:
            weights_license(by, fact["model_release"])
        except ForbiddenError as error:
            return Recomputation(fact, example, lacking=str(error))
    prefix = f"stores/{fact['model_release']}/{fact['store']}/"
    body = lake.get(prefix + MANIFEST)
    files = {**json.loads(body)["files"], MANIFEST: sha256(body)}
    handed = [
        StoreFile(path, digest, lake.url(prefix + path, seconds=URL_SECONDS)) for path, digest in sorted(files.items())
    ]
    audit(by=by, action="store.download", subject=generation.pk, release=fact["model_release"], store=fact["store"])
    return Recomputation(fact, example, handed, now() + timedelta(seconds=URL_SECONDS))


def own_recomputation(*, recording: Recording, attribution_id: str) -> dict[str, Any]:
    """What a recording's owner computes its share of a piece again from (`stemma.attribution.workings.OwnInputs`).

    It tells of this recording alone: the sums over all the others, but neither them nor the piece, its licensee or
    what was asked for.  Raises `NotFoundError` where the attribution does not name the recording.
    """
    # What it needs of SciPy is no matter of the portal's start.
    from stemma.attribution.workings import OwnInputs, Workings

    found = Attribution.objects.filter(pk=attribution_id).first()
    shares = GenerationShare.objects.filter(generation=found.generation_id if found else None)
    share = shares.filter(recording=recording, ppb__gt=0).first()
    if found is None or share is None:
        raise NotFoundError(
            f"There is no attribution {attribution_id} that names this recording.",
            remedy="The list of pieces that carry it names each one's.",
        )
    commons = sum(shares.filter(recording=None).values_list("ppb", flat=True))
    try:
        body = storage().get(f"generations/{found.generation_id}/workings/{found.store}.json")
        kept = Workings.of(body, recording.pk)
    except NotFoundError:
        kept = None
    return OwnInputs(
        attribution=found.pk,
        at=timestamp(found.at),
        **{name: getattr(found, name) for name in EVIDENCE},
        recording=recording.pk,
        share=share.ppb,
        interval=None if share.low is None else (share.low, share.high),
        commons=commons,
        others=PPB - share.ppb - commons,
        workings=kept,
        lacking="" if kept else OLDER,
    ).model_dump(mode="json")
