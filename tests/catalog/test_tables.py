"""Tables that labels bring: what is read, what is refused, and what is said of it."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import date

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from stemma.catalog import columns
from stemma.catalog.corrections import write_corrections
from stemma.catalog.reading import LONGEST_LINE, headings, open_rows, sniff
from stemma.catalog.table import Table
from stemma.catalog.text import alike, skeleton
from stemma.cli.catalog import app
from stemma.errors import InvalidError
from stemma.rights.shares import WHOLE

HEAD = "Title,Artist,ISRC,Duration,Master owner 1,Publisher 1,Publisher 1 share %,Publisher 2,Publisher 2 share %\n"


def read(path, text, **options):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(open_rows(path, **options)[1])


def problems(path, *cells):
    (row,) = read(path, HEAD + ",".join(cells) + "\n")
    return {(p.field, p.rule) for p in row.problems}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "catalog.csv"


def test_the_template_reads_as_what_it_says(path):
    (row,) = read(path, columns.template())
    record = row.record()
    assert (record.title, record.isrc, record.iswc) == ("Morning in March", "QZSTM2600001", "T0345246801")
    assert (record.release.upc, record.release.released_on) == ("036000291452", date(2026, 3, 21))
    assert (record.duration_ms, record.track, record.style) == (225_000, 1, "folk")
    assert [(s.party.name, s.side, s.ppm) for s in record.shares] == [
        ("Example Records", "master", 1_000_000),
        ("Erika Example", "publishing", 666_700),
        ("John Example", "publishing", 333_300),
    ]
    assert row.raw["Title"] == "Morning in March"
    assert not row.problems


def test_columns_are_recognised_in_four_languages():
    found = columns.guess(["Künstler", "Titel", "Verlag 1", "Verlag 1 Anteil %", "Durée", "Código de barras", "EAN"])
    assert found == {
        "Künstler": "artist",
        "Titel": "title",
        "Verlag 1": "publishing.1.name",
        "Verlag 1 Anteil %": "publishing.1.percent",
        "Durée": "duration",
        "EAN": "upc",
    }


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ({"A": "title", "Z": "artist"}, "There is no column “Z”"),
        ({"A": "title", "B": "colour"}, "There is no field 'colour'"),
        ({"A": "title", "B": "title"}, "Two columns are said to be title"),
        ({"A": "artist"}, "No column is said to be the title"),
        ({"A": "title", "B": "master.99.name"}, "There is no field"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(mapping, told):
    with pytest.raises(InvalidError, match=told):
        Table(["A", "B"], mapping)


def test_every_error_of_a_row_is_told_and_no_good_row_is_lost(path):
    good = "Good,A,QZSTM2600001,3:45,,,,,\n"
    bad = ",A,NOT-AN-ISRC,99:99:99,,One,60,Two,50\n"
    first, second, third = read(path, HEAD + good + bad + good.replace("2600001", "2600002"))
    assert first.record()
    assert third.record()
    assert second.record() is None
    assert {(p.field, p.rule) for p in second.problems} == {
        ("title", "missing"),
        ("isrc", "isrc"),
        ("duration", "duration"),
        ("publishing", "shares-sum"),
    }
    assert all(problem.remedy for problem in second.problems)
    assert second.number == 3


def test_a_code_that_comes_twice_is_told_with_the_row_that_has_it(path):
    rows = read(path, HEAD + "One,A,QZ-STM-26-00001,,,,,,\nTwo,A,QZSTM2600001,,,,,,\n" * 1)
    assert [p.remedy for p in rows[1].problems] == ["Row 2 has it already: leave one of them out, or correct it."]


def test_rows_that_are_the_same_are_told_where_nothing_identifies_them(path):
    """The first is taken; a code, or one cell that differs, makes another recording."""
    same, other, coded = "One,A,,3:00,,,,,\n", "One,A,,3:01,,,,,\n", "One,A,QZSTM2600001,3:00,,,,,\n"
    rows = read(path, HEAD + same + other + coded + same + "Far,B,,,,,,,\n" * 3000)
    told = {row.number: [p.remedy for p in row.problems] for row in rows if row.problems}
    remedy = "says the same: leave one of them out, or give each its ISRC or your own number."
    assert told.pop(5) == [f"Row 2 {remedy}"]
    assert len(told) == 2999
    assert set(map(tuple, told.values())) == {(f"Row 6 {remedy}",)}
    assert rows[0].record() is not None
    assert rows[3].record() is None


def test_codes_are_unique_over_the_whole_file_not_only_near_each_other(path):
    lines = [f"Song {n},A,QZSTM{n % 1500:07d},,,,,,\n" for n in range(2000)]
    rows = read(path, HEAD + "".join(lines))
    assert sum(any(p.rule == "twice" for p in row.problems) for row in rows) == 500


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("3:45", 225_000),
        ("1:02:03", 3_723_000),
        ("225", 225_000),
        ("225000", 225_000),
        ("PT3M45S", 225_000),
        ("3:45.5", 225_500),
    ],
)
def test_durations_as_people_write_them(path, written, ms):
    (row,) = read(path, f"Title,Length\nSong,{written}\n")
    assert row.record().duration_ms == ms


@pytest.mark.parametrize("written", ["0", "25:00:00", "-3:45", "PT", "soon", "3:4", "٣:٤٥"])
def test_what_is_no_duration(path, written):
    (row,) = read(path, f"Title,Length\nSong,{written}\n")
    assert row.record() is None


@pytest.mark.parametrize(
    ("shares", "ppm", "rule"),
    [
        (["50", "50"], [500_000, 500_000], None),
        (["33.3333", "66.6667"], [333_333, 666_667], None),
        (["33,33", "66,66"], [333_333, 666_667], "shares-rounded"),
        (["100", "0"], [1_000_000], None),
        (["33.33", "66.60"], None, "shares-sum"),
        (["33", "66"], None, "shares-sum"),
        (["50", ""], None, "missing"),
        (["101", "0"], None, "shares-sum"),
        (["x", "50"], None, "percent"),
    ],
)
def test_shares_are_exact_or_refused(path, shares, ppm, rule):
    text = f'Song,A,,,,One,"{shares[0]}",Two,"{shares[1]}"\n'
    (row,) = read(path, HEAD + text)
    assert {p.rule for p in row.problems} == ({rule} if rule else set())
    if ppm is None:
        assert row.record() is None
    else:
        found = [s.ppm for s in row.record().shares if s.side == "publishing"]
        assert sum(found) == WHOLE
        assert all(abs(a - b) <= 33 for a, b in zip(found, ppm, strict=True))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8))
def test_whatever_is_written_shares_sum_to_the_whole_or_nothing_is_taken(hundredths):
    names = [f"publishing.{i + 1}.{part}" for i in range(len(hundredths)) for part in ("name", "percent")]
    cells = [text for i, n in enumerate(hundredths) for text in (f"Owner {i}", f"{n // 100}.{n % 100:02d}")]
    table = Table(["title", *names], {"title": "title", **{name: name for name in names}})
    (row,) = table.rows([["Song", *cells]])
    record = row.record()
    if record is None:
        assert {p.rule for p in row.problems} == {"shares-sum"}
    else:
        assert sum(share.ppm for share in record.shares) == WHOLE


def test_one_owner_without_a_figure_owns_all(path):
    (row,) = read(path, HEAD + "Song,A,,,Label,,,,\n")
    assert [(s.party.name, s.ppm) for s in row.record().shares] == [("Label", WHOLE)]


def test_names_that_deceive_are_flagged_or_refused(path):
    assert ("artist", "homograph") in problems(path, "Song", "Аdele", *[""] * 7)
    assert ("artist", "invisible") in problems(path, "Song", "Ad\u200bele", *[""] * 7)
    assert ("title", "direction") in problems(path, "Song\u202egnp.exe", "A", *[""] * 7)
    assert ("title", "text") in problems(path, "So\x07ng", "A", *[""] * 7)
    assert problems(path, "Зимфира", "Зимфира", *[""] * 7) == set()
    assert problems(path, "می\u200cخواهم", "Sigur Rós", *[""] * 7) == set()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Косо", "Koco", True),  # all of it Cyrillic
        ("ΑΒΒΑ", "ABBA", True),  # all of it Greek
        ("Аdеlе", "Adele", True),
        ("Beyoncé", "Beyonce", False),  # an accent hides nobody
        ("Sigur Rós", "sigur ros", False),
        ("Кино", "Kino", False),  # another script, another look
        ("Com", "Corn", False),  # both are plain
    ],
)
def test_names_in_another_script_that_look_alike(one, other, expected):
    assert alike(one, other) == alike(other, one) == expected


LOOKALIKES = dict(zip("ABCEHIKMOPTXaceopxsij", "АВСЕНІКМОРТХасеорхѕіј", strict=True))


@settings(max_examples=100)
@given(st.text(max_size=30), st.text("ABCEHKMOPTXaceopxsj .'2", min_size=1, max_size=12), st.data())
def test_a_skeleton_is_its_own_and_outlives_letters_of_another_script(anything, latin, data):
    """Published look-alikes (Unicode TS 39, confusables.txt) leave it as it is, wherever they stand."""
    assert skeleton(skeleton(anything)) == skeleton(anything)
    assert skeleton(anything.swapcase()) == skeleton(anything) or not anything.isascii()
    swapped = "".join(LOOKALIKES.get(c, c) if data.draw(st.booleans()) else c for c in latin)
    assert skeleton(swapped) == skeleton(latin)
    assert alike(swapped, latin) == (swapped != latin)


def test_formulas_are_only_text_and_what_was_defused_comes_back(path):
    (row,) = read(path, "Title,Artist\n'=HYPERLINK(1),+1 band\n")
    assert row.record().title == "=HYPERLINK(1)"
    assert row.record().artist == "+1 band"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(path, encoding):
    (row,) = read(path, "Title;Artist\nDer Mond;Björk\n".encode(encoding))
    assert row.record().artist == "Björk"
    assert bool(headings(path).note) is (encoding == "cp1252")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_separators(path, mark):
    (row,) = read(path, f"Title{mark}Artist\nSong{mark}A\n")
    assert row.record().artist == "A"


HOSTILE = {
    "empty": (b"", "empty"),
    "only white space": (b"  \n\n", "headings"),
    "no text": (b"\x00\x01\x02\x03" * 100, "neither"),
    "no known encoding": (b"Title\n\x81\x8d\x8f\n", "UTF-8"),
    "a line without end": (b"Title," + b"x" * (2 * LONGEST_LINE), "longer"),
    "a million columns": (b"Title" + b"," * 1_000_000 + b"\nSong\n", "longer|columns"),
    "many columns": (b"Title" + b"," * 5_000 + b"\nSong\n", "columns"),
    "a cell without end": (b'Title\n"' + b"x\n" * 200_000, "cannot be read further"),
    "half a character": (b"\xff\xfeT\x00i", "UTF-16"),
    "a broken archive": (b"PK\x03\x04" + b"x" * 100, "broken"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_words(path, name):
    body, told = HOSTILE[name]
    with pytest.raises(InvalidError, match=told) as refused:
        read(path, body)
    assert refused.value.remedy


def test_a_row_with_too_many_cells_takes_no_other_one_along(path):
    rows = read(path, "Title,Artist\nOne,A\nTwo,B,C,D\nThree,C,,\n")
    assert [row.record() is not None for row in rows] == [True, False, True]
    assert rows[1].problems[0].rule == "too-many-cells"


def book(path, rows):
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    made.save(path)
    return path


def test_spreadsheets_read_as_tables_do(tmp_path):
    path = book(
        tmp_path / "no-ending",
        [
            ["Title", "Release date", "Track", "UPC"],
            ["Song", date(2026, 3, 21), 7, 36000291452],
            [None, None, None, None],
        ],
    )
    found, rows = open_rows(path)
    (row,) = rows
    assert found == "xlsx"
    record = row.record()
    assert (record.track, record.release.released_on, record.release.upc) == (7, date(2026, 3, 21), "036000291452")
    assert [p.rule for p in row.problems] == ["upc-zero"]


def test_a_spreadsheet_that_would_unpack_to_a_bomb_is_refused(tmp_path):
    path = book(tmp_path / "book.xlsx", [["Title"], ["Song"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/bomb", b"\x00" * 50_000_000)
    with pytest.raises(InvalidError, match="unpack"):
        list(open_rows(path)[1])


def test_entities_in_a_spreadsheet_are_not_followed(tmp_path):
    path = tmp_path / "book.xlsx"
    sheet = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet><sheetData>&a;</sheetData></worksheet>'
    book(path, [["Title"], ["Song"]])
    changed = tmp_path / "changed.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            new.writestr(info, sheet if info.filename.endswith("sheet1.xml") else old.read(info))
    with pytest.raises(InvalidError):
        list(open_rows(changed)[1])


def test_files_are_known_by_their_content(tmp_path):
    for body, found in ((b"<?xml version='1.0'?><a/>", "ern"), (b"HDRPB000000199PUB  01.1020260101", "cwr")):
        path = tmp_path / "file.csv"
        path.write_bytes(body)
        assert sniff(path) == found


@given(st.text(max_size=400))
def test_no_text_breaks_the_reader(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        rows = list(open_rows(path)[1])
    except InvalidError:
        return
    for row in rows:
        row.record()
        assert all(len(p.value) <= 201 and p.value.isprintable() for p in row.problems)


@given(st.lists(st.lists(st.text(max_size=30), min_size=6, max_size=6), max_size=20))
def test_whatever_stands_in_the_cells_each_row_has_a_record_or_an_error(rows):
    fields = ["title", "isrc", "duration", "released_on", "master.1.name", "master.1.percent"]
    table = Table(fields, {name: name for name in fields})
    for row in table.rows(rows):
        assert (row.record() is None) == any(p.severity == "error" for p in row.problems)


def test_the_template_is_a_csv():
    rows = list(csv.reader(io.StringIO(columns.template())))
    assert len({len(row) for row in rows}) == 1
    assert set(columns.guess(rows[0])) == set(rows[0])


def test_what_is_to_be_corrected_goes_out_as_a_table_that_comes_in_again(path):
    text = HEAD + "Good,A,,,,,,,\n=Bad(1),A,NOT,,,,,,\n"
    out = io.StringIO()
    count = write_corrections(read(path, text), out)
    assert count == 1
    header, line = csv.reader(io.StringIO(out.getvalue()))
    assert header[-1] == "What to correct"
    assert line[0] == "'=Bad(1)"
    assert "ISRC" in line[-1]
    (again,) = read(path, out.getvalue().replace("NOT", "QZSTM2600001"))
    assert again.record().title == "=Bad(1)"


def test_the_command_line_checks_a_file_without_any_service(path, tmp_path):
    path.write_text(HEAD + "Good,A,,,,,,,\nBad,A,NOT,,,,,,\n")
    errors = tmp_path / "errors.csv"
    done = CliRunner().invoke(app, ["check", str(path), "--errors", str(errors)])
    assert done.exit_code == 1, done.output
    assert "2 rows" in done.output
    assert "1 to correct" in done.output
    assert errors.read_text().count("\n") == 2
    told = CliRunner().invoke(app, ["check", str(path), "--json"])
    assert json.loads(told.output)["rows"] == 2
    path.write_text(HEAD + "Good,A,,,,,,,\n")
    done = CliRunner().invoke(app, ["check", str(path)])
    assert (done.exit_code, done.output.strip()[:10]) == (0, "1 row of C")
    assert "1252" not in done.output


def test_the_command_line_tells_of_an_encoding_that_it_guessed(path):
    path.write_bytes((HEAD + "Ärger,A,,,,,,,\n").encode("cp1252"))
    assert "read as Windows-1252" in CliRunner().invoke(app, ["check", str(path)]).output
    assert "read as Windows-1252" in json.loads(CliRunner().invoke(app, ["check", str(path), "--json"]).output)["note"]
