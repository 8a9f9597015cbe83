"""The dual form equals influence by its definition; what a recording displaces is a derivative."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.attribution.scores import CAP, Turns, dual

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


def shown(tokens: np.ndarray, whole: np.ndarray | None = None, styles: list[str] | None = None, **other) -> Turns:
    extents = np.stack([tokens, tokens if whole is None else whole], axis=1)
    trained = other.pop("trained", np.ones(len(tokens), dtype=bool))
    return Turns.of(styles or ["one"] * len(tokens), extents, trained, whole=True, **{"balanced": False, **other})


def test_a_recording_weighs_as_much_as_its_parts():
    """Vectors of ten recordings, and the same with one of them in four parts, pointing any way."""
    rng = np.random.default_rng(2)
    each, parts = np.linalg.norm(rng.normal(size=(10, 40)), axis=1), rng.normal(size=(4, 40)) / 2
    tokens = np.full(10, 96.0)
    each[0] = np.linalg.norm(parts.sum(axis=0))
    whole = shown(tokens).reach(each)
    split = shown(np.concatenate([np.full(4, 24.0), tokens[1:]])).reach(
        np.concatenate([np.linalg.norm(parts, axis=1), each[1:]])
    )
    # A score is divided by the vector's length, so reach times score is a sum over parts where none is capped.
    np.testing.assert_allclose(split[:4] / split[5], np.linalg.norm(parts, axis=1) / each[2], rtol=1e-9)
    np.testing.assert_allclose(whole[0] / whole[2], each[0] / each[2], rtol=1e-9)


def test_tokens_not_taken_weigh_too_and_outliers_little():
    lengths = np.array([1.0, 1.0, 50.0, 0.0])
    taken = np.full(4, 96.0)
    found = shown(taken, np.array([96.0, 960.0, 96.0, 96.0])).reach(lengths)
    assert found[1] == pytest.approx(10 * found[0])
    assert found[2] == pytest.approx(CAP * found[0])
    assert found[3] == 0
    assert not shown(taken).reach(np.zeros(4)).any()


@given(st.integers(0, 10**6), st.booleans())
def test_what_counts_is_the_derivative_of_what_a_run_of_fixed_length_learns_from(seed, balanced):
    """Against differences of the objective itself: styles by the root of their tokens, or every token alike."""
    rng = np.random.default_rng(seed)
    count = 12
    tokens = rng.integers(20, 97, count).astype(float)
    styles = ["a", "b", "c", *(rng.choice(["a", "b", "c"], count - 3).tolist())]
    each = rng.normal(size=count)  # what a token of each recording does for the query

    def learned(amounts: np.ndarray) -> float:
        totals, means = [], []
        for style in "abc":
            own = np.array([s == style for s in styles])
            totals.append(amounts[own].sum())
            means.append((amounts * each)[own].sum() / totals[-1])
        weights = np.sqrt(totals) if balanced else np.array(totals)
        return float(weights @ means / weights.sum())

    net, longer = shown(tokens, styles=styles, balanced=balanced).net((each * tokens)[None], np.sqrt(tokens))
    reach = shown(tokens, styles=styles, balanced=balanced).reach(np.sqrt(tokens))
    effect = reach * net[0] / np.sqrt(tokens)
    step = 1e-4
    moved = [tokens * (1 + step * (np.arange(count) == i)) - tokens for i in range(count)]
    expected = [(learned(tokens + more) - learned(tokens - more)) / (2 * step) for more in moved]
    scale = longer[0] / learned(tokens) * count  # in the same unit, the whole run does `learned` for the query
    np.testing.assert_allclose(effect, np.array(expected) * scale, rtol=1e-4, atol=1e-6 * abs(scale))


def test_an_outlier_shifts_what_others_are_held_against_no_more_than_the_cap():
    rng = np.random.default_rng(4)
    products, lengths, tokens = rng.normal(size=(3, 20)), np.ones(20), np.full(20, 96.0)
    plain, _ = shown(tokens).net(products, lengths)
    loud, huge = products.copy(), lengths.copy()
    loud[:, 0], huge[0] = 1e6 * products[:, 0], 1e6
    shifted, _ = shown(tokens).net(loud, huge)
    assert np.abs(shifted - plain)[:, 1:].max() <= CAP * np.abs(products[:, 0]).max() / 20 * (1 + 1e-9)


def test_what_was_held_out_takes_no_turns():
    rng = np.random.default_rng(5)
    products, tokens = rng.normal(size=(2, 8)), np.full(8, 96.0)
    trained = np.arange(8) < 6
    other = products.copy()
    other[:, 6:] += 5
    found = [shown(tokens, trained=trained).net(each, np.ones(8)) for each in (products, other)]
    np.testing.assert_array_equal(found[0][0][:, :6], found[1][0][:, :6])
    np.testing.assert_array_equal(found[0][1], found[1][1])
