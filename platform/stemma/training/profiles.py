"""How much is trained again to measure attribution: the named settings of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stemma.errors import InvalidError
from stemma.models.symbolic.network import Shape
from stemma.training.presets import AnyPreset, LatentPreset, Preset


@dataclass(frozen=True)
class Profile:
    """How much of a snapshot a study trains on, and how often."""

    name: str
    preset: AnyPreset
    """Settings of every training; its steps are those for all works, a part of them gets its part."""
    works: int | None = None
    """Recordings trained on at most, evenly over the snapshot's owners."""
    segments: int | None = 1
    """Segments of each recording, evenly over its length; None: all, overlapping, as a release has them."""
    subsets: int = 48
    """Random halves of the recordings."""
    seeds: int = 2
    """Trainings of each."""
    owner_subsets: int = 32
    owner_seeds: int = 2
    generated: int = 48
    """Queries that the model makes itself."""
    held: int = 24
    """Queries from works that were held out."""
    bars: int = 6
    """Length of a generated query of notes; one of sound is as long as the model makes it."""
    removals: int = 6
    """Generated queries for which the model is trained without what shaped them most."""
    sisters: int = 1
    """Further models of all works from other seeds, whose checkpoints attribution may use as well."""


QUICK = Preset(
    "study",
    Shape(width=64, layers=2, heads=2, hidden=160),
    context=96,
    batch=1536,
    steps=150,
    warmup=10,
    checkpoints=5,
    captions=1,
    unprompted=0.5,
    threads=1,
)
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", QUICK, works=240, sisters=4),
        Profile(
            "full",
            Preset("study", Shape(width=160, layers=4, heads=5, hidden=448), steps=800, threads=1),
            segments=None,
            subsets=96,
            generated=96,
            held=48,
            bars=16,
            removals=24,
        ),
    )
}
"""For models that write notes."""
LATENT_PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "quick",
            LatentPreset("study", steps=160, adam=2e-3, warmup=10, threads=1),
            works=96,
            subsets=24,
            owner_subsets=16,
            generated=24,
            held=14,
        ),
        Profile(
            "full",
            LatentPreset("study", batch=32, steps=4000, threads=1),
            segments=None,
            subsets=96,
            generated=96,
            held=48,
            removals=24,
        ),
    )
}
"""For models that make sound, whose size is their pipeline's."""


def profile(name: str, family: str) -> Profile:
    """The profile of this name for a family of models."""
    profiles: Mapping[str, Profile] = LATENT_PROFILES if family == "latent" else PROFILES
    try:
        return profiles[name]
    except KeyError:
        raise InvalidError(
            f"There is no profile {name!r}.", remedy=f"Choose one of {', '.join(profiles)}.", code="unknown-profile"
        ) from None
