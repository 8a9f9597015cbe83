"""The house family through the same store: real scores, a small decoder, the protocol alone."""

import json

import numpy as np
import pytest
import torch

from stemma.attribution.features import directions, features
from stemma.attribution.manifest import Plan
from stemma.attribution.shares import PPB, attribute
from stemma.attribution.store import Store
from stemma.models.protocol import Example
from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.network import Shape
from stemma.rights.snapshot import Manifest, snapshot_root
from training.ground import SCOPES, recordings


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A model of a dozen works, trained for some seconds."""
    folder = tmp_path_factory.mktemp("symbolic")
    rows, scores = recordings()
    root = snapshot_root(rows)
    model = Symbolic.create({r.style for r in rows}, {}, shape=Shape(width=48, layers=2, heads=2, hidden=96))
    examples = [e for r in rows for e in model.examples(r, scores[r.recording])]
    optimizer = torch.optim.AdamW(model.module.parameters(), lr=3e-3)
    for step in range(1, 41):
        optimizer.zero_grad()
        model.module.train()
        batch = [Example(e.tokens[:128]) for e in examples[step % 2 :: 2]]
        (model.losses(batch).sum() / sum(len(e.tokens) for e in batch)).backward()
        optimizer.step()
        if step % 20 == 0:
            model.save(folder / "checkpoints" / f"step-{step:04}")
    snapshot = Manifest(
        id="s1",
        name="test",
        created_at="2026-11-01T00:00:00.000Z",
        scopes=SCOPES,
        covenant="0" * 64,
        recordings=tuple(sorted(rows, key=lambda r: r.recording)),
        consents={},
        root=root,
    )
    (folder / "manifest.json").write_text(snapshot.model_dump_json())
    about = {"name": "house-symbolic", "version": "1", "family": "symbolic", "snapshot": "s1", "snapshot_root": root}
    (folder / "stemma.json").write_text(json.dumps({**about, "held_out": []}))
    return folder, [(r, scores[r.recording]) for r in rows]


def test_works_lead_to_themselves(released, tmp_path):
    bundle, given = released
    store = Store.build(bundle, tmp_path / "store", given, plan=Plan(rank=16))
    model = Symbolic.load(bundle / "checkpoints" / "step-0040")
    found = []
    for recording, midi in given:
        # The whole first segment, of which the store holds the beginning.
        answer = attribute(store, model.examples(recording, midi)[0])
        assert sum(answer.shares.values()) == PPB
        found.append(int(np.argmax(store.scores(model.examples(recording, midi)[0]))))
    names = [r.recording for r in store.manifest.recordings]
    right = [names[place] == recording.recording for place, (recording, _) in zip(found, given, strict=True)]
    assert np.mean(right) >= 0.75


def test_embeddings_take_part_with_their_whole_gradient(released):
    """The table of tokens by its input side, and the bag that says where a token stands."""
    bundle, given = released
    model = Symbolic.load(bundle / "checkpoints" / "step-0040")
    examples = [Example(model.examples(*one)[0].tokens[:20]) for one in given[:3]]
    where = directions(model, examples, rank=1000, keep=10**9)
    parts = features(model, examples, where)[0].split([b.size for b in where.bases])
    found = {b.layer: (b, part.view(b.outputs.shape[1], -1)) for b, part in zip(where.bases, parts, strict=True)}
    assert {"places", "decoder.model.embed_tokens"} < found.keys()
    places = model.network.places.weight.requires_grad_(True)
    exact = torch.autograd.grad(model.losses(examples[:1]).sum(), places)[0]
    basis, part = found["places"]
    torch.testing.assert_close((basis.outputs @ part @ basis.inputs.T).T, exact, atol=1e-4, rtol=1e-3)


def test_a_piece_longer_than_the_context_is_the_sum_of_its_segments(released):
    bundle, given = released
    model = Symbolic.load(bundle / "checkpoints" / "step-0040")
    whole = [some for r, midi in given if len(some := model.examples(r, midi)) == 1]
    (longest,) = max(whole, key=lambda some: len(some[0].tokens))
    basis = directions(model, [e for some in whole for e in some], rank=8, keep=500)
    short = Symbolic(model.network, {}, limit=len(longest.tokens) // 2)
    by_name = {r.recording: (r, midi) for r, midi in given}
    segments = short.examples(*by_name[longest.recording])
    assert len(segments) > 1
    expected = sum(features(model, [segment], basis) for segment in segments)
    torch.testing.assert_close(features(short, [longest], basis), expected, rtol=1e-3, atol=1e-3)
