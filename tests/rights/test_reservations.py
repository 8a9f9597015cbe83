"""Reservations as websites and files state them."""

import json
from contextlib import suppress
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.errors import InvalidError
from stemma.rights.reservations import (
    MOST_BYTES,
    SILENT,
    USES,
    Declaration,
    Mining,
    Rule,
    assertion,
    declared,
    of_answer,
    of_assertion,
    of_headers,
    of_html,
    parse,
    write,
)

pytestmark = pytest.mark.unit

POLICY = "https://provider.com/policies/policy.json"
# The examples of the report.
WHOLE_SITE = b'[{"location": "/", "tdm-reservation": 1}]'
THREE_GROUPS = b"""[
  {"location": "/directory-a/", "tdm-reservation": 1},
  {"location": "/directory-b/html/", "tdm-reservation": 1, "tdm-policy": "https://provider.com/policies/policy.json"},
  {"location": "/directory-b/images/*.jpg", "tdm-reservation": 0}
]"""


def test_a_site_that_reserves_everything() -> None:
    rules = parse(WHOLE_SITE)
    assert rules == [Rule("/", True)]
    assert declared(rules, "https://provider.com") == Declaration(True)
    assert declared(rules, "https://provider.com/audio/song.flac?x=1") == Declaration(True)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/directory-a/book.pdf", Declaration(True)),
        ("/directory-b/html/page.html", Declaration(True, POLICY)),
        ("/directory-b/images/cat.jpg", Declaration(False)),
        ("/directory-b/images/cat.png", SILENT),
        ("/directory-c/", SILENT),
        ("/Directory-A/book.pdf", SILENT),
    ],
)
def test_a_site_of_three_groups(path: str, said: Declaration) -> None:
    assert declared(parse(THREE_GROUPS), f"https://provider.com{path}") == said


@pytest.mark.parametrize(
    ("location", "path", "fits"),
    [
        ("/this/path/exactly$", "/this/path/exactly", True),
        ("/this/path/exactly$", "/this/path/exactly/not", False),
        ("/this/*/then", "/this/and/then", True),
        ("/this/*/then", "/this/and/that", False),
        ("/path/foo-%24", "/path/foo-$", True),
        ("/path/foo-$", "/path/foo-$", False),
        ("/path/%2A", "/path/*", True),
        ("/%7Euser/", "/~user/a", True),
        ("/caf%c3%a9", "/café", True),
        ("/a%2fb", "/a/b", False),
        ("*.mp3$", "/album/song.mp3", True),
        ("*.mp3$", "/album/song.mp3?play", False),
        ("/*.php$", "/folder/file.php", True),
        ("/*/*$", "/a/b", True),
        ("/aba*ba$", "/aba", False),
        ("/song?id=", "/song?id=1", True),
        ("/fish", "/fishheads/yummy.html", True),
        ("/fish/", "/fish", False),
    ],
)
def test_patterns(location: str, path: str, fits: bool) -> None:
    assert (declared([Rule(location, True)], f"https://a.org{path}").reserved is True) == fits


def test_the_first_rule_that_fits_counts() -> None:
    rules = [Rule("/a/b/", False), Rule("/a/", True, POLICY), Rule("/", False)]
    assert declared(rules, "https://a.org/a/b/c") == Declaration(False)
    assert declared(rules, "https://a.org/a/c") == Declaration(True, POLICY)


@pytest.mark.parametrize(
    ("value", "reserved"),
    [
        ("1", True),
        ('"1"', True),
        ("0", False),
        ("2", None),
        ("true", None),
        ("null", None),
        ("1.5", None),
        ("[]", None),
    ],
)
def test_another_value_is_unset(value: str, reserved: bool | None) -> None:
    assert parse(f'[{{"location": "/", "tdm-reservation": {value}}}]'.encode())[0].reserved is reserved


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"{}", "no array"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe[", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[" + b"1" * 5000 + b"]", "not JSON"),
        (b"[1]", "Entry 1"),
        (b'[{"location": "/", "tdm-reservation": 1}, {"tdm-reservation": 1}]', "Entry 2"),
        (b'[{"location": "a/", "tdm-reservation": 1}]', "Entry 1"),
        (b'[{"location": "/"}]', "does not say"),
        (b'[{"location": "/\\u0000", "tdm-reservation": 1}]', "cannot be read"),
        (b'[{"location": "/", "tdm-reservation": 1, "tdm-policy": "javascript:alert(1)"}]', "no address"),
        (b'[{"location": "/", "tdm-reservation": 1, "tdm-policy": 7}]', "no address"),
        (b"[" + b'{"location":"/","tdm-reservation":1},' * 10_000 + b'{"location":"/","tdm-reservation":1}]', "10,000"),
        (b" " * (MOST_BYTES + 1), "512 KiB"),
    ],
)
def test_a_bad_file_is_refused_with_the_entry(document: bytes, told: str) -> None:
    with pytest.raises(InvalidError, match=told) as refused:
        parse(document)
    assert refused.value.remedy


