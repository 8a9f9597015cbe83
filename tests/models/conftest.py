"""Small untrained models and real scores."""

from __future__ import annotations

import pytest

from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.network import Shape
from stemma.models.symbolic.score import Score, read_midi
from stemma.models.symbolic.tokens import Layout, Vocabulary
from training.ground import WORKS, music

SHAPE = Shape(width=32, layers=2, heads=2, hidden=48, dropout=0.0)
LAYOUTS = {"chorale": [[52, 52, 52, 52], [19, 19, 19, 19]], "fiddle": [[110]], "piano": [[0, -1]]}


@pytest.fixture(scope="session")
def model() -> Symbolic:
    """A model that has learned nothing: whatever it writes, the grammar must hold."""
    return Symbolic.create(LAYOUTS, LAYOUTS, shape=SHAPE, limit=256, seed=3)


@pytest.fixture(scope="session")
def scores() -> list[tuple[str, str, Score]]:
    """Style, key and score of a dozen real works."""
    assert len(WORKS) == len(music())
    return [(style, key, read_midi(midi)) for style, key, _, midi in music()]


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary(sorted(LAYOUTS))


@pytest.fixture(scope="session")
def layouts(scores) -> list[Layout]:
    return [Layout.of(score, style, key) for style, key, score in scores]
