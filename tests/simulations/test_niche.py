"""A style of four works among sixty others: what is made in it is traced to it, as training without it confirms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attribution.conftest import PLAN
from attribution.toy import Toy, bundle, recording, train, tune
from stemma.attribution.shares import COMMONS, PPB, attribute
from stemma.attribution.store import Store
from stemma.models.protocol import Example

pytestmark = pytest.mark.unit

COMMON, RARE, DECOYS, ASKED, SEEDS = 60, 4, 9, 12, 2
NICHE = 3
"""The kind of tune that is rare; the three others share the rest."""


def losses(model: Toy, asked: list[Example]) -> float:
    """Mean nats a token."""
    with torch.no_grad():
        return float(np.mean([model.losses([each]).item() / len(each.tokens) for each in asked]))


def test_a_rare_style_is_not_drowned_by_the_common_ones(tmp_path):
    torch.set_num_threads(1)
    rng = np.random.default_rng(8)
    tunes = {f"common{i:02}": tune(rng, i % 3) for i in range(COMMON)}
    tunes |= {f"rare{i}": tune(rng, NICHE) for i in range(RARE)}
    held_out = [f"decoy{i}" for i in range(DECOYS)]
    tunes |= {name: tune(rng, i % 3) for i, name in enumerate(held_out)}
    released = bundle(tmp_path / "bundle", tunes, held_out=held_out)
    store = Store.build(
        released, tmp_path / "store", [(recording(n, m), m) for n, m in tunes.items()], load=Toy.load, plan=PLAN
    )

    def traced(kind: int) -> tuple[float, float]:
        """Of new tunes of this kind the mean parts of the rare works and of the common ones."""
        found = [attribute(store, each).shares for each in asked[kind]]
        whole = {
            name: sum(ppb for shares in found for n, ppb in shares.items() if n.startswith(name)) / len(found) / PPB
            for name in ("rare", "common", COMMONS)
        }
        return whole["rare"], whole["common"] - whole[COMMONS]  # `commons` begins with `common`, too

    asked = {kind: [Example(tuple(tune(rng, kind))) for _ in range(ASKED)] for kind in range(4)}
    rare, others = traced(NICHE)
    elsewhere = [traced(kind) for kind in range(3)]

    trained = [name for name in tunes if name not in held_out]

    def cost(without: list[str]) -> float:
        """How much less likely tunes of the rare kind become without these works, over seeds."""
        left = [tunes[n] for n in trained if n not in without]
        return float(np.mean([losses(train(left, seed=s), asked[NICHE]) for s in range(SEEDS)]))

    base = cost([])
    removed = cost([n for n in trained if n.startswith("rare")]) - base
    random = cost([f"common{i:02}" for i in (0, 16, 32, 48)]) - base
    print(
        f"niche: rare {rare:.3f}, common {others:.3f} of a piece of its kind; of other kinds "
        f"{[tuple(round(p, 3) for p in each) for each in elsewhere]}; cost {removed:+.3f} and {random:+.3f} nats"
    )
    assert removed > 5 * abs(random), "the rare works shape what is made in their style"
    assert rare > 5 * others, "and get what is traced of it, at a sixteenth of the catalog"
    for of_rare, of_common in elsewhere:
        assert of_rare < of_common / COMMON * RARE, "of other styles they get less than their number would give"
