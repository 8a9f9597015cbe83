"""Latent diffusion behind the protocol: a Stable Audio pipeline of diffusers, in a folder as it saves one.

A segment of music is the latents of its sound, frame by frame, as integers of `GRAIN`, and the prompt as
the text encoder's tokens.  What attribution differentiates is a function of the denoiser's output at
noise levels and with noise that are the same for every example and every checkpoint, so that two
examples differ by what they are and not by what was drawn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import resample_poly
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from stemma.errors import InvalidError, StemmaError
from stemma.models.latent.pipeline import read_pipeline
from stemma.models.protocol import Example, GenerationRequest, Piece
from stemma.music import audio
from stemma.rights.snapshot import SnapshotRecording

GRAIN = 1 / 4096
"""Unit of a latent in an example: latents are of the size of 1, and a model hears no difference so small."""
Samples = npt.NDArray[np.float32]
RATE = audio.RATE
"""Samples a second of what a piece holds."""


@dataclass(frozen=True)
class Functional:
    """What attribution differentiates.

    `loss` is the squared error of the denoiser, as it was trained; `d-trak` the squared length of what it
    puts out, whose gradients predicted retraining better (Zheng et al. 2024).
    """

    functional: Literal["d-trak", "loss"] = "d-trak"
    draws: int = 8
    """Noise levels, evenly between the sound alone and noise alone; each with noise of its own."""
    seed: int = 0


@dataclass(frozen=True)
class Sampling:
    """How a piece is drawn."""

    steps: int = 100
    guidance: float = 7.0


class Latent:
    """A diffusion model of sound, in the folder layout of `Family`."""

    name = "latent"
    balanced = False

    def __init__(
        self,
        pipeline: Any,
        styles: Sequence[str] = (),
        *,
        functional: Functional | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        # A `StableAudioPipeline`, whose parts diffusers declares to no type checker.
        self.pipeline: Any = pipeline
        self._styles = tuple(styles)
        self.functional, self.sampling = functional or Functional(), sampling or Sampling()
        # These are not trained, and no gradient flows into them.
        for part in (pipeline.vae, pipeline.text_encoder, pipeline.projection_model):
            part.eval().requires_grad_(False)
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The pipeline in this folder; nothing is fetched from elsewhere, and weights carry no code."""
        try:
            about = json.loads((folder / "stemma.json").read_text())
            functional = Functional(**about.get("attribution", {}))
            sampling = Sampling(**about.get("sampling", {}))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InvalidError(f"{folder} does not hold a whole latent model: {error}", code="bad-bundle") from error
        return cls(read_pipeline(folder), about.get("styles", ()), functional=functional, sampling=sampling)

    @classmethod
    def create(cls, folder: Path, styles: Iterable[str], *, seed: int = 0) -> Self:
        """A model to train, from a published pipeline: its autoencoder and its text encoder, which stay as they are.

        The denoiser has the pipeline's shape and none of its weights, for what these learned is not in the snapshot;
        the same seed gives the same ones.
        """
        model = cls(read_pipeline(folder), sorted(set(styles)))
        model.forget(seed)
        return model

    def forget(self, seed: int) -> None:
        """Take a denoiser of the same shape that has learned nothing; the same seed gives the same weights."""
        denoiser, device = self.pipeline.transformer, self.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.pipeline.transformer = type(denoiser).from_config(denoiser.config).to(device)

    def save(self, folder: Path, **facts: Any) -> None:
        """Write the pipeline; `facts` join what `stemma.json` says."""
        self.pipeline.save_pretrained(folder, safe_serialization=True)
        about = {
            "family": self.name,
            "styles": self.styles,
            "attribution": asdict(self.functional),
            "sampling": asdict(self.sampling),
            **facts,
        }
        (folder / "stemma.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles it was trained on."""
        return self._styles

    @property
    def module(self) -> torch.nn.Module:
        """The denoiser; the sound's and the text's encoders are not trained and take no part."""
        denoiser: torch.nn.Module = self.pipeline.transformer
        return denoiser

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next(self.module.parameters()).device

    @property
    def channels(self) -> int:
        """Latents of one frame."""
        return int(self.pipeline.transformer.config.in_channels)

    @property
    def frames(self) -> int:
        """Frames of a segment at most."""
        return int(self.pipeline.transformer.config.sample_size)

    # Making

    def generate(self, request: GenerationRequest, *, stop: Callable[[], bool] = lambda: False) -> Piece:
        """A piece of sound.  What is heard is decoded from the example, so that nothing lies between the two."""
        if request.style is not None and request.style not in self.styles:
            raise InvalidError(f"This model knows no style {request.style!r}.", code="unknown-style")
        config = self.pipeline.vae.config
        longest = self.frames * self.pipeline.vae.hop_length / config.sampling_rate
        seconds = longest if request.seconds is None else request.seconds
        if seconds > longest:
            raise InvalidError(
                f"This model makes {longest:.1f} seconds at most.", remedy="Ask for less.", code="too-long"
            )
        prompt = request.prompt or describe(request.style or (self.styles[0] if self.styles else "music"))
        seed = 0 if request.seed is None else request.seed

        def asked(*_: Any) -> None:
            if stop():
                raise InterruptedError

        with torch.no_grad():
            latents = self.pipeline(
                prompt,
                audio_end_in_s=seconds,
                num_inference_steps=self.sampling.steps,
                guidance_scale=self.sampling.guidance,
                generator=torch.Generator().manual_seed(seed),
                callback=asked,
                output_type="latent",
            ).audios[0]
            frames = min(self.frames, math.ceil(seconds * config.sampling_rate / self.pipeline.vae.hop_length))
            example = Example(_tokens(latents[:, :frames]), tuple(map(float, self._words(prompt))))
            sound = self.pipeline.vae.decode(self._latents(example)[None]).sample[0].cpu().numpy()
        sound = _resampled(sound, config.sampling_rate, RATE)[:, : round(seconds * RATE)]
        return Piece(
            style=request.style or "",
            tempo=request.tempo or 0.0,  # nobody knows it of a sound
            key=request.key or "",
            bars=0,
            seed=seed,
            midi=None,
            example=example,
            audio=sound,
        )

    # What attribution asks

    def examples(self, recording: SnapshotRecording, sound: bytes) -> list[Example]:
        """The sound of a recording in segments as long as the model's, each with the words for it."""
        return self.encoded(recording, *audio.decode(sound))

    def encoded(self, recording: SnapshotRecording, samples: audio.Samples, rate: int) -> list[Example]:
        """`examples` of a sound that was decoded already."""
        vae, config = self.pipeline.vae, self.pipeline.vae.config
        wave = _channels((samples / 32768).astype(np.float32), config.audio_channels)
        wave = _resampled(wave, rate, config.sampling_rate)
        size, hop = self.frames * vae.hop_length, vae.hop_length
        condition, found = self.condition(recording), []
        for start in range(0, wave.shape[1], size):
            part = wave[:, start : start + size]
            # The end of a sound is filled up to a whole frame with silence.
            part = np.pad(part, ((0, 0), (0, -part.shape[1] % hop)))
            with torch.no_grad():
                latents = vae.encode(torch.from_numpy(part)[None].to(self.device)).latent_dist.mode()[0]
            if not bool(torch.isfinite(latents).all()):
                raise StemmaError(
                    f"The autoencoder makes of {recording.title} what are no numbers.",
                    remedy="Its weights are broken: fetch the pipeline again.",
                    code="not-finite",
                )
            found.append(Example(_tokens(latents), condition, recording.recording))
        return found

    def condition(self, recording: SnapshotRecording) -> tuple[float, ...]:
        """The words for a recording, as an example has them."""
        return tuple(map(float, self._words(describe(recording.style))))

    def losses(self, examples: Sequence[Example]) -> Tensor:
        """The functional of each example, [len(examples)]: its mean over the draws, summed over latents."""
        draws, count = self.functional.draws, len(examples)
        # One pass for all draws of all examples.
        noise = self._noise.repeat(count, 1, 1)
        with sdpa_kernel(SDPBackend.MATH):
            output, target, mask = self._denoised(examples, self._levels.repeat(count), noise, draws)
        apart = output if self.functional.functional == "d-trak" else output - target
        each: Tensor = (apart.square() * mask[:, None]).sum(dim=(1, 2)) / 2
        return each.view(count, draws).mean(dim=1)

    def errors(self, examples: Sequence[Example], seed: int) -> Tensor:
        """What training lessens: the mean squared error of a latent, [len(examples)], differentiable.

        Each example at a noise level of its own, evenly distributed, with noise of its own; a seed gives both.
        """
        generator = torch.Generator().manual_seed(seed)
        part = torch.rand(len(examples), generator=generator)
        noise = torch.randn(len(examples), self.channels, self.frames, generator=generator)
        output, target, mask = self._denoised(examples, part, noise)
        each: Tensor = ((output - target).square() * mask[:, None]).sum(dim=(1, 2))
        return each / (self.channels * mask.sum(dim=1))

    def silent(self, examples: Sequence[Example]) -> Tensor:
        """The loss of each example where the denoiser puts out nothing, at the noise of `losses`: what to beat."""
        draws, count = self.functional.draws, len(examples)
        clean, mask = (x.repeat_interleave(draws, 0) for x in self._padded([self._latents(e) for e in examples]))
        noise = self._noise.repeat(count, 1, 1)[:, :, : clean.shape[2]].to(self.device)
        _, _, target = self._noised(clean, noise, self._levels.repeat(count).to(self.device))
        each: Tensor = (target.square() * mask[:, None]).sum(dim=(1, 2)) / 2
        return each.view(count, draws).mean(dim=1)

    def _denoised(
        self, examples: Sequence[Example], part: Tensor, noise: Tensor, draws: int = 1
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the denoiser puts out for each draw of each example, what it should, and which frames count.

        `part` says of each draw how noisy it is, 0 for the sound alone to 1 for noise alone; of `noise` [examples *
        draws, channels, frames] as many frames are taken as the longest example has.
        """
        latents = [self._latents(example) for example in examples]
        clean, mask = (x.repeat_interleave(draws, 0) for x in self._padded(latents))
        words, lengths = (x.repeat_interleave(draws, 0) for x in self._conditions(examples, latents))
        longest = clean.shape[2]
        given, times, target = self._noised(clean, noise[:, :, :longest].to(self.device), part.to(self.device))
        output: Tensor = self.pipeline.transformer(
            given,
            times,
            encoder_hidden_states=words,
            global_hidden_states=lengths,
            rotary_embedding=self._rotary(longest + 1),
            attention_mask=None if bool(mask.all()) else mask,
            return_dict=False,
        )[0]
        return output, target, mask

    def _padded(self, latents: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """[examples, channels, frames], and which frames are theirs."""
        longest = max(x.shape[1] for x in latents)
        clean = torch.stack([torch.nn.functional.pad(x, (0, longest - x.shape[1])) for x in latents])
        lengths = torch.tensor([x.shape[1] for x in latents], device=self.device)
        return clean, torch.arange(longest, device=self.device) < lengths[:, None]

    def _latents(self, example: Example) -> Tensor:
        """[channels, frames] of an example; a frame that was cut through is left out."""
        whole = len(example.tokens) // self.channels
        if not 0 < whole <= self.frames:
            raise InvalidError(
                f"An example holds {whole} frames of {self.channels} latents; this model takes 1 to {self.frames}.",
                remedy="Take whole frames, and cut a longer sound into segments.",
                code="bad-example",
            )
        rows = torch.tensor(example.tokens[: whole * self.channels], dtype=torch.float32)
        return rows.view(whole, self.channels).T.contiguous().to(self.device) * GRAIN

    @cached_property
    def _levels(self) -> Tensor:
        """[draws] how noisy each draw is."""
        return (torch.arange(self.functional.draws) + 0.5) / self.functional.draws

    @cached_property
    def _noise(self) -> Tensor:
        """[draws, channels, frames], always the same."""
        generator = torch.Generator().manual_seed(self.functional.seed)
        return torch.randn(self.functional.draws, self.channels, self.frames, generator=generator)

    def _noised(self, clean: Tensor, noise: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the denoiser is given, the time it is told, and what it should put out.

        The scheduler says how: one of EDM by its preconditioning, any other by its steps.
        """
        scheduler: Any = self.pipeline.scheduler
        if hasattr(scheduler, "precondition_outputs"):
            sigma = (torch.tan(part * math.pi / 2) * scheduler.config.sigma_data)[:, None, None]
            noisy = clean + sigma * noise
            none, one = torch.zeros_like(noisy), torch.ones_like(noisy)
            skip = scheduler.precondition_outputs(noisy, none, sigma)
            scale = scheduler.precondition_outputs(none, one, sigma)
            times = scheduler.precondition_noise(sigma).flatten()
            return scheduler.precondition_inputs(noisy, sigma), times, (clean - skip) / scale
        times = (part * scheduler.config.num_train_timesteps).long()
        kind = scheduler.config.prediction_type
        if kind not in ("epsilon", "sample", "v_prediction"):
            raise InvalidError(f"The scheduler's prediction {kind!r} is not known here.", code="bad-bundle")
        noisy = scheduler.add_noise(clean, noise, times)
        target = {"epsilon": noise, "sample": clean}.get(kind)
        return noisy, times, scheduler.get_velocity(clean, noise, times) if target is None else target

    def _conditions(self, examples: Sequence[Example], latents: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Words and lengths as the denoiser takes them; without words it is told nothing, as in guidance."""
        pipe, config = self.pipeline, self.pipeline.vae.config
        with torch.no_grad():
            seconds = [x.shape[1] * pipe.vae.hop_length / config.sampling_rate for x in latents]
            starts, ends = pipe.encode_duration(0.0, seconds, self.device, False, len(examples))
            size = pipe.tokenizer.model_max_length
            ids = torch.full((len(examples), size), pipe.tokenizer.pad_token_id or 0)
            for row, example in enumerate(examples):
                own = torch.tensor([int(word) for word in example.condition[:size]], dtype=torch.long)
                ids[row, : len(own)] = own
            mask = torch.stack([torch.arange(size) < len(e.condition) for e in examples]).long().to(self.device)
            hidden = pipe.text_encoder(ids.to(self.device), attention_mask=mask)[0]
            hidden = pipe.projection_model(text_hidden_states=hidden).text_hidden_states * mask[..., None]
            told = torch.tensor([bool(e.condition) for e in examples], device=self.device)[:, None, None]
            return torch.cat([hidden, starts, ends], dim=1) * told, torch.cat([starts, ends], dim=2)

    def _words(self, prompt: str) -> list[int]:
        tokenizer = self.pipeline.tokenizer
        return list(tokenizer(prompt, truncation=True, max_length=tokenizer.model_max_length).input_ids)

    def _rotary(self, length: int) -> Any:
        from diffusers.models.embeddings import get_1d_rotary_pos_embed

        cos, sin = get_1d_rotary_pos_embed(
            self.pipeline.rotary_embed_dim, length, use_real=True, repeat_interleave_real=False
        )
        return cos.to(self.device), sin.to(self.device)

    def asking(self, functional: Functional) -> Self:
        """The same model, asked by another functional."""
        return type(self)(self.pipeline, self.styles, functional=functional, sampling=self.sampling)


def describe(style: str) -> str:
    """The words for a recording of this style; no work and nobody is named."""
    return style.replace("-", " ")


def _tokens(latents: Tensor) -> tuple[int, ...]:
    """Frame by frame, as integers of `GRAIN`."""
    return tuple((latents.T / GRAIN).round().long().flatten().tolist())


def _channels(samples: Samples, wanted: int) -> Samples:
    """[channels, n] with as many channels as a model hears."""
    rows = samples[None] if samples.ndim == 1 else samples.T
    return rows if len(rows) == wanted else np.repeat(rows.mean(axis=0, keepdims=True), wanted, axis=0)


def _resampled(rows: Samples, rate: int, wanted: int) -> Samples:
    if rate == wanted:
        return rows
    common = math.gcd(rate, wanted)
    return np.asarray(resample_poly(rows, wanted // common, rate // common, axis=1), dtype=np.float32)
