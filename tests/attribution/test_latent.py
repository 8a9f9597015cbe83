"""Latent diffusion behind the protocol: loaded as published, asked at common noise, traced like any other."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from attribution.toy import recording
from stemma import models
from stemma.attribution.features import directions, features
from stemma.attribution.manifest import Plan
from stemma.attribution.recompute import recompute
from stemma.attribution.shares import COMMONS, PPB, attribute
from stemma.attribution.store import Store
from stemma.errors import InvalidError, ProofError
from stemma.models.latent.family import GRAIN, Functional, Latent, Sampling
from stemma.models.protocol import Example, GenerationRequest
from stemma.music import audio
from stemma.proof.canonical import sha256
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root

FRAMES, CHANNELS, HOP = 16, 4, 256
PARTS = torch.tensor([0.125, 0.375, 0.625, 0.875])
WORDS = ("<pad>", "</s>", "<unk>", "▁", "▁toy", "▁slow")


def tiny(scheduler=None) -> Latent:
    """A Stable Audio pipeline of some thousand parameters, from configurations."""
    from diffusers import (
        AutoencoderOobleck,
        EDMDPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = T5Tokenizer(vocab=[(word, -float(max(0, i - 2))) for i, word in enumerate(WORDS)], extra_ids=0)
        tokenizer.model_max_length = 4
        pipeline = StableAudioPipeline(
            vae=AutoencoderOobleck(
                encoder_hidden_size=2 * CHANNELS,
                downsampling_ratios=[4, 8, 8],
                channel_multiples=[1, 2, 2],
                decoder_channels=4,
                decoder_input_channels=CHANNELS,
            ),
            text_encoder=T5EncoderModel(
                T5Config(vocab_size=len(WORDS), d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
            ),
            projection_model=StableAudioProjectionModel(8, 8, 0, 10),
            tokenizer=tokenizer,
            transformer=StableAudioDiTModel(
                sample_size=FRAMES,
                in_channels=CHANNELS,
                out_channels=CHANNELS,
                num_layers=2,
                attention_head_dim=8,
                num_attention_heads=2,
                num_key_value_attention_heads=1,
                cross_attention_dim=8,
                time_proj_dim=8,
                global_states_input_dim=16,
                cross_attention_input_dim=8,
            ),
            scheduler=scheduler
            or EDMDPMSolverMultistepScheduler(
                sigma_min=0.3, sigma_max=500, sigma_data=1.0, sigma_schedule="exponential",
                prediction_type="v_prediction",
            ),
        )  # fmt: skip
    return Latent(pipeline, ["toy"], functional=Functional(draws=4), sampling=Sampling(steps=3, guidance=2.0))


def sound(number: int) -> bytes:
    """Stereo noise with a shape of its own, as long as one segment."""
    rng = np.random.default_rng(number)
    wave = rng.normal(size=(FRAMES * HOP, 2)) * (1 + np.sin(np.arange(FRAMES * HOP) / (40 + 35 * number)))[:, None]
    return audio.encode((4000 * wave).clip(-32000, 32000).astype(np.int16), 44_100, "flac")


def sounding(name: str, content: bytes) -> SnapshotRecording:
    return recording(name, b"").model_copy(update={"audio_sha256": sha256(content), "midi_sha256": "1" * 64})


@dataclass(frozen=True)
class World:
    sounds: dict[str, bytes]
    model: Latent
    bundle: Path
    store: Store
    examples: dict[str, Example]

    @property
    def given(self) -> list[tuple[SnapshotRecording, bytes]]:
        return [(sounding(name, content), content) for name, content in self.sounds.items()]


@pytest.fixture(scope="module")
def heard(tmp_path_factory) -> World:
    """The tiny model trained on ten sounds, with its checkpoints and its store; five more are decoys."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("latent")
    sounds = {f"s{i:02}": sound(i) for i in range(15)}
    model = tiny()
    examples = {name: model.examples(sounding(name, content), content)[0] for name, content in sounds.items()}
    trained = list(examples.values())[:10]
    denoiser = model.module.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=3e-3)
    bundle = place / "bundle"
    for step in range(1, 61):
        optimizer.zero_grad()
        # Other noise at every step, as diffusion models are trained.
        model.asking(Functional("loss", draws=4, seed=step)).losses(trained).sum().backward()
        optimizer.step()
        if step % 30 == 0:
            model.save(bundle / "checkpoints" / f"step-{step:04}")
    rows = tuple(sounding(name, content) for name, content in sorted(sounds.items()))
    manifest = Manifest(
        id="s1", name="sounds", created_at="2026-11-01T00:00:00.000Z", scopes=("ai_training",), covenant="0" * 64,
        recordings=rows, consents={}, root=snapshot_root(rows),
    )  # fmt: skip
    (bundle / "manifest.json").write_text(manifest.model_dump_json())
    about = {"name": "sounds", "version": "1", "snapshot": "s1", "snapshot_root": manifest.root, "held_out": []}
    model.save(bundle, **{**about, "held_out": sorted(sounds)[10:], "checkpoints": ["step-0030", "step-0060"]})
    given = [(sounding(name, content), content) for name, content in sounds.items()]
    store = Store.build(bundle, place / "store", given, plan=Plan(tokens=FRAMES * CHANNELS, keep=2048, shard=6))
    return World(sounds, model, bundle, store, examples)


