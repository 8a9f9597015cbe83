"""What a study of a model that makes sound is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from stemma.attribution.manifest import PLANS
from stemma.errors import InvalidError
from stemma.models.latent.family import Functional, Latent
from stemma.models.latent.pipeline import PARTS
from stemma.models.protocol import Example, Family, GenerationRequest
from stemma.proof.canonical import digest
from stemma.provenance.release import file_sha256
from stemma.rights.snapshot import SnapshotRecording
from stemma.training.dataset import held_out
from stemma.training.gate import Progress, silent
from stemma.training.latent import LatentCourse, Segment, cut, encode
from stemma.training.material import OTHER, OURS, SISTERS, Matrix, Read, Way, by, cosine, spread
from stemma.training.presets import AnyPreset, LatentPreset
from stemma.training.profiles import Profile

MEASURED = Functional("loss", draws=16, seed=1)
"""What a query's likelihood is read from: the error itself, whatever attribution differentiates, at other noise."""


@dataclass(frozen=True)
class Sounds:
    """Sounds of a snapshot as latents of a pipeline's autoencoder; made by `Sounds.open`."""

    profile: Profile
    recordings: list[SnapshotRecording]
    held_out: list[SnapshotRecording]
    bundle: Path
    """The release (or pipeline) whose autoencoder and text encoder are taken as they are."""
    place: Path
    """Where the latents of recordings lie, a file each."""
    segments: list[Segment]
    beside: Mapping[str, Any]
    functional: Functional
    """What the release's attribution differentiates."""

    family = "latent"
    rival = "latents"

    @classmethod
    def open(
        cls,
        profile: Profile,
        recordings: Sequence[SnapshotRecording],
        sounds: Read,
        bundle: Path,
        folder: Path,
        *,
        progress: Progress = silent,
    ) -> Self:
        """Of a snapshot's recordings as many as the profile takes; their latents are made once, below `folder`.

        Raises `InvalidError` for a recording that cannot be learned from.
        """
        rows = sorted(recordings, key=lambda r: r.recording)
        kept = held_out(rows)
        trained = spread([r for r in rows if r.recording not in kept], profile.works)
        others = spread([r for r in rows if r.recording in kept], profile.held)
        model = _model(bundle)
        pipeline = _digest(bundle)
        place = folder / f"latents-{pipeline[:16]}"
        _, bad = encode(model, [*trained, *others], sounds, place, progress=progress)
        if bad:
            raise InvalidError(
                f"{len(bad)} recordings cannot be learned from, first {bad[0].title}: {bad[0].reason}",
                remedy=bad[0].remedy,
                code=bad[0].rule,
            )
        segments = [s for r in trained for s in spread(list(_segments(place, r, model)), profile.segments)]
        beside = {"pipeline": pipeline, "sampling": asdict(model.sampling)}
        return cls(profile, trained, others, bundle, place, segments, beside, model.functional)

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """The recording of each segment."""
        place = {r.recording: row for row, r in enumerate(self.recordings)}
        return np.array([place[s.recording.recording] for s in self.segments])

    def course(self, preset: AnyPreset, segments: Sequence[int] | None = None) -> LatentCourse:
        """A fresh denoiser with these segments."""
        assert isinstance(preset, LatentPreset)  # noqa: S101 - profiles for models that make sound hold nothing else
        model = _model(self.bundle)
        model = Latent(
            model.pipeline,
            sorted({r.style for r in self.recordings}),
            functional=model.functional,
            sampling=model.sampling,
        )
        model.forget(preset.seed)
        some = self.segments if segments is None else [self.segments[i] for i in segments]
        return LatentCourse(model, preset, some, frozenset())

    def load(self, folder: Path) -> Latent:
        """The model in a checkpoint, for which recordings were encoded before."""
        model = _Encoded.load(folder)
        model.place = self.place
        return model

    def examples(self) -> list[list[Example]]:
        """Segments of each recording, with the words for it."""
        found: list[list[Example]] = [[] for _ in self.recordings]
        for segment, row in zip(self.segments, self.rows.tolist(), strict=True):
            found[row].append(segment.example())
        return found

    def query(self, model: Family, style: str, seed: int) -> Example:
        """A piece as long as the model makes them."""
        assert isinstance(model, Latent)  # noqa: S101 - as `load` gives it
        _to_gpu(model)
        return model.generate(GenerationRequest(style=style, seed=seed)).example

    def held(self) -> list[Example]:
        """The beginnings of what was held out, with the words for it."""
        model = _model(self.bundle)
        return [replace(next(_segments(self.place, r, model)).example(), recording=None) for r in self.held_out]

    def likelihoods(self, model: Family, queries: Sequence[Example]) -> Matrix:
        """Minus the squared error of a latent of each query, where its noise is taken away."""
        assert isinstance(model, Latent)  # noqa: S101 - as `course` gives it
        asked = model.asking(MEASURED)
        with torch.no_grad():
            errors = [2 * float(asked.losses([query]).double()[0]) / len(query.tokens) for query in queries]
        return -np.array(errors)

    @property
    def ways(self) -> Mapping[str, Way]:
        """The store by the release's functional, the same by the other one, with less and more, and the dual form."""
        config = _model(self.bundle)
        plan = PLANS["latent"].model_copy(update={"whole": False})
        if self.profile.segments is not None:
            # Of a recording no more is compared than the study's model learned from.
            size = config.frames * config.channels * self.profile.segments
            plan = plan.model_copy(update={"tokens": size})
        own = asdict(self.functional)
        other = OTHER[self.functional.functional]
        whole = {"keep": 10**7, "rank": 4096}
        return {
            OURS: Way(plan, asking=own),
            SISTERS: Way(plan, sisters=True, asking=own),
            by(other): Way(plan, asking={**own, "functional": other}),
            "one checkpoint": Way(plan.model_copy(update={"checkpoints": 1}), asking=own),
            "every coordinate": Way(plan.model_copy(update=whole), asking=own),
            "exact dual": Way(plan.model_copy(update={"form": "dual", **whole}), asking=own),
        }

    def similarities(self, model: Family, queries: Sequence[Example]) -> Mapping[str, Matrix]:
        """Of latents (their mean, spread and movement, channel by channel), of hidden states, and of prompts."""
        assert isinstance(model, Latent)  # noqa: S101 - as `load` gives it
        examples = [some[0] for some in self.examples()]

        def likeness(seen: Callable[[Latent, Example], Matrix]) -> Matrix:
            left, right = (np.stack([seen(model, e) for e in some]) for some in (queries, examples))
            return cosine(*((side - right.mean(axis=0)) / right.std(axis=0).clip(1e-9) for side in (left, right)))

        return {self.rival: likeness(_latents), "hidden states": likeness(_hidden), "prompts": likeness(_words)}


