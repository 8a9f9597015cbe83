"""Builds on a cluster of Ray: Ray Data computes the parts of a store on whatever nodes there are.

Workers see no folder of whoever builds.  What work at a checkpoint takes, the model's files and the
directions, lies in Ray's object store, from where each worker reads it once; segments come with the
jobs, and arrays go back.  Jobs are tasks and not actors: Ray's processes outlast them, and keep a model from one
to the next, while each pool of actors would load torch anew.  Needs the extra `serving`.
"""

from __future__ import annotations

import logging
import os
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from stemma.attribution.workers import MEMORY, Job, Made, Work, Workers, one_thread
from stemma.errors import InvalidError, StemmaError, UnavailableError
from stemma.models.protocol import Family


@contextmanager
def cluster() -> Iterator[Workers]:
    """Workers on the cluster that this process belongs to, or that RAY_ADDRESS names.

    Raises `UnavailableError` where there is none, `InvalidError` where Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise InvalidError("Ray is not installed.", remedy="Install Stemma with its extra `serving`.") from None
    own = not ray.is_initialized()
    if own:
        try:
            ray.init(address="auto")
        except (ConnectionError, ValueError) as error:
            named = os.environ.get("RAY_ADDRESS")
            raise UnavailableError(
                f"There is no cluster of Ray {f'at {named}' if named else 'here'}.",
                remedy="Run this on one of its nodes, or name it by RAY_ADDRESS; or build without --ray.",
                code="no-cluster",
            ) from error
    try:
        yield _on_cluster
    finally:
        if own:
            ray.shutdown()


def _on_cluster(jobs: Sequence[Job[Made]]) -> Iterator[tuple[int, Made]]:
    if not jobs:
        return
    import ray
    from ray import data

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    context = data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False  # builds tell how far they are
    works = {work: number for number, work in enumerate(dict.fromkeys(work for work, _ in jobs))}
    rows = [
        {"place": place, "work": works[work], "segments": pickle.dumps(segments)}
        for place, (work, segments) in enumerate(jobs)
    ]
    made = data.from_items(rows, override_num_blocks=len(rows)).map(
        _done,
        fn_args=([ray.put((work, _files(work.model))) for work in works],),
        max_calls=0,  # a process stays, and with it the model, also where it has a GPU
        **_room([node["Resources"] for node in ray.nodes() if node["Alive"]]),
    )
    for row in made.iter_rows():
        found = pickle.loads(row["made"])  # noqa: S301 - of our own worker
        if isinstance(found, StemmaError):
            raise found
        yield row["place"], found


def _room(nodes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What a worker takes: a GPU where the cluster has them, else a processor; and memory as far as a node has it."""
    unit = "GPU" if any(node.get("GPU", 0) >= 1 for node in nodes) else "CPU"
    most = max((node.get("memory", 0) for node in nodes if node.get(unit, 0) >= 1), default=0)
    if not most:
        raise UnavailableError(
            "The cluster of Ray has no processor to give.",
            remedy="Add nodes to it, or let its head give some.",
            code="no-room",
        )
    return {f"num_{unit.lower()}s": 1, "memory": min(MEMORY, most)}


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@one_thread()
def _done(row: dict[str, Any], works: Sequence[Any]) -> dict[str, Any]:
    """Do a job, on some node."""
    made: Any
    try:
        work, family = _loaded(works[row["work"]])
        made = work.do(family, pickle.loads(row["segments"]))  # noqa: S301 - of our own build
    except StemmaError as error:  # told in its own words, not wrapped in Ray's
        made = error
    return {"place": row["place"], "made": pickle.dumps(made)}


@lru_cache(maxsize=1)
def _loaded(packed: Any) -> tuple[Work[Any], Family]:
    """Work from the object store, with its model; the last one is kept: Ray's processes do many jobs."""
    import ray

    work, files = ray.get(packed)
    with tempfile.TemporaryDirectory(prefix="stemma-") as folder:
        for name, body in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return work, work.load(Path(folder))
