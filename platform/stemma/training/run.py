"""A training run: past the gate, through the learning, to a judged model; resumable at any moment."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from stemma.config import settings
from stemma.errors import InvalidError, StemmaError
from stemma.ids import now, timestamp
from stemma.storage import Storage, storage
from stemma.training import gate, symbolic
from stemma.training.gate import Clearance, Progress, silent
from stemma.training.learn import WORK, Course, Step, learn
from stemma.training.presets import AnyPreset, LatentPreset, Preset, latent_preset
from stemma.training.presets import preset as named
from stemma.training.tracking import Tracker, code_version, environment

Energy = Callable[[float, int], float]
"""Watt-hours of so many seconds on so many processors."""


class Figures(Protocol):
    """What a finished model was judged to be."""

    def document(self) -> dict[str, Any]:
        """As plain values."""
        ...

    def metrics(self) -> dict[str, float]:
        """As flat names and numbers."""
        ...


class Judged(Course, Protocol):
    """A course with what a run asks beside learning."""

    @property
    def metric(self) -> str:
        """Name of what `validate` gives."""
        ...

    @property
    def held_out(self) -> tuple[str, ...]:
        """Recordings used for validation only."""
        ...

    def described(self) -> dict[str, Any]:
        """What it learns from, in numbers."""
        ...

    def facts(self) -> dict[str, Any]:
        """What a release must tell beside."""
        ...

    def validate(self) -> float:
        """How it fares on works that were held out; less is better."""
        ...

    def judge(self, progress: Progress) -> Figures:
        """The figures of the finished model."""
        ...


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
        if self.facts["family"] == "latent":
            from stemma.training import latent

            return latent.summary(self.facts)
        return symbolic.summary(self.facts)


def train(
    snapshot: str,
    *,
    preset: str | AnyPreset = "up",
    pipeline: str | None = None,
    home: Path | None = None,
    store: Storage | None = None,
    progress: Progress = silent,
    energy: Energy | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train a model on a snapshot: one that writes notes or, where a `pipeline` is given, one that makes sound.

    `pipeline` is a Stable Audio pipeline's folder, or its name on the hub: its autoencoder and text encoder are
    taken as they are, and a fresh denoiser of its shape learns.  A finished run of the same snapshot and preset
    is returned as it is; one that was interrupted goes on.  Raises `GateRefusal` when a recording may not be
    used, before a byte is read for training and again before the run counts, or when its sound cannot be
    learned from; `InterruptedError` when `stop` says yes.
    """
    _check_name(snapshot)
    chosen, found = _chosen(preset, pipeline)
    store = store or storage()
    family: Literal["latent", "symbolic"] = "symbolic" if found is None else "latent"
    name = chosen.name if family == "symbolic" else f"{family}-{chosen.name}"
    folder = (home or settings().home) / "runs" / f"{snapshot}-{name}"
    if (done := _finished(folder, chosen)) is not None:
        return done
    clearance = gate.check(snapshot, store=store, family=family, progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(clearance.manifest.model_dump_json())
    (folder / "receipt.json").write_text(clearance.receipt.model_dump_json())

    def course() -> Judged:
        if isinstance(chosen, Preset):
            return symbolic.SymbolicCourse.open(clearance, chosen, progress=progress)
        from stemma.training.latent import LatentCourse

        assert found is not None  # noqa: S101 - settings of this kind have a pipeline
        at, told = found, str(pipeline)
        # A folder is called by its name: where it lies is nobody's business.
        name = at.name if Path(told).is_dir() else told
        return LatentCourse.open(clearance, chosen, at, folder, name=name, store=store, progress=progress)

    run = _Run(folder, chosen, clearance, store, progress, energy, stop)
    try:
        return run.go(course)
    except BaseException as error:
        run.tracker.end("KILLED" if isinstance(error, (InterruptedError, KeyboardInterrupt)) else "FAILED")
        raise


def _chosen(preset: str | AnyPreset, pipeline: str | None) -> tuple[AnyPreset, Path | None]:
    """The settings of a run, and the folder of the pipeline that it begins with."""
    if pipeline is None:
        chosen = named(preset) if isinstance(preset, str) else preset
        if isinstance(chosen, LatentPreset):
            raise InvalidError(
                "A model that makes sound begins with a pipeline.", remedy="Give its folder or its name on the hub."
            )
        return chosen, None
    from stemma.models.latent.pipeline import find_pipeline
    from stemma.training.latent import pipeline_digest

    latent = latent_preset(preset) if isinstance(preset, str) else preset
    if isinstance(latent, Preset):
        raise InvalidError(f"Preset {latent.name!r} is for models that write notes.", remedy="Give no pipeline.")
    folder = find_pipeline(pipeline)
    return replace(latent, pipeline=pipeline_digest(folder)), folder


def _check_name(snapshot: str) -> None:
    if not snapshot or not all(c.isalnum() or c in "-_" for c in snapshot):
        raise InvalidError(f"{snapshot[:80]!r} is no snapshot identifier.", remedy="See `stemma snapshot list`.")


def _finished(folder: Path, preset: AnyPreset) -> Outcome | None:
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
        preset: AnyPreset,
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
            _clear(folder)
            (folder / "state.pt").unlink(missing_ok=True)
            known = {}
        self.tracker = Tracker(f"{clearance.manifest.name} · {preset.name}", run_id=known.get("run_id"))
        self.started_at = known.get("started_at", timestamp(now()))
        _write(plan, {"run_id": self.tracker.run_id, "preset": preset.document(), "started_at": self.started_at})

    def go(self, open_course: Callable[[], Judged]) -> Outcome:
        """From cleared contents to a registered outcome."""
        manifest = self.clearance.manifest
        course = open_course()
        self._record_inputs(course)

        began = time.monotonic()
        steps = learn(
            course, self.preset, self.folder, report=self._report, checkpoint=self._checkpoint(course), stop=self.stop
        )
        spent = self.last.seconds if self.last else time.monotonic() - began
        self.progress(steps, steps, "judging")
        figures = course.judge(self.progress)
        again = gate.check(manifest.id, store=self.store, progress=self.progress)
        return self._finish(course, figures, steps, spent, again)

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

    def _checkpoint(self, course: Judged) -> Callable[[Path, int], None]:
        def checkpoint(_: Path, step: int) -> None:
            self.tracker.metric(f"validation.{course.metric}", course.validate(), step)
            self.tracker.flush()

        return checkpoint

    def _record_inputs(self, course: Judged) -> None:
        clearance, model = self.clearance, course.model
        params: dict[str, Any] = {}
        for key, value in self.preset.document().items():
            params |= (
                {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {f"preset.{key}": value}
            )
        params |= {
            "parameters": sum(p.numel() for p in model.module.parameters()),
            "held_out": len(course.held_out),
            "styles": ", ".join(model.styles),
            **course.described(),
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
        self.tracker.dataset(clearance.manifest, len(clearance.manifest.recordings) - len(course.held_out))
        self.tracker.document("license_decision.json", clearance.decision())

    def _finish(self, course: Judged, figures: Figures, steps: int, spent: float, again: Clearance) -> Outcome:
        manifest, model = again.manifest, course.model
        facts: dict[str, Any] = {
            "run_id": self.tracker.run_id,
            "family": model.name,
            "snapshot": manifest.id,
            "snapshot_root": manifest.root,
            "covenant": manifest.covenant,
            "preset": self.preset.document(),
            "parameters": sum(p.numel() for p in model.module.parameters()),
            "steps": steps,
            "seconds": round(spent, 1),
            "tokens_per_second": round(self.tokens / max(1e-9, spent)),
            "recordings": len(manifest.recordings),
            "held_out": list(course.held_out),
            "styles": list(model.styles),
            "code_version": code_version(),
            "environment": environment(),
            "license_decisions": [self.clearance.decision(), again.decision()],
            "started_at": self.started_at,
            "finished_at": timestamp(now()),
            "figures": figures.document(),
            **course.facts(),
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
        _clear(self.folder)
        return Outcome(self.folder, facts)


def _clear(folder: Path) -> None:
    """Remove what a course keeps only while it learns."""
    shutil.rmtree(folder / WORK, ignore_errors=True)


def _write(path: Path, value: Any) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    part.replace(path)
