"""An attribution made again from what is kept: the generation, the fact, the release and its store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from stemma.attribution.manifest import MANIFEST, inside, parse
from stemma.attribution.shares import attribute
from stemma.attribution.store import Store
from stemma.attribution.workings import FORMAT, OwnInputs
from stemma.errors import InvalidError, NotFoundError, ProofError, UnavailableError
from stemma.models.protocol import Example
from stemma.proof.canonical import sha256
from stemma.storage import Storage

TOLERANCE = 1000
"""Parts per billion by which shares may differ on a machine of another kind, whose sums round otherwise."""


@dataclass(frozen=True)
class Recomputed:
    """What was stated, and what comes out now."""

    stated: dict[str, int]
    found: dict[str, int]
    intervals: tuple[Mapping[str, Sequence[int]], Mapping[str, Sequence[int]]] = ({}, {})
    """Of the shares, stated and found; empty where the fact states none."""

    @property
    def apart(self) -> int:
        """Largest difference of any recording's share or end of its interval, in ppb; 0 where all are the same."""
        pairs = [(self.stated.get(n, 0), self.found.get(n, 0)) for n in self.stated.keys() | self.found.keys()]
        stated, found = self.intervals
        for name in stated.keys() | found.keys():
            pairs += zip(stated.get(name, (0, 0)), found.get(name, (0, 0)), strict=True)
        return max((abs(a - b) for a, b in pairs), default=0)


def fact_of(storage: Storage, generation: str) -> dict[str, Any]:
    """The attribution fact that was stated of a generation; `NotFoundError` when there is none."""
    return dict(storage.get_json(f"generations/{generation}/attribution.json"))


def example_of(storage: Storage, generation: str) -> dict[str, Any]:
    """A generation as the model sees it; `NotFoundError` when there is none."""
    return dict(storage.get_json(f"generations/{generation}/example.json"))


def read_example(said: Any, generation: str) -> Example:
    """What `example.json` of a generation says; `InvalidError` when it is none."""
    try:
        return Example(tuple(said["tokens"]), tuple(said["condition"]))
    except (KeyError, TypeError) as error:
        raise InvalidError(f"The example of {generation} cannot be read: {error!r}.", code="bad-example") from error


class StoreFile(BaseModel):
    """A file of a store, and where it is for now."""

    path: str
    sha256: str
    url: str


class Inputs(BaseModel):
    """What the portal hands out to make an attribution again from: `POST /generations/{id}/recomputation`."""

    fact: dict[str, Any]
    example: dict[str, Any]
    store: list[StoreFile] = []
    lacking: str = ""
    """Why there are no files of the store."""

    @classmethod
    def read(cls, path: Path) -> Inputs:
        """From the file in which the answer was kept."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise NotFoundError(f"There is no {path}.") from None
        except ValidationError as error:
            raise InvalidError(
                f"{path} does not hold the inputs of an attribution: {error.errors()[0]['msg']}.",
                remedy="Ask the portal: POST /api/v1/generations/GENERATION/recomputation.",
                code="bad-inputs",
            ) from error

    def fetch(self, folder: Path) -> None:
        """Download the store into a folder, what lies there already left; its manifest comes last.

        Raises `ProofError` for a file that is not what its hash says, or a manifest of another store than the fact's.
        """
        if not self.store:
            raise InvalidError(
                f"These inputs hold no store. {self.lacking}".strip(),
                remedy="Whoever may have the weights of the release may have its store.",
                code="no-store",
            )
        for file in sorted(self.store, key=lambda file: (file.path == MANIFEST, file.path)):
            path = inside(folder, file.path)
            if path.is_file() and sha256(path.read_bytes()) == file.sha256:
                continue
            body = _download(file)
            if sha256(body) != file.sha256:
                raise ProofError(f"{file.path} is not what its hash says.", remedy="Ask again.", code="store-tampered")
            if file.path == MANIFEST and parse(body).version != self.fact.get("store"):
                raise ProofError("This is another store than the fact names.", code="foreign-store")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)


def own_inputs(path: Path) -> OwnInputs | None:
    """What the owner of a recording was handed in this file; None where it says to be something else."""
    try:
        said = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"There is no {path}.") from None
    except ValueError:
        return None  # `Inputs.read` says what is wrong with it
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        return None
    try:
        return OwnInputs.model_validate(said)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidError(
            f"{path} does not hold an owner's inputs: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}.",
            remedy="Ask the portal again: GET /api/v1/catalog/recordings/RECORDING/carried/pieces/ATTRIBUTION.",
            code="bad-inputs",
        ) from error


def _download(file: StoreFile) -> bytes:
    try:
        answer = httpx.get(file.url, timeout=300)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"{file.path} cannot be fetched ({type(error).__name__}).",
            remedy="Addresses hold for ten minutes: ask the portal for new ones; what was fetched is kept.",
        ) from error
    return answer.content


def recompute(said: dict[str, Any], fact: dict[str, Any], store: Store) -> Recomputed:
    """The shares of a fact's generation, whose example is `said`, by the store that the fact names."""
    if (fact["store"], fact["model_release"]) != (store.version, store.manifest.release):
        raise ProofError(
            f"The fact names store {fact['store']} of {fact['model_release']}, "
            f"not {store.version} of {store.manifest.release}.",
            remedy="Fetch the store that the fact names.",
            code="foreign-store",
        )
    found = attribute(store, read_example(said, fact["generation"]))
    # Facts of before version 2 state no intervals, so there is nothing to compare them with.
    intervals = (fact["intervals"] or {}, found.intervals or {}) if fact.get("version", 1) > 1 else ({}, {})
    return Recomputed(stated=dict(fact["shares"]), found=found.shares, intervals=intervals)
