"""Training again without: resumable, cached, and written down as a card that says what it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from stemma.attribution.calibration import Curve, Predicted, fit, predict, slope
from stemma.attribution.fidelity import diagnose, difference
from stemma.models.symbolic.network import Shape
from stemma.training import fidelity
from stemma.training.material import cosine
from stemma.training.notes import Notes
from stemma.training.presets import Preset
from stemma.training.profiles import Profile
from stemma.training.study import Study
from support.card import card
from training.ground import recordings

TINY = Profile(
    "tiny",
    Preset(
        "study",
        Shape(width=32, layers=1, heads=2, hidden=48),
        context=64,
        batch=512,
        steps=6,
        warmup=2,
        checkpoints=2,
        captions=1,
        threads=1,
    ),
    subsets=4,
    seeds=2,
    owner_subsets=4,
    owner_seeds=2,
    generated=4,
    held=2,
    bars=2,
    removals=2,
    sisters=1,
)


def opened(folder, profile=TINY):
    """The study of the dozen works."""
    rows, scores = recordings()

    def read(recording):
        return scores[recording.recording]

    return Study.open(folder, Notes.open(profile, rows, read), read)


def test_a_card_from_trainings_that_are_made_once(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    study = opened(tmp_path)
    assert [c.name for c in study.checkpoints] == ["step-000003", "step-000006"]
    assert len(study.queries) == study.generated + 1

    first = study.measure(study.halves()[:2], 1, processes=2)
    assert first.shape == (1, 2, len(study.queries))
    assert (first < 0).all()
    card = fidelity.evaluate(study, processes=1)
    kept = {path: path.stat().st_mtime_ns for path in (study.folder / "trained").iterdir()}
    np.testing.assert_array_equal(study.measure(study.halves()[:2], 1), first)

    monkeypatch.setattr("stemma.training.study.ProcessPoolExecutor", None)
    again = fidelity.evaluate(opened(tmp_path))
    assert again == card
    assert {path: path.stat().st_mtime_ns for path in (study.folder / "trained").iterdir()} == kept

    table = card["lds"]["generated"]["works"]
    assert set(table) >= {"this method", "with sister runs", "one checkpoint", "exact dual"}
    assert set(table) >= {"trigrams of tokens", "hidden states", "prompts"}
    assert all(-1 <= row["low"] <= row["high"] <= 1 for row in table.values())
    assert card["fact"]["lds"] == table["this method"]["lds"]
    Curve.model_validate(card["fact"]["curve"])
    said = fidelity.words(json.loads(json.dumps(card)))
    assert "LDS" in said
    assert "chorale" in said
    assert all(path.stat().st_size > 1000 for path in fidelity.plots(card, tmp_path))


def test_prompts_are_compared_in_their_own_words(tmp_path):
    """Pieces are nearest in words to recordings of their own style."""
    torch.set_num_threads(1)
    study = opened(tmp_path, replace(TINY, sisters=0))
    likeness = cosine(*study.material._prompts(study.queries))
    assert likeness.shape == (len(study.queries), len(study.recordings))
    assert np.abs(likeness).max() <= 1 + 1e-9
    styles = np.array([r.style for r in study.recordings])
    asked = sorted(set(styles))
    for query in range(study.generated):
        own = styles == asked[query % len(asked)]
        assert likeness[query, own].mean() > likeness[query, ~own].mean()


def world(rng):
    """Owners whose effect is twice their score, above nothing."""
    scores, subsets = rng.normal(size=(10, 12)), rng.random((80, 12)) < 0.5
    measured = 2 * subsets @ np.clip(scores, 0, None).T + 0.5 * subsets @ np.clip(scores, None, 0).T
    return scores, subsets, measured + 0.1 * rng.normal(size=measured.shape) - 3


def test_a_curve_fitted_to_some_retrainings_is_right_about_others():
    scores, subsets, measured = world(np.random.default_rng(0))
    curve = fit(Predicted.of_scores(scores), subsets[:40], measured[:40])
    assert all(s >= 0 for s in curve.slopes)
    assert (np.diff(curve(np.linspace(-3, 3, 50))) >= 0).all()
    assert float(curve(0.0)) == 0
    said = Predicted.of_scores(scores)
    assert slope(predict(curve, said, subsets[40:]), measured[40:]) == pytest.approx(1, abs=0.1)
    doubled = Curve(knots=curve.knots, slopes=tuple(2 * s for s in curve.slopes))
    assert slope(predict(doubled, Predicted.of_scores(scores), subsets[40:]), measured[40:]) == pytest.approx(
        0.5, abs=0.05
    )


def test_differences_are_paired():
    scores, subsets, measured = world(np.random.default_rng(1))
    noisy = scores + 2 * np.random.default_rng(2).normal(size=scores.shape)
    found = difference(scores, noisy, subsets, measured[None])
    assert 0 < found.low < found.mean < found.high
    same = difference(scores, scores, subsets, measured[None])
    assert (same.mean, same.low, same.high) == (0, 0, 0)


def test_a_matrix_that_says_the_same_of_everything_is_told():
    rng = np.random.default_rng(3)
    one = rng.normal(size=(1, 40))
    same, different = diagnose(np.repeat(one, 9, axis=0)), diagnose(rng.normal(size=(9, 40)))
    assert same.alike == pytest.approx(1)
    assert same.effective_rank == pytest.approx(1)
    assert abs(different.alike) < 0.1
    assert different.effective_rank > 7
    assert different.column_mass < same.column_mass


@pytest.mark.services
def test_a_card_is_logged_with_every_figure_and_its_pictures(mlflow):
    from stemma.config import settings
    from stemma.training.tracking import client

    made = card()
    run = client(settings()).get_run(fidelity.log(made, "house-symbolic/9"))
    figures = run.data.metrics
    assert figures["lds.generated.works.this_method.low"] == pytest.approx(0.42)
    assert figures["differences.held_out.owners.one_checkpoint.mean"] == pytest.approx(0.13)
    assert figures["removal.this_method.worse"] == 7
    assert figures["styles.joik.lds"] == pytest.approx(0.3)
    assert {"calibration.slope", "stability", "diagnosis.this_method.alike"} <= figures.keys()
    assert (run.info.status, run.data.tags["stemma.release"]) == ("FINISHED", "house-symbolic/9")
    kept = {file.path: file.file_size for file in client(settings()).list_artifacts(run.info.run_id)}
    assert set(kept) == {
        "fidelity.json", "fidelity.md", "sizes.svg", "diagnosis.svg", "lds-generated.svg", "lds-held-out.svg"
    }  # fmt: skip


def test_a_card_in_words_says_how_much_better_how_steady_and_for_whom():
    said = fidelity.words(card())
    assert "| one checkpoint | 0.350 | 0.290 to 0.410 | +0.130 (+0.080 to +0.180) |" in said
    assert "another seed correlate with these at 0.44" in said
    assert said.index("| joik | 3 |") < said.index("| fiddle | 60 |")
    assert "not known" in fidelity.words({**card(), "stability": None})
