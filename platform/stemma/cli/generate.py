"""`stemma generate`: a piece of music through the API, like any licensee."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stemma.client import Client
from stemma.config import settings
from stemma.errors import InvalidError


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
    # People at a terminal would rather read why than wait: nothing that is refused is tried again.
    serving = Client(settings().serving_url, api_key or caller_key(), tries=1)
    console = Console()
    with console.status("Composing…"):
        made = serving.generate(
            prompt=prompt,
            style=style,
            bars=bars,
            seconds=seconds,
            tempo=tempo,
            key=key,
            instruments=instrument,
            seed=seed,
            format=form,  # type: ignore[arg-type]  # one of the two, as was just looked at
        )
        written = serving.save(made, out)
    length = f"{made.bars} bars, {made.duration_ms / 1000:.1f} s"
    console.print(f"{made.style}, {made.key}, {made.tempo:g} quarters a minute, {length}")
    console.print(f"seed {made.seed} · {made.model_release} · generation {made.id}")
    for path in written:
        console.print(f"  {path}", highlight=False)
    console.print(f"Check it: stemma verify {out}", highlight=False)
