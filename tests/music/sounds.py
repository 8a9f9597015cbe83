"""Short made-up sounds and their files: music enough to be told from another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100


def tune(seconds: float = 15.0, *, seed: int = 1, rate: int = RATE) -> np.ndarray:
    """A melody of random steps with overtones, two channels of 16 bits."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    steps = np.cumsum(draw.integers(-3, 4, size=int(seconds * 4) + 1))
    pitch = 220 * 2 ** (np.clip(steps, -12, 24) / 12)
    phase = 2 * np.pi * np.cumsum(pitch[(time * 4).astype(int)]) / rate
    voice = sum(np.sin(phase * (n + 1)) / (n + 1) for n in range(4))
    sides = np.stack([voice, 0.8 * voice + 0.1 * np.sin(2 * phase)], axis=1)
    return (sides / np.abs(sides).max() * 0.5 * 32767).astype(np.int16)


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str | None = None) -> Path:
    """A sound file in the format that its name asks for."""
    form = {".aif": "AIFF", ".ogg": "OGG", ".opus": "OGG"}.get(path.suffix, path.suffix[1:].upper())
    if path.suffix in {".wav", ".flac", ".aif"}:
        subtype = subtype or "PCM_16"
    else:
        samples = samples.astype(np.float32) / 32768  # libsndfile writes integers to MP3 twice as loud
        subtype = "OPUS" if path.suffix == ".opus" else None
    soundfile.write(path, samples, rate, format=form, subtype=subtype)
    return path
