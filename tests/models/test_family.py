import json
from pathlib import Path

import pytest
import torch

from stemma.errors import InvalidError, NotFoundError
from stemma.models import load
from stemma.models.protocol import Example, GenerationRequest
from training.ground import recordings


@pytest.fixture
def folder(model, tmp_path) -> Path:
    model.save(tmp_path / "model", step=7)
    return tmp_path / "model"


def test_a_saved_model_is_the_same_model(model, folder):
    loaded = load(folder)
    request = GenerationRequest(style="chorale", bars=2, seed=9)
    assert loaded.generate(request).midi == model.generate(request).midi
    assert loaded.styles == model.styles


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(NotFoundError):
        load(tmp_path)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer/vocabulary.json", "generation_config.json"]
)
@pytest.mark.parametrize("spoil", ["remove", "truncate"])
def test_a_broken_folder_is_refused(folder, name, spoil):
    path = folder / name
    if spoil == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InvalidError) as error:
        load(folder)
    assert error.value.code == "bad-bundle"


def test_weights_of_another_size_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["shape"]["width"] = 64
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidError):
        load(folder)


def test_an_unknown_family_is_refused(folder):
    (folder / "stemma.json").write_text('{"family": "holographic"}')
    with pytest.raises(InvalidError) as error:
        load(folder)
    assert error.value.code == "unknown-family"


def test_examples_are_the_whole_recording(model):
    rows, scores = recordings()
    found = model.examples(rows[0], scores[rows[0].recording])
    assert all(example.recording == rows[0].recording for example in found)
    assert all(len(example.tokens) <= model.limit for example in found)


def test_losses_do_not_depend_on_the_company(model):
    rows, scores = recordings()
    examples = [e for row in rows[:4] for e in model.examples(row, scores[row.recording])]
    together = model.losses(examples)
    alone = torch.cat([model.losses([example]) for example in examples])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-3)
    assert (together > 0).all()


def test_gradients_reach_the_linear_layers_and_do_not_depend_on_the_company(model):
    rows, scores = recordings()
    examples = [model.examples(row, scores[row.recording])[0] for row in rows[:3]]
    linear = next(m for m in model.module.modules() if isinstance(m, torch.nn.Linear))

    def gradient(company: list[Example]) -> torch.Tensor:
        model.module.zero_grad()
        model.losses(company)[0].backward()
        assert linear.weight.grad is not None
        return linear.weight.grad.clone()

    torch.testing.assert_close(gradient(examples), gradient(examples[:1]), rtol=1e-4, atol=1e-5)
    model.module.zero_grad()


def test_a_piece_longer_than_the_context_has_a_loss(model):
    piece = model.generate(GenerationRequest(style="fiddle", bars=64, seed=0))
    assert len(piece.example.tokens) > model.limit
    loss = model.losses([piece.example])
    assert loss.shape == (1,)
    assert torch.isfinite(loss).all()


def test_prompts_change_the_loss(model):
    piece = model.generate(GenerationRequest(prompt="a chorale", bars=2, seed=1))
    plain = Example(piece.example.tokens)
    with_prompt, without = model.losses([piece.example, plain]).tolist()
    assert with_prompt != without
