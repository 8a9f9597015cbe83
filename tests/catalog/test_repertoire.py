from __future__ import annotations

from collections import Counter

import pytest

from stemma.catalog import cast, repertoire
from stemma.catalog.repertoire import Tune, choose, everything, tunes
from stemma.errors import InvalidError
from stemma.rights.identifiers import isrc, iswc


def test_names_and_numbers_are_unique():
    pieces = everything()
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    assert len({piece.name for piece in pieces}) == len(pieces)


def test_the_default_choice_is_large_enough_and_balanced():
    chosen = choose()
    free = Counter(piece.style for piece in chosen if piece.source.free)
    assert free["chorale"] == 364  # every one in four parts
    assert set(free) == set(cast.PERFORMERS)
    assert all(count >= 18 for count in free.values())
    assert sum(free.values()) >= 600
    assert 20 <= sum(not piece.source.free for piece in chosen) <= 40
    assert set(chosen) <= set(choose(full=True))


def test_fiddle_tunes_come_from_several_collections():
    for style in ("reel", "jig", "hornpipe"):
        assert len({piece.collection for piece in choose() if piece.style == style}) >= 2


@pytest.mark.parametrize("limit", [1, 7, 40, 60])
def test_a_small_choice_has_something_of_everything(limit: int):
    chosen = choose(limit=limit)
    assert len(chosen) == limit
    assert set(chosen) <= set(choose())
    if limit >= 40:
        assert {piece.style for piece in chosen if piece.source.free} == set(cast.PERFORMERS)
        assert any(not piece.source.free for piece in chosen)


def test_identifiers_are_well_formed_and_unique():
    from stemma.catalog.house import ISRC_PREFIX, work_number

    for piece in everything()[:: len(everything()) // 50]:
        assert iswc(work_number(piece.number)) == work_number(piece.number)
        assert isrc(f"{ISRC_PREFIX}{piece.number * repertoire.MAX_SECTIONS:05d}")
    assert everything()[-1].number * repertoire.MAX_SECTIONS < 100_000


def test_a_wrong_check_digit_would_be_seen():
    assert iswc("T0345246801") == "T-034.524.680-1"
    with pytest.raises(InvalidError):
        iswc("T0345246802")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Fair Maid of Kinsale., The", "The Fair Maid of Kinsale"),
        ("THE MEN FROM ULSTER", "The Men From Ulster"),
        ("  A   Night at  the Fair. ", "A Night at the Fair"),
        ("Sarat:oga", "Saratoga"),
        ("", "Untitled"),
    ],
)
def test_titles_are_put_right(written: str, read: str):
    assert repertoire._title(written) == read


def test_tunes_of_a_file_stand_alone():
    found = tunes("miscFolk/northumbrianminstrelsyopus.abc")
    assert len(found) > 100
    first = found[0]
    assert isinstance(first, Tune)
    assert (first.index, first.title, first.meter) == ("1", "Chevy Chase 1", "6/8")
    assert all(tune.text.startswith("X:") and tune.text.count("\nX:") == 0 for tune in found)
