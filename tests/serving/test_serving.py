"""The real thing, from the first start to the last stop; the tests stand in the order of its life."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from serving import licensee, releases
from serving.conftest import Ground
from serving.served import limit_file_size
from stemma.attribution.recompute import Inputs, StoreFile
from stemma.attribution.workings import APART, Workings
from stemma.cli import build
from stemma.client import quickstart
from stemma.proof.canonical import sha256
from stemma.provenance.certificate import pcm_sha256
from stemma.royalties import lake
from support.patience import PATIENCE, until

pytestmark = pytest.mark.journey  # one Ray at a time on one machine
SHORT = {"style": "fiddle", "bars": 4, "seed": 11}
LONG = {"style": "chorale", "bars": 32, "seed": 3}


def facts(ground: Ground) -> dict[str, dict[str, Any]]:
    """Usage facts in the lake, by generation."""
    moment = datetime.now(UTC)
    found = lake.read(ground.storage, starts=moment - timedelta(days=1), ends=moment + timedelta(days=1))
    return {row["id"]: row for row in found.usage.to_pylist()}


def generations(ground: Ground) -> set[str]:
    """Generations whose record lies in the storage."""
    return {k.split("/")[1] for k in ground.storage.keys("generations/") if k.endswith("/generation.json")}


def health(ground: Ground) -> str | None:
    """Why it is not ready."""
    return httpx.get(f"{ground.served.url}/healthz").json().get("code")


def content(file: dict[str, Any]) -> bytes:
    """A file of an answer, downloaded and compared with its hash."""
    body = httpx.get(file["url"]).content
    assert sha256(body) == file["sha256"]
    assert len(body) == file["bytes"]
    return body


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem body of a refusal, which always says what to do."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    body = response.json()
    assert (body["status"], body["code"]) == (status, code), body
    assert body["detail"]
    assert body["remedy"]
    return body


def test_without_a_release_it_runs_and_says_so(ground: Ground) -> None:
    assert httpx.get(f"{ground.served.url}/livez").json() == {"status": "ok", "release": None}
    ground.served.until(
        lambda: httpx.get(f"{ground.served.url}/healthz").json()["code"] == "no-release",
        "It does not say no-release",
    )
    assert "stemma train" in problem(ground.served.post(ground.key, SHORT), 503, "no-release")["remedy"]


def test_an_altered_release_is_refused_and_a_whole_one_is_picked_up(ground: Ground) -> None:
    name = releases.publish(ground.bundle, ground.storage, ground.keys)
    card = ground.storage.get(f"releases/{name}/README.md")
    ground.storage.put(f"releases/{name}/README.md", card + b"altered")
    ground.served.until(
        lambda: httpx.get(f"{ground.served.url}/healthz").json().get("code") == "altered",
        "It takes an altered release",
    )
    ground.storage.put(f"releases/{name}/README.md", card)
    ground.served.until(ground.served.healthy, "The release is not picked up")


def test_a_piece_is_delivered_marked_and_accounted(ground: Ground) -> None:
    answer = ground.served.post(ground.key, {**SHORT, "prompt": "a merry reel", "format": "wav"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/v1/generations/{made['id']}"
    assert (made["style"], made["bars"], made["seed"]) == ("fiddle", 4, 11)
    flac, rate = soundfile.read(io.BytesIO(content(made["files"]["flac"])), dtype="int16", always_2d=True)
    wav, _ = soundfile.read(io.BytesIO(content(made["files"]["wav"])), dtype="int16", always_2d=True)
    assert rate == 44_100
    assert np.array_equal(flac, wav)
    assert pcm_sha256(flac) == made["pcm_sha256"]
    assert round(len(flac) / 44.1) == made["duration_ms"]
    assert content(made["files"]["midi"]).startswith(b"MThd")
    assert set(made["files"]["stems"]) == set(made["parts"])
    for stem in made["files"]["stems"].values():
        assert len(soundfile.read(io.BytesIO(content(stem)))[0]) == len(flac)

    fact = ground.served.until(lambda: facts(ground).get(made["id"]), "The fact does not reach the lake")
    assert fact["billable_ms"] == made["duration_ms"]
    assert fact["audio_sha256"] == made["files"]["flac"]["sha256"]
    assert fact["prompt_sha256"] == sha256(b"a merry reel")

    again = ground.served.get(ground.key, f"/v1/generations/{made['id']}").json()
    assert again["files"]["flac"]["sha256"] == made["files"]["flac"]["sha256"]
    assert ground.served.get(ground.key, made["attribution"]).status_code == 202
    stranger, _ = licensee.publish(ground.storage, ground.keys)
    problem(ground.served.get(stranger, f"/v1/generations/{made['id']}"), 404, "not-found")
    problem(ground.served.get(ground.key, "/v1/generations/..%2f..%2fkeys"), 404, "not-found")
    assert set(ground.served.get(ground.key, "/v1/models").json()["styles"]) == {"chorale", "fiddle"}


def test_the_proofs_beside_an_output_verify_it(ground: Ground, tmp_path) -> None:
    from stemma.provenance import bundle
    from stemma.provenance.verify import Verdict, verify_file

    made = ground.served.post(ground.key, SHORT).json()
    path = tmp_path / "piece.flac"
    path.write_bytes(content(made["files"]["flac"]))
    proofs = bundle.parse(httpx.get(made["files"]["proof"]["url"]).content)
    report = verify_file(path, proofs, ground.keys.jwks())
    assert report.verdict is Verdict.VERIFIED, report.steps


class Published(BaseHTTPRequestHandler):
    """What a portal publishes of its keys."""

    def do_GET(self) -> None:
        body = json.dumps(self.server.jwks).encode() if self.path == "/.well-known/jwks.json" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_the_quick_start_works_as_it_is_pasted(ground: Ground, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Published) as portal:
        portal.jwks = ground.keys.jwks()
        threading.Thread(target=portal.serve_forever, daemon=True).start()
        text = quickstart.python(ground.served.url, f"http://127.0.0.1:{portal.server_port}")
        environ = {**os.environ, "STEMMA_API_KEY": ground.key}
        done = subprocess.run(
            [sys.executable, "-c", text], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        portal.shutdown()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("licensed to Test Licensee, made by house-symbolic/")
    assert soundfile.info(tmp_path / "reel.flac").frames > 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".flac", ".mid", ".json"}
    if shutil.which("curl"):
        command = ["bash", "-c", quickstart.shell(ground.served.url)]
        first, second = (subprocess.check_output(command, env=environ) for _ in range(2))
        assert json.loads(first)["id"] == json.loads(second)["id"]


def test_the_same_request_with_the_same_key_is_made_and_billed_once(ground: Ground) -> None:
    def send(body: dict[str, Any], key: str, **headers: str) -> httpx.Response:
        headers |= {"Authorization": f"Bearer {ground.key}", "Idempotency-Key": key}
        return httpx.post(f"{ground.served.url}/v1/generations", json=body, headers=headers, timeout=120)

    asked = {"style": "fiddle", "bars": 4}
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: send(asked, "once"), range(2)))
    assert sorted(each.status_code for each in both) in ([200, 201], [201, 409])
    first = next(each for each in both if each.status_code == 201).json()
    again = send(asked, "once")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert [again.json()[name] for name in ("id", "seed", "pcm_sha256")] == [
        first[name] for name in ("id", "seed", "pcm_sha256")
    ]
    problem(send({**asked, "bars": 5}, "once"), 422, "key-reused")
    problem(send(asked, "x" * 300), 422, "idempotency-key")
    other = send(asked, "another").json()
    assert other["id"] != first["id"]
    wanted = {first["id"], other["id"]}
    ground.served.until(lambda: wanted <= facts(ground).keys(), "A fact is missing")
    rows = [row for row in facts(ground).values() if row["id"] == first["id"]]
    assert len({row["billable_ms"] for row in rows}) == 1


def test_the_same_seed_gives_the_same_bytes(ground: Ground) -> None:
    first, second = (ground.served.post(ground.key, SHORT).json() for _ in range(2))
    assert first["id"] != second["id"]
    assert first["pcm_sha256"] == second["pcm_sha256"]
    assert first["files"]["midi"]["sha256"] == second["files"]["midi"]["sha256"]
    hashes = [[stem["sha256"] for stem in made["files"]["stems"].values()] for made in (first, second)]
    assert hashes[0] == hashes[1]
    other = ground.served.post(ground.key, {**SHORT, "seed": 12}).json()
    assert other["pcm_sha256"] != first["pcm_sha256"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"style": "polka"}', 422, "unknown-style"),
        (b'{"bars": 1000000}', 422, "invalid"),
        (b'{"seconds": 1e12}', 422, "invalid"),
        (b'{"bars": 4, "seconds": 10}', 422, "invalid"),
        (b'{"tempo": NaN}', 422, "invalid"),
        (b'{"tempo": Infinity}', 422, "invalid"),
        (b'{"key": "H major"}', 422, "invalid"),
        (b'{"seed": -1}', 422, "invalid"),
        (b'{"instruments": ["vuvuzela"]}', 422, "unknown-instrument"),
        (b'{"colour": "blue"}', 422, "invalid"),
        (b'{"prompt": "' + b"x" * 2001 + b'"}', 422, "invalid"),
        (b'{"prompt": "' + b"x" * (1 << 20) + b'"}', 413, "too-large"),
        (b"\xff\xfe", 422, "invalid"),
        (b"", 422, "invalid"),
        (b"[" * 60_000, 422, "invalid"),
    ],
    ids=lambda value: value[:24].decode(errors="replace") if isinstance(value, bytes) else str(value),
)
def test_bad_input_is_refused_with_a_reason(ground: Ground, body: bytes, status: int, code: str) -> None:
    problem(ground.served.post(ground.key, content=body), status, code)


def test_who_may_not_is_told_why(ground: Ground) -> None:
    post = ground.served.post
    problem(post(None, SHORT), 401, "missing-key")
    problem(post("stm_nobody", SHORT), 401, "unknown-key")
    expired, _ = licensee.publish(ground.storage, ground.keys, expires_at="2025-01-01T00:00:00.000Z")
    problem(post(expired, SHORT), 402, "expired-license")
    weights, _ = licensee.publish(ground.storage, ground.keys, uses=("open_weights",))
    other, _ = licensee.publish(ground.storage, ground.keys, model_releases=("house-symbolic/99",))
    slow, _ = licensee.publish(ground.storage, ground.keys, requests_per_minute=1)
    problem(post(weights, SHORT), 403, "use-not-licensed")
    problem(post(other, SHORT), 403, "model-not-licensed")
    model = httpx.get(f"{ground.served.url}/livez").json()["release"].partition("/")[0]
    swiss, _ = licensee.publish(ground.storage, ground.keys, model_releases=(f"{model}/*",), territories=("CH",))
    assert post(swiss, SHORT).status_code == 201, "its music is licensed in the whole world"
    assert post(slow, SHORT).status_code == 201
    refused = post(slow, SHORT)
    problem(refused, 429, "rate")
    assert 30 <= int(refused.headers["retry-after"]) <= 60


def test_a_revocation_reaches_serving_within_a_minute(ground: Ground) -> None:
    key, given = licensee.publish(ground.storage, ground.keys)
    ground.served.until(lambda: ground.served.get(key, "/v1/models").status_code == 200, "The key is not known")
    licensee.revoke(ground.storage, ground.keys, licenses=(given.license,))
    start = time.monotonic()
    ground.served.until(lambda: ground.served.get(key, "/v1/models").status_code == 403, "It is not revoked")
    assert time.monotonic() - start < 60
    problem(ground.served.post(key, SHORT), 403, "revoked-license")


def test_more_than_the_queue_holds_is_told_to_come_back(ground: Ground) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: ground.served.post(ground.key, {**LONG, "seed": n}), range(6)))
    assert {a.status_code for a in answers} == {201, 503}
    for answer in answers:
        if answer.status_code == 503:
            problem(answer, 503, "busy")
            assert int(answer.headers["retry-after"]) >= 1


def test_a_generator_killed_at_work_is_replaced_and_nothing_is_billed_twice(ground: Ground) -> None:
    before = generations(ground)
    generator = ground.served.replica("Generator")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ground.served.post, ground.key, LONG)
        time.sleep(0.3)
        generator.kill()
        result = answer.result()
    if result.status_code == 201:
        made = {result.json()["id"]}
    else:
        problem(result, 503, result.json()["code"])
        assert "retry-after" in result.headers
        made = set()
    ground.served.until(ground.served.healthy, "No new generator comes")
    ground.served.until(lambda: made <= facts(ground).keys(), "The fact is missing")
    assert set(facts(ground)) - before <= made | set(facts(ground)) & before
    assert {g for g in facts(ground) if g not in generations(ground)} == set()


def test_storage_that_is_down_is_told_and_loses_nothing(ground: Ground) -> None:
    served = ground.served
    made = served.post(ground.key, SHORT).json()
    ground.wire.cut()
    try:
        before = generations(ground)
        assert "billed" in problem(served.post(ground.key, SHORT), 503, "storage-unavailable")["remedy"]
        problem(served.post("stm_nobody", SHORT), 401, "unknown-key")
        assert generations(ground) == before
    finally:
        ground.wire.mend()
    served.until(lambda: made["id"] in facts(ground), "The fact was lost")
    served.until(lambda: served.post(ground.key, SHORT).status_code == 201, "It does not recover")


def test_a_full_disk_lets_nothing_out(ground: Ground) -> None:
    served, gateway = ground.served, ground.served.replica("Gateway")
    before = generations(ground)
    limit_file_size(gateway, 0)
    try:
        assert "space" in problem(served.post(ground.key, SHORT), 503, "spool-full")["remedy"]
    finally:
        limit_file_size(gateway, None)
    assert generations(ground) == before
    assert served.post(ground.key, SHORT).status_code == 201


def test_a_new_release_comes_in_without_a_refusal(ground: Ground) -> None:
    served = ground.served
    second = releases.build(ground.run, ground.storage, ground.keys, ground.home / "second")
    stop, answers = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            answers.append(served.post(ground.key, SHORT))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        name = releases.publish(second, ground.storage, ground.keys)
        served.until(lambda: served.get(ground.key, "/v1/models").json()["release"] == name, "It is not taken up")
    finally:
        stop.set()
        asking.join()
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["model_release"] for a in [*answers, served.post(ground.key, SHORT)]}) == 2


def test_a_taken_port_is_named(ground: Ground, tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {
            **ground.served._environ,
            "STEMMA_SERVING_URL": f"http://127.0.0.1:{port}",
            "STEMMA_HOME": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-m", "stemma_serving"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert done.returncode == 3
    assert f"Port {port} of serving is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_killed_and_started_again_it_keeps_what_was_pending(ground: Ground) -> None:
    served = ground.served
    made = served.post(ground.key, SHORT).json()
    served.kill()
    until(lambda: not served.left(), "What it began lives on")
    served.start()
    served.until(served.healthy, "It does not start again")
    assert served.post(ground.key, SHORT).status_code == 201
    assert served.left() == []
    served.until(lambda: made["id"] in facts(ground), "The fact was lost")

    releases.explain(
        ground.home / "second" / made["model_release"].split("/")[1], ground.storage, ground.home / "store"
    )
    answer = served.until(
        lambda: (a := served.get(ground.key, made["attribution"])).status_code == 200 and a, "It is not attributed"
    )
    fact = answer.json()
    assert fact["generation"] == made["id"]
    assert sum(fact["shares"].values()) == 1_000_000_000

    def attributed() -> bool:
        moment = datetime.now(UTC)
        found = lake.read(ground.storage, starts=moment - timedelta(days=1), ends=moment + timedelta(days=1))
        return made["id"] in found.attribution.column("generation").to_pylist()

    served.until(attributed, "The attribution does not reach the lake")


def test_the_command_line_tells_who_shaped_a_piece_and_computes_it_again(
    ground: Ground, settings_changed: Any, tmp_path: Path
) -> None:
    made = ground.served.post(ground.key, {**SHORT, "seed": 12}).json()
    ground.served.until(
        lambda: ground.served.get(ground.key, made["attribution"]).status_code == 200, "It is not attributed"
    )
    settings_changed(home=str(tmp_path), s3_bucket=ground.storage.bucket, serving_url=ground.served.url, api_key="")

    def stemma(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(build({"attribution"}), ["attribution", *words], env={"COLUMNS": "200"})
        assert done.exit_code == code, (words, done.output, done.exception)
        return done.output

    told = ("show", made["id"], "--api-key", ground.key)
    fact = json.loads(stemma(*told, "--json"))
    page = stemma(*told, "--top", "1")
    assert "Who shaped" in page
    assert "By owner" in page
    assert fact["store"] in page
    assert "the same, to the last part per billion" in stemma("recompute", made["id"])

    release = fact["model_release"]
    kept = ground.storage.get(f"generations/{made['id']}/workings/{fact['store']}.json")
    workings = Workings.model_validate_json(kept)  # what owners are told of: each share again
    assert (workings.release, workings.store) == (release, fact["store"])
    assert {*workings.recordings, "commons"} >= fact["shares"].keys()
    for name in workings.recordings:
        assert abs(workings.share(name) - fact["shares"].get(name, 0)) <= APART
    rebuilt = stemma("build", release)  # on another machine: the published store is taken over
    assert f"Store {fact['store']} of {release}" in rebuilt

    prefix = f"stores/{release}/{fact['store']}/"
    files = [
        StoreFile(path=key.removeprefix(prefix), sha256=sha256(ground.storage.get(key)), url=ground.storage.url(key))
        for key in ground.storage.keys(prefix)
    ]
    example = ground.storage.get_json(f"generations/{made['id']}/example.json")
    handed = tmp_path / "inputs.json"
    handed.write_text(Inputs(fact=fact, example=example, store=files).model_dump_json())
    bundle = tmp_path / "releases" / release
    (tmp_path / "elsewhere").mkdir()
    settings_changed(home=str(tmp_path / "elsewhere"), s3_endpoint="http://127.0.0.1:9")
    given = ("--inputs", str(handed), "--release", str(bundle))
    assert "the same, to the last part per billion" in stemma("recompute", made["id"], *given)
    stemma("recompute", made["id"], *given[:2], code=1)  # they belong together
    other = {"shares": {"nobody": 10**9}, "intervals": {"nobody": [10**9, 10**9]}}
    handed.write_text(Inputs(fact=fact | other, example=example, store=files).model_dump_json())
    stemma("recompute", made["id"], *given, code=1)  # it is not what was stated


def test_asked_to_end_it_leaves_no_process(ground: Ground) -> None:
    assert ground.served.stop() < 20
    assert ground.served.left() == []
