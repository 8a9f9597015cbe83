"""How much of attribution is true, measured on a study and written down as a fidelity card.

Every figure comes with what it must be read against: the ceiling that noise of training allows, the
score of permuted measurements, and what plain similarities reach.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stemma.attribution import calibration
from stemma.attribution.fidelity import diagnose, difference, lds
from stemma.attribution.store import Store
from stemma.training.gate import Progress, silent
from stemma.training.material import OTHER, OURS, SISTERS, Matrix, Way, by
from stemma.training.study import Rows, Study

Card = dict[str, Any]
CARD, WORDS = "fidelity.json", "fidelity.md"
REMOVED = 0.1
"""Part of the recordings left out when the model is trained without what shaped a query."""


def evaluate(study: Study, *, processes: int = 2, progress: Progress = silent) -> Card:
    """The fidelity card of attribution on this study's snapshot; trains what is not trained yet."""
    profile = study.profile
    works, owners = study.halves(), study.owner_halves()
    said = predicted(study, progress)
    scores = {name: each.effects for name, each in said.items()}
    measured = study.measure(works, profile.seeds, processes=processes, progress=progress, note="halves of works")
    by_owner = study.measure(
        owners, profile.owner_seeds, processes=processes, progress=progress, note="halves of owners"
    )
    kinds = {"generated": slice(0, study.generated), "held out": slice(study.generated, None)}
    levels = {"works": (np.array(works), measured), "owners": (np.array(owners), by_owner)}
    table = {
        kind: {
            level: {name: asdict(lds(s[at], subsets, y[:, :, at])) for name, s in scores.items()}
            for level, (subsets, y) in levels.items()
        }
        for kind, at in kinds.items()
    }
    paired = {
        kind: {
            level: {
                name: asdict(difference(scores[OURS][at], s[at], subsets, y[:, :, at]))
                for name, s in scores.items()
                if name != OURS
            }
            for level, (subsets, y) in levels.items()
        }
        for kind, at in kinds.items()
    }
    made = kinds["generated"]
    ours = scores[OURS][made]
    calibrated = _calibration(said[OURS].of(made), np.array(owners), by_owner[:, :, made])
    main = table["generated"]["works"][OURS]
    return {
        "format": "stemma.fidelity/2",
        "family": study.material.family,
        "profile": profile.name,
        "study": {
            "parameters": sum(p.numel() for p in study.material.load(study.checkpoints[-1]).module.parameters()),
            "recordings": len(study.recordings),
            "owners": int(study.owners.max()) + 1,
            "segments": len(study.material.rows),
            "trainings": profile.subsets * profile.seeds + profile.owner_subsets * profile.owner_seeds,
            "queries": {"generated": study.generated, "held out": len(study.queries) - study.generated},
        },
        "plan": study.material.ways[OURS].plan.model_dump(),
        "functional": study.material.ways[OURS].asking.get("functional"),
        "fact": {
            "lds": main["lds"],
            "lds_low": main["low"],
            "lds_high": main["high"],
            "curve": calibrated.pop("curve"),
        },
        "lds": table,
        "differences": paired,
        "styles": _styles(study, ours, *levels["owners"]),
        "calibration": calibrated,
        "removal": _removal(study, scores, processes, progress),
        "stability": _stability(study, scores),
        "diagnosis": {name: asdict(diagnose(s[made])) for name, s in scores.items()},
    }


def methods(study: Study, progress: Progress = silent) -> dict[str, Matrix]:
    """Effects [queries, recordings] by each method and by plain similarities."""
    return {name: said.effects for name, said in predicted(study, progress).items()}


def predicted(study: Study, progress: Progress = silent) -> dict[str, calibration.Predicted]:
    """What each method, and plain similarities, say of the study's queries."""
    names = [r.recording for r in study.recordings]

    def by_store(way: Way, name: str) -> calibration.Predicted:
        store = Store.build(
            study.bundle(sisters=way.sisters, asking=way.asking),
            study.folder / "stores" / name.replace(" ", "-"),
            study.given(),
            plan=way.plan,
            load=study.material.load,
            progress=lambda done, total, _="", /: progress(done, total, f"store: {name}"),
        )
        order = {r.recording: i for i, r in enumerate(store.manifest.recordings)}
        return store.predicted(study.queries).of(slice(None), [order[n] for n in names])

    ways = study.material.ways
    found = {name: by_store(way, name) for name, way in ways.items() if study.profile.sisters or not way.sisters}
    likeness = study.material.similarities(study.material.load(study.checkpoints[-1]), study.queries)
    return {**found, **{name: calibration.Predicted.of_scores(scores) for name, scores in likeness.items()}}


