"""CWR messages: registrations of works and what they say of recordings."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.registrations import message, song
from stemma.catalog.cwr import rows
from stemma.catalog.reading import open_rows
from stemma.errors import InvalidError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "message"


def read(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found, given_rows = open_rows(path)
    assert found == "cwr"
    return list(given_rows)


def rules(row):
    return [problem.rule for problem in row.problems]


def test_a_registration_with_a_recording(path):
    (row,) = read(path, message(song(0)))
    assert row.problems == ()
    assert row.number == 9
    record = row.record()
    assert (record.kind, record.isrc, record.title, record.work_title) == (
        *("recording", "QZSTM2600000", "Take 0", "SONG 0"),
    )
    assert (record.iswc, record.work_reference, record.composer) == ("T0345246801", "W0", "ERIKA EXAMPLE")
    assert (record.artist, record.duration_ms) == ("THE EXAMPLES", 225_000)
    assert [(s.party.name, s.party.ipi, s.side, s.ppm, s.territory) for s in record.shares] == [
        ("EXAMPLE MUSIC", None, "publishing", 500_000, "WORLD"),
        ("ERIKA EXAMPLE", "00014107338", "publishing", 500_000, "WORLD"),
    ]


def test_the_columns_are_those_of_the_standard(path):
    """Records written by hand, not by the layout that the reader uses."""
    prefix = "0000000000000000"
    spu = f"SPU{prefix}01P1       {'EXAMPLE MUSIC':<45} E {'':9}{'':11}{'':14}   05000   10000   10000"
    text = [
        f"HDRPB000000001{'EXAMPLE':<45}01.10202611261200002026112600000000",
        "GRHNWR0000102.100000000000",
        f"NWR{prefix}{'A SONG':<60}  {'W7':<14}T0345246801",
        spu,
        "GRT000010000000100000004",
        "TRL000010000000100000006",
    ]
    (row,) = read(path, "\r\n".join(text))
    record = row.record()
    assert (record.title, record.work_reference, record.shares[0].ppm) == ("A SONG", "W7", 1_000_000)


def test_a_registration_without_a_recording_is_a_work(path):
    (row,) = read(path, message(song(3, recorded=False)))
    assert (row.record().kind, row.record().isrc, row.record().title) == ("work", "", "SONG 3")


def test_shares_that_do_not_sum_take_no_other_transaction_along(path):
    one, two, three = read(path, message(song(1), song(2, writer="04999"), song(3)))
    assert rules(two) == ["shares-sum"]
    assert "99.99" in two.problems[0].remedy
    assert two.record() is None
    assert one.record()
    assert three.record()


def test_an_unknown_record_and_an_unknown_territory_are_told(path):
    wrong = [*song(1)[:1], "XYZ what", *song(1)[1:]]
    far = [record[:50] + "2100" if record.startswith("SPT") else record for record in song(2)]
    one, two = read(path, message(wrong, far))
    assert rules(one) == ["record-type"]
    assert "Line 4" in one.problems[0].remedy
    assert rules(two) == ["territory"]
    assert two.record()


def test_counts_that_do_not_fit_are_told(path):
    *good, last = read(path, message(song(1), song(2), transactions=3))
    assert all(row.record() for row in good)
    assert rules(last) == ["count"]
    assert "there are 2" in last.problems[0].remedy


def test_a_message_without_trailer_is_cut_off(path):
    with pytest.raises(InvalidError, match="TRL"):
        read(path, message(song(1), trailer=False))


def test_the_same_isrc_twice_is_told(path):
    _, two = read(path, message(song(1), song(1)))
    assert rules(two) == ["twice"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12))
def test_changed_bytes_never_crash_the_reader(path, changes):
    data = bytearray(message(song(0), song(1, recorded=False)).encode())
    for at, value in changes:
        data[at % len(data)] = value
    path.write_bytes(data)
    with suppress(InvalidError):
        for row in rows(path):
            assert (row.record() is None) == any(p.severity == "error" for p in row.problems)
