"""Claims `lds-ceiling`, `store-compression` and `calibration`, from the quick study of the house catalog.

- `lds-ceiling`: LDS on generated queries, work level, against what the noise of training seeds allows; of one run and
  of five, and the same on pieces that were never looked at while the method's settings were chosen.
- `store-compression`: LDS of the compressed store against one that keeps every coordinate; its bytes against
  those of every coordinate in 32 bits.
- `calibration`: slope of measured on predicted effects of owners, on retrainings not fitted to; peer 1.

The first run trains for some forty minutes on two free cores and keeps every training; later ones read them.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import torch

from ground.corpus import study
from ground.timing import claim
from stemma.attribution.fidelity import difference, lds
from stemma.models.symbolic.family import Symbolic
from stemma.training import fidelity
from stemma.training.material import OURS, SISTERS
from stemma.training.study import Study


def main() -> None:
    """Measure and print the claims."""
    torch.set_num_threads(1)
    found = study()
    card = fidelity.evaluate(found)
    (found.folder / fidelity.CARD).write_text(json.dumps(card, indent=1))
    print(fidelity.words(card))
    rows = card["lds"]["generated"]["works"]
    ours, exact = rows[OURS], rows["every coordinate"]
    scores = fidelity.methods(found)
    made = slice(0, found.generated)
    works = found.halves()
    measured = found.measure(works, found.profile.seeds)[:, :, made]
    paired = difference(scores[OURS][made], scores["every coordinate"][made], np.array(works), measured)
    size = card["plan"]["keep"]
    whole = 4 * _compared(found)
    print(f"LDS {ours['lds']:.3f} [{ours['low']:.3f}, {ours['high']:.3f}], ceiling {ours['ceiling']:.3f}")
    print(f"compressed less exact: {paired.mean:+.3f} [{paired.low:+.3f}, {paired.high:+.3f}] at 1/{whole / size:.0f}")
    print(f"slope [{card['calibration']['low']:.2f}, {card['calibration']['high']:.2f}]")
    for name, table in (("", rows), (", other pieces", _other_pieces())):
        for method, runs in ((OURS, "one run"), (SISTERS, "five runs")):
            row = table[method]
            print(f"{runs}{name}: LDS {row['lds']:.3f} [{row['low']:.3f}, {row['high']:.3f}] of {row['ceiling']:.3f}")
            claim("lds-ceiling", row["lds"], row["ceiling"], row["lds"] / row["ceiling"], f"LDS, {runs}{name}")
    claim(
        "store-compression",
        ours["lds"],
        exact["lds"],
        ours["lds"] / exact["lds"],
        f"LDS at {size / whole:.3f} of bytes",
    )
    claim("calibration", card["calibration"]["slope"], 1.0, card["calibration"]["slope"], "measured per predicted")


def _other_pieces() -> dict[str, fidelity.Card]:
    """LDS on generated queries, work level, of a study of the pieces that come after those of the first."""
    found = study(after=True)
    works, made = found.halves(), slice(0, found.generated)
    measured = found.measure(works, found.profile.seeds)[:, :, made]
    scores = fidelity.methods(found)
    return {name: asdict(lds(s[made], np.array(works), measured)) for name, s in scores.items()}


def _compared(found: Study) -> int:
    """Weights whose gradients a store compares; the table of words is the projection on them, too, and counts twice."""
    network = Symbolic.load(found.checkpoints[-1]).network
    words = network.decoder.model.embed_tokens.weight
    inner = [w for n, w in network.named_parameters() if ".layers." in n and w.ndim == 2]
    return sum(w.numel() for w in [words, words, network.places.weight, *inner])


if __name__ == "__main__":
    main()
