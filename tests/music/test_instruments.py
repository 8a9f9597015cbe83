from __future__ import annotations

import pytest

from stemma.errors import InvalidError
from stemma.music import instruments


def test_names_and_programs_match():
    assert len(set(instruments.NAMES)) == 128
    assert all(instruments.program(instruments.name(program)) == program for program in range(128))
    assert instruments.program("  Violin ") == 40
    assert instruments.program("CHURCH_ORGAN") == 19


def test_an_unknown_name_proposes_the_nearest():
    with pytest.raises(InvalidError, match="violin") as caught:
        instruments.program("voilin")
    assert caught.value.code == "unknown-instrument"


@pytest.mark.parametrize("program", [-1, 128])
def test_there_are_128_programs(program: int):
    with pytest.raises(InvalidError):
        instruments.name(program)


@pytest.mark.parametrize("style", [*instruments.ENSEMBLES, "unheard of"])
def test_every_style_seats_any_number_of_parts(style: str):
    for choice in range(8):
        ensemble = instruments.ensemble(style, choice=choice)
        for parts in range(1, 9):
            seated = ensemble.seat(parts)
            assert len(seated) == parts
            assert all(instruments.program(name) in instruments.MUSICAL for name in seated)


def test_outer_parts_keep_their_instruments():
    quartet = instruments.ensemble("classical")
    assert quartet.seat(4) == ("violin", "violin", "viola", "cello")
    assert quartet.seat(2) == ("violin", "cello")
    assert quartet.seat(5) == ("violin", "violin", "viola", "cello", "cello")
