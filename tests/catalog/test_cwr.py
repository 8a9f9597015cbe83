"""CWR messages: registrations of works and what they say of recordings."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.registrations import line_3, message, message_3, song, song_3
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


def test_a_message_that_says_it_is_in_cwr_two_two_is_read_as_one_of_two_one(path):
    text = message(song(0), song(1, recorded=False), version="2.2")
    header, group, *_ = text.splitlines()
    assert (header[101:104], group[11:16]) == ("2.2", "02.20")
    said, older = (
        [row.record().model_dump() for row in read(path, each)]
        for each in (text, message(song(0), song(1, recorded=False)))
    )
    assert said == older
    assert said[0]["isrc"] == "QZSTM2600000"


# --- CWR 3 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_a_registration_in_cwr_three(path, version):
    one, two = read(path, message_3(song_3(0), song_3(1, recorded=False), version=version))
    assert rules(one) == rules(two) == []
    record = one.record()
    assert (record.isrc, record.title, record.work_title, record.iswc) == (
        *("QZSTM2600000", "Take 0", "SONG 0", "T0345246801"),
    )
    assert (record.artist, record.composer, record.duration_ms) == ("THE EXAMPLES", "ERIKA EXAMPLE", 225_000)
    assert [(s.party.name, s.party.ipi, s.ppm) for s in record.shares] == [
        ("EXAMPLE MUSIC", "00000000199", 500_000),
        ("ERIKA EXAMPLE", "00014107338", 500_000),
    ]
    assert (two.record().kind, two.record().work_reference) == ("work", "W1")


def test_the_columns_of_cwr_three_are_those_that_others_write(path):
    """Records written by hand, as published ones look: an unknown writer, an unknown publisher, other records."""
    prefix = "00000000" + "00000001"
    far = f"{' ' * 32}0000"
    text = [
        f"HDRPBEXM {'EXAMPLE MUSIC':<45}{'':11}2026112612000020261126{'':15}3.0000{'':60}CW260002EXM_0000_V3-0-0.SUB",
        "GRHWRK0000103.000000000000",
        f"WRK{prefix}{'A SONG':<60}  {'W7':<14}T034524680100000000            UNC000345Y      ORIN",
        f"SPU{prefix}01{'P1':<9}{'EXAMPLE MUSIC':<45}NE 00000000000000000199{'':13} ",
        f"SPT{prefix}001{'P1':<9}037500750007500I213652  44  44  {far}",
        f"OPU{prefix}02{'':54}YE 00000000000000000000{'':14}",
        f"OPT{prefix}001{'':9}012500250002500I2136{'':12}{far}",
        f"SWR{prefix}{'W1':<9}{'EXAMPLE':<45}{'ERIKA':<30}NAR00014107338I-123456789-3 N  ",
        f"SWT{prefix}001{'W1':<9}025000000000000I213610          {far}",
        f"PWR{prefix}01{'P1':<9}{'W1':<9}{'':14}10  {'':14}OS",
        f"OWR{prefix}{'':9}{'':45}{'':30}YCA00000000000000000000{'':13} N  ",
        f"OWK{prefix}{'A SONG':<60}",
        f"REC{prefix}20260101000345QZSTM2600001{'A TAKE':<60}{'A TAKE (LIVE)':<60}{'THE EXAMPLES':<60}",
        f"XRF{prefix}51  {'REMOTE1':<14}WY",
        "GRT000010000000100000014",
        "TRL000010000000100000016",
    ]
    (row,) = read(path, "\r\n".join(text))
    assert rules(row) == []
    record = row.record()
    assert (record.isrc, record.title, record.artist) == ("QZSTM2600001", "A TAKE", "THE EXAMPLES")
    assert (record.work_reference, record.composer, record.duration_ms) == ("W7", "ERIKA EXAMPLE", 225_000)
    assert [(s.party.name, s.party.ipi, s.ppm) for s in record.shares] == [
        ("EXAMPLE MUSIC", "00000000199", 750_000),
        ("Unknown (OPU 6)", None, 250_000),
    ]


@pytest.mark.parametrize(
    ("records", "rule"),
    [
        (song_3(1, role="AM"), "collects"),
        (song_3(1, role="SE"), "collects"),
        ([line.replace("I2136", "I0840") if line.startswith("SPT") else line for line in song_3(1)], "collects"),
        ([line.replace("I2136", "E2136") if line.startswith("SPT") else line for line in song_3(1)], "collects"),
        ([line for line in song_3(1) if not line.startswith(("SPU", "SWR"))], "record-order"),
        ([*song_3(1)[:3], line_3("SPT", ip="P1", mr="05000", mode="I", tis="2136"), *song_3(1)[3:]], "twice"),
        (song_3(1, writer="04999"), "shares-sum"),
    ],
)
def test_collection_that_does_not_say_who_owns_is_told(path, records, rule):
    one, two = read(path, message_3(records, song_3(2)))
    assert one.record() is None
    assert rule in rules(one)
    assert two.record()


def test_versions_that_do_not_exist_or_do_not_fit_are_refused(path):
    with pytest.raises(InvalidError, match=r"CWR 3\.2"):
        read(path, message_3(song_3(1), version="3.2"))
    with pytest.raises(InvalidError, match="message of CWR 3"):
        read(path, message_3(song_3(1)).replace("0000103.00", "0000102.10"))
    (row,) = read(path, message(song(1)).replace("NWR", "WRK").replace("GRHWRK", "GRHNWR"))[:1]
    assert "record-type" in rules(row)


@pytest.mark.parametrize(
    "text", [message(song(0), song(1, recorded=False)), message_3(song_3(0), song_3(1, recorded=False))]
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12))
def test_changed_bytes_never_crash_the_reader(path, text, changes):
    data = bytearray(text.encode())
    for at, value in changes:
        data[at % len(data)] = value
    path.write_bytes(data)
    with suppress(InvalidError):
        for row in rows(path):
            assert (row.record() is None) == any(p.severity == "error" for p in row.problems)
