"""Model families behind one protocol; `load` picks the one a folder belongs to."""

from __future__ import annotations

import json
from pathlib import Path

from stemma.errors import InvalidError, NotFoundError
from stemma.models.content import FAMILIES
from stemma.models.protocol import Family


def family_of(folder: Path) -> str:
    """Name of the family of a bundle or checkpoint."""
    try:
        name = str(json.loads((folder / "stemma.json").read_text())["family"])
    except FileNotFoundError:
        raise NotFoundError(f"{folder} holds no model.", remedy="Give the folder of a release or checkpoint.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(f"{folder / 'stemma.json'} does not describe a model.", code="bad-bundle") from error
    if name not in FAMILIES:
        raise InvalidError(
            f"This version knows no model family {name!r}.", remedy="Update stemma.", code="unknown-family"
        )
    return name


def load(folder: Path) -> Family:
    """The model in a released bundle or a checkpoint of a run."""
    if family_of(folder) == "latent":
        from stemma.models.latent.family import Latent

        return Latent.load(folder)
    from stemma.models.symbolic.family import Symbolic

    return Symbolic.load(folder)
