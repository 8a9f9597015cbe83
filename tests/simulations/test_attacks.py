"""Owners who try to be paid more than their music: what they gain, with the defences and without.

Every world is trained and its store really built.  An attacker's gain is the mean share of their whole
account, over the same pieces, divided by that of the same owner behaving honestly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from attribution.conftest import PLAN
from attribution.toy import VOCABULARY, Toy, bundle, recording, tune
from stemma.attribution.shares import COMMONS, PPB, attribute
from stemma.attribution.store import Store
from stemma.models.protocol import Example

pytestmark = pytest.mark.unit

HONEST, OWNED, DECOYS, PARTS = 8, 3, 8, 2
TARGET = 1.05


def near(midi: bytes, rng: np.random.Generator, changed: int) -> bytes:
    notes = bytearray(midi)
    for place in rng.choice(len(notes), changed, replace=False):
        notes[place] = int(rng.integers(VOCABULARY))
    return bytes(notes)


@dataclass
class Catalog:
    """Eight honest owners of three tunes each, `a` being the one who attacks, and decoys."""

    tunes: dict[str, bytes] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    held_out: list[str] = field(default_factory=list)

    @classmethod
    def honest(cls) -> Catalog:
        rng, made = np.random.default_rng(4), cls()
        for owner in range(HONEST):
            for number in range(OWNED):
                made.add(f"{'abcdefgh'[owner]}{number}", tune(rng, owner), "abcdefgh"[owner])
        for number in range(DECOYS):
            made.add(f"z{number}", tune(rng, number), "z")
            made.held_out.append(f"z{number}")
        return made

    def add(self, name: str, midi: bytes, owner: str) -> None:
        self.tunes[name], self.owners[name] = midi, owner

    def own(self, owner: str) -> list[bytes]:
        return [midi for name, midi in self.tunes.items() if self.owners[name] == owner]


def attacked(how: str) -> Catalog:  # noqa: PLR0912 - one branch an attack
    made, rng = Catalog.honest(), np.random.default_rng(11)
    mine = made.own("a")
    if how == "duplicates":
        for number in range(9):
            made.add(f"a-copy{number}", mine[number % OWNED], "a")
    elif how == "stuffing with noise":
        for number in range(12):
            made.add(f"a-noise{number}", bytes(rng.integers(VOCABULARY, size=32).tolist()), "a")
    elif how == "outlier gradients":
        for number in range(OWNED):
            made.add(f"a{number}", mine[number][:8] + bytes([0, 15] * 28), "a")
    elif how == "split identities":
        for number in range(OWNED):
            made.owners[f"a{number}"] = f"a{number}"
    elif how == "split identities, with copies":
        for number in range(9):
            made.add(f"a-copy{number}", mine[number % OWNED], f"a-copy{number}")
    elif how == "recordings in parts":
        for number, midi in enumerate(mine):
            del made.tunes[f"a{number}"], made.owners[f"a{number}"]
            for part in range(PARTS):
                size = len(midi) // PARTS
                made.add(f"a{number}-part{part}", midi[part * size : (part + 1) * size], "a")
    elif how == "near copies of one's own":
        for number in range(9):
            made.add(f"a-near{number}", near(mine[number % OWNED], rng, 4), "a")
    elif how == "one's own, transposed":
        for number in range(9):
            up = 1 + number // OWNED
            made.add(f"a-up{number}", bytes((n + up) % VOCABULARY for n in mine[number % OWNED]), "a")
    elif how == "pastiche of others":
        for number, name in enumerate(n for n in list(made.tunes) if n[0] in "bcd"):
            made.add(f"a-like{number}", near(made.tunes[name], rng, 8), "a")
    return made


class World:
    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self.catalog = catalog
        released = bundle(folder / "bundle", catalog.tunes, held_out=catalog.held_out, owners=catalog.owners)
        given = [(recording(n, m, catalog.owners[n]), m) for n, m in catalog.tunes.items()]
        self.store = Store.build(released, folder / "store", given, load=Toy.load, plan=PLAN)

    def defended(self, query: Example) -> float:
        """The attacker's part of what is attributed."""
        shares = attribute(self.store, query).shares
        mine = sum(ppb for name, ppb in shares.items() if name != COMMONS and self.catalog.owners[name][0] == "a")
        return mine / PPB

    def paid(self, query: Example) -> float:
        """The attacker's part of all of a piece's money: also of the commons, which is equal for each trained work.

        Exact copies are one work: of a cluster the canonical recording alone comes into a snapshot.
        """
        trained = [n for n in self.catalog.tunes if n not in self.catalog.held_out]
        works = {self.catalog.tunes[n]: self.catalog.owners[n] for n in reversed(trained)}
        equal = sum(owner[0] == "a" for owner in works.values()) / len(works)
        return self.defended(query) + attribute(self.store, query).shares.get(COMMONS, 0) / PPB * equal

    def naive(self, query: Example) -> float:
        """Plain influence: nothing is normalised, clustered or compared with decoys; what is positive is paid."""
        about = self.store.manifest
        lengths = np.mean([np.load(self.store.folder / c.name / "length.npy") for c in about.checkpoints], axis=0)
        scores = np.clip(self.store.scores(query) * lengths, 0, None)[self.store.rows]
        names = [about.recordings[i].recording for i in self.store.rows]
        mine = np.array([self.catalog.owners[name][0] == "a" for name in names])
        return float(scores[mine].sum() / scores.sum())


def queries() -> list[Example]:
    """Pieces near each of the honest owners' tunes."""
    rng = np.random.default_rng(21)
    made = Catalog.honest()
    return [Example(tuple(near(midi, rng, 4))) for name, midi in made.tunes.items() if name not in made.held_out]


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> World:
    torch.set_num_threads(1)
    return World(Catalog.honest(), tmp_path_factory.mktemp("honest"))


def gains(honest: World, world: World) -> tuple[float, ...]:
    asked = queries()
    return tuple(
        float(np.mean([how(world, q) for q in asked]) / np.mean([how(honest, q) for q in asked]))
        for how in (World.naive, World.defended, World.paid)
    )


@pytest.mark.parametrize(
    "how",
    [
        "duplicates",
        "stuffing with noise",
        "outlier gradients",
        "split identities",
        "split identities, with copies",
        "recordings in parts",
        "near copies of one's own",
        "one's own, transposed",
        "pastiche of others",
    ],
)
def test_an_attack_gains_nothing(honest, tmp_path, how):
    naive, defended, paid = gains(honest, World(attacked(how), tmp_path))
    print(f"| {how} | {naive:.2f} | {defended:.2f} | {paid:.2f} |")
    assert defended <= TARGET