def _calibration(said: calibration.Predicted, subsets: npt.NDArray[np.bool_], measured: Matrix) -> Card:
    """Slope of effects that a curve fitted to the other half of the retrainings predicts; then the curve of all.

    Retrainings without halves of the owners, whose effects are larger than those of works; but the curve
    is of single recordings, as shares are: it must not matter to them whose a recording is.
    """
    actual = measured.mean(axis=0)
    predicted = np.zeros(actual.shape)
    halves = slice(0, None, 2), slice(1, None, 2)
    for fit, held in (halves, halves[::-1]):
        predicted[held] = calibration.predict(calibration.fit(said, subsets[fit], actual[fit]), said, subsets[held])
        actual[held] -= actual[held].mean(axis=0)
    rng, drawn = np.random.default_rng(0), []
    for _ in range(200):
        at = np.ix_(*(rng.integers(size, size=size) for size in actual.shape))
        drawn.append(calibration.slope(predicted[at], actual[at]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "slope": calibration.slope(predicted, actual),
        "low": float(low),
        "high": float(high),
        "curve": calibration.fit(said, subsets, measured.mean(axis=0)).model_dump(),
    }


def _styles(study: Study, scores: Matrix, subsets: npt.NDArray[np.bool_], measured: Matrix) -> Card:
    """Owner level fidelity of the generated queries of each style: a small repertoire is told apart."""
    styles = sorted({r.style for r in study.recordings})
    count = Counter(r.style for r in study.recordings)
    found = {}
    for number, style in enumerate(styles):
        at = np.arange(number, study.generated, len(styles))
        figure = lds(scores[at], subsets, measured[:, :, at])
        found[style] = {"recordings": count[style], **asdict(figure)}
    return found


def _removal(study: Study, scores: dict[str, Matrix], processes: int, progress: Progress) -> Card:
    """What leaving out the tenth that shaped a query most costs it, beyond leaving out a random tenth."""
    count = study.profile.removals
    size = max(1, round(REMOVED * len(study.recordings)))
    chosen = np.linspace(0, study.generated - 1, count).astype(int).tolist()
    rng = np.random.default_rng(3)
    asked = {name: scores[name] for name in (OURS, study.material.rival)}

    def without(rows: npt.NDArray[np.int64]) -> Rows:
        return ~np.isin(np.arange(len(study.recordings)), rows)

    plans = {name: [without(np.argsort(-s[q])[:size]) for q in chosen] for name, s in asked.items()}
    plans["random"] = [without(rng.permutation(len(study.recordings))[:size]) for _ in chosen]
    cost = {}
    for name, subsets in plans.items():
        y = study.measure(subsets, 1, processes=processes, progress=progress, note=f"without: {name}")[0]
        cost[name] = np.array([-y[i, q] for i, q in enumerate(chosen)])
    return {
        name: {
            "nats": float((cost[name] - cost["random"]).mean()),
            "error": float((cost[name] - cost["random"]).std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0,
            "worse": int((cost[name] > cost["random"]).sum()),
            "queries": count,
        }
        for name in asked
    }


def _stability(study: Study, scores: dict[str, Matrix]) -> float | None:
    """Mean correlation over queries of scores by the base run alone and by its sister runs alone."""
    if SISTERS not in scores:
        return None
    pairs = zip(scores[OURS][: study.generated], scores[SISTERS][: study.generated], strict=True)
    # What the pair has in common by construction is taken out: all runs together are the mean of each.
    runs = study.profile.sisters + 1
    return float(np.mean([np.corrcoef(one, runs * every - one)[0, 1] for one, every in pairs]))


FUNCTIONALS = {"d-trak": "the squared length of the denoiser's output", "loss": "the denoiser's squared error"}


@dataclass(frozen=True)
class _Words:
    """How a family's card is told."""

    model: str
    effect: str
    unit: str


_WORDS = {
    "symbolic": _Words("a small model of the same kind", "how likely pieces became", "nats a token"),
    "latent": _Words(
        "a fresh denoiser of the same shape",
        "how well pieces were told from noise (minus the squared error of a latent, which stands for likelihood)",
        "of the squared error of a latent",
    ),
}


def words(card: Card) -> str:
    """The card in words, as Markdown."""
    study, fact = card["study"], card["fact"]
    said = _WORDS[card.get("family", "symbolic")]
    basis = (
        f"Measured by training {said.model} ({study['parameters']:,} parameters) again {study['trainings']} times "
        f"without random halves of {study['recordings']} recordings or their {study['owners']} owners, and comparing "
        f"{said.effect} with what attribution had said beforehand. It speaks for the method on this music, not for "
        "every single share."
    )
    score = (
        f"**LDS {fact['lds']:.2f}** (95 % interval {fact['lds_low']:.2f} to {fact['lds_high']:.2f}) on pieces the "
        "model made itself: the rank correlation of predicted and measured effect, 0 for guessing, 1 for a perfect "
        "prediction."
    )
    lines = ["# How far attribution can be trusted", "", basis, "", score, "", *_functional(card)]
    for kind, levels in card["lds"].items():
        for level, rows in levels.items():
            ours, less = rows[OURS], card["differences"][kind][level]
            ceiling = f", noise of training allows {ours['ceiling']:.2f}" if ours["ceiling"] else ""
            lines += [
                f"## Pieces {kind}, halves of {level}",
                "",
                f"Permuted measurements reach {ours['null']:.2f}{ceiling}.",
                "",
                f"| method | LDS | 95 % interval | {OURS} is better by |",
                "|---|---|---|---|",
                *(
                    f"| {name} | {r['lds']:.3f} | {r['low']:.3f} to {r['high']:.3f} | {_better(less.get(name))} |"
                    for name, r in rows.items()
                ),
                "",
            ]
    slope, removal = card["calibration"], card["removal"]
    sizes = (
        "Measured effect of owners for each unit predicted, on retrainings that were not used to fit it: "
        f"{slope['slope']:.2f} ({slope['low']:.2f} to {slope['high']:.2f}); 1 is right."
    )
    lines += [
        "## Sizes",
        "",
        sizes,
        "",
        *(
            f"Without the tenth of the recordings named first by {name}, pieces became less likely than without a "
            f"random tenth by {r['nats']:+.4f} ± {r['error']:.4f} {said.unit} ({r['worse']} of {r['queries']} pieces)."
            for name, r in removal.items()
        ),
        "",
        "## Small repertoires",
        "",
        "| style | recordings | LDS of owners | 95 % interval |",
        "|---|---|---|---|",
        *(
            f"| {style} | {r['recordings']} | {r['lds']:.2f} | {r['low']:.2f} to {r['high']:.2f} |"
            for style, r in sorted(card["styles"].items(), key=lambda item: item[1]["recordings"])
        ),
        "",
        "## How steady it is, and how it looks",
        "",
        *_steadiness(card),
        "",
    ]
    return "\n".join(lines)


def _functional(card: Card) -> list[str]:
    """Of a model that makes sound: what attribution differentiates, and whether the other would have done better."""
    own = card.get("functional")
    if own is None:
        return []
    name = by(OTHER[own])
    lds, less = card["lds"]["generated"]["works"][name]["lds"], card["differences"]["generated"]["works"][name]
    verdict = (
        "which is worse" if less["low"] > 0 else "which is better" if less["high"] < 0 else "which is not told from it"
    )
    told = (
        f"Attribution differentiates {FUNCTIONALS[own]} (`{own}`), as the release's `stemma.json` says. "
        f"Differentiating {FUNCTIONALS[OTHER[own]]} (`{OTHER[own]}`) reaches {lds:.2f}, {verdict}."
    )
    return [told, ""]


def _better(less: Card | None) -> str:
    return "" if less is None else f"{less['mean']:+.3f} ({less['low']:+.3f} to {less['high']:+.3f})"


def _steadiness(card: Card) -> list[str]:
    found, look = card["stability"], card["diagnosis"][OURS]
    steady = (
        "The model was trained from one seed only: what another would change is not known."
        if found is None
        else f"Scores from a model trained with another seed correlate with these at {found:.2f}; 1 is the same."
    )
    looks = (
        f"The tenth of the recordings with most of it hold {look['column_mass']:.0%} of all positive score (10 % is "
        f"even). The scores give as many as {look['effective_rank']:.1f} different answers; those of two pieces "
        f"correlate at {look['alike']:.2f} (1: always the same answer)."
    )
    return [steady, "", looks]


def plots(card: Card, folder: Path) -> list[Path]:
    """LDS by method with intervals, sizes with removal and repertoires, and how the scores look."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    made = []
    with mpl.rc_context({"svg.hashsalt": "stemma"}):
        for name, draw in (("sizes", _draw_sizes), ("diagnosis", _draw_diagnosis)):
            figure = Figure(figsize=(12, 4), layout="constrained")
            draw(figure.subplots(1, 3), card)
            made.append(folder / f"{name}.svg")
            figure.savefig(made[-1])
        for kind, levels in card["lds"].items():
            figure = Figure(figsize=(8, 4), layout="constrained")
            for axes, (level, rows) in zip(figure.subplots(1, 2, sharey=True), levels.items(), strict=True):
                names = list(rows)[::-1]
                axes.barh(names, [rows[n]["lds"] for n in names], xerr=_spread([rows[n] for n in names]))
                axes.axvline(rows[names[0]]["null"], linestyle=":", color="grey")
                axes.set_title(f"{kind}, {level}")
                axes.set_xlabel("LDS")
            path = folder / f"lds-{kind.replace(' ', '-')}.svg"
            figure.savefig(path)
            made.append(path)
    return made


def _draw_sizes(axes: Any, card: Card) -> None:
    slope, removal, styles = card["calibration"], card["removal"], card["styles"]
    axes[0].errorbar(["owners"], [slope["slope"]], yerr=_spread([slope], "slope"), fmt="o")
    axes[0].axhline(1, linestyle=":", color="grey")
    axes[0].set_title("measured effect per predicted")
    axes[1].bar(list(removal), [r["nats"] for r in removal.values()], yerr=[r["error"] for r in removal.values()])
    axes[1].set_title("cost of leaving out the tenth, nats")
    names = sorted(styles, key=lambda style: styles[style]["recordings"])
    rows = [styles[n] for n in names]
    axes[2].barh([f"{n} ({styles[n]['recordings']})" for n in names], [r["lds"] for r in rows], xerr=_spread(rows))
    axes[2].set_title("LDS of owners by repertoire (recordings)")


def _draw_diagnosis(axes: Any, card: Card) -> None:
    looks = card["diagnosis"]
    titles = {"column_mass": "score on the first tenth", "effective_rank": "different answers", "alike": "alike"}
    for at, (key, title) in zip(axes, titles.items(), strict=True):
        at.barh(list(looks)[::-1], [look[key] for look in looks.values()][::-1])
        at.set_title(title)


def _spread(rows: Sequence[Card], key: str = "lds") -> npt.NDArray[np.float64]:
    """Lengths of error bars below and above."""
    ends = [[r[key] - r["low"] for r in rows], [r["high"] - r[key] for r in rows]]
    return np.asarray(ends, dtype=np.float64).clip(0, None)


def figures(card: Card) -> dict[str, float]:
    """Every figure of a card by its path, such as `lds.generated.works.this_method.low`."""
    found: dict[str, float] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{path}.{key}" if path else str(key), inner)
        elif isinstance(value, int | float):
            found[path.replace(" ", "_")] = float(value)

    walk("", {key: card[key] for key in card if key not in {"plan", "study", "fact"}})
    return found


def log(card: Card, name: str) -> str:
    """Log a card, its figures, its words and its plots to MLflow; the run's identifier."""
    from stemma.training.tracking import Tracker, code_version

    tracker = Tracker(f"fidelity · {name}")
    tracker.start(
        {"profile": card["profile"], **card["study"]}, {"stemma.release": name, "stemma.code": code_version()}
    )
    for path_of, value in figures(card).items():
        tracker.metric(path_of, value, 0)
    tracker.document(CARD, card)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / WORDS).write_text(words(card))
        for path in [Path(place) / WORDS, *plots(card, Path(place))]:
            tracker.client.log_artifact(tracker.run_id, str(path))
    tracker.end("FINISHED")
    return tracker.run_id
