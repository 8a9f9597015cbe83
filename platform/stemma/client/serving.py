"""Serving as one licensee calls it: typed, patient, and never billed twice for one request."""

from __future__ import annotations

import hashlib
import random
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stemma.errors import InvalidError, NotFoundError, ProofError, StemmaError, UnavailableError
from stemma.ids import new_id
from stemma.proof.keys import Jwks
from stemma.provenance import certificate as certificates
from stemma.provenance.certificate import Certificate

ANSWER_SECONDS = 150.0
"""How long one answer may take: more than serving takes before it gives up by itself."""
PATIENCE = 300.0
"""How long a call is tried again, in seconds from its beginning."""
TRIES = 6
AGAIN = frozenset({409, 429, 503})
"""Statuses after which nothing was made, so that trying again is safe, where `Retry-After` says when."""
LONGEST_WAIT = 60.0
CHUNK = 1 << 20
PROOF_TRIES = 10


class File(BaseModel):
    """A file of a generation.  Its address is signed and ends after a while: `generation` gives fresh ones."""

    model_config = ConfigDict(frozen=True)

    url: str
    sha256: str | None = None
    """None for the proof bundle, which is renewed as rights change."""
    bytes: int | None = None


class Files(BaseModel):
    """What a generation consists of."""

    model_config = ConfigDict(frozen=True)

    flac: File
    wav: File | None = None
    midi: File
    certificate: File
    proof: File
    stems: dict[str, File] = Field(default_factory=dict)
    """One sound per part, by its name."""


class Generation(BaseModel):
    """A piece, as serving answers."""

    model_config = ConfigDict(frozen=True)

    id: str
    created_at: str
    model_release: str
    style: str
    tempo: float
    key: str
    bars: int
    seed: int
    duration_ms: int
    pcm_sha256: str
    """Hash of the sound itself, the same in every lossless file of it."""
    parts: tuple[str, ...] = ()
    files: Files


