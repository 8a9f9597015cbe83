"""Claims `lds-vs-peer` and `score-matrix-time`: against kronfluence's EK-FAC on our own trained model.

Both score the same generated queries against the same recordings of the quick study, over the same linear
layers of the same model: kronfluence at its last checkpoint, as it is made to be used (its default: sampled
labels, damping by its heuristic, float32), ours at one and at five.  LDS is of the study's work level
retrainings; times are of factors, features and the whole score matrix, one thread each.

Needs the peer beside what Stemma needs, and the study's trainings, which it makes where they are missing:
`pip install --no-deps kronfluence==1.0.1 einconv==0.1.0 einops==0.8.2 opt_einsum==3.4.0`.  Not with its
dependencies: the torchvision that they bring does not fit the CPU build of PyTorch, and transformers then
does not load.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ground.corpus import study
from ground.timing import claim
from stemma.attribution.fidelity import difference, lds
from stemma.attribution.store import Store
from stemma.models.protocol import Example
from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.network import Batch, as_segment
from stemma.training import fidelity
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


def _loss(batch: dict[str, Tensor], network: Any, *, sample: bool) -> Tensor:
    tokens, free = batch["tokens"], batch["free"]
    nobody = torch.zeros(len(tokens), 384), torch.zeros(len(tokens), dtype=torch.bool)
    inputs = network.inputs(tokens[:, :-1], batch["features"], *nobody)
    hidden = network.decoder.model(inputs_embeds=inputs, use_cache=False).last_hidden_state
    logits = network.decoder.lm_head(hidden[free])
    wanted = torch.multinomial(logits.detach().softmax(-1), 1)[:, 0] if sample else tokens[free]
    return nn.functional.cross_entropy(logits, wanted, reduction="sum")


def main() -> None:
    """Measure and print both claims."""
    torch.set_num_threads(1)
    found = study()
    examples, queries = [some[0] for some in found.examples()], found.queries[: found.generated]
    started = time.process_time()
    theirs = kronfluence(found, examples, queries)
    their_time = time.process_time() - started
    bundle, given, ours, spent = found.bundle(), found.given(), {}, {}
    for count in (1, 5):
        plan = fidelity.PLAN.model_copy(update={"checkpoints": count})
        with tempfile.TemporaryDirectory() as place:
            started = time.process_time()
            store = Store.build(bundle, Path(place) / "store", given, plan=plan)
            ours[count] = store.many(queries)[:, store.rows]
            spent[count] = time.process_time() - started
    works = np.array(found.halves())
    measured = found.measure(found.halves(), found.profile.seeds)[:, :, : found.generated]
    score = {name: lds(s, works, measured) for name, s in {"peer": theirs, **ours}.items()}
    for name, figure in score.items():
        print(f"{name}: LDS {figure.lds:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
    for count, scores in ours.items():
        paired = difference(scores, theirs, works, measured)
        print(f"{count} checkpoints less peer: {paired.mean:+.3f} [{paired.low:+.3f}, {paired.high:+.3f}]")
    print(f"seconds of one thread: peer {their_time:.1f}, ours {spent[1]:.1f} (1), {spent[5]:.1f} (5)")
    claim("lds-vs-peer", score[5].lds, score["peer"].lds, score[5].lds / score["peer"].lds, "LDS")
    claim("score-matrix-time", spent[1], their_time, spent[1] / their_time, "s of processor time")


if __name__ == "__main__":
    main()
