"""Features are gradients: checked against autograd over each weight, one example at a time."""

import numpy as np
import pytest
import torch

from attribution.toy import Toy, tune
from stemma.attribution.features import bases, batches, features
from stemma.errors import InvalidError
from stemma.models.protocol import Example

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def toy() -> Toy:
    torch.manual_seed(3)
    return Toy()


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    rng = np.random.default_rng(5)
    return [Example(tokens=tuple(tune(rng, i, 8 + 3 * i))) for i in range(9)]


def gradients(toy: Toy, example: Example) -> dict[str, np.ndarray]:
    """By the definition: the gradient of one example's loss in every weight, in float64."""
    module = toy.module.double().requires_grad_(True)
    module.zero_grad()
    toy.losses([example]).sum().backward()
    found = {
        name: layer.weight.grad.numpy().copy()
        for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }
    module.float()
    return found


def test_the_whole_gradient_when_nothing_is_projected_away(toy, examples):
    basis = bases(toy, examples, rank=1000)
    rows = features(toy, examples, basis)
    for row, example in zip(rows, examples, strict=True):
        exact = gradients(toy, example)
        for part, b in zip(row.split([b.size for b in basis]), basis, strict=True):
            outputs, inputs = b.outputs.double().numpy(), b.inputs.double().numpy()
            back = outputs @ part.double().numpy().reshape(outputs.shape[1], inputs.shape[1]) @ inputs.T
            np.testing.assert_allclose(back, exact[b.layer], atol=2e-5)
    assert {b.layer for b in basis} == {"qkv", "out", "up", "down", "head"}
    assert all(b.kept == pytest.approx(1, abs=1e-6) for b in basis)


def test_a_small_rank_keeps_the_largest_part(toy, examples):
    small = bases(toy, examples, rank=8)
    assert all(b.size <= 64 for b in small)
    assert all(0.2 < b.kept < 1 for b in small)


def test_an_example_does_not_depend_on_its_batch(toy, examples):
    basis = bases(toy, examples, rank=8)
    together = features(toy, examples, basis)
    alone = torch.cat([features(toy, [example], basis) for example in examples])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_directions_are_the_same_every_time(toy, examples):
    first, second = (bases(toy, examples, rank=4) for _ in range(2))
    assert all(
        torch.equal(a.inputs, b.inputs) and torch.equal(a.outputs, b.outputs)
        for a, b in zip(first, second, strict=True)
    )


def test_an_example_that_runs_as_several_sequences_is_their_sum(toy, examples):
    class Halving(Toy):
        """Runs an example in two halves, as models do with one longer than their context."""

        def losses(self, examples):
            halves = [Example(e.tokens[s]) for e in examples for s in (slice(0, 4), slice(4, None))]
            return super().losses(halves).view(len(examples), 2).sum(dim=1)

    halving = Halving()
    halving.module = toy.module
    basis = bases(toy, examples, rank=8)
    expected = sum(features(toy, [Example(examples[0].tokens[s])], basis) for s in (slice(0, 4), slice(4, None)))
    torch.testing.assert_close(features(halving, examples[:2], basis)[:1], expected, rtol=1e-4, atol=1e-5)


def test_batches_hold_every_example_once(examples):
    many = examples * 200
    found = list(batches(many))
    assert sorted(i for batch in found for i in batch) == list(range(len(many)))
    assert len(found) > 1


def test_nothing_to_learn_from(toy):
    with pytest.raises(InvalidError):
        bases(toy, [], rank=4)
