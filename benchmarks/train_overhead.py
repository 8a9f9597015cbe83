"""Training throughput with everything around it, against a bare PyTorch loop: claim `train-overhead`.

Both learn with the same model, optimizers and batches; the bare loop has its batches in memory and
reports nothing.  Ours makes its batches, follows its schedule, reports every step, judges and keeps
checkpoints and saves the state it could be resumed from.  The two take turns step by step, so that
other load on the machine meets both alike.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import music21
import numpy as np
import torch

from stemma.models.symbolic.family import Symbolic
from stemma.music.score import read
from stemma.proof.canonical import sha256
from stemma.rights.snapshot import SnapshotRecording
from stemma.training.dataset import Dataset, layouts, works
from stemma.training.evaluation import validation_loss
from stemma.training.learn import Step, learn, update
from stemma.training.presets import PRESETS
from stemma.training.symbolic import SymbolicCourse, mean_loss, optimizers

STEPS = 160
"""About a fifth of a run of preset `up`, and so with one of its five checkpoints."""
CORPUS = Path(music21.__file__).parent / "corpus"


def catalog() -> tuple[list[SnapshotRecording], dict[str, bytes]]:
    """Forty chorales."""
    rows, scores = [], {}
    for path in sorted((CORPUS / "bach").glob("bwv2[67]*.mxl"))[:40]:
        sheet = read(path)
        midi = sheet.midi(tempo=76.0, instruments=["choir aahs"] * len(sheet.parts))
        name = path.stem
        scores[name] = midi
        rows.append(
            SnapshotRecording(
                recording=name, isrc="", work=name, iswc="", title=name, composer="", style="chorale", tempo=76.0,
                key=sheet.key, midi_sha256=sha256(midi), audio_sha256="0" * 64, duration_ms=1, shares=(), consents=(),
            )
        )  # fmt: skip
    return rows, scores


def main() -> None:
    """Measure and print the claim."""
    preset = replace(PRESETS["up"], seconds=None, steps=STEPS, checkpoints=1)
    rows, scores = catalog()
    found = works(rows, scores)
    threads = min(preset.threads, os.cpu_count() or 1)
    torch.set_num_threads(threads)

    def fresh() -> Symbolic:
        return Symbolic.create({"chorale"}, layouts(found), shape=preset.shape, limit=preset.context)

    data = Dataset.of(found, fresh().network.vocabulary, limit=preset.context, captions_each=preset.captions)
    order = [batch for epoch in range(200) for batch in data.epoch(epoch, preset.batch, preset.seed)][:STEPS]
    batches = [
        data.batch(indices, np.random.default_rng((preset.seed, 1, step)), unprompted=preset.unprompted)
        for step, indices in enumerate(order)
    ]
    tokens = sum(batch.tokens.numel() for batch in batches)

    model, beside = fresh(), fresh().network.train()
    optimizer = optimizers(beside, preset)
    for network, its in ((model.network.train(), optimizers(model.network, preset)), (beside, optimizer)):
        update(network, mean_loss(network, batches[0]), its)  # the first steps of a process are slower
    bare: list[float] = []

    def report(step: Step) -> None:
        started = time.perf_counter()
        update(beside, mean_loss(beside, batches[step.number - 1]), optimizer)
        bare.append(time.perf_counter() - started)

    def checkpoint(_: Path, step: int) -> None:
        print(f"step {step}: held-out loss {validation_loss(model, data.validation):.0f}")

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        learn(SymbolicCourse(model, data, preset), preset, Path(folder), report=report, checkpoint=checkpoint)
        ours = time.perf_counter() - started - sum(bare)
    peer = sum(bare)
    print(f"{STEPS} steps of {tokens / STEPS:.0f} places: ours {ours:.1f} s, bare {peer:.1f} s on {threads} threads")
    claim = {
        "claim": "train-overhead",
        "ours": round(tokens / ours),
        "peer": round(tokens / peer),
        "ratio": round(peer / ours, 3),
        "unit": "tokens/s",
    }
    print(json.dumps(claim))


if __name__ == "__main__":
    main()
