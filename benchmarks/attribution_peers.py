"""Claims `lds-vs-peer` and `score-matrix-time`: against kronfluence's EK-FAC and dattri's LoGra on our own model.

All score the same generated queries against the same recordings of the quick study, over the same linear
layers of the same model, from the same examples as they were read once: the peers at its last checkpoint,
ours at one and at five.  kronfluence as it is made to be used (its default: sampled labels, damping by its
heuristic, float32); LoGra with 32 directions on each side, empirical Fisher matrix and the damping of its
paper.  LDS is of the study's work level retrainings; times are of factors, features and the whole score
matrix, one thread each; what reading the recordings' MIDI takes, which only a store does, is told beside.

Needs the peers beside what Stemma needs, and the study's trainings, which it makes where they are missing:
`pip install --no-deps kronfluence==1.0.1 einconv==0.1.0 einops==0.8.2 opt_einsum==3.4.0 dattri==0.3.0 accelerate`.  Not
with their dependencies: the torchvision that they bring does not fit the CPU build of PyTorch, and
transformers then does not load.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ground.corpus import study
from ground.timing import claim
from stemma.attribution.fidelity import difference, lds
from stemma.attribution.store import Store
from stemma.models.protocol import Example
from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.network import Batch, as_segment
from stemma.rights.snapshot import SnapshotRecording
from stemma.training import notes
from stemma.training.study import Study


class Padded(Dataset):  # type: ignore[type-arg]
    """Examples as dictionaries of tensors of one length."""

    def __init__(self, examples: Sequence[Example], model: Symbolic) -> None:
        vocabulary = model.network.vocabulary
        segments = [as_segment(e.tokens, vocabulary) for e in examples]
        batch = Batch.of(segments, vocabulary)
        self.rows = [
            {"tokens": t, "features": f, "free": k}
            for t, f, k in zip(batch.tokens, batch.features, batch.free, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.rows[index]


def kronfluence(found: Study, examples: Sequence[Example], queries: Sequence[Example]) -> np.ndarray:
    """Its scores [queries, examples]."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task

    model = Symbolic.load(found.checkpoints[-1])

    class Prediction(Task):  # type: ignore[misc]
        """Next tokens, on those that the grammar leaves free."""

        def compute_train_loss(self, batch: dict[str, Tensor], model: nn.Module, sample: bool = False) -> Tensor:
            return _loss(batch, model, sample=sample)

        def compute_measurement(self, batch: dict[str, Tensor], model: nn.Module) -> Tensor:
            return _loss(batch, model, sample=False)

        def get_influence_tracked_modules(self) -> list[str]:
            return [n for n, m in model.network.named_modules() if isinstance(m, nn.Linear) and ".layers." in n]

    network = prepare_model(model.network, Prediction())
    with tempfile.TemporaryDirectory() as place:
        analyzer = Analyzer("study", network, Prediction(), cpu=True, output_dir=place, disable_tqdm=True)
        train, asked = Padded(examples, model), Padded(queries, model)
        analyzer.fit_all_factors("f", train, per_device_batch_size=32, factor_args=FactorArguments(strategy="ekfac"))
        analyzer.compute_pairwise_scores(
            "s", "f", asked, train, per_device_query_batch_size=16, per_device_train_batch_size=32,
            score_args=ScoreArguments(),
        )  # fmt: skip
        return np.asarray(analyzer.load_pairwise_scores("s")["all_modules"].double())


