"""Prompts that name whom they may not, and prompts that only describe music."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stemma.rights.composers import COMPOSERS, long_dead
from stemma.rights.prompting import Names, Prompting, folded, pack

pytestmark = pytest.mark.unit

ARTIST, TITLE, PLAIN, KEPT = "Åsa Lindqvist", "Wachet auf, ruft uns die Stimme", "Waltz in D major", "Rain Song"


@pytest.fixture(scope="module")
def names() -> Names:
    refused = pack([ARTIST, "Prince", "Traditional", "Doe, Jane"])
    listed = {
        "refused": refused,
        "withdrawn": pack(titles=[TITLE, PLAIN, "In the evening"]),
        "custody": pack([], [KEPT]),
    }
    return Names(Prompting(at="2026-01-01T00:00:00.000Z", sequence=1, names=listed))


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("a chorale in the style of Åsa Lindqvist", "refused"),
        ("asa lindqvist, but slower", "refused"),
        ("ÅSA  LINDQVIST", "refused"),
        ("аsа lindqvist", "refused"),  # two Cyrillic letters
        ("Lindqvist-style ballad", "refused"),
        ("Lindqvist's way of playing", "refused"),
        ("something like Prince", "refused"),
        ("jane doe on the fiddle", "refused"),
        ("play Wachet auf, ruft uns die Stimme again", "withdrawn"),
        ('exactly "Waltz in D major" please', "withdrawn"),
        ("the Rain Song at dusk", "custody"),
        ("something like in the evening", "withdrawn"),
        ("wachet auf ruft uns die stimme", "withdrawn"),
    ],
)
def test_a_prompt_that_names_somebody_is_found(names, prompt, why):
    found = names.find(prompt)
    assert found is not None
    assert found.why == why
    assert found.words in prompt


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a waltz in D major, 16 bars",
        "a traditional tune in the style of fiddlers",
        "a young prince rides through rain",
        "rain, and a song",
        "a rain song",
        "a quiet fiddle tune in the evening",
        "🎻" * 50,
        "a" * 2000,
    ],
)
def test_a_prompt_that_describes_music_is_not(names, prompt):
    assert names.find(prompt) is None


def test_the_list_holds_hashes_and_no_names(names):
    assert names.count == 9
    assert "indqvist" not in names.given.model_dump_json()


def test_a_list_with_half_a_hash_is_none():
    with pytest.raises(ValidationError):
        Prompting(at="", sequence=1, names={"refused": "AAAA"})


def test_a_composer_is_free_from_the_first_of_january_seventy_years_after_the_year_of_death():
    names = {"Sibelius, Jean", "Jean Sibelius (1865–1957)", "JOHANN SEBASTIAN BACH", "J.S. Bach", "Ada Bach", ""}
    assert long_dead(names, 2027) == {"JOHANN SEBASTIAN BACH", "J.S. Bach"}
    assert long_dead(names, 2028) == names - {"Ada Bach", ""}


def test_the_list_of_composers_names_nobody_twice():
    every = [folded(name) for composer in COMPOSERS for name in composer.names]
    assert len(every) == len(set(every)) > 100
    assert all(900 < composer.died < 1960 for composer in COMPOSERS)
