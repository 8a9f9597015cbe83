import numpy as np
import torch

from stemma.models.symbolic.network import PROMPT, Batch
from stemma.models.symbolic.sampler import Reader, Weights, choose


def test_the_quick_reader_agrees_with_the_network(model, layouts):
    segment = layouts[0].segment(model.network.vocabulary, limit=200)
    prompt = np.random.default_rng(0).normal(size=PROMPT).astype(np.float32)
    batch = Batch.of([segment], model.network.vocabulary, [prompt])
    network = model.network.eval()
    with torch.inference_mode():
        inputs = network.inputs(batch.tokens[:, :-1], batch.features, batch.prompt, batch.prompted)
        expected = network.decoder(inputs_embeds=inputs).logits[0].numpy()
    weights = Weights(network)
    reader = Reader(weights, len(segment.tokens))
    words = [weights.start(prompt), *(weights.words[t] for t in segment.tokens[:-1])]
    found = np.stack([reader.step(w, f) for w, f in zip(words, segment.features.tolist(), strict=True)])
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_only_allowed_tokens_are_drawn():
    rng = np.random.default_rng(1)
    logits = np.array([9.0, 1.0, 0.5, 8.0], dtype=np.float32)
    mask = np.array([False, True, True, False])
    drawn = {choose(logits, mask, temperature=1.0, top_p=1.0, rng=rng) for _ in range(100)}
    assert drawn == {1, 2}


def test_a_small_nucleus_is_the_likeliest_token():
    rng = np.random.default_rng(1)
    logits = np.array([0.0, 2.0, 1.9], dtype=np.float32)
    every = np.ones(3, dtype=bool)
    assert {choose(logits, every, temperature=1.0, top_p=0.1, rng=rng) for _ in range(50)} == {1}
    assert {choose(logits, every, temperature=0.0, top_p=1.0, rng=rng) for _ in range(50)} == {1}


def test_odds_are_those_of_the_logits():
    rng = np.random.default_rng(2)
    logits = np.log(np.array([0.7, 0.2, 0.1], dtype=np.float32))
    every = np.ones(3, dtype=bool)
    drawn = np.bincount([choose(logits, every, temperature=1.0, top_p=1.0, rng=rng) for _ in range(4000)]) / 4000
    np.testing.assert_allclose(drawn, [0.7, 0.2, 0.1], atol=0.03)
