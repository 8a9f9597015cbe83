"""Claim `echoes-scale`: what holding a piece of sound against ten thousand minutes takes, against doing so with few.

Real music through the house's SoundFont is held against an index of it, in memory; and against a file in which it
stands among 10,000 minutes that are simulated: their words are drawn from those of the real music, half of them with
two bits turned, so that common words are common; their spectra are those of the real music, in another order.  The file
is mapped; the machine has it in memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ground.corpus import catalog
from ground.timing import claim, turns
from stemma.music import audio, index_file
from stemma.music.echoes import FORM, Echoes
from stemma.music.render import render

RECORDINGS, MINUTES, SECONDS = 24, 10_000, 36
LENGTH, FRAMES = 1454, 1800
"""Words and spectra of three minutes."""


def among(echoes: Echoes, path: Path) -> None:
    """Write the file: real recordings first."""
    draw, others = np.random.default_rng(1), MINUTES // 3
    turned = np.where(draw.random(others * LENGTH) < 0.5, 0, 1 << draw.integers(0, 32, (2, others * LENGTH)))
    drawn = (draw.choice(echoes.words, others * LENGTH) ^ np.bitwise_or.reduce(turned)).astype(np.uint32)
    found = np.concatenate([echoes.words, drawn])
    places = np.concatenate([echoes.places, np.arange(others * LENGTH) + echoes.begins[-1]])
    order = np.argsort(found, kind="stable")
    mel = [echoes.mel, *(echoes.mel[draw.permutation(len(echoes.mel))[:FRAMES]] for _ in range(others))]
    parts = {
        "words": found[order],
        "places": places[order],
        "begins": np.concatenate([echoes.begins, np.arange(1, others + 1) * LENGTH + echoes.begins[-1]]),
        "mel": np.concatenate(mel),
        "frames": np.concatenate([echoes.frames, np.arange(1, others + 1) * FRAMES + echoes.frames[-1]]),
    }
    index_file.write(path, FORM, [*echoes.names, *(f"other{n}" for n in range(others))], "recordings", parts)


def from_disk(path: Path, call: Callable[[], object]) -> tuple[float, int]:
    """Seconds of a call for which nothing of a file is in memory yet, and bytes fetched from disk meanwhile."""

    def read() -> int:
        return int(Path("/proc/self/io").read_text().split("read_bytes: ")[1].split()[0])

    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before, began = read(), time.perf_counter()
    call()
    return time.perf_counter() - began, read() - before


def main() -> None:
    """Measure and print the claim."""
    rows, scores = catalog(280)
    picked = [r.recording for r in rows[:: len(rows) // (RECORDINGS + 1)]][: RECORDINGS + 1]
    sounds = [render(scores[name]).samples[: 60 * audio.RATE] for name in picked]
    few = Echoes.build(
        (name, audio.encode(s, audio.RATE, "flac")) for name, s in zip(picked, sounds[:-1], strict=False)
    )
    # A new piece with six seconds of a known one in it.
    piece = sounds[-1][: SECONDS * audio.RATE].copy()
    piece[10 * audio.RATE : 16 * audio.RATE] = sounds[3][5 * audio.RATE : 11 * audio.RATE]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "echoes.safetensors"
        among(few, path)
        began = time.perf_counter()
        many = Echoes.load(path)
        loaded = time.perf_counter() - began
        cold, fetched = from_disk(path, lambda: many.compare(piece, audio.RATE))
        assert many.compare(piece, audio.RATE).echo == few.compare(piece, audio.RATE).echo
        ours, peer = turns(lambda: many.compare(piece, audio.RATE), lambda: few.compare(piece, audio.RATE), rounds=5)
        size = path.stat().st_size
    minutes = sum(len(s) for s in sounds[:-1]) / audio.RATE / 60
    print(
        f"{size / 1e6:.0f} MB opened and hashed in {loaded:.2f} s; first {cold:.2f} s and {fetched / 1e6:.1f} MB read"
    )
    print(f"{minutes:.0f} minutes: {peer * 1e3:.0f} ms, {MINUTES + minutes:.0f} minutes: {ours * 1e3:.0f} ms")
    claim("echoes-scale", ours, peer, ours / peer, "s")


if __name__ == "__main__":
    main()