class _Encoded(Latent):
    """A model for which recordings were encoded before."""

    place: Path

    def examples(self, recording: SnapshotRecording, _sound: bytes) -> list[Example]:
        """As they lie there."""
        return [segment.example() for segment in _segments(self.place, recording, self)]


@lru_cache(maxsize=1)
def _model(bundle: Path) -> Latent:
    """The release's model, read once per process, which lives for many trainings; its denoiser may be any."""
    model = Latent.load(bundle)
    _to_gpu(model)
    return model


def _to_gpu(model: Latent) -> None:
    if torch.cuda.is_available():
        model.pipeline.to("cuda")


def _segments(place: Path, recording: SnapshotRecording, model: Latent) -> Iterator[Segment]:
    return cut(place / f"{recording.audio_sha256}.npy", recording, model)


def _digest(bundle: Path) -> str:
    """SHA-256 that names what a study takes of a pipeline: everything but the weights of its denoiser."""
    files = [p for part in PARTS for p in sorted((bundle / part).rglob("*")) if p.is_file()]
    taken = [p for p in files if p.parent.name != "transformer" or p.name == "config.json"]
    return digest({p.relative_to(bundle).as_posix(): file_sha256(p) for p in taken})


def _latents(model: Latent, example: Example) -> Matrix:
    rows = np.array(example.tokens, dtype=np.float64).reshape(-1, model.channels)
    return np.concatenate([rows.mean(axis=0), rows.std(axis=0), np.diff(rows, axis=0).std(axis=0)])


def _hidden(model: Latent, example: Example) -> Matrix:
    """Mean of the last hidden states over frames and noise."""
    found: list[Matrix] = []
    handle = model.module.get_submodule("transformer_blocks")[-1].register_forward_hook(  # type: ignore[index]
        lambda _, __, output: found.append(output.double().mean(dim=(0, 1)).cpu().numpy())
    )
    try:
        with torch.no_grad():
            model.losses([example])
    finally:
        handle.remove()
    return found[0]


def _words(model: Latent, example: Example) -> Matrix:
    """Mean of what the text encoder makes of the words."""
    ids = torch.tensor([[int(word) for word in example.condition]], device=model.device)
    with torch.no_grad():
        return np.asarray(model.pipeline.text_encoder(ids)[0][0].double().mean(dim=0).cpu().numpy())
