"""Claim `ern-read`: reading DDEX messages with every check, against lxml's bare iterparse over the same bytes.

A batch of messages of twelve recordings each, and one message of 20,000.  The bare loop takes
each element as it ends, clears it, and looks at nothing.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from lxml import etree

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from catalog.messages import ern43
from stemma.catalog.reading import open_rows

RECORDINGS = 20_000
MESSAGES = 400
TRIES = 5


def bare(paths: list[Path]) -> float:
    """Seconds in which lxml passes over the messages."""
    start = time.perf_counter()
    for path in paths:
        for _, element in etree.iterparse(path, resolve_entities=False, no_network=True):
            element.clear()
    return time.perf_counter() - start


def ours(paths: list[Path]) -> int:
    """How many recordings we read in them."""
    return sum(
        sum(not any(p.severity == "error" for p in row.problems) for row in open_rows(path)[1]) for path in paths
    )


def main() -> None:
    """Measure by turns; the best of several."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{n}.xml" for n in range(MESSAGES)]
        for path in paths:
            path.write_text(ern43(12))
        large = Path(folder) / "large.xml"
        large.write_text(ern43(RECORDINGS, per=20))
        paths.append(large)
        pairs = []
        for _ in range(TRIES):
            start = time.perf_counter()
            count = ours(paths)
            pairs.append((time.perf_counter() - start, bare(paths)))
        assert count == RECORDINGS + 12 * MESSAGES
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"held at most {memory:.0f} MiB", flush=True)
    rate, peer = (count / min(pair[i] for pair in pairs) for i in (0, 1))
    print(json.dumps({"claim": "ern-read", "ours": rate, "peer": peer, "ratio": rate / peer, "unit": "recordings/s"}))


if __name__ == "__main__":
    main()