def test_it_is_loaded_as_it_is_published(heard):
    """Through `from_pretrained` of a folder, by the name in its `stemma.json`; and it says the same."""
    loaded = models.load(heard.bundle)
    assert isinstance(loaded, Latent)
    assert (loaded.styles, loaded.functional, loaded.sampling) == (("toy",), Functional(draws=4), Sampling(3, 2.0))
    some = list(heard.examples.values())[:3]
    with torch.no_grad():
        torch.testing.assert_close(loaded.losses(some), heard.model.losses(some))


def test_a_broken_folder_is_refused(heard, tmp_path):
    for number, gone in enumerate(("transformer/config.json", "model_index.json", "vae")):
        folder = tmp_path / str(number)
        shutil.copytree(heard.bundle, folder)
        shutil.rmtree(folder / gone) if (folder / gone).is_dir() else (folder / gone).unlink()
        with pytest.raises(InvalidError) as error:
            models.load(folder)
        assert error.value.code == "bad-bundle"


def test_what_is_traced_leads_to_its_sound(heard):
    """A sound a little changed is traced to its original first; decoys get no share; it is recomputed exactly."""
    assert heard.store.manifest.method == "ekfac/3+d-trak"
    rng = np.random.default_rng(5)
    first, names = [], list(heard.sounds)[:10]
    for name in names:
        known = heard.examples[name]
        near = Example(tuple(int(t + rng.normal() * 0.004 / GRAIN) for t in known.tokens), known.condition)
        found = heard.store.scores(near)[heard.store.rows]
        first.append(names[int(np.argmax(found))])
        answer = attribute(heard.store, near)
        assert sum(answer.shares.values()) == PPB
        assert set(answer.shares) <= {*names, COMMONS}
        assert answer.intervals.keys() == answer.shares.keys()
    assert np.mean([a == b for a, b in zip(first, names, strict=True)]) >= 0.9


def test_it_is_recomputed_to_the_part_per_billion(heard):
    example = heard.model.generate(GenerationRequest(style="toy", seed=4)).example
    fact = {"generation": "g1", **attribute(heard.store, example).fact_fields()}
    said = {"tokens": list(example.tokens), "condition": list(example.condition)}
    assert recompute(said, json.loads(json.dumps(fact)), heard.store).apart == 0


def test_a_piece_is_heard_as_it_is_traced(heard):
    """The same seed makes the same sound, and the example is what was decoded."""
    piece, again = (heard.model.generate(GenerationRequest(prompt="slow toy", seed=7)) for _ in range(2))
    assert piece.audio.shape == (2, FRAMES * HOP)
    assert np.isfinite(piece.audio).all()
    np.testing.assert_array_equal(piece.audio, again.audio)
    assert piece.example == again.example
    assert len(piece.example.tokens) == FRAMES * CHANNELS
    assert piece.midi is None
    assert sum(attribute(heard.store, piece.example).shares.values()) == PPB
    other = heard.model.generate(GenerationRequest(style="toy", seed=8))
    assert other.example != piece.example
    with pytest.raises(InvalidError, match="seconds at most"):
        heard.model.generate(GenerationRequest(seconds=5))
    with pytest.raises(InvalidError, match="no style"):
        heard.model.generate(GenerationRequest(style="jig"))
    with pytest.raises(InterruptedError):
        heard.model.generate(GenerationRequest(), stop=lambda: True)