class Client:
    """The API of serving.  Refusals are `StemmaError`s with `code` and `remedy`; `stemma.refusals` lists them.

    What was refused with `Retry-After`, and what was lost on the way, is tried again: each generation has an
    `Idempotency-Key`, so that it is made and billed once.  Safe for several threads; use it as a context manager, or
    let it go.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = ANSWER_SECONDS,
        tries: int = TRIES,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout` is for one answer, `patience` for a call with all that it is tried again; in seconds."""
        self.url = url.rstrip("/")
        self._tries, self._patience, self._sleep = max(1, tries), patience, sleep
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": "stemma-client/1"},
            timeout=httpx.Timeout(timeout, connect=5),
        )
        # Files lie elsewhere: the key is never sent there.
        self._files = httpx.Client(timeout=httpx.Timeout(60, connect=5))
        weakref.finalize(self, self._http.close)
        weakref.finalize(self, self._files.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._files.close()

    # What serving is asked.

    def generate(
        self,
        *,
        prompt: str = "",
        style: str | None = None,
        bars: int | None = None,
        seconds: float | None = None,
        tempo: float | None = None,
        key: str | None = None,
        instruments: Sequence[str] | None = None,
        seed: int | None = None,
        format: Literal["flac", "wav"] = "flac",  # noqa: A002 - the API's word
        idempotency_key: str | None = None,
    ) -> Generation:
        """A new piece; with an `idempotency_key` of your own the same piece again, also after a crash of yours.

        Raises `InvalidError` for a request that cannot be answered as it is, and `UnavailableError` for one
        that may be later.
        """
        asked: dict[str, Any] = {
            "prompt": prompt,
            "style": style,
            "bars": bars,
            "seconds": seconds,
            "tempo": tempo,
            "key": key,
            "instruments": list(instruments) if instruments else None,
            "seed": seed,
            "format": format,
        }
        body = {name: value for name, value in asked.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key or new_id()}
        return self._generation(self._ask("POST", "/v1/generations", json=body, headers=headers))

    def generation(self, generation: str) -> Generation:
        """A piece made before, with fresh addresses."""
        return self._generation(self._ask("GET", f"/v1/generations/{generation}"))

    def attribution(self, generation: str) -> dict[str, Any] | None:
        """Who shaped a piece, in parts per billion by recording (`shares`); None while that is being found out."""
        found = self._ask("GET", f"/v1/generations/{generation}/attribution")
        return found if "shares" in found else None

    def models(self) -> dict[str, Any]:
        """The release in production and what can be asked of it."""
        return self._ask("GET", "/v1/models")

    def health(self) -> dict[str, Any]:
        """What serving says of itself: `release` when it answers requests, else a problem body with `detail`."""
        try:
            body: dict[str, Any] = self._http.get("/healthz", timeout=10).json()
        except (httpx.HTTPError, ValueError) as error:
            return {"detail": f"it does not answer ({type(error).__name__})."}
        return body

    # What lies in object storage.

    def download(self, file: File, path: Path | str) -> Path:
        """A file of a generation, written as it comes; it is in its place only whole and with its hash."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        seen = hashlib.sha256()
        try:
            with self._files.stream("GET", file.url) as answer:
                if answer.status_code == 404:
                    raise NotFoundError(f"{path.name} is not there yet.", remedy="Try again in a few seconds.")
                if answer.is_error:
                    raise UnavailableError(
                        f"Object storage answers {answer.status_code} for {path.name}.",
                        remedy="Ask for the generation again: its addresses end after a while.",
                    )
                with part.open("wb") as out:
                    for chunk in answer.iter_bytes(CHUNK):
                        seen.update(chunk)
                        out.write(chunk)
        except httpx.HTTPError as error:
            part.unlink(missing_ok=True)
            raise _silent("Object storage", file.url, error) from error
        if file.sha256 is not None and seen.hexdigest() != file.sha256:
            part.unlink()
            raise ProofError(f"{path.name} is not the file that was promised.", remedy="Fetch it again.")
        return part.replace(path)

    def save(self, made: Generation, path: Path | str) -> list[Path]:
        """The sound at `path` (.flac or .wav), score and proofs beside it; returns what was written."""
        path = Path(path)
        form = path.suffix.lower().removeprefix(".")
        sound = {"flac": made.files.flac, "wav": made.files.wav}.get(form)
        if sound is None:
            raise InvalidError(
                f"{path.name} is neither FLAC nor WAV, or WAV was not asked for.",
                remedy="End the name in .flac; or in .wav, and ask for format wav.",
            )
        proof = path.with_name(path.name + ".proof.json")
        written = [self.download(sound, path), self.download(made.files.midi, path.with_suffix(".mid"))]
        for tried in range(1, PROOF_TRIES + 1):
            try:
                return [*written, self.download(made.files.proof, proof)]
            except NotFoundError:
                # Proofs are collected after the first piece of a release was made.
                if tried == PROOF_TRIES:
                    raise
                self._sleep(1.0)
        raise AssertionError  # the last try returns or raises

    def certificate(self, made: Generation, keys: Jwks) -> Certificate:
        """The certificate of a piece, verified: signed by the licensor, and about this sound.

        `keys` are the public keys of the licensor, as its portal publishes them at `/.well-known/jwks.json`.
        Raises `ProofError`.
        """
        try:
            answer = self._files.get(made.files.certificate.url)
        except httpx.HTTPError as error:
            raise _silent("Object storage", made.files.certificate.url, error) from error
        if answer.is_error:
            raise UnavailableError(f"Object storage answers {answer.status_code} for the certificate.")
        found = certificates.read(answer.text.strip(), keys)
        if (found.generation, found.pcm_sha256, found.seed) != (made.id, made.pcm_sha256, made.seed):
            raise ProofError("The certificate is about another piece.", code="other-document")
        return found

    # How it is asked.

    def _generation(self, body: dict[str, Any]) -> Generation:
        try:
            return Generation.model_validate(body)
        except ValidationError as error:
            raise UnavailableError(
                f"Serving at {self.url} answers with something that is no generation.", remedy="Update the client."
            ) from error

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        end = time.monotonic() + self._patience
        for tried in range(1, self._tries + 1):
            answer: httpx.Response | None = None
            try:
                answer = self._http.request(method, path, **more)
            except httpx.HTTPError as error:
                failure: StemmaError = _silent("Serving", self.url, error)
                wait = random.uniform(0.5, 1.0) * 2**tried  # noqa: S311 - spreads callers, hides nothing
            else:
                body = _json(answer, self.url)
                if not answer.is_error:
                    return body
                failure = _problem(answer.status_code, body)
                after = answer.headers.get("retry-after", "")
                if answer.status_code not in AGAIN or not after.isdigit():
                    raise failure
                wait = float(after)
            if tried == self._tries or wait > LONGEST_WAIT or time.monotonic() + wait > end:
                raise failure
            self._sleep(wait)
        raise AssertionError  # the last try returns or raises


def _json(answer: httpx.Response, url: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UnavailableError(
            f"Serving at {url} answers {answer.status_code} with something that is not a JSON object.",
            remedy="Check the address of serving.",
        )
    return found


def _problem(status: int, body: dict[str, Any]) -> StemmaError:
    later = status >= 500 or status in AGAIN
    kind = UnavailableError if later else NotFoundError if status == 404 else InvalidError
    return kind(
        str(body.get("detail", f"Serving answers {status}.")),
        remedy=str(body.get("remedy", "")),
        code=str(body.get("code", "error")),
        details=[each for each in body.get("errors", []) if isinstance(each, dict)],
    )


def _silent(who: str, url: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"{who} at {url.split('?', 1)[0]} does not answer ({type(error).__name__}).",
        remedy="Try again; on your own machine see `stemma status`.",
    )
