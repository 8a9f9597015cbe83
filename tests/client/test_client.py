"""The client of licensees against servers that misbehave; against the real one it is in tests/serving."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stemma.client import Client, File
from stemma.errors import InvalidError, ProofError, UnavailableError
from stemma.ids import new_id
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing
from stemma.provenance.certificate import Certificate, issue

pytestmark = pytest.mark.unit

Answer = tuple[int, dict[str, str], bytes]


class Handler(BaseHTTPRequestHandler):
    """Gives the answers it was told in their order, the last for ever; an answer of status 0 hangs up."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append((self.path, dict(self.headers), self.rfile.read(length)))
        answers = self.server.answers
        status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[str, list[Any]]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answers, server.seen = list(answers), []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.seen
        server.shutdown()


def piece(**changes: Any) -> dict[str, Any]:
    file = {"url": "http://127.0.0.1:1/x", "sha256": "0" * 64, "bytes": 1}
    files = {"flac": file, "midi": file, "certificate": file, "proof": {"url": file["url"]}, "stems": {}}
    return {
        "id": new_id(), "created_at": "2026-01-01T00:00:00.000Z", "model_release": "house-symbolic/1",
        "style": "reel", "tempo": 120.0, "key": "D major", "bars": 8, "seed": 7, "duration_ms": 16000,
        "pcm_sha256": "1" * 64, "parts": ["Violin"], "files": files, "later": "added", **changes,
    }  # fmt: skip


def made(**changes: Any) -> Answer:
    return 201, {}, json.dumps(piece(**changes)).encode()


def refused(status: int, code: str, after: str | None = None) -> Answer:
    body = {
        "status": status,
        "code": code,
        "detail": "No.",
        "remedy": "Do.",
        "errors": [{"field": "bars", "rule": "r"}],
    }
    return status, {"Retry-After": after} if after else {}, json.dumps(body).encode()


def test_it_waits_as_long_as_it_is_told_and_sends_the_same_again():
    waited: list[float] = []
    with answering(refused(429, "rate", "7"), refused(503, "busy", "3"), (0, {}, b""), made()) as (url, seen):
        found = Client(url, "stm_x", sleep=waited.append).generate(prompt="a reel", bars=8)
    assert (found.seed, found.files.flac.bytes) == (7, 1)
    assert waited[:2] == [7, 3]
    assert len(seen) == 4
    assert len({headers["Idempotency-Key"] for _, headers, _ in seen}) == 1
    assert len({body for *_, body in seen}) == 1
    assert seen[0][1]["Authorization"] == "Bearer stm_x"


def test_it_does_not_try_again_what_cannot_get_better():
    with answering(refused(422, "invalid")) as (url, seen), pytest.raises(InvalidError) as error:
        Client(url, "k").generate(bars=-1)
    assert (len(seen), error.value.code, error.value.remedy) == (1, "invalid", "Do.")
    assert error.value.details == ({"field": "bars", "rule": "r"},)
    for answer in (refused(503, "release-broken"), refused(429, "rate", "3600")):
        with answering(answer) as (url, seen), pytest.raises(UnavailableError):
            Client(url, "k").models()
        assert len(seen) == 1
    with answering(refused(503, "busy", "1")) as (url, seen), pytest.raises(UnavailableError):
        Client(url, "k", tries=3, sleep=lambda _: None).models()
    assert len(seen) == 3
    with answering((200, {}, b"<html>")) as (url, _), pytest.raises(UnavailableError, match="not a JSON object"):
        Client(url, "k").models()


def test_a_file_is_in_its_place_only_whole_and_without_the_key(tmp_path: Path):
    body, path = b"sound" * 1000, tmp_path / "made" / "a.flac"
    with answering((200, {}, body)) as (url, seen):
        client = Client("http://127.0.0.1:1", "stm_secret")
        assert client.download(File(url=url, sha256=sha256(body)), path).read_bytes() == body
        with pytest.raises(ProofError):
            client.download(File(url=url, sha256="0" * 64), path.with_name("b.flac"))
    assert "stm_secret" not in str(seen)
    with answering((200, {"Content-Length": "9999999"}, body)) as (url, _), pytest.raises(UnavailableError):
        client.download(File(url=url), path.with_name("c.flac"))
    assert [each.name for each in path.parent.iterdir()] == ["a.flac"]


def test_a_certificate_of_another_piece_or_signer_is_refused(tmp_path: Path):
    keys = KeyRing(tmp_path / "keys")
    keys.create()
    body = piece()
    fields = dict.fromkeys(("entitlement_sha256", "snapshot_root", "prompt_sha256", "midi_sha256"), "a" * 64)
    certificate = Certificate(
        generation=body["id"], at=body["created_at"], license="l", licensee="o", licensee_name="Studio",
        tier="community", indemnified=False, covenant="c", model_release="m", snapshot="s", style="reel", seed=7,
        pcm_sha256=body["pcm_sha256"], duration_ms=16000, **fields,
    )  # fmt: skip
    with answering((200, {}, issue(certificate, keys).encode())) as (url, _):
        body["files"]["certificate"] = {"url": url, "sha256": "0" * 64, "bytes": 1}
        client = Client(url, "k")
        own, other = client._generation(body), client._generation({**body, "seed": 8})
        assert client.certificate(own, keys.jwks()) == certificate
        with pytest.raises(ProofError, match="another piece"):
            client.certificate(other, keys.jwks())
        with pytest.raises(ProofError):
            client.certificate(own, {"keys": []})


def test_it_needs_neither_ray_nor_torch_nor_anything_of_the_platform():
    code = "import sys, stemma.client, stemma.client.weights; print(*(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"ray", "torch", "numpy", "django", "boto3", "duckdb", "pyarrow", "lxml", "mlflow", "typer"}
    assert not heavy & set(done.stdout.split())
