"""Features are gradients: checked against autograd over each weight, one example at a time."""

import numpy as np
import pytest
import torch

from attribution.oracle import columns, gradients
from attribution.toy import Toy, tune
from stemma.attribution.features import PARTS, bases, batches, directions, features
from stemma.attribution.scores import precision
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


def test_the_whole_gradient_when_nothing_is_projected_away(toy, examples):
    where = directions(toy, examples, rank=1000, keep=10**9)
    rows, basis = features(toy, examples, where), where.bases
    for row, example in zip(rows, examples, strict=True):
        exact = gradients(toy, example)
        for part, b in zip(row.split([b.size for b in basis]), basis, strict=True):
            outputs, inputs = b.outputs.double().numpy(), columns(b, toy)
            back = outputs @ part.double().numpy().reshape(outputs.shape[1], inputs.shape[1]) @ inputs.T
            np.testing.assert_allclose(back, exact[b.layer], atol=2e-5)
    assert {b.layer for b in basis} == {"embed", "head", *(f"blocks.0.{name}" for name in ("qkv", "out", "up", "down"))}
    assert all(b.kept == pytest.approx(1, abs=1e-6) for b in basis)


def test_a_small_rank_keeps_the_largest_part(toy, examples):
    small = bases(toy, examples, rank=8)
    assert all(b.size <= 64 for b in small if b.layer.startswith("blocks"))
    assert all(0.2 < b.kept < 1 for b in small)


def test_the_coordinates_kept_are_those_that_vary_most(toy, examples):
    whole = directions(toy, examples, rank=1000, keep=10**9)
    some = directions(toy, examples, rank=1000, keep=300)
    assert some.size == 300
    assert sum(len(part) for part in some.inside()) == 300
    torch.testing.assert_close(features(toy, examples, some), features(toy, examples, whole)[:, some.kept])
    torch.testing.assert_close(
        some.second, features(toy, examples, whole).square().mean(0)[some.kept], rtol=1e-3, atol=0
    )
    assert whole.second[some.kept].min() >= whole.second.sort(descending=True).values[299] * (1 - 1e-6)


def test_every_part_of_a_model_has_the_same_say(toy, examples):
    where = directions(toy, examples, rank=1000, keep=10**9)
    squares = features(toy, examples, where).square() * precision(where, 0.03)
    each = torch.stack([squares[:, where.part == number].sum(dim=1).mean() for number in where.part.unique()])
    torch.testing.assert_close(each, torch.ones(len(each)), rtol=1e-3, atol=0)
    assert {PARTS[number] for number in where.part.tolist()} == set(PARTS)


def test_a_broken_checkpoint_is_refused(toy, examples):
    broken = Toy()
    with torch.no_grad():
        broken.module.blocks[0].up.weight[0, 0] = torch.nan
    with pytest.raises(InvalidError) as error:
        directions(broken, examples, rank=4, keep=100)
    assert error.value.code == "bad-gradients"
    with pytest.raises(InvalidError, match="not finite"):
        features(broken, examples, directions(toy, examples, rank=4, keep=100))


def test_an_example_does_not_depend_on_its_batch(toy, examples):
    basis = directions(toy, examples, rank=8, keep=200)
    together = features(toy, examples, basis)
    alone = torch.cat([features(toy, [example], basis) for example in examples])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_directions_are_the_same_every_time(toy, examples):
    first, second = (directions(toy, examples, rank=4, keep=50) for _ in range(2))
    assert torch.equal(first.kept, second.kept)
    assert torch.equal(first.second, second.second)
    assert all(
        torch.equal(a.inputs, b.inputs) and torch.equal(a.outputs, b.outputs)
        for a, b in zip(first.bases, second.bases, strict=True)
    )


def test_an_example_that_runs_as_several_sequences_is_their_sum(toy, examples):
    class Halving(Toy):
        """Runs an example in two halves, as models do with one longer than their context."""

        def losses(self, examples):
            halves = [Example(e.tokens[s]) for e in examples for s in (slice(0, 4), slice(4, None))]
            return super().losses(halves).view(len(examples), 2).sum(dim=1)

    halving = Halving()
    halving.module = toy.module
    basis = directions(toy, examples, rank=8, keep=200)
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