def test_a_hostile_pattern_takes_no_time() -> None:
    rules = [Rule("/" + "*a" * 1000 + "b$", True)] * 100
    begun = monotonic()
    assert declared(rules, "https://a.org/" + "a" * 5000) == SILENT
    assert monotonic() - begun < 5


addresses = st.sampled_from(["", POLICY, "http://a.org/ä", "/terms"])
paths = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=40).map(lambda text: f"/{text}")
rules_made = st.lists(st.builds(Rule, paths, st.booleans(), addresses), max_size=20)


@given(rules_made)
def test_what_is_written_is_read_as_the_same(rules: list[Rule]) -> None:
    assert parse(write(rules)) == rules


@given(rules_made, paths)
def test_every_address_has_one_answer(rules: list[Rule], path: str) -> None:
    assert declared(rules, "https://a.org" + path.replace("#", "")).reserved in {None, True, False}


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    with suppress(InvalidError):
        parse(document)


def test_nothing_is_written_that_would_not_be_read() -> None:
    for rule in (Rule("/", None), Rule("no-path", True), Rule("/", True, "ftp://a.org")):
        with pytest.raises(InvalidError):
            write([rule])
    with pytest.raises(InvalidError, match="too many"):
        write([Rule("/", True)] * 10_001)


# --- Headers and pages ------------------------------------------------------------------------------

PAGE = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="tdm-reservation" content="1">
<meta name="tdm-policy" content="{POLICY}">
<title>Document title</title></head><body><meta name="tdm-reservation" content="0"></body></html>"""


def test_headers() -> None:
    assert of_headers({"Content-type": "image/jpg", "tdm-reservation": "1"}) == Declaration(True)
    assert of_headers({"TDM-Reservation": " 1 ", "TDM-Policy": POLICY}) == Declaration(True, POLICY)
    assert of_headers({"tdm-reservation": "0"}) == Declaration(False)
    assert of_headers({"tdm-reservation": "yes", "tdm-policy": POLICY}) == SILENT
    assert of_headers({"tdm-reservation": "1", "tdm-policy": "data:text/html,x"}) == Declaration(True)


def test_pages() -> None:
    assert of_html(PAGE) == Declaration(True, POLICY)
    assert of_html("<body><meta name=tdm-reservation content=1>") == SILENT
    assert of_html("<meta name=TDM-Reservation content=1><meta name=tdm-reservation content=0>") == Declaration(True)
    assert of_html("<<<!-- <!DOCTYPE <meta name=") == SILENT


def test_a_header_stands_above_the_file_and_the_page_above_both() -> None:
    by_file = Declaration(True, POLICY)
    assert of_answer(by_file, {}) == by_file
    assert of_answer(by_file, {"tdm-reservation": "0"}) == Declaration(False)
    assert of_answer(by_file, {"tdm-reservation": "x"}) == by_file
    assert of_answer(by_file, {"tdm-reservation": "0"}, PAGE) == Declaration(True, POLICY)


# --- Assertions -------------------------------------------------------------------------------------


def test_an_assertion_of_both_vocabularies() -> None:
    said = {"cawg.ai_training": {"use": "allowed"}, "c2pa.ai_generative_training": {"use": "notAllowed"}}
    found = of_assertion({"entries": {**said, "com.example.other": {"use": "notAllowed"}}})
    assert found == Mining({"ai_training": "allowed", "ai_generative_training": "notAllowed"}, "")
    assert found.refused == ("ai_generative_training",)


@pytest.mark.parametrize("name", ["constraint_info", "constraints_info"])
def test_a_constraint_keeps_its_words(name: str) -> None:
    entry = {"use": "constrained", name: "Only with\n a license"}
    found = of_assertion({"entries": {"cawg.data_mining": entry, "cawg.ai_training": entry}})
    assert found.constraint == "Only with a license"
    assert found.refused == ("data_mining", "ai_training")


@pytest.mark.parametrize("entry", [{"use": "constrained"}, {"use": "perhaps"}, {}, "allowed", None, {"use": None}])
def test_what_is_not_clear_is_not_allowed(entry: object) -> None:
    found = of_assertion({"entries": {"cawg.data_mining": entry}})
    assert found.uses == {"data_mining": "notAllowed"}


@pytest.mark.parametrize("data", [None, [], {}, {"entries": []}, "x"])
def test_an_assertion_without_entries_is_refused(data: object) -> None:
    with pytest.raises(InvalidError, match="no entries"):
        of_assertion(data)


@given(st.dictionaries(st.sampled_from(USES), st.sampled_from(["allowed", "notAllowed", "constrained"])))
def test_an_assertion_is_read_as_it_was_written(uses: dict) -> None:
    found = of_assertion(json.loads(json.dumps(assertion(uses, "Ask us"))))
    assert found.uses == uses
    assert found.constraint == ("Ask us" if "constrained" in uses.values() else "")
