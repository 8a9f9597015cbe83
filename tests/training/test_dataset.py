from collections import Counter

import numpy as np
import pytest

from stemma.errors import StemmaError
from stemma.models.symbolic.tokens import Vocabulary
from stemma.training.baseline import Ngram
from stemma.training.dataset import Dataset, describe, layouts, works
from training.ground import recordings


@pytest.fixture(scope="module")
def found():
    return works(*recordings())


@pytest.fixture(scope="module")
def data(found) -> Dataset:
    return Dataset.of(found, Vocabulary(["chorale", "fiddle"]), limit=200, captions_each=2)


def test_a_work_is_trained_on_or_held_out_never_both(found, data):
    held = {work.recording.work for work in found if work.held_out}
    assert held
    assert held.isdisjoint(work.recording.work for work in found if not work.held_out)
    assert set(data.held_out) == {work.recording.recording for work in found if work.held_out}
    assert len(data.prompts) == len(found) - len(data.held_out)


def test_the_same_pass_is_the_same(data):
    assert data.epoch(3, 1000, 5) == data.epoch(3, 1000, 5)
    assert data.epoch(3, 1000, 5) != data.epoch(4, 1000, 5)


def test_a_pass_has_every_segment_of_the_large_styles_and_fits_the_budget(data):
    batches = data.epoch(0, 1000, 0)
    seen = Counter(index for batch in batches for index in batch)
    small = min(set(data.styles), key=data.styles.count)
    assert {i for i, style in enumerate(data.styles) if style == small} <= set(seen)
    for batch in batches:
        longest = max(len(data.segments[i].tokens) for i in batch)
        assert len(batch) == 1 or longest * len(batch) <= 1000


def test_batches_carry_captions_of_their_works(data):
    rng = np.random.default_rng(0)
    batch = data.batch(list(range(8)), rng, unprompted=0.0)
    assert bool(batch.prompted.all())
    assert not data.batch(list(range(8)), rng, unprompted=1.0).prompted.any()
    own = data.prompts[data.owners[0]]
    assert any(np.allclose(batch.prompt[0].numpy(), option) for option in own)


def test_line_ups_are_those_of_the_works(found):
    assert layouts(found) == {"chorale": [[52, 52, 52, 52]], "fiddle": [[110]]}


def test_captions_never_name_the_work(found):
    for work in found:
        assert all("Work" not in text and "Traditional" not in text for text in describe(work, 20))


def test_one_work_is_too_few():
    rows, scores = recordings()
    with pytest.raises(StemmaError):
        Dataset.of(
            [w.__class__(w.recording, w.score, w.layout, held_out=True) for w in works(rows[:1], scores)],
            Vocabulary(["chorale", "fiddle"]),
            limit=200,
            captions_each=1,
        )


def test_the_ngram_model_is_a_distribution_and_learns(data):
    ngram = Ngram(len(data.vocabulary))
    before = ngram.loss(data.validation)
    ngram.learn(data.segments)
    assert ngram.loss(data.validation) < 0.7 * before
    tokens = data.validation[0].tokens.tolist()
    for context in ((), tuple(tokens[:1]), tuple(tokens[4:8]), (10**6, 1, 2, 3)):
        assert sum(ngram.odds(context, t) for t in range(len(data.vocabulary))) == pytest.approx(1, abs=1e-9)
