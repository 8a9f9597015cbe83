"""The dual form equals influence by its definition, with a matrix over parameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.attribution.scores import CAP, dual, weights

pytestmark = pytest.mark.unit


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 30), st.sampled_from([0.01, 1.0, 100.0]))
def test_dual_equals_primal(seed, recordings, parameters, damping):
    rng = np.random.default_rng(seed)
    g, query = rng.normal(size=(recordings, parameters)), rng.normal(size=parameters)
    gram = g @ g.T
    fisher = g.T @ g + damping * np.trace(gram) / recordings * np.eye(parameters)
    whitened = np.linalg.solve(np.linalg.cholesky(fisher), g.T).T
    expected = (
        np.linalg.solve(np.linalg.cholesky(fisher), query) @ (whitened / np.linalg.norm(whitened, axis=1)[:, None]).T
    )
    np.testing.assert_allclose(dual(gram, damping)[1], np.linalg.norm(whitened, axis=1), rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose((g @ query) @ dual(gram, damping)[0], expected, rtol=2e-3, atol=1e-4)


def test_size_buys_no_influence():
    rng = np.random.default_rng(1)
    g = rng.normal(size=(6, 40))
    g[0] = g[1]
    loud = g.copy()
    loud[0] *= 100
    query = g[1] + 0.1 * rng.normal(size=40)
    scores = (loud @ query) @ dual(loud @ loud.T, 0.1)[0]
    assert scores[0] <= scores[1] * 1.5


def test_a_recording_without_gradient_scores_zero():
    g = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])
    scores = (g @ np.ones(2)) @ dual(g @ g.T, 1.0)[0]
    assert scores[1] == 0
    assert not dual(np.zeros((3, 3)), 1.0)[0].any()


def test_a_recording_weighs_as_much_as_its_parts():
    """Vectors of ten recordings, and the same with one of them in four parts, pointing any way."""
    rng = np.random.default_rng(2)
    each, parts = np.linalg.norm(rng.normal(size=(10, 40)), axis=1), rng.normal(size=(4, 40)) / 2
    tokens = np.full(10, 96.0)
    each[0] = np.linalg.norm(parts.sum(axis=0))
    whole = weights(each, tokens, tokens)
    split = weights(
        np.concatenate([np.linalg.norm(parts, axis=1), each[1:]]), np.concatenate([np.full(4, 24.0), tokens[1:]]),
        np.concatenate([np.full(4, 24.0), tokens[1:]]),
    )  # fmt: skip
    # A score is divided by the vector's length, so weight times score is a sum over parts where none is capped.
    np.testing.assert_allclose(split[:4] / split[5], np.linalg.norm(parts, axis=1) / each[2], rtol=1e-9)
    np.testing.assert_allclose(whole[0] / whole[2], each[0] / each[2], rtol=1e-9)
    assert whole.mean() == pytest.approx(1)


def test_tokens_not_taken_weigh_too_and_outliers_little():
    lengths = np.array([1.0, 1.0, 50.0, 0.0])
    taken = np.full(4, 96.0)
    found = weights(lengths, taken, np.array([96.0, 960.0, 96.0, 96.0]))
    assert found[1] == pytest.approx(10 * found[0])
    assert found[2] == pytest.approx(CAP * found[0])
    assert found[3] == 0
    assert (weights(np.zeros(4), taken, taken) == 1).all()
