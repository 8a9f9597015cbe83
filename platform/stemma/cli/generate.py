"""`stemma generate`: a piece of music through the API, like any licensee."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from stemma.config import settings
from stemma.errors import InvalidError, NotFoundError, StemmaError, UnavailableError

PATIENCE = 150.0
"""Seconds to wait for a piece: more than serving takes before it gives up by itself."""


class Serving:
    """The API of serving as one licensee sees it."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {api_key}"}, timeout=httpx.Timeout(PATIENCE, connect=5)
        )

    def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        """A new piece: the body of the answer, with signed addresses.

        Raises `InvalidError` for a request that cannot be answered as it is, and `UnavailableError`
        for one that may be later.
        """
        return self._ask("POST", "/v1/generations", json=request)

    def generation(self, generation: str) -> dict[str, Any]:
        """A piece made before, with fresh addresses."""
        return self._ask("GET", f"/v1/generations/{generation}")

    def attribution(self, generation: str) -> dict[str, Any] | None:
        """Who shaped a piece; None while that is being found out."""
        found = self._ask("GET", f"/v1/generations/{generation}/attribution")
        return found if "shares" in found else None

    def models(self) -> dict[str, Any]:
        """The release in production and what can be asked of it."""
        return self._ask("GET", "/v1/models")

    def serves(self, release: str) -> bool:
        """Whether this release is the one that answers now."""
        try:
            return bool(self._http.get("/healthz", timeout=10).json().get("release") == release)
        except (httpx.HTTPError, ValueError):
            return False

    def health(self) -> str:
        """What serving says of itself: the release that answers, or why none does."""
        try:
            body = self._http.get("/healthz", timeout=10).json()
        except (httpx.HTTPError, ValueError) as error:
            return f"it does not answer ({type(error).__name__})."
        return str(body.get("detail") or body.get("release"))

    def save(self, made: dict[str, Any], path: Path) -> list[Path]:
        """Download a piece: the sound to `path`, score and proofs beside it; returns what was written."""
        form = path.suffix.lower().removeprefix(".")
        files = made["files"]
        if form not in files or form not in {"flac", "wav"}:
            raise InvalidError(f"{path.name} is neither FLAC nor WAV.", remedy="End the name in .flac or .wav.")
        wanted = {
            path: files[form]["url"],
            path.with_suffix(".mid"): files["midi"]["url"],
            path.with_name(path.name + ".proof.json"): files["proof"]["url"],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, url in wanted.items():
            try:
                response = httpx.get(url, timeout=60)
            except httpx.HTTPError as error:
                raise _silent("Object storage", url, error) from error
            if response.status_code == 404:
                raise NotFoundError(f"{target.name} is not there yet.", remedy="Try again in a few seconds.")
            if response.is_error:
                raise UnavailableError(f"Object storage answers {response.status_code} for {target.name}.")
            target.write_bytes(response.content)
        return list(wanted)

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise _silent("Serving", self.url, error) from error
        try:
            body: dict[str, Any] = response.json()
        except ValueError:
            raise UnavailableError(
                f"Serving at {self.url} answers {response.status_code} with something that is not JSON.",
                remedy="Check STEMMA_SERVING_URL; see `stemma status`.",
            ) from None
        if response.is_error:
            raise _problem(response.status_code, body)
        return body


def _problem(status: int, body: dict[str, Any]) -> StemmaError:
    kind = UnavailableError if status >= 500 or status == 429 else NotFoundError if status == 404 else InvalidError
    return kind(
        str(body.get("detail", f"Serving answers {status}.")),
        remedy=str(body.get("remedy", "")),
        code=str(body.get("code", "error")),
    )


def _silent(who: str, url: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"{who} at {url.split('?', 1)[0]} does not answer ({type(error).__name__}).",
        remedy="See `stemma status`; start it with `stemma start`.",
    )


def caller_key() -> str:
    """The licensee's key: from the settings, else the demo's enterprise key."""
    config = settings()
    if key := config.api_key.get_secret_value():
        return key
    demo = config.home / "demo.json"
    if demo.exists():
        key = str(json.loads(demo.read_text()).get("api_keys", {}).get("enterprise", ""))
    if not key:
        raise InvalidError(
            "There is no API key.", remedy="Set STEMMA_API_KEY, or pass --key; make one in the portal under Licenses."
        )
    return key


def generate(
    prompt: Annotated[str, typer.Option(help="What it should sound like, in words.")] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .flac or .wav.")] = Path("out.flac"),
    style: Annotated[str | None, typer.Option(help="One of the model's styles.")] = None,
    bars: Annotated[int | None, typer.Option(help="Length in bars.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Length in seconds.")] = None,
    tempo: Annotated[float | None, typer.Option(help="Quarter notes per minute.")] = None,
    key: Annotated[str | None, typer.Option(help="Such as 'D minor'.")] = None,
    instrument: Annotated[list[str] | None, typer.Option(help="A part, from the top; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same music.")] = None,
    api_key: Annotated[str | None, typer.Option(help="A licensee's key; else STEMMA_API_KEY.")] = None,
) -> None:
    """Make a piece of music and save it with its score and its proofs."""
    form = out.suffix.lower().removeprefix(".")
    if form not in {"flac", "wav"}:
        raise InvalidError(f"{out.name} is neither FLAC nor WAV.", remedy="End the name in .flac or .wav.")
    asked = {
        "prompt": prompt,
        "style": style,
        "bars": bars,
        "seconds": seconds,
        "tempo": tempo,
        "key": key,
        "instruments": instrument or None,
        "seed": seed,
        "format": form,
    }
    serving = Serving(settings().serving_url, api_key or caller_key())
    console = Console()
    with console.status("Composing…"):
        made = serving.generate({name: value for name, value in asked.items() if value is not None})
        written = serving.save(made, out)
    length = f"{made['bars']} bars, {made['duration_ms'] / 1000:.1f} s"
    console.print(f"{made['style']}, {made['key']}, {made['tempo']:g} quarters a minute, {length}")
    console.print(f"seed {made['seed']} · {made['model_release']} · generation {made['id']}")
    for path in written:
        console.print(f"  {path}", highlight=False)
    console.print(f"Check it: stemma verify {out}", highlight=False)
