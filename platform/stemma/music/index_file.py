"""Files of arrays that lie in the bundle of a release, for its pieces to be held against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy.typing as npt

from stemma.errors import InvalidError

Arrays = Mapping[str, npt.NDArray[Any]]
Made = TypeVar("Made")


def write(path: Path, form: str, names: Sequence[str], of: str, arrays: Arrays) -> None:
    """Write a file of this form: its arrays, and the names of `of`, such as `works`, whose they are."""
    from safetensors.numpy import save_file

    save_file(dict(arrays), path, metadata={"form": form, of: json.dumps(names)})


def read(path: Path, form: str, of: str, otherwise: str, make: Callable[[list[str], Arrays, str], Made]) -> Made:
    """What `make` makes of the names, the arrays and the SHA-256 of a file that `write` wrote.

    Raises `InvalidError`, which says `otherwise` of the file, where it is none of this form or `make` lacks something.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            said = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if said.get("form") != form:
            raise ValueError(f"its form is {said.get('form')!r}")
        return make(json.loads(said[of]), arrays, hashlib.sha256(path.read_bytes()).hexdigest())
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InvalidError(f"{path.name} {otherwise}: {error}.", remedy="Fetch it again.") from error
