"""Attribution predicts what training without a recording does; the score of that can fail."""

import numpy as np
import pytest
import torch

from attribution.conftest import PLAN
from attribution.toy import VOCABULARY, Toy, bundle, recording, train, tune
from stemma.attribution.fidelity import lds
from stemma.attribution.store import Store
from stemma.errors import InvalidError
from stemma.models.protocol import Example

pytestmark = pytest.mark.unit


def measurements(*, noise: float, seed: int = 0):
    """A world that is linear by construction: scores, subsets and what was measured."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(12, 40))
    subsets = rng.random((60, 40)) < 0.5
    truth = subsets @ scores.T
    return scores, subsets, np.stack([truth + noise * rng.normal(size=truth.shape) for _ in range(2)])


def test_a_perfect_prediction():
    found = lds(*measurements(noise=0))
    assert found.lds == pytest.approx(1)
    assert found.ceiling == pytest.approx(1)
    assert found.low <= found.lds <= found.high


def test_noise_of_training_lowers_score_and_ceiling_alike():
    found = lds(*measurements(noise=4))
    assert 0.3 < found.lds < 0.95
    assert found.ratio == pytest.approx(1, abs=0.1)


def test_a_prediction_of_nothing_does_not_pass():
    scores, subsets, measured = measurements(noise=1)
    shuffled = np.random.default_rng(7).permutation(scores.T).T
    found = lds(shuffled, subsets, measured)
    assert abs(found.lds) < 0.2
    assert found.low < 0.1
    assert lds(np.zeros_like(scores), subsets, measured).lds == 0


def test_shapes_must_agree():
    scores, subsets, measured = measurements(noise=1)
    with pytest.raises(InvalidError):
        lds(scores[:, 1:], subsets, measured)
    with pytest.raises(InvalidError):
        lds(scores, subsets, measured[0])


def test_attribution_predicts_training_without(tmp_path):
    """Against 20 retrainings of the toy, on pieces it made itself, and against a similarity of notes."""
    rng = np.random.default_rng(0)
    tunes = {f"r{i:02}": tune(rng, i, 32) for i in range(32)}
    released = bundle(tmp_path / "bundle", tunes)
    given = [(recording(name, midi), midi) for name, midi in tunes.items()]
    store = Store.build(released, tmp_path / "store", given, load=Toy.load, plan=PLAN)
    queries = made(Toy.load(released / "checkpoints" / "step-0120"), 16)

    subsets = np.array([np.isin(np.arange(32), rng.permutation(32)[:16]) for _ in range(20)])
    measured = np.empty((1, len(subsets), len(queries)))
    midis = list(tunes.values())
    for i, subset in enumerate(subsets):
        toy = train([midis[j] for j in np.flatnonzero(subset)], seed=100 + i, steps=80)
        with torch.no_grad():
            measured[0, i] = -toy.losses(queries).numpy()

    found = lds(np.array([store.scores(query) for query in queries]), subsets, measured)
    assert found.lds > found.null
    assert found.lds > 0.1


@torch.no_grad()
def made(toy: Toy, count: int) -> list[Example]:
    """Pieces that the toy makes."""
    generator = torch.Generator().manual_seed(1)
    notes = torch.full((count, 1), VOCABULARY)
    for _ in range(32):
        chances = torch.softmax(toy.module(notes)[:, -1], dim=-1)
        notes = torch.cat([notes, torch.multinomial(chances, 1, generator=generator)], dim=1)
    return [Example(tokens=tuple(row[1:].tolist())) for row in notes]
