"""How a model that makes sound learns: latents of the snapshot's recordings, noise, what is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from stemma.errors import InvalidError, NotFoundError, StemmaError
from stemma.models.content import content_key
from stemma.models.latent.family import RATE, Functional, Latent
from stemma.models.latent.pipeline import PARTS
from stemma.models.protocol import Example, GenerationRequest
from stemma.music import audio, echoes
from stemma.proof.canonical import digest, sha256
from stemma.provenance.release import file_sha256
from stemma.rights.snapshot import Offence, SnapshotRecording
from stemma.storage import Storage
from stemma.training.dataset import held_out
from stemma.training.gate import Clearance, GateRefusal, Progress
from stemma.training.learn import WORK
from stemma.training.material import spread
from stemma.training.presets import LatentPreset

JUDGED = 64
"""Segments that figures are taken of at most, evenly over all."""
Frames = npt.NDArray[np.int32]
Sounds = Iterable[tuple[str, bytes]]
"""Recordings' names and their FLAC, read once."""


@dataclass(frozen=True)
class LatentFigures:
    """Everything that evaluation says of a model that makes sound."""

    error: float
    """Squared error of a latent of works held out, at noise levels evenly from none to nothing else."""
    silent_error: float
    """The same where the denoiser puts out nothing."""
    error_trained: float
    """That of segments it learned from."""
    sounding: float
    """Share of generated pieces that are to be heard."""
    longest_echo_ms: int
    """Longest stretch that any generated piece shares with a recording of the snapshot (`stemma.music.echoes`)."""

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """As flat names and numbers, for tracking."""
        return {f"eval.{name}": float(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Segment:
    """Where the latents of a stretch of a recording lie."""

    path: Path
    start: int
    """First frame."""
    end: int
    recording: SnapshotRecording
    condition: tuple[float, ...]

    def example(self, *, prompted: bool = True) -> Example:
        """It as the model sees it."""
        rows: Frames = np.load(self.path, mmap_mode="r")[self.start : self.end]
        return Example(rows.ravel().tolist(), self.condition if prompted else (), self.recording.recording)


class LatentCourse:
    """A denoiser with the latents of what it is to learn."""

    metric = "error"
    """Name of what `validate` gives."""

    def __init__(
        self,
        model: Latent,
        preset: LatentPreset,
        segments: Sequence[Segment],
        kept: frozenset[str],
        *,
        pipeline: str = "",
        sounds: Sounds = (),
        bundle: Path = Path(),
    ) -> None:
        """`segments` of recordings in `kept` are for validation; what follows is told or used at the end of a run."""
        self.model, self.preset, self._pipeline = model, preset, pipeline
        self._sounds, self._bundle = sounds, bundle
        self.segments = [s for s in segments if s.recording.recording not in kept]
        self.validation = [s for s in segments if s.recording.recording in kept]
        self.held_out = tuple(dict.fromkeys(s.recording.recording for s in self.validation))
        if not self.segments:
            raise StemmaError("The snapshot is too small to train on.", remedy="Train on two works at least.")

    @classmethod
    def open(
        cls,
        clearance: Clearance,
        preset: LatentPreset,
        pipeline: Path,
        run: Path,
        *,
        name: str,
        store: Storage,
        progress: Progress,
    ) -> Self:
        """A fresh denoiser in a pipeline, and the latents of a cleared snapshot, which lie in the folder of the run.

        What lies there already is not made again.  `name` is what the pipeline is called in what is told of it.  Raises
        `GateRefusal` with every recording whose sound cannot be learned from.
        """
        recordings = clearance.manifest.recordings
        model = Latent.create(pipeline, {r.style for r in recordings}, seed=preset.seed)
        if torch.cuda.is_available():
            model.pipeline.to("cuda")
        segments, bad = encode(
            model, recordings, lambda r: store.get(content_key(r, "sound")), run / WORK, progress=progress
        )
        if bad:
            raise GateRefusal(clearance.manifest.id, bad)
        contents = ((r.recording, store.get(content_key(r, "sound"))) for r in recordings)
        return cls(
            model,
            preset,
            segments,
            held_out(recordings),
            pipeline=name,
            sounds=contents,
            bundle=run / "model",
        )

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for the denoiser."""
        parameters = list(self.model.module.parameters())
        preset = self.preset
        return [torch.optim.AdamW(parameters, lr=preset.adam, betas=(0.9, 0.99), weight_decay=preset.weight_decay)]

    def batches(self, epoch: int) -> list[list[int]]:
        """Every segment once, in an order of this pass."""
        order = np.random.default_rng((self.preset.seed, epoch)).permutation(len(self.segments)).tolist()
        return [order[i : i + self.preset.batch] for i in range(0, len(order), self.preset.batch)]

    def loss(self, batch: Sequence[int], rng: np.random.Generator) -> tuple[torch.Tensor, int]:
        """Squared error of a latent, at noise levels of chance."""
        prompted = rng.random(len(batch)) >= self.preset.unprompted
        some = [self.segments[i].example(prompted=bool(told)) for i, told in zip(batch, prompted, strict=True)]
        frames = max(len(e.tokens) for e in some) // self.model.channels
        return self.model.errors(some, int(rng.integers(2**62))).mean(), frames * len(some)

    # What a run asks beside learning

    def described(self) -> dict[str, Any]:
        """What it learns from, in numbers."""
        frames = sum(s.end - s.start for s in self.segments)
        return {"segments": len(self.segments), "training_frames": frames, "pipeline": self._pipeline}

    def facts(self) -> dict[str, Any]:
        """What a release must tell beside: whose autoencoder and text encoder it has, which learned elsewhere."""
        return {"pipeline": {"name": self._pipeline, "sha256": self.preset.pipeline}}

    def validate(self) -> float:
        """Squared error of a latent of works that were held out."""
        return self._errors(spread(self.validation, JUDGED))[0]

    def judge(self, progress: Progress) -> LatentFigures:
        """The figures of the finished model.

        What its pieces are held against here and later is laid beside where the model will be.
        """
        error, silent = self._errors(spread(self.validation, JUDGED))
        trained, _ = self._errors(spread(self.segments, JUDGED))
        wanted = [(style, seed) for style in self.model.styles for seed in range(self.preset.samples)]
        progress(0, None, "the recordings, to hold pieces against")
        self._bundle.mkdir(parents=True, exist_ok=True)
        recordings = echoes.Echoes.build(self._sounds, folder=self._bundle)
        recordings.save(self._bundle / echoes.FILE)
        sounding = longest = 0
        for done, (style, seed) in enumerate(wanted, 1):
            made = self.model.generate(GenerationRequest(style=style, seed=seed)).audio
            assert made is not None  # noqa: S101 - this family makes sound
            if np.isfinite(made).all():
                samples = audio.samples_of(made)
                sounding += audio.loudness(samples) > audio.SILENCE
                longest = max(longest, recordings.compare(samples, RATE).echo.ms)
            progress(done, len(wanted), f"listening to {style}")
        return LatentFigures(error, silent, trained, sounding / max(1, len(wanted)), longest)

    def _errors(self, segments: Sequence[Segment]) -> tuple[float, float]:
        """Of a latent: the model's, and that of silence."""
        if not segments:
            return 0.0, 0.0
        model = self.model.asking(Functional("loss"))
        training = model.module.training
        model.module.eval()
        sums = np.zeros(2)
        with torch.no_grad():
            for start in range(0, len(segments), 4):
                some = [s.example() for s in segments[start : start + 4]]
                sums += [float(model.losses(some).double().sum()), float(model.silent(some).double().sum())]
        model.module.train(training)
        error, silent = 2 * sums / sum((s.end - s.start) * self.model.channels for s in segments)
        return float(error), float(silent)


def summary(facts: dict[str, Any]) -> str:
    """A finished run in one line for people."""
    figures = facts["figures"]
    return (
        f"{facts['steps']} steps, {facts['tokens_per_second']:,.0f} frames/s; held-out works have a squared error of "
        f"{figures['error']:.3f} a latent (silence {figures['silent_error']:.3f}); "
        f"{figures['sounding']:.0%} of pieces sound; longest shared stretch {figures['longest_echo_ms'] / 1000:.1f} s"
    )


def pipeline_digest(folder: Path) -> str:
    """SHA-256 that names what of a pipeline goes into a model: every file of its parts."""
    files = [p for part in PARTS for p in sorted((folder / part).rglob("*")) if p.is_file()]
    return digest({p.relative_to(folder).as_posix(): file_sha256(p) for p in files})


def encode(
    model: Latent,
    recordings: Sequence[SnapshotRecording],
    sounds: Callable[[SnapshotRecording], bytes],
    folder: Path,
    *,
    progress: Progress,
) -> tuple[list[Segment], list[Offence]]:
    """The segments of recordings, whose latents lie in the folder, and what keeps others from being learned from.

    What lies there already is not made again.
    """
    segments: list[Segment] = []
    bad: list[Offence] = []
    for done, recording in enumerate(recordings):
        progress(done, len(recordings), "listening to recordings")
        path = folder / f"{recording.audio_sha256}.npy"
        if not path.exists():
            found = _latents(model, recording, sounds)
            if isinstance(found, Offence):
                bad.append(found)
                continue
            _keep(path, found)
        segments += cut(path, recording, model)
    return segments, bad


def cut(path: Path, recording: SnapshotRecording, model: Latent) -> Iterator[Segment]:
    """As `Latent.examples` cuts the latents of a recording, which lie in this file."""
    total, condition = len(np.load(path, mmap_mode="r")), model.condition(recording)
    for start in range(0, total, model.frames):
        yield Segment(path, start, min(total, start + model.frames), recording, condition)


def _latents(
    model: Latent, recording: SnapshotRecording, sounds: Callable[[SnapshotRecording], bytes]
) -> Frames | Offence:
    """All frames of a recording, or why the model cannot learn from it."""

    def offence(rule: str, reason: str, remedy: str) -> Offence:
        return Offence(recording=recording.recording, title=recording.title, rule=rule, reason=reason, remedy=remedy)

    try:
        content = sounds(recording)
    except NotFoundError:
        key = content_key(recording, "sound")
        return offence("missing-content", f"Its audio {key} is gone.", "Import the recording again.")
    if sha256(content) != recording.audio_sha256:
        return offence("content-hash", "The bytes of its audio changed since the gate.", "Import the recording again.")
    wanted = int(model.pipeline.vae.config.sampling_rate)
    try:
        samples, rate = audio.decode(content)
        if rate < wanted:
            return offence(
                "sample-rate",
                f"Its audio has {rate:,} samples a second, and the model hears {wanted:,}: its treble is missing.",
                f"Bring it with {wanted:,} or more, or make a snapshot without it.",
            )
        examples = model.encoded(recording, samples, rate)
    except InvalidError as error:
        return offence("unreadable-audio", error.message, error.remedy)
    if not examples:
        return offence("empty-audio", "Its audio holds no sound.", "Bring it again, or make a snapshot without it.")
    return np.concatenate([np.array(e.tokens, dtype=np.int32).reshape(-1, model.channels) for e in examples])


def _keep(path: Path, frames: Frames) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, frames)
    part.replace(path)
