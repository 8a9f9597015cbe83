"""Claim `latent-lds-ceiling`, from the quick study of a small model that makes sound.

LDS of attribution on pieces that the model made itself, work level, against what the noise of training seeds
allows.  The pieces of the house catalog are played as the house plays them, and their beginnings learned from.

The first run plays, teaches an encoder and trains, and keeps all of it; later ones read.  Needs the SoundFont.
"""

from __future__ import annotations

import json

import torch

from ground.sound import study
from ground.timing import claim
from stemma.training import fidelity
from stemma.training.material import OURS


def main() -> None:
    """Measure and print the claim."""
    torch.set_num_threads(1)
    found = study()
    card = fidelity.evaluate(found)
    (found.folder / fidelity.CARD).write_text(json.dumps(card, indent=1))
    print(fidelity.words(card))
    ours = card["lds"]["generated"]["works"][OURS]
    claim("latent-lds-ceiling", ours["lds"], ours["ceiling"], ours["lds"] / max(ours["ceiling"], 1e-9), "LDS")


if __name__ == "__main__":
    main()
