"""CWR messages of our own, built from the same kind of layout as a sender would."""

from __future__ import annotations

from collections.abc import Mapping

from stemma.catalog.cwr import FIELDS, FIELDS_3, Span


def line(record: str, *, fields: Mapping[str, Mapping[str, Span]] = FIELDS, **values: str) -> str:
    """One record, its values at their columns."""
    cells = [" "] * 530
    cells[:3] = record
    for name, value in values.items():
        at, size = fields[record][name]
        assert len(value) <= size
        cells[at - 1 : at - 1 + len(value)] = value
    return "".join(cells).rstrip()


def line_3(record: str, **values: str) -> str:
    """One record of CWR 3."""
    return line(record, fields=FIELDS_3, **values)


def song_3(
    n: int, *, recorded: bool = True, publisher: str = "05000", writer: str = "05000", role: str = "E"
) -> list[str]:
    """The records of one registration in CWR 3, where shares are collected and not owned."""
    found = [
        line_3("WRK", title=f"SONG {n}", reference=f"W{n}", iswc="T0345246801" if n == 0 else ""),
        line_3("SPU", ip="P1", name="EXAMPLE MUSIC", role=role, numbers="00000000000000000199"),
        line_3("SPT", ip="P1", mr=publisher, mode="I", tis="2136"),
        line_3("SWR", ip="W1", name="EXAMPLE", first="ERIKA", role="CA", numbers="00014107338"),
        line_3("SWT", ip="W1", mr=writer, mode="I", tis="2136"),
        line_3("PER", name="THE EXAMPLES"),
    ]
    return [*found, line_3("REC", isrc=f"QZSTM26{n:05d}", title=f"Take {n}", duration="000345")] if recorded else found


def message_3(*songs: list[str], version: str = "3.0") -> str:
    """A message of one group in CWR 3."""
    body = [record for each in songs for record in each]
    found = [
        line_3("HDR", sender="EXAMPLE MUSIC", version=version),
        line_3("GRH", kind="WRK", group="00001", version=f"0{version}0"),
    ]
    found += [*body, line_3("GRT", transactions=f"{len(songs):08d}", records=f"{len(body) + 2:08d}")]
    found.append(line_3("TRL", groups="00001", transactions=f"{len(songs):08d}", records=f"{len(body) + 4:08d}"))
    return "\r\n".join(found) + "\r\n"


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


def message(*songs: list[str], transactions: int | None = None, trailer: bool = True, version: str = "") -> str:
    """A message of one group; one of CWR 2.2 says so in its header, one of 2.1 has no place for it."""
    body = [record for each in songs for record in each]
    count = len(songs) if transactions is None else transactions
    group = line("GRH", kind="NWR", group="00001", version=f"0{version or '2.1'}0")
    found = [line("HDR", sender="EXAMPLE MUSIC", version=version), group, *body]
    found.append(line("GRT", transactions=f"{count:08d}", records=f"{len(body) + 2:08d}"))
    if trailer:
        found.append(line("TRL", groups="00001", transactions=f"{len(songs):08d}", records=f"{len(body) + 4:08d}"))
    return "\r\n".join(found) + "\r\n"
