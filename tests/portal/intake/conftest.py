"""Labels with catalogs in tables, and a worker that takes work as soon as it is committed."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from stemma.rights.identifiers import iswc_check

HEAD = "Title,Artist,ISRC,Reference,Release,UPC,Duration,ISWC"
HEAD += ",Publisher 1,Publisher 1 share %,Publisher 2,Publisher 2 share %,Takedown"


def line(n: int, **changes: str) -> str:
    digits = f"{n:09d}"
    cells = {
        "title": f"Song {n}",
        "artist": "The Examples",
        "isrc": f"QZSTM26{n:05d}",
        "reference": f"EX-{n}",
        "release": "Album",
        "upc": "036000291452",
        "duration": "3:45",
        "iswc": f"T{digits}{iswc_check(digits)}",
        "one": "Erika Example",
        "one_share": "50",
        "two": "John Example",
        "two_share": "50",
        "takedown": "",
        **changes,
    }
    return ",".join(cells.values())


def table(*lines: str) -> bytes:
    return "\n".join([HEAD, *lines, ""]).encode()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A worker that takes each task when it is committed."""
    from stemma_portal.intake import tasks

    for task in (tasks.import_stage, tasks.import_run, tasks.search_refresh):
        monkeypatch.setattr(task, "delay", task)


@pytest.fixture
def labels(cast, storage):
    """Both labels with their rights-holders."""
    from stemma_portal.catalog.models import Party

    for organisation in (cast.label, cast.other):
        organisation.party = Party.objects.create(name=organisation.name)
        organisation.save()
    return cast


@pytest.fixture
def bring(labels, committed) -> Callable[..., Any]:
    """`bring(table(…))` uploads as the label and reads; `confirm=True` imports too."""
    from stemma_portal.intake.models import Import
    from stemma_portal.intake.services import import_confirm, import_create, import_map

    def bringing(body: bytes, *, confirm: bool = True, organisation=None, by=None, name: str = "catalog.csv") -> Import:
        organisation, by = organisation or labels.label, by or labels.owner
        with committed():
            batch = import_create(organisation=organisation, file=io.BytesIO(body), name=name, by=by)
        if batch.state == Import.State.MAPPING:
            with committed():
                import_map(batch=batch, mapping=batch.mapping, by=by)
        batch.refresh_from_db()
        if confirm and batch.state == Import.State.STAGED:
            with committed():
                import_confirm(batch=batch, by=by)
            batch.refresh_from_db()
        return batch

    return bringing
