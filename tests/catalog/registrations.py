"""CWR messages of our own, built from the same kind of layout as a sender would."""

from __future__ import annotations

from stemma.catalog.cwr import FIELDS


def line(record: str, **values: str) -> str:
    """One record, its values at their columns."""
    cells = [" "] * 530
    cells[:3] = record
    for name, value in values.items():
        at, size = FIELDS[record][name]
        assert len(value) <= size
        cells[at - 1 : at - 1 + len(value)] = value
    return "".join(cells).rstrip()


def song(n: int, *, recorded: bool = True, publisher: str = "05000", writer: str = "05000") -> list[str]:
    """The records of one registration."""
    found = [
        line("NWR", title=f"SONG {n}", reference=f"W{n}", iswc="T0345246801" if n == 0 else ""),
        line("SPU", ip="P1", name="EXAMPLE MUSIC", mr=publisher, pr="05000"),
        line("SPT", ip="P1", mode="I", tis="2136"),
        line("SWR", ip="W1", name="EXAMPLE", first="ERIKA", ipi="00014107338", mr=writer, pr="05000"),
        line("SWT", ip="W1", mode="I", tis="0276"),
        line("PER", name="THE EXAMPLES"),
    ]
    return [*found, line("REC", isrc=f"QZSTM26{n:05d}", title=f"Take {n}", duration="000345")] if recorded else found


def message(*songs: list[str], transactions: int | None = None, trailer: bool = True) -> str:
    """A message of one group."""
    body = [record for each in songs for record in each]
    count = len(songs) if transactions is None else transactions
    found = [line("HDR", sender="EXAMPLE MUSIC"), line("GRH", kind="NWR", group="00001", version="02.10"), *body]
    found.append(line("GRT", transactions=f"{count:08d}", records=f"{len(body) + 2:08d}"))
    if trailer:
        found.append(line("TRL", groups="00001", transactions=f"{len(songs):08d}", records=f"{len(body) + 4:08d}"))
    return "\r\n".join(found) + "\r\n"
