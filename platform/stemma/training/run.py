"""A training run: past the gate, through the learning, to a judged model; resumable at any moment."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemma.config import settings
from stemma.errors import InvalidError, StemmaError
from stemma.ids import now, timestamp
from stemma.models.symbolic.family import Symbolic
from stemma.storage import Storage, storage
from stemma.training import gate
from stemma.training.dataset import Dataset, Work, layouts, works
from stemma.training.evaluation import Figures, evaluate, validation_loss
from stemma.training.gate import Clearance, Progress, silent
from stemma.training.learn import Step, learn
from stemma.training.presets import Preset
from stemma.training.presets import preset as named
from stemma.training.tracking import Tracker, code_version, environment

Energy = Callable[[float, int], float]
"""Watt-hours of so many seconds on so many processors."""


@dataclass(frozen=True)
class Outcome:
    """A finished run: its folder and what its `outcome.json` says."""

    folder: Path
    facts: dict[str, Any]

    @property
    def run_id(self) -> str:
        """Identifier of the run in MLflow."""
        return str(self.facts["run_id"])

    def summary(self) -> str:
        """One line for people."""
        f, figures = self.facts, self.facts["figures"]
        return (
            f"{f['steps']} steps, {f['tokens_per_second']:,.0f} tokens/s; held-out works cost "
            f"{figures['nats_per_note']:.2f} nats a note (n-gram {figures['baseline_nats_per_note']:.2f}); "
            f"{figures['decoded']:.0%} of pieces decode; longest shared run {figures['longest_run']} notes"
        )


def train(
    snapshot: str,
    *,
    preset: str | Preset = "up",
    home: Path | None = None,
    store: Storage | None = None,
    progress: Progress = silent,
    energy: Energy | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train the symbolic family on a snapshot.

    A finished run of the same snapshot and preset is returned as it is; one that was interrupted goes
    on.  Raises `GateRefusal` when a recording may not be used, before a byte is read for training and
    again before the run counts; `InterruptedError` when `stop` says yes.
    """
    chosen = named(preset) if isinstance(preset, str) else preset
    store = store or storage()
    _check_name(snapshot)
    folder = (home or settings().home) / "runs" / f"{snapshot}-{chosen.name}"
    if (done := _finished(folder, chosen)) is not None:
        return done
    clearance = gate.check(snapshot, store=store, family="symbolic", progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(clearance.manifest.model_dump_json())
    (folder / "receipt.json").write_text(clearance.receipt.model_dump_json())
    run = _Run(folder, chosen, clearance, store, progress, energy, stop)
    try:
        return run.go()
    except BaseException as error:
        run.tracker.end("KILLED" if isinstance(error, (InterruptedError, KeyboardInterrupt)) else "FAILED")
        raise


def _check_name(snapshot: str) -> None:
    if not snapshot or not all(c.isalnum() or c in "-_" for c in snapshot):
        raise InvalidError(f"{snapshot[:80]!r} is no snapshot identifier.", remedy="See `stemma snapshot list`.")


def _finished(folder: Path, preset: Preset) -> Outcome | None:
    path = folder / "outcome.json"
    if not path.exists():
        return None
    facts = json.loads(path.read_text())
    if facts["preset"] != preset.document():
        raise StemmaError(
            f"{folder} holds a run with other settings of preset {preset.name!r}.",
            remedy="Move the folder away to train anew.",
            code="other-settings",
        )
    return Outcome(folder, facts)


class _Run:
    """One run being made."""

    def __init__(
        self,
        folder: Path,
        preset: Preset,
        clearance: Clearance,
        store: Storage,
        progress: Progress,
        energy: Energy | None,
        stop: Callable[[], bool],
    ) -> None:
        self.folder, self.preset, self.clearance, self.store = folder, preset, clearance, store
        self.progress, self.energy, self.stop = progress, energy, stop
        plan = folder / "run.json"
        known = json.loads(plan.read_text()) if plan.exists() else {}
        if known and known["preset"] != preset.document():
            # Settings changed since the run was interrupted: what it did so far is of no use.
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            (folder / "state.pt").unlink(missing_ok=True)
            known = {}
        self.tracker = Tracker(f"{clearance.manifest.name} · {preset.name}", run_id=known.get("run_id"))
        self.started_at = known.get("started_at", timestamp(now()))
        _write(plan, {"run_id": self.tracker.run_id, "preset": preset.document(), "started_at": self.started_at})

    def go(self) -> Outcome:
        """From cleared scores to a registered outcome."""
        manifest = self.clearance.manifest
        self.progress(0, None, "reading scores")
        found = works(manifest.recordings, self.clearance.scores)
        preset = self.preset
        model = Symbolic.create(
            {r.style for r in manifest.recordings},
            layouts(found),
            shape=preset.shape,
            limit=preset.context,
            seed=preset.seed,
        )
        data = Dataset.of(found, model.network.vocabulary, limit=preset.context, captions_each=preset.captions)
        self._record_inputs(model, data)

        began = time.monotonic()
        steps = learn(
            model,
            data,
            preset,
            self.folder,
            report=self._report,
            checkpoint=self._checkpoint(model, data),
            stop=self.stop,
        )
        spent = self.last.seconds if self.last else time.monotonic() - began
        self.progress(steps, steps, "judging")
        figures = evaluate(model, data, found, samples=preset.samples, progress=self.progress)
        again = gate.check(manifest.id, store=self.store, progress=self.progress)
        return self._finish(model, data, found, figures, steps, spent, again)

    last: Step | None = None
    tokens = 0

    def _report(self, step: Step) -> None:
        self.last = step
        self.tokens += step.tokens
        note = f"loss {step.loss:.2f}"
        self.progress(step.number, step.total, note)
        if step.number % 10 == 0:
            self.tracker.metric("loss", step.loss, step.number)
            self.tracker.metric("rate", step.rate, step.number)
            self.tracker.metric("tokens_per_second", self.tokens / max(1e-9, step.seconds), step.number)

    def _checkpoint(self, model: Symbolic, data: Dataset) -> Callable[[Path, int], None]:
        notes = max(1, sum(s.notes for s in data.validation))

        def checkpoint(_: Path, step: int) -> None:
            self.tracker.metric("validation.nats_per_note", validation_loss(model, data.validation) / notes, step)
            self.tracker.flush()

        return checkpoint

    def _record_inputs(self, model: Symbolic, data: Dataset) -> None:
        clearance, preset = self.clearance, self.preset
        size = sum(p.numel() for p in model.network.parameters())
        params = {f"preset.{k}": v for k, v in preset.document().items() if k != "shape"}
        params |= {f"shape.{k}": v for k, v in preset.document()["shape"].items()}
        params |= {
            "parameters": size,
            "segments": len(data.segments),
            "training_tokens": sum(len(s.tokens) for s in data.segments),
            "held_out": len(data.held_out),
            "styles": ", ".join(model.styles),
            "vocabulary": len(data.vocabulary),
            **{f"environment.{k}": v for k, v in environment().items()},
        }
        tags = {
            "stemma.snapshot": clearance.manifest.id,
            "stemma.snapshot_root": clearance.manifest.root,
            "stemma.covenant": clearance.manifest.covenant,
            "stemma.license_decision": json.dumps(clearance.decision()),
            "stemma.code": code_version(),
            "stemma.family": model.name,
        }
        self.tracker.start(params, tags)
        self.tracker.dataset(clearance.manifest, len(clearance.manifest.recordings) - len(data.held_out))
        self.tracker.document("license_decision.json", clearance.decision())

    def _finish(
        self,
        model: Symbolic,
        data: Dataset,
        found: list[Work],
        figures: Figures,
        steps: int,
        spent: float,
        again: Clearance,
    ) -> Outcome:
        manifest = again.manifest
        facts: dict[str, Any] = {
            "run_id": self.tracker.run_id,
            "family": model.name,
            "snapshot": manifest.id,
            "snapshot_root": manifest.root,
            "covenant": manifest.covenant,
            "preset": self.preset.document(),
            "parameters": sum(p.numel() for p in model.network.parameters()),
            "steps": steps,
            "seconds": round(spent, 1),
            "tokens_per_second": round(self.tokens / max(1e-9, spent)),
            "recordings": len(found),
            "held_out": list(data.held_out),
            "styles": list(model.styles),
            "code_version": code_version(),
            "environment": environment(),
            "license_decisions": [self.clearance.decision(), again.decision()],
            "started_at": self.started_at,
            "finished_at": timestamp(now()),
            "figures": figures.document(),
        }
        threads = int(facts["environment"]["threads"])
        if self.energy is not None:
            facts["energy_watt_hours"] = round(self.energy(spent, threads), 3)
            self.tracker.metric("energy.watt_hours", facts["energy_watt_hours"], steps)
        model.save(self.folder / "model", step=steps)
        for name, value in figures.metrics().items():
            self.tracker.metric(name, value, steps)
        self.tracker.document("outcome.json", facts)
        self.tracker.end("FINISHED")
        _write(self.folder / "outcome.json", facts)
        (self.folder / "state.pt").unlink(missing_ok=True)
        return Outcome(self.folder, facts)


def _write(path: Path, value: Any) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    part.replace(path)
