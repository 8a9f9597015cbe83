"""The loop on real scores, without any service."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from stemma.errors import StemmaError
from stemma.models import load
from stemma.models.protocol import GenerationRequest
from stemma.models.symbolic.family import Symbolic
from stemma.training.dataset import Dataset, layouts, works
from stemma.training.evaluation import evaluate
from stemma.training.learn import Step, learn, schedule
from stemma.training.presets import PRESETS, preset
from stemma.training.symbolic import SymbolicCourse
from training.ground import recordings

TINY = replace(PRESETS["tiny"], threads=1)


@pytest.fixture(scope="module")
def found():
    return works(*recordings())


def make(found, settings) -> tuple[Symbolic, Dataset]:
    styles = {work.recording.style for work in found}
    model = Symbolic.create(styles, layouts(found), shape=settings.shape, limit=settings.context, seed=settings.seed)
    data = Dataset.of(found, model.network.vocabulary, limit=settings.context, captions_each=settings.captions)
    return model, data


def weights(model: Symbolic) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.network.parameters()])


def test_a_minute_of_learning_beats_the_ngram_model_and_leaves_checkpoints(found, tmp_path):
    model, data = make(found, TINY)
    steps: list[Step] = []
    assert learn(SymbolicCourse(model, data, TINY), TINY, tmp_path, report=steps.append) == TINY.steps
    assert [s.number for s in steps] == list(range(1, TINY.steps + 1))
    assert steps[-1].loss < steps[0].loss / 1.5
    folders = sorted(f.name for f in (tmp_path / "checkpoints").iterdir())
    assert len(folders) == 5
    learned = [json.loads((tmp_path / "checkpoints" / f / "stemma.json").read_text())["learned"] for f in folders]
    assert sum(learned) == pytest.approx(sum(schedule(step, TINY.steps, TINY) for step in range(TINY.steps)), abs=0.01)
    assert learned[-1] == min(learned), "rates fall to nothing"
    last = load(tmp_path / "checkpoints" / folders[-1])
    request = GenerationRequest(style="fiddle", bars=2, seed=1)
    assert last.generate(request).midi == model.generate(request).midi

    figures = evaluate(model, data, found, samples=1)
    assert figures.beats_baseline
    assert figures.decoded == 1
    assert set(figures.styles) == {"chorale", "fiddle"}
    assert figures.metrics()["eval.fiddle.in_key_real"] > 0.9


def test_a_loss_that_is_no_number_ends_the_run_and_what_was_kept_stays(found, tmp_path, monkeypatch):
    settings = replace(TINY, steps=8, checkpoints=2)
    monkeypatch.setattr("stemma.training.learn.SAVE_SECONDS", 0.0)
    model, data = make(found, settings)

    def spoil(step: Step) -> None:
        if step.number == 3:
            with torch.no_grad():
                next(model.network.parameters()).fill_(float("nan"))

    with pytest.raises(StemmaError, match="The loss of step 4 is nan") as error:
        learn(SymbolicCourse(model, data, settings), settings, tmp_path, report=spoil)
    assert error.value.code == "not-finite"


class Killed(BaseException):
    """Stands for a signal: nothing may catch it."""


@pytest.mark.parametrize("saved", [True, False])
def test_a_killed_run_goes_on_to_the_same_weights(found, tmp_path, monkeypatch, saved):
    settings = replace(TINY, steps=14, checkpoints=2)
    whole, data = make(found, settings)
    losses: list[float] = []
    learn(
        SymbolicCourse(whole, data, settings),
        settings,
        tmp_path / "whole",
        report=lambda step: losses.append(step.loss),
    )

    monkeypatch.setattr("stemma.training.learn.SAVE_SECONDS", 0.0 if saved else 1000.0)
    again: dict[int, float] = {}

    def until(last: int):
        def report(step: Step) -> None:
            again[step.number] = step.loss
            if step.number == last:
                raise Killed

        return report

    for last in (5, 9):
        model, _ = make(found, settings)
        with pytest.raises(Killed):
            learn(SymbolicCourse(model, data, settings), settings, tmp_path / "parts", report=until(last))
    model, _ = make(found, settings)
    assert learn(SymbolicCourse(model, data, settings), settings, tmp_path / "parts", report=until(0)) == 14
    assert list(again.values()) == losses
    assert torch.equal(weights(model), weights(whole))


def test_a_stop_is_kept_and_gone_on_from(found, tmp_path):
    settings = replace(TINY, steps=8, checkpoints=2)
    model, data = make(found, settings)
    done: list[int] = []
    course = SymbolicCourse(model, data, settings)
    with pytest.raises(InterruptedError):
        learn(course, settings, tmp_path, report=lambda s: done.append(s.number), stop=lambda: len(done) == 3)
    learn(course, settings, tmp_path, report=lambda s: done.append(s.number))
    assert done == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_run_that_must_fit_a_time_settles_its_length_once(found, tmp_path):
    settings = replace(TINY, seconds=1.0, steps=130)
    model, data = make(found, settings)
    totals: list[int | None] = []
    steps = learn(SymbolicCourse(model, data, settings), settings, tmp_path, report=lambda s: totals.append(s.total))
    assert totals[0] is None
    assert len({t for t in totals if t is not None}) == 1
    assert 120 <= steps <= 130


def test_the_rate_rises_stays_and_falls_to_nothing():
    settings = replace(TINY, warmup=10, decay=0.5)
    rates = [schedule(step, 100, settings) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10:51] == [1.0] * 41
    assert rates[99] == pytest.approx(0.02)
    assert schedule(4, None, settings) == 0.5


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(Exception, match="tiny, up, base"):
        preset("huge")
