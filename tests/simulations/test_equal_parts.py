"""Other rules for the money that is equal: what an attacker would gain under each, and what honest owners would lose.

The covenant shares it equally per trained work.  Each rule here is a weight of works; the worlds are those of
`test_attacks`, and the gain is of the equal money alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pytest
import torch

from attribution.toy import tune
from simulations.test_attacks import TARGET, Catalog, World, attacked, queries
from stemma.attribution.shares import COMMONS, attribute

pytestmark = pytest.mark.unit

GRAM = 3
"""Notes of an n-gram: tunes here have 32 notes."""
Weights = Mapping[str, float]


def works(catalog: Catalog) -> dict[str, bytes]:
    """Trained works: exact copies are one."""
    found: dict[bytes, str] = {}
    for name, midi in catalog.tunes.items():
        if name not in catalog.held_out:
            found.setdefault(midi, name)
    return {name: midi for midi, name in found.items()}


def per_work(catalog: Catalog, heard: frozenset[str]) -> Weights:
    """The covenant's."""
    return dict.fromkeys(works(catalog), 1.0)


def per_owner(catalog: Catalog, heard: frozenset[str]) -> Weights:
    """Every owner the same, whatever they brought."""
    names = works(catalog)
    count = Counter(catalog.owners[name] for name in names)
    return {name: 1 / count[catalog.owners[name]] for name in names}


def unique(catalog: Catalog, heard: frozenset[str]) -> Weights:
    """A work by the part of its n-grams, the key apart, that no earlier one has."""
    known: set[tuple[int, ...]] = set()
    found = {}
    for name, midi in works(catalog).items():
        steps = tuple((b - a) % 16 for a, b in pairwise(midi))
        grams = [steps[i : i + GRAM] for i in range(len(steps) - GRAM + 1)]
        found[name] = sum(gram not in known for gram in grams) / max(1, len(grams))
        known.update(grams)
    return found


def once_heard(catalog: Catalog, heard: frozenset[str]) -> Weights:
    """A work only if some piece was traced to it."""
    return {name: float(name in heard) for name in works(catalog)}


def new_and_heard(catalog: Catalog, heard: frozenset[str]) -> Weights:
    """Both."""
    return {name: weight * (name in heard) for name, weight in unique(catalog, heard).items()}


RULES: dict[str, Callable[[Catalog, frozenset[str]], Weights]] = {
    "per work": per_work,
    "per owner": per_owner,
    "by what is new in it": unique,
    "of works once traced": once_heard,
    "both": new_and_heard,
}
ATTACKS = (
    "stuffing with noise",
    "near copies of one's own",
    "pastiche of others",
    "one's own, transposed",
    "split identities",
    "recordings in parts",
)


def traced(world: World) -> frozenset[str]:
    """Works that any of the pieces is traced to."""
    return frozenset(name for q in queries() for name in attribute(world.store, q).shares if name != COMMONS)


def part(rule: str, catalog: Catalog, heard: frozenset[str], owner: str = "a") -> float:
    weights = RULES[rule](catalog, heard)
    whole = sum(weights.values())
    return sum(w for name, w in weights.items() if catalog.owners[name][0] == owner) / whole if whole else 0.0


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> tuple[Catalog, frozenset[str]]:
    torch.set_num_threads(1)
    catalog = Catalog.honest()
    return catalog, traced(World(catalog, tmp_path_factory.mktemp("honest")))


def test_no_rule_for_equal_money_withstands_every_attack(honest, tmp_path):
    """Each is gained from by something, or takes all from honest owners whom nothing was traced to."""
    catalog, heard = honest
    base = {rule: part(rule, catalog, heard) for rule in RULES}
    gains: dict[str, dict[str, float]] = {}
    for number, how in enumerate(ATTACKS):
        world = World(attacked(how), tmp_path / str(number))
        theirs = traced(world)
        gains[how] = {rule: part(rule, world.catalog, theirs) / base[rule] for rule in RULES}
    # An honest owner with four times as many works, all new and all traced.
    larger, rng = Catalog.honest(), np.random.default_rng(5)
    for number in range(9):
        larger.add(f"a-more{number}", tune(rng, 0), "a")
    more = heard | {name for name in larger.tunes if name.startswith("a-more")}
    gains["honest: four times the works"] = {rule: part(rule, larger, more) / base[rule] for rule in RULES}
    # One whose works are as new as any, and no piece was traced to them.
    unheard = frozenset(name for name in heard if catalog.owners[name] != "a")
    gains["honest: never traced"] = {rule: part(rule, catalog, unheard) / base[rule] for rule in RULES}
    for how, row in gains.items():
        print(f"| {how} | {' | '.join(f'{row[rule]:.2f}' for rule in RULES)} |")
    print("weights of honest works by what is new:", *(f"{w:.2f}" for w in unique(catalog, heard).values()))
    print("traced:", len(heard), "of", len(works(catalog)))
    for rule in RULES:
        assert max(gains[how][rule] for how in ATTACKS) > TARGET or gains["honest: never traced"][rule] == 0
    assert gains["honest: four times the works"]["per owner"] < 1.5  # of three times what they brought
    assert gains["honest: never traced"]["of works once traced"] == 0
