"""Public-domain music as sound, and a small Stable Audio pipeline to learn from it, for benchmarks that train.

The autoencoder is taught a little first, on other pieces than those that a study is about: one of random weights
makes latents in which a denoiser finds nothing but loudness.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import resample_poly
from torch import Tensor

from ground.corpus import FOLDER, catalog
from stemma.models.latent.family import Latent, Sampling
from stemma.music import audio
from stemma.music.render import render
from stemma.proof.canonical import sha256
from stemma.rights.shares import Share
from stemma.rights.snapshot import SnapshotRecording
from stemma.training.dataset import held_out
from stemma.training.material import spread
from stemma.training.profiles import LATENT_PROFILES
from stemma.training.sounds import Sounds
from stemma.training.study import Study

RATE, HOP, FRAMES, CHANNELS = 4000, (4, 8, 8), 64, 8
"""What the pipeline hears: samples a second, samples of a frame (their product), frames and latents of a frame."""
SECONDS = FRAMES * math.prod(HOP) / RATE
PIECES, STUDIED = 280, 96
"""Pieces of the house catalog, and those of them that are learned from; the encoder is taught on the others."""
OWNED = 4
"""Recordings of one owner, all of one style."""
SAMPLING = Sampling(steps=50, guidance=2.0)
Samples = npt.NDArray[np.float32]


def recordings() -> tuple[list[SnapshotRecording], dict[str, bytes]]:
    """The beginnings of the pieces that are studied, as recordings without scores, and their FLAC."""
    rows, sounds = excerpts()
    kept = held_out(rows)
    others = spread([row for row in rows if row.recording not in kept], STUDIED)
    chosen = sorted([*others, *(row for row in rows if row.recording in kept)], key=lambda row: row.recording)
    counts: dict[str, int] = {}
    found = []
    for row in chosen:
        number = counts[row.style] = counts.get(row.style, -1) + 1
        party = f"{row.style} {number // OWNED}"
        shares = tuple(Share(party=party, side=side, ppm=1_000_000) for side in ("master", "publishing"))
        found.append(row.model_copy(update={"shares": shares}))
    return found, {row.recording: sounds[row.recording] for row in found}


def excerpts() -> tuple[list[SnapshotRecording], dict[str, bytes]]:
    """The beginning of every piece, played as the house plays it; kept once made."""
    rows, scores = catalog(PIECES)
    folder = FOLDER / "sounds"
    folder.mkdir(parents=True, exist_ok=True)
    found, sounds = [], {}
    for row in rows:
        path = folder / f"{row.recording}.flac"
        if not path.exists():
            whole = render(scores[row.recording], stems=False).samples
            part = path.with_suffix(".part")
            part.write_bytes(audio.encode(whole[: round(SECONDS * audio.RATE)], audio.RATE, "flac"))
            part.replace(path)
        sound = sounds[row.recording] = path.read_bytes()
        about = {
            "midi_sha256": "",
            "tempo": None,
            "audio_sha256": sha256(sound),
            "duration_ms": round(SECONDS * 1000),
        }
        found.append(row.model_copy(update=about))
    return found, sounds


def pipeline() -> Path:
    """The folder of the pipeline, its autoencoder taught; kept once made."""
    folder = FOLDER / "pipeline"
    if not (folder / "model_index.json").exists():
        rows, sounds = excerpts()
        studied = {row.recording for row in recordings()[0]}
        others = [waves(sounds[row.recording]) for row in rows if row.recording not in studied]
        styles = sorted({row.style for row in rows})
        made = fresh(styles)
        teach(made.vae, torch.from_numpy(np.stack(others)))
        Latent(made, styles, sampling=SAMPLING).save(folder)
    return folder


def fresh(styles: list[str]) -> Any:
    """A pipeline from configurations, whose text encoder knows the words of these styles."""
    from diffusers import (
        AutoencoderOobleck,
        EDMDPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    words = ["<pad>", "</s>", "<unk>", "▁", *dict.fromkeys("▁" + w for s in styles for w in s.split("-"))]
    torch.manual_seed(0)
    tokenizer = T5Tokenizer(vocab=[(word, -float(max(0, i - 2))) for i, word in enumerate(words)], extra_ids=0)
    tokenizer.model_max_length = 8
    return StableAudioPipeline(
        vae=AutoencoderOobleck(
            encoder_hidden_size=2 * CHANNELS, downsampling_ratios=list(HOP), channel_multiples=[1, 2, 4],
            decoder_channels=16, decoder_input_channels=CHANNELS, audio_channels=1, sampling_rate=RATE,
        ),
        text_encoder=T5EncoderModel(
            T5Config(vocab_size=len(words), d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)
        ),
        projection_model=StableAudioProjectionModel(32, 32, 0, 10),
        tokenizer=tokenizer,
        transformer=StableAudioDiTModel(
            sample_size=FRAMES, in_channels=CHANNELS, out_channels=CHANNELS, num_layers=2, attention_head_dim=32,
            num_attention_heads=2, num_key_value_attention_heads=1, cross_attention_dim=32, time_proj_dim=32,
            global_states_input_dim=64, cross_attention_input_dim=32,
        ),
        scheduler=EDMDPMSolverMultistepScheduler(
            sigma_min=0.3, sigma_max=500, sigma_data=1.0, sigma_schedule="exponential", prediction_type="v_prediction",
        ),
    )  # fmt: skip


def waves(sound: bytes) -> Samples:
    """[1, n] of a FLAC, as the autoencoder hears it."""
    samples, rate = audio.decode(sound)
    mono = (samples / 32768).mean(axis=1)
    common = math.gcd(rate, RATE)
    return np.asarray(resample_poly(mono, RATE // common, rate // common)[None], dtype=np.float32)


def teach(vae: Any, sounds: Tensor, *, steps: int = 400, seed: int = 0) -> None:
    """Train an encoder to hear what sounds [n, 1, samples] are made of, frame by frame, at size 1.

    What it is to give are the first principal components of a frame's log spectrum.
    """
    rng = np.random.default_rng(seed)
    vae.encoder.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(vae.encoder.parameters(), lr=3e-3)
    hop, frames = math.prod(HOP), FRAMES // 4
    wanted = _components(sounds[:, 0, : FRAMES * hop], hop)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 20, 2 * (steps - step) / steps)
        rows, starts = rng.integers(len(sounds), size=8), rng.integers(FRAMES - frames, size=8)
        heard = torch.stack([sounds[r, :, s * hop : (s + frames) * hop] for r, s in zip(rows, starts, strict=True)])
        target = torch.stack([wanted[r, :, s : s + frames] for r, s in zip(rows, starts, strict=True)])
        loss = (vae.encode(heard).latent_dist.mode() - target)[:, :, 1:-1].square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.encoder.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            print(f"encoder, step {step}: unexplained {loss.item():.2f}", flush=True)
    vae.eval().requires_grad_(False)
    _to_size(vae, sounds)


def _components(sounds: Tensor, hop: int) -> Tensor:
    """[n, CHANNELS, frames] of sounds [n, samples]."""
    framed = torch.nn.functional.pad(sounds, (hop // 2, hop // 2)).unfold(1, 2 * hop, hop)
    spectra = (torch.fft.rfft(framed * torch.hann_window(2 * hop)).abs() + 0.03).log()
    flat = spectra.reshape(-1, spectra.shape[-1])
    flat = flat - flat.mean(dim=0)
    sizes, axes = torch.linalg.eigh(flat.T @ flat / len(flat))
    found = (flat @ axes[:, -CHANNELS:]) / sizes[-CHANNELS:].sqrt()
    print(f"components hold {sizes[-CHANNELS:].sum() / sizes.sum():.0%} of log spectra")
    return found.view(len(sounds), -1, CHANNELS).transpose(1, 2)


def _to_size(vae: Any, sounds: Tensor) -> None:
    """Make the latents of these sounds 0 in the mean and 1 in size, channel by channel, for the decoder too."""
    with torch.no_grad():
        latents = torch.cat([vae.encode(some).latent_dist.mode() for some in sounds.split(8)])
        mean, size = latents.mean(dim=(0, 2)), latents.std(dim=(0, 2))
        out, into = vae.encoder.conv2, vae.decoder.conv1
        out.weight_g[:CHANNELS] /= size[:, None, None]
        out.bias[:CHANNELS] = (out.bias[:CHANNELS] - mean) / size
        weight = into.weight_g * into.weight_v / into.weight_v.norm(dim=(1, 2), keepdim=True)
        into.bias += (weight * mean[:, None]).sum(dim=(1, 2))
        weight = weight * size[:, None]
        into.weight_v.copy_(weight)
        into.weight_g.copy_(weight.norm(dim=(1, 2), keepdim=True))


def study() -> Study:
    """The quick study of what that pipeline learns from the recordings."""
    rows, sounds = recordings()

    def read(recording: SnapshotRecording) -> bytes:
        return sounds[recording.recording]

    material = Sounds.open(LATENT_PROFILES["quick"], rows, read, pipeline(), FOLDER)
    return Study.open(FOLDER, material, read)
