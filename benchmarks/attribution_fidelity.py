"""Claims `lds-ceiling`, `store-compression` and `calibration`, from the quick study of the house catalog.

- `lds-ceiling`: LDS on generated queries, work level, against what the noise of training seeds allows.
- `store-compression`: LDS of the compressed store against one that keeps every coordinate; its bytes against
  those of every coordinate in 32 bits.
- `calibration`: slope of measured on predicted effects of owners, on retrainings not fitted to; peer 1.

The first run trains for some twenty minutes on two free cores and keeps every training; later ones read them.
"""

from __future__ import annotations

import json

import numpy as np
import torch

from ground.corpus import study
from ground.timing import claim
from stemma.attribution.fidelity import difference
from stemma.models.symbolic.family import Symbolic
from stemma.training import fidelity
from stemma.training.study import Study


def main() -> None:
    """Measure and print the claims."""
    torch.set_num_threads(1)
    found = study()
    card = fidelity.evaluate(found)
    (found.folder / fidelity.CARD).write_text(json.dumps(card, indent=1))
    print(fidelity.words(card))
    rows = card["lds"]["generated"]["works"]
    ours, exact = rows[fidelity.OURS], rows["every coordinate"]
    scores = fidelity.methods(found)
    made = slice(0, found.generated)
    works = found.halves()
    measured = found.measure(works, found.profile.seeds)[:, :, made]
    paired = difference(scores[fidelity.OURS][made], scores["every coordinate"][made], np.array(works), measured)
    size = card["plan"]["keep"]
    whole = 4 * sum(w.numel() for n, w in _compared(found))
    print(f"LDS {ours['lds']:.3f} [{ours['low']:.3f}, {ours['high']:.3f}], ceiling {ours['ceiling']:.3f}")
    print(f"compressed less exact: {paired.mean:+.3f} [{paired.low:+.3f}, {paired.high:+.3f}] at 1/{whole / size:.0f}")
    print(f"slope [{card['calibration']['low']:.2f}, {card['calibration']['high']:.2f}]")
    claim("lds-ceiling", ours["lds"], ours["ceiling"], ours["lds"] / ours["ceiling"], "LDS")
    claim(
        "store-compression",
        ours["lds"],
        exact["lds"],
        ours["lds"] / exact["lds"],
        f"LDS at {size / whole:.3f} of bytes",
    )
    claim("calibration", card["calibration"]["slope"], 1.0, card["calibration"]["slope"], "measured per predicted")


def _compared(found: Study) -> list[tuple[str, torch.Tensor]]:
    """Weights of the layers and tables whose gradients a store compares."""
    network = Symbolic.load(found.checkpoints[-1]).network
    tables = ("decoder.model.embed_tokens.weight", "places.weight")
    return [(n, w) for n, w in network.named_parameters() if n in tables or (".layers." in n and w.ndim == 2)]


if __name__ == "__main__":
    main()
