"""The made-up rights-holders of the house catalog, and which of them owns what.

The music is old and belongs to everyone; the owners are invented, so that money has somewhere to go
when Stemma is shown.  Every name begins with `Demo:`, every record carries `demo=True`, and none has
an IPI or ISNI: such numbers belong to real people.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

from stemma.catalog.record import PartyRecord, ShareRecord
from stemma.ids import named_id
from stemma.rights.shares import WHOLE, Side

LABELS = ("Copper Kettle Records", "Northgate Sound")
PUBLISHERS = ("Quillfeather Editions", "Ostrich and Anchor Music", "Paper Lantern Publishing")
EDITORS = ("Ada Fernwhistle", "Tobias Marrowby", "Ines Calloway-Reed", "Jonah Pettigrew-Vale")
PERFORMERS: dict[str, tuple[str, ...]] = {
    "chorale": ("Thornbury Singers", "Larkmoor Consort"),
    "polyphony": ("Larkmoor Consort", "Thornbury Singers"),
    "reel": ("Ballyfenn Players", "Holloway Ceilidh Band"),
    "jig": ("Ballyfenn Players", "Saltmarsh Pipers"),
    "hornpipe": ("Holloway Ceilidh Band", "Ballyfenn Players"),
    "air": ("Saltmarsh Pipers", "Holloway Ceilidh Band"),
    "song": ("Saltmarsh Pipers", "Ivy Lane Piano Rooms"),
    "classical": ("Wexcombe Quartet", "Ivy Lane Piano Rooms"),
}


def party(name: str) -> PartyRecord:
    """The demo party of this name."""
    return PartyRecord(id=named_id("party", name), name=f"Demo: {name}", demo=True)


PARTIES: tuple[PartyRecord, ...] = tuple(
    party(name)
    for name in dict.fromkeys((*LABELS, *PUBLISHERS, *EDITORS, *(n for names in PERFORMERS.values() for n in names)))
)
"""The standing cast."""


def shares(recording: str, work: str, style: str) -> tuple[ShareRecord, ...]:
    """Who owns the recording (master) and the work (publishing); always the same for the same names.

    Owners of a work do not depend on the recording, so that two recordings of a work agree on them.
    """
    first, second = PERFORMERS[style]
    performer = (first, first, first, second)[_digit(recording, 0) % 4]
    label = LABELS[_digit(recording, 1) % len(LABELS)]
    producer = EDITORS[_digit(recording, 2) % len(EDITORS)]
    publisher = PUBLISHERS[_digit(work, 0) % len(PUBLISHERS)]
    editor = EDITORS[_digit(work, 1) % len(EDITORS)]
    other = EDITORS[(_digit(work, 1) + 1 + _digit(work, 2) % 3) % len(EDITORS)]
    return (
        *_side("master", recording, (performer, label, producer)),
        *_side("publishing", work, (editor, publisher, other)),
    )


def _side(side: Side, name: str, owners: tuple[str, str, str]) -> list[ShareRecord]:
    """One, two or three owners: alone, half and half, or in uneven parts down to the millionth."""
    pattern = _digit(name, 3) % 5
    if pattern <= 1:
        parts = [WHOLE]
    elif pattern == 2:
        parts = [WHOLE // 2, WHOLE // 2]
    elif pattern == 3:
        parts = [333_334, 333_333, 333_333]
    else:
        cuts = sorted({1 + int(_hash(name)[8 + 6 * i : 14 + 6 * i], 16) % (WHOLE - 1) for i in range(2)})
        parts = [high - low for low, high in pairwise((0, *cuts, WHOLE))]
    return [ShareRecord(party=party(owner), side=side, ppm=ppm) for owner, ppm in zip(owners, parts, strict=False)]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _digit(name: str, place: int) -> int:
    """A number 0…255 that depends on nothing but the name."""
    return int(_hash(name)[2 * place : 2 * place + 2], 16)
