"""A recording's own file with its consent written into it: the CAWG assertion on training and data mining.

A grant is for licensees of this house under its covenant, never for everybody who has the file.  So nothing is
`allowed` there: what every owner has granted is `constrained`, and says where licenses are to be had and under which
conditions; all else is `notAllowed`.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from django.db.models import Q

from stemma.config import settings
from stemma.errors import InvalidError, NotFoundError
from stemma.provenance.mining import MIME, mining_mark
from stemma.rights.consent import Scope
from stemma.rights.reservations import USES, Use, assertion
from stemma.rights.shares import WORLD
from stemma.storage import storage
from stemma_portal.catalog.custody import kept
from stemma_portal.catalog.models import Asset, Recording
from stemma_portal.consent.models import Claim, Consent, ConsentRecording
from stemma_portal.consent.reservation_models import Reservation
from stemma_portal.consent.reserved import licensed_here
from stemma_portal.consent.selectors import running

MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Said:
    """What the mark says of each use."""

    uses: dict[Scope, Use]
    constraints: dict[Scope, str]
    """Of each that is constrained."""


class MarkedFile(NamedTuple):
    """A file with its mark, open at its beginning; it lies nowhere else."""

    file: BinaryIO
    name: str
    mime: str


def mark_says(recording: Recording) -> Said:
    """What its owners' grants say today of each use, for everybody who has the file."""
    owners = {str(party) for party in recording.shares.values_list("party_id", flat=True)}
    granted: dict[str, dict[str, Consent]] = defaultdict(dict)
    items = running(ConsentRecording.objects.filter(recording=recording)).select_related("consent")
    for item in items.order_by("consent__granted_at", "consent_id"):  # the newest of an owner counts
        for scope in item.consent.scopes:
            granted[scope][item.consent.party_id] = item.consent
    marks = Reservation.objects.unsettled().filter(recording=recording).values_list("refused", flat=True)
    refused = set(USES) if _barred(recording) else {scope for names in marks for scope in names}
    given: list[Scope] = [s for s in USES if s not in refused and owners and owners <= granted[s].keys()]
    uses: dict[Scope, Use] = {scope: "constrained" if scope in given else "notAllowed" for scope in USES}
    return Said(
        uses, {scope: _constraint(scope, [granted[scope][party] for party in sorted(owners)]) for scope in given}
    )


def _barred(recording: Recording) -> bool:
    """Whether nothing counts that was granted: claimed, taken down, from a source that is not free, or withheld."""
    claimed = Claim.objects.holding().filter(Q(recording=recording) | Q(other=recording)).exists()
    keeper = kept([recording.id]).get(recording.id)
    gone = recording.taken_down_at is not None or not recording.source_free
    return claimed or gone or (keeper is not None and keeper.withheld)


def _constraint(scope: Scope, consents: list[Consent]) -> str:
    words = [licensed_here()]
    for consent in consents:
        if consent.territory != WORLD:
            words.append(f"only in {consent.territory}")
        if consent.valid_until is not None:
            words.append(f"only until {consent.valid_until:%Y-%m-%d}")
        words += dict(consent.told())[scope]
    return "; ".join(dict.fromkeys(words))


def file_marked(recording: Recording) -> MarkedFile:
    """The file that the recording has its sound from, as it was brought, with what `mark_says`; its sound is the same.

    Where it came in a format that carries no mark (AIFF, Ogg), or is the house's own, it is the FLAC of the same
    samples.  Raises `NotFoundError` for a recording without sound, `InvalidError` for a file that is too large or
    cannot be marked.
    """
    if not recording.audio_sha256:
        raise NotFoundError("This recording has no sound yet.", remedy="Bring it on the page Audio.")
    brought = recording.assets.filter(kind=Asset.Kind.AUDIO, measures__master_sha256=recording.audio_sha256)
    asset = brought.filter(format__in=MIME).order_by("at").last()
    key, form = (asset.key, asset.format) if asset else (recording.audio_key, "flac")
    if sum(size for name, size in storage().sizes(key) if name == key) > MOST_BYTES:
        raise InvalidError(
            f"Files up to {MOST_BYTES >> 20} MiB are marked here.",
            remedy="Mark it with a tool of your own.",
            code="size",
        )
    said = mark_says(recording)
    with tempfile.TemporaryDirectory() as folder:
        path, into = Path(folder) / "file", Path(folder) / "marked"
        storage().download(key, path)
        data = assertion(said.uses, said.constraints)
        mining_mark(path, form, into, data=data, keys_path=settings().keys_path)
        return MarkedFile(
            into.open("rb"), asset.name if asset else f"{recording.isrc or recording.id}.flac", MIME[form]
        )
