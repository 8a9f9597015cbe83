"""Claim `csv-validate`: reading a label's table with every check, against `csv.DictReader` that only reads it.

200,000 recordings of 23 columns: identifiers with check digits, releases, two owners on the publishing
side.  Every row is read and validated; records are made of none, as when a file is checked.
"""

from __future__ import annotations

import csv
import json
import random
import tempfile
import time
import tracemalloc
from pathlib import Path

from stemma.catalog.columns import template
from stemma.catalog.reading import open_rows
from stemma.rights.identifiers import iswc_check

ROWS = 200_000
TRIES = 3


def write(path: Path, rows: int) -> None:
    """A table of this many good rows, in which values come again as they do in a catalog."""
    chance = random.Random(7)  # noqa: S311 - a table, no secret
    writers = [f"Writer {n} Example" for n in range(3_000)]
    pairs = [[chance.sample(writers, 2) for _ in range(4)] for _ in range(900)]  # who writes for whom
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(template().splitlines()[0] + "\n")
        out = csv.writer(file)
        for n in range(rows):
            album = n // 12
            upc = f"{album:011d}"
            check = -sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(upc)) % 10
            digits = f"{n:09d}"
            one, two = chance.choice(pairs[album % 900])
            out.writerow(
                [
                    *(
                        f"Song number {n}, “live”",
                        f"Artist {album % 900}",
                        f"QZSTM{n:07d}",
                        f"REF-{n}",
                        f"Album {album}",
                    ),
                    *(f"{upc}{check}", "Example Records", f"20{album % 26:02d}-{album % 12 + 1:02d}-01", n % 12 + 1),
                    *(
                        f"{n % 9 + 1}:{n % 60:02d}",
                        f"{one}; {two}",
                        f"T{digits}{iswc_check(digits)}",
                        "folk",
                        2000 + n % 26,
                    ),
                    *(f"REF-{n}.wav", "Example Records", "100", one, "66.67", "", two, "33.33", ""),
                ]
            )


def peer(path: Path) -> float:
    """Seconds in which the standard library reads the table."""
    start = time.perf_counter()
    with path.open(newline="", encoding="utf-8") as file:
        count = sum(1 for _ in csv.DictReader(file))
    assert count == ROWS
    return time.perf_counter() - start


def ours(path: Path) -> float:
    """Seconds in which we read and check it."""
    start = time.perf_counter()
    _, rows = open_rows(path)
    count = sum(1 for row in rows if not any(p.severity == "error" for p in row.problems))
    assert count == ROWS
    return time.perf_counter() - start


def memory(path: Path) -> float:
    """MiB that reading a quarter of the table holds at most, beside what it began with."""
    tracemalloc.start()
    for number, _ in enumerate(open_rows(path)[1]):
        if number == ROWS // 4:
            break
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def main() -> None:
    """Measure, by turns, the best of several."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.csv"
        write(path, ROWS)
        pairs = [(peer(path), ours(path)) for _ in range(TRIES)]
        print(f"held at most {memory(path):.1f} MiB", flush=True)
    rate, bare = ROWS / min(o for _, o in pairs), ROWS / min(p for p, _ in pairs)
    print(json.dumps({"claim": "csv-validate", "ours": rate, "peer": bare, "ratio": rate / bare, "unit": "rows/s"}))


if __name__ == "__main__":
    main()