def logra(found: Study, examples: Sequence[Example], queries: Sequence[Example]) -> np.ndarray:
    """Scores of dattri [queries, examples]."""
    from dattri.algorithm import LoGraAttributor
    from dattri.task import AttributionTask

    model = Symbolic.load(found.checkpoints[-1])

    class Losing(nn.Module):
        """The network as dattri asks for it: named tensors in, an object with a loss out."""

        def __init__(self) -> None:
            super().__init__()
            self.network = model.network

        def forward(self, **batch: Tensor) -> SimpleNamespace:
            return SimpleNamespace(loss=_loss(batch, self.network, sample=False))

    whole = Losing()
    layers = [n for n, m in whole.named_modules() if isinstance(m, nn.Linear) and ".layers." in n]
    task = AttributionTask(lambda m, batch, _: m(**batch).loss, whole, checkpoints=whole.state_dict())
    train, asked = (DataLoader(Padded(some, model), batch_size=32) for some in (examples, queries))
    with tempfile.TemporaryDirectory() as place:  # it leaves a file where it runs
        attributor = LoGraAttributor(
            task, layer_names=layers, hessian="eFIM", damping=0.1, proj_dim=1024, offload="none", cache_dir=place
        )
        attributor.cache(train)
        return np.asarray(attributor.attribute(train, asked).T.double())


def _loss(batch: dict[str, Tensor], network: Any, *, sample: bool) -> Tensor:
    tokens, free = batch["tokens"], batch["free"]
    nobody = torch.zeros(len(tokens), 384), torch.zeros(len(tokens), dtype=torch.bool)
    inputs = network.inputs(tokens[:, :-1], batch["features"], *nobody)
    hidden = network.decoder.model(inputs_embeds=inputs, use_cache=False).last_hidden_state
    logits = network.decoder.lm_head(hidden[free])
    wanted = torch.multinomial(logits.detach().softmax(-1), 1)[:, 0] if sample else tokens[free]
    return nn.functional.cross_entropy(logits, wanted, reduction="sum")


class Read(Symbolic):
    """The study's model for which the recordings were read before, as they were for the peers."""

    ready: ClassVar[dict[str, list[Example]]] = {}

    def examples(self, recording: SnapshotRecording, _midi: bytes) -> list[Example]:
        """As they were read."""
        return self.ready[recording.recording]


def main() -> None:
    """Measure and print both claims."""
    torch.set_num_threads(1)
    found = study()
    examples, queries = [some[0] for some in found.material.examples()], found.queries[: found.generated]
    scores, spent = {}, {}
    for name, peer in {"kronfluence": kronfluence, "dattri": logra}.items():
        started = time.process_time()
        scores[name] = peer(found, examples, queries)
        spent[name] = time.process_time() - started
    bundle, given = found.bundle(), found.given()
    started = time.process_time()
    model = Symbolic.load(found.checkpoints[-1])
    Read.ready = {recording.recording: model.examples(recording, midi) for recording, midi in given}
    reading = time.process_time() - started
    for count in (1, 5):
        plan = notes.PLAN.model_copy(update={"checkpoints": count})
        with tempfile.TemporaryDirectory() as place:
            started = time.process_time()
            store = Store.build(bundle, Path(place) / "store", given, plan=plan, load=Read.load)
            scores[f"ours, {count}"] = store.predicted(queries).of(slice(None), store.rows).effects
            spent[f"ours, {count}"] = time.process_time() - started
    works = np.array(found.halves())
    measured = found.measure(found.halves(), found.profile.seeds)[:, :, : found.generated]
    score = {name: lds(s, works, measured) for name, s in scores.items()}
    better = max(("kronfluence", "dattri"), key=lambda name: score[name].lds)
    for name, figure in score.items():
        paired = difference(scores[name], scores[better], works, measured)
        print(
            f"{name}: LDS {figure.lds:.3f} [{figure.low:.3f}, {figure.high:.3f}], "
            f"less {better} {paired.mean:+.3f} [{paired.low:+.3f}, {paired.high:+.3f}], "
            f"{spent[name]:.1f} s of one thread"
        )
    print(f"reading the recordings: {reading:.1f} s")
    claim("lds-vs-peer", score["ours, 5"].lds, score[better].lds, score["ours, 5"].lds / score[better].lds, "LDS")
    time_, theirs = spent["ours, 1"], spent["kronfluence"]
    claim("score-matrix-time", time_, theirs, time_ / theirs, "s of processor time")


if __name__ == "__main__":
    main()