def test_examples_do_not_influence_one_another(heard):
    """Padding is masked, and noise does not depend on who else is asked."""
    a, b, c = list(heard.examples.values())[:3]
    short = Example(b.tokens[: 5 * CHANNELS], b.condition)
    cut = Example((*short.tokens, 1, 2), b.condition)  # a frame cut through
    bare = Example(c.tokens)
    for functional in (Functional(draws=3), Functional("loss", draws=3)):
        model = heard.model.asking(functional)
        with torch.no_grad():
            together = model.losses([a, short, bare, cut])
            alone = torch.cat([model.losses([each]) for each in (a, short, bare, short)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        assert float(together[2]) != pytest.approx(float(model.losses([c]).detach()), rel=1e-6)  # words are heard


def test_features_are_gradients_of_the_functional(heard):
    """The hooked, draw-by-draw products against autograd of the whole weight matrix."""
    model = heard.model.asking(Functional("loss", draws=3))
    some = list(heard.examples.values())[:4]
    where = directions(model, some, rank=1000, keep=10**9)
    rows = features(model, some, where)
    sizes = [basis.size for basis in where.bases]
    at = [b.layer for b in where.bases].index("transformer_blocks.1.ff.net.2")
    basis, layer = where.bases[at], model.module.get_submodule("transformer_blocks.1.ff.net.2")
    layer.weight.requires_grad_(True)
    for i, example in enumerate(some):
        (gradient,) = torch.autograd.grad(model.losses([example]).sum(), [layer.weight])
        found = torch.split(rows[i], sizes)[at].view(basis.outputs.shape[1], basis.inputs.shape[1])
        torch.testing.assert_close(found, basis.outputs.T @ gradient @ basis.inputs, rtol=1e-3, atol=1e-4)
    layer.weight.requires_grad_(False)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_other_schedulers_say_how_they_noise(heard, kind):
    """DDPM's steps: a perfect output has no loss, and the loss is that of the scheduler's own target."""
    from diffusers import DDPMScheduler

    model = tiny(DDPMScheduler(num_train_timesteps=100, prediction_type=kind)).asking(Functional("loss", draws=4))
    example = heard.examples["s00"]
    clean = model._latents(example)[None].repeat(4, 1, 1)
    given, times, target = model._noised(clean, model._noise, PARTS)
    assert times.tolist() == [12, 37, 62, 87]
    back = DDPMScheduler(num_train_timesteps=100, prediction_type=kind, clip_sample=False)
    for i in range(4):
        found = back.step(target[i], int(times[i]), given[i], generator=torch.Generator()).pred_original_sample
        torch.testing.assert_close(found, clean[i], rtol=1e-3, atol=1e-3)
    assert torch.isfinite(model.losses([example])).all()


def test_the_target_of_edm_restores_the_sound(heard):
    clean = heard.model._latents(heard.examples["s01"])[None].repeat(4, 1, 1)
    _, times, target = heard.model._noised(clean, heard.model._noise, PARTS)
    scheduler = heard.model.pipeline.scheduler
    sigma = torch.exp(4 * times)[:, None, None]  # the inverse of its 0.25 ln σ
    noisy = clean + sigma * heard.model._noise
    torch.testing.assert_close(scheduler.precondition_outputs(noisy, target, sigma), clean, rtol=1e-3, atol=1e-3)


def test_what_is_no_segment_is_refused(heard):
    for tokens in ((), (1, 2), tuple(range((FRAMES + 1) * CHANNELS))):
        with pytest.raises(InvalidError, match="frames of 4 latents"):
            heard.model.losses([Example(tokens)])
    with pytest.raises(InvalidError, match="no readable sound"):
        heard.model.examples(sounding("x", b"x"), b"x")


def test_a_long_mono_sound_of_another_rate_is_cut_into_segments(heard):
    wave = (3000 * np.random.default_rng(1).normal(size=(int(2.5 * FRAMES * HOP / 2), 1))).astype(np.int16)
    found = heard.model.examples(sounding("x", b""), audio.encode(wave, 22_050, "flac"))
    assert [len(e.tokens) // CHANNELS for e in found] == [FRAMES, FRAMES, FRAMES // 2]
    assert {e.recording for e in found} == {"x"}


def test_the_store_is_made_of_the_snapshots_sounds(heard, tmp_path):
    (first, content), *rest = heard.given
    with pytest.raises(ProofError, match="sounds are not those of the snapshot"):
        Store.build(heard.bundle, tmp_path / "store", [(first, content + b"\0"), *rest])
    mixed = tmp_path / "bundle"
    shutil.copytree(heard.bundle, mixed)
    about = mixed / "checkpoints" / "step-0060" / "stemma.json"
    about.write_text(about.read_text().replace("d-trak", "loss"))
    with pytest.raises(InvalidError, match="different functionals"):
        Store.build(mixed, tmp_path / "store", heard.given)
