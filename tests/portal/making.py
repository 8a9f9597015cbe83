"""Records, people and calls that tests of the portal are made of."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client, TestCase

from stemma.rights.consent import RELEASE_SCOPES
from stemma.rights.identifiers import iswc_check

if TYPE_CHECKING:
    from stemma_portal.accounts.models import Organisation, User

SCOPES = list(RELEASE_SCOPES)


def ident(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def party(name: str, *, demo: bool = True) -> dict[str, Any]:
    return {"id": ident(f"party {name}"), "name": name, "demo": demo}


def share(name: str, side: str, ppm: int = 1_000_000, *, demo: bool = True) -> dict[str, Any]:
    return {"party": party(name, demo=demo), "side": side, "ppm": ppm}


def record(number: int, *, master: str = "Label", publishing: str = "Artist", **changes: Any) -> dict[str, Any]:
    """A record that breaks no rule, but for its changes."""
    digits = f"{number:09d}"
    return {
        "id": ident(f"recording {number}"),
        "isrc": f"QZSTM{number:07d}",
        "title": f"Tune {number}",
        "work_id": ident(f"work {number}"),
        "work_title": f"Tune {number}",
        "iswc": f"T{digits}{iswc_check(digits)}",
        "composer": "Traditional",
        "style": "fiddle",
        "collection": "Tunes",
        "tempo": 100.0,
        "key": "D major",
        "duration_ms": 30_000,
        "midi_sha256": sha(f"midi {number}"),
        "audio_sha256": sha(f"audio {number}"),
        "loudness_lufs": -16.0,
        "peaks": [number % 256] * 400,
        "instruments": ["Violin"],
        "shares": [share(master, "master"), share(publishing, "publishing")],
        "source": {"name": "a book", "license": "Public domain", "free": True},
        **changes,
    }


@dataclass
class Cast:
    """The people every test of permissions asks."""

    owner: User
    """Signs for the label."""
    teammate: User
    """Member of the label, may look."""
    stranger: User
    """Owner of another label."""
    licensee: User
    """Owner of a studio that licenses music."""
    rights: User
    operator: User
    label: Organisation
    other: Organisation
    studio: Organisation


class Api:
    """The API as one account calls it; what waits for a commit runs when a call has ended."""

    def __init__(self, token: str | None = None) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.client.get(f"/api/v1/{path}", query_params=query, headers=self.headers)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("POST", path, body, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        text = body if isinstance(body, (str, bytes)) else json.dumps({} if body is None else body)
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        with TestCase.captureOnCommitCallbacks(execute=True):
            return self.client.generic(
                method, f"/api/v1/{path}", data=text, content_type="application/json", headers=sent
            )

    def upload(self, path: str, name: str, body: bytes, fields: dict[str, str], **headers: str) -> HttpResponse:
        """A form with a file, as browsers and programs send it."""
        return self.form(path, fields, {"file": (name, body)}, **headers)

    def form(
        self, path: str, fields: dict[str, str], files: dict[str, tuple[str, bytes]], **headers: str
    ) -> HttpResponse:
        """A form with several files, each its name and content."""
        sent = self.headers | {key.replace("_", "-"): value for key, value in headers.items()}
        given = {key: SimpleUploadedFile(*file) for key, file in files.items()}
        with TestCase.captureOnCommitCallbacks(execute=True):
            return self.client.post(f"/api/v1/{path}", {**fields, **given}, headers=sent)


def problem(response: HttpResponse, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem body of a refusal, which must be one."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert body["status"] == status
    assert body["detail"]
    if code is not None:
        assert body["code"] == code
    return body


def later(monkeypatch: Any, *tasks: Any) -> list[str]:
    """Names of the tasks that are handed to the broker, instead of handing them to it."""
    waiting: list[str] = []
    for task in tasks:

        def note(*_: Any, name: str = task.name, **__: Any) -> None:
            waiting.append(name)

        monkeypatch.setattr(task, "apply_async", note)
    return waiting
