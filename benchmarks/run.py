"""Measure every claim, or the ones named: `python benchmarks/run.py [CLAIM…]`.

Each file beside this one measures one claim or a few.  It runs alone and ends with one line of JSON
per claim: `{"claim", "ours", "peer", "ratio", "unit"}`, and `p99_us` where it times single calls.
The lines are left in `out/results.jsonl`; a claim measured again replaces its line.  Leaves with 1 when
a file fails or ends otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "out" / "results.jsonl"


class Result(BaseModel):
    """One claim as measured: our figure beside a peer's."""

    model_config = ConfigDict(extra="forbid")

    claim: str
    ours: FiniteFloat
    peer: FiniteFloat
    ratio: FiniteFloat
    unit: str
    p99_us: FiniteFloat | None = None
    """Within so many microseconds 99 of 100 calls of ours were done."""


def main(wanted: list[str]) -> int:
    """Run the files that measure the claims wanted, all of them when none is named."""
    files = [path for path in sorted(FOLDER.glob("*.py")) if path.name != "run.py"]
    if unknown := [claim for claim in wanted if not any(_measures(path, claim) for path in files)]:
        print(f"No file in {FOLDER} measures {', '.join(unknown)}.", file=sys.stderr)
        return 2
    failed = 0
    for path in files:
        if wanted and not any(_measures(path, claim) for claim in wanted):
            continue
        started = time.monotonic()
        print(f"{path.name} …", flush=True)
        results = _run(path)
        failed += not results
        for result in results:
            told = f"{result.ours:,.4g} against {result.peer:,.4g} {result.unit}"
            told += f", p99 {result.p99_us:,.4g} µs" if result.p99_us is not None else ""
            print(f"  {result.claim}: {result.ratio:.3g}  ({told}; {time.monotonic() - started:.0f} s)")
        _keep(results)
    return 1 if failed else 0


def _measures(path: Path, claim: str) -> bool:
    """Whether a file is about a claim: by its name, or because it names it."""
    return path.stem.replace("_", "-") == claim or f'"{claim}"' in path.read_text()


def _run(path: Path) -> list[Result]:
    """The claims a file measured; none when it failed or its last lines are not what they should be."""
    done = subprocess.run([sys.executable, str(path)], stdout=subprocess.PIPE, text=True, check=False)
    results: list[Result] = []
    for line in reversed(done.stdout.strip().splitlines()):
        try:
            results.insert(0, Result.model_validate_json(line))
        except ValidationError as error:
            if not results:
                print(f"  {path.name} ended with {line[:200]!r}: {error.errors()[0]['msg']}", file=sys.stderr)
            break
    if done.returncode:
        print(f"  {path.name} failed with {done.returncode}.", file=sys.stderr)
        return []
    return results


def _keep(results: list[Result]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    kept = {json.loads(line)["claim"]: line for line in lines}
    kept.update({result.claim: result.model_dump_json(exclude_none=True) for result in results})
    part = RESULTS.with_suffix(".part")
    part.write_text("".join(line + "\n" for line in kept.values()))
    part.replace(RESULTS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
