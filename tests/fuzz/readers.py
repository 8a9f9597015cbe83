"""Files that a fuzzer makes, read as a label's: `make fuzz` (FUZZ_SECONDS=n for each reader).

Whatever a file holds, a reader refuses it with an `InvalidError` that says what to do, or gives rows
of which each has a record or an error.  Anything else is a finding: the input is left in the folder
`crashes`, and the run ends with 1.  Coverage guides it (atheris); a reader that takes more than ten
seconds for one small input is a finding too.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["stemma.catalog", "stemma.rights"]):
    from stemma.catalog import columns
    from stemma.catalog.reading import headings, open_rows
    from stemma.errors import InvalidError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))


def seeds(target: str) -> list[bytes]:
    """Files that are right, to begin with."""
    from catalog.messages import ern38, ern43

    if target == "table":
        plain = columns.template().encode()
        return [plain, plain.replace(b",", b";"), columns.template().encode("utf-16"), b"Titel\tDauer\nLied\t3:45\n"]
    if target == "ern":
        return [ern43(2).encode(), ern38(2).encode()]
    import openpyxl

    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in (["Title", "ISRC"], ["Song", "QZSTM2600001"]):
        book.active.append(row)
    book.save(out)
    return [out.getvalue()]


def check(path: Path) -> None:
    """Read a file as the portal does."""
    try:
        _, rows = open_rows(path)
        for row in rows:
            record, bad = row.record(), any(problem.severity == "error" for problem in row.problems)
            assert (record is None) == bad, row.problems
            assert all(p.remedy and p.value.isprintable() for p in row.problems), row.problems
        headings(path)
    except InvalidError:
        return


def fuzz(target: str, seconds: int, folder: Path) -> None:
    """Run one target in this process; libFuzzer ends it."""
    corpus, crashes = folder / target, HERE / "crashes"
    corpus.mkdir(parents=True)
    crashes.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(seed)
    path = folder / f"{target}.file"

    def one(data: bytes) -> None:
        if target == "xlsx" and not data.startswith(b"PK"):
            data = _packed(data)
        path.write_bytes(data)
        check(path)

    flags = [f"-max_total_time={seconds}", "-timeout=10", "-max_len=20000", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={crashes}/{target}-", str(corpus)], one)
    atheris.Fuzz()


def _packed(data: bytes) -> bytes:
    """The bytes as the first sheet of a workbook: what is inside an archive a fuzzer hardly reaches."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seeds("xlsx")[0])) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(info, data if info.filename.endswith("sheet1.xml") else old.read(info))
    return out.getvalue()


def main(words: list[str]) -> int:
    """Every target, each in a process of its own."""
    if len(words) == 3:
        fuzz(words[0], int(words[1]), Path(words[2]))
        return 0
    seconds, failed = words[0] if words else "60", 0
    for target in ("table", "ern", "xlsx"):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, target, seconds, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        count = told[0].split(":")[-1].strip() if told else "no"
        print(f"{target}: {count} inputs, {'FOUND' if done.returncode else 'clean'}", flush=True)
        if done.returncode:
            failed = 1
            print(done.stderr[-3000:])
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
