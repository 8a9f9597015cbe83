"""A label with recordings, and a browser's part of an upload: parts sent to real object storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from portal.intake.conftest import bring, labels, line, table  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A worker that takes each task when it is committed."""
    from stemma_portal.audio import tasks
    from stemma_portal.intake import tasks as imports

    for task in (tasks.upload_take, imports.import_stage, imports.import_run, imports.search_refresh):
        monkeypatch.setattr(task, "delay", task)


@pytest.fixture
def label(labels, storage, bring):  # noqa: F811
    """Three recordings: `QZSTM2600001` to `…3`, numbers `EX-1` to `EX-3`, titles `Song 1` to `Song 3`, no length."""
    bring(table(*(line(n, duration="") for n in (1, 2, 3))))
    return labels


@pytest.fixture
def send(label, committed) -> Callable[..., Any]:
    """`send(path)` brings a file as the label's owner, as a browser would, and gives the upload at its end."""
    from stemma_portal.audio.services import upload_addresses, upload_begin, upload_finish, upload_parts

    def sending(path: Path, *, name: str | None = None, finish: bool = True) -> Any:
        with committed():
            upload = upload_begin(
                organisation=label.label, name=name or path.name, size=path.stat().st_size, mark="m", by=label.owner
            )
        parts = upload_parts(upload)
        for number in set(range(1, parts.count + 1)) - set(parts.arrived):
            start = (number - 1) * parts.size
            body = path.read_bytes()[start : start + parts.size]
            httpx.put(upload_addresses(upload=upload, numbers=[number])[number], content=body).raise_for_status()
        if finish:
            with committed():
                upload_finish(upload=upload, by=label.owner)
        upload.refresh_from_db()
        return upload

    return sending
