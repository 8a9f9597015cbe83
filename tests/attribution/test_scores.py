"""The dual form equals influence by its definition, with a matrix over parameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.attribution.scores import dual

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
    np.testing.assert_allclose((g @ query) @ dual(gram, damping), expected, rtol=2e-3, atol=1e-4)


def test_size_buys_no_influence():
    rng = np.random.default_rng(1)
    g = rng.normal(size=(6, 40))
    g[0] = g[1]
    loud = g.copy()
    loud[0] *= 100
    query = g[1] + 0.1 * rng.normal(size=40)
    scores = (loud @ query) @ dual(loud @ loud.T, 0.1)
    assert scores[0] <= scores[1] * 1.5


def test_a_recording_without_gradient_scores_zero():
    g = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])
    scores = (g @ np.ones(2)) @ dual(g @ g.T, 1.0)
    assert scores[1] == 0
    assert not dual(np.zeros((3, 3)), 1.0).any()
