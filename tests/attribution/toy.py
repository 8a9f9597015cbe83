"""A decoder of some thousand parameters that keeps the models' protocol, and music of one voice for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stemma.attribution.manifest import Plan
from stemma.attribution.store import Store
from stemma.models.protocol import Example
from stemma.proof.canonical import sha256
from stemma.rights.shares import Share
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root

Given = list[tuple[SnapshotRecording, bytes]]
VOCABULARY = 16
WIDTH = 24


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.down = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(nn.functional.layer_norm(x, (WIDTH,))).chunk(3, dim=-1)
        x = x + self.out(
            nn.functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None], is_causal=True)[:, 0]
        )
        return x + self.down(nn.functional.gelu(self.up(nn.functional.layer_norm(x, (WIDTH,)))))


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY + 1, WIDTH)
        self.place = nn.Embedding(128, WIDTH)
        self.blocks = nn.ModuleList([Block()])
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.place(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(nn.functional.layer_norm(x, (WIDTH,)))


class Toy:
    """A symbolic model over one byte per token."""

    name = "toy"
    styles = ("toy",)
    balanced = False

    def __init__(self) -> None:
        self.module = Decoder()

    @classmethod
    def load(cls, folder: Path) -> Toy:
        toy = cls()
        toy.module.load_state_dict(load_file(folder / "model.safetensors"))
        return toy

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.module.state_dict(), folder / "model.safetensors")

    def generate(self, request, *, stop=lambda: False):
        raise NotImplementedError

    def examples(self, recording: SnapshotRecording, midi: bytes) -> list[Example]:
        return [Example(tokens=tuple(midi[i : i + 32]), recording=recording.recording) for i in range(0, len(midi), 32)]

    def losses(self, examples: Sequence[Example]) -> Tensor:
        size = max(len(e.tokens) for e in examples)
        tokens = torch.full((len(examples), size), -1)
        for i, example in enumerate(examples):
            tokens[i, : len(example.tokens)] = torch.tensor(example.tokens)
        start = torch.full((len(examples), 1), VOCABULARY)
        logits = self.module(torch.cat([start, tokens[:, :-1].clamp_min(0)], dim=1))
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=-1, reduction="none")
        return losses.view(tokens.shape).sum(dim=1)


def train(tunes: Sequence[bytes], *, seed: int, steps: int = 120, save: Path | None = None, every: int = 40) -> Toy:
    """A model of these tunes, with its checkpoints in `save`."""
    torch.manual_seed(seed)
    toy = Toy()
    toy.module.train()
    optimizer = torch.optim.AdamW(toy.module.parameters(), lr=1e-2, weight_decay=0.01)
    examples = [Example(tokens=tuple(t)) for t in tunes]
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        (toy.losses(examples).sum() / sum(len(t) for t in tunes)).backward()
        optimizer.step()
        if save and step % every == 0:
            toy.save(save / "checkpoints" / f"step-{step:04}")
    return toy


def tune(rng: np.random.Generator, kind: int, length: int = 32) -> bytes:
    """A walk with the steps of its kind: tunes of one kind resemble each other."""
    steps = np.array([[1, 2, -1], [3, -4, 5], [7, -7, 2], [4, 4, -5]])[kind % 4]
    at, notes = int(rng.integers(VOCABULARY)), []
    for _ in range(length):
        notes.append(at)
        at = int((at + rng.choice(steps, p=[0.6, 0.3, 0.1])) % VOCABULARY)
    return bytes(notes)


def recording(name: str, midi: bytes, owner: str | None = None) -> SnapshotRecording:
    party = owner or f"owner of {name}"
    return SnapshotRecording(
        recording=name,
        isrc="QZTST2600001",
        work=f"work {name}",
        iswc="T-034.524.680-1",
        title=name,
        composer="",
        style="toy",
        tempo=100.0,
        key="C major",
        midi_sha256=sha256(midi),
        audio_sha256="0" * 64,
        duration_ms=1000,
        shares=(Share(party=party, side="master", ppm=10**6), Share(party=party, side="publishing", ppm=10**6)),
        consents=(),
    )


def bundle(
    folder: Path,
    tunes: Mapping[str, bytes],
    *,
    held_out: Sequence[str] = (),
    owners: Mapping[str, str] | None = None,
    version: str = "1",
    seed: int = 0,
) -> Path:
    """A released toy with its checkpoints and its snapshot."""
    train([tune for name, tune in tunes.items() if name not in held_out], seed=seed, save=folder)
    recordings = tuple(recording(name, tune, (owners or {}).get(name)) for name, tune in sorted(tunes.items()))
    manifest = Manifest(
        id="s1",
        name="toys",
        created_at="2026-11-01T00:00:00.000Z",
        scopes=("ai_training",),
        covenant="0" * 64,
        recordings=recordings,
        consents={},
        root=snapshot_root(recordings),
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    about = {"name": "toy", "version": version, "family": "toy", "snapshot": "s1", "snapshot_root": manifest.root}
    (folder / "stemma.json").write_text(json.dumps({**about, "held_out": list(held_out)}))
    return folder


def grown(released: Path, folder: Path, tunes: Mapping[str, bytes]) -> tuple[Path, Given]:
    """The same training with a snapshot of more recordings, which were held out; and what it is made from."""
    rows = tuple(recording(name, midi) for name, midi in sorted(tunes.items()))
    shutil.copytree(released, folder)
    snapshot = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    new = {r.recording for r in rows} - {r.recording for r in snapshot.recordings}
    snapshot = snapshot.model_copy(update={"recordings": rows, "root": snapshot_root(rows)})
    (folder / "manifest.json").write_text(snapshot.model_dump_json())
    about = json.loads((folder / "stemma.json").read_text())
    held_out = [*about["held_out"], *sorted(new)]
    (folder / "stemma.json").write_text(json.dumps({**about, "snapshot_root": snapshot.root, "held_out": held_out}))
    return folder, [(r, tunes[r.recording]) for r in rows]


def killed_build(
    released: Path, out: Path, given: Sequence[tuple[SnapshotRecording, bytes]], plan: Plan, after: int = 4
) -> None:
    """Build a store in a process of its own, which is killed after so many steps."""

    def progress(done: int, total: int, note: str = "") -> None:
        if done == after:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.build(released, out, given, load=Toy.load, plan=plan, progress=progress)
