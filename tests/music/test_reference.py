"""The works of a release as one file, and what a piece shares with them."""

from __future__ import annotations

import random

import pytest

from music.test_ngrams import midi
from stemma.errors import InvalidError
from stemma.music.reference import Reference

pytestmark = pytest.mark.unit


def tune(seed: int, notes: int = 120) -> list[tuple[int, int]]:
    draw = random.Random(seed)  # noqa: S311 - no secret
    return [(draw.randrange(55, 80), draw.choice([6, 12, 24])) for _ in range(notes)]


def works(count: int) -> list[tuple[str, bytes]]:
    return [(f"work-{n}", midi(tune(n), tune(1000 + n))) for n in range(count)]


def test_a_file_says_what_the_works_say_and_names_itself_by_its_hash(tmp_path):
    made = Reference.build(works(20))
    made.save(tmp_path / "reference.safetensors")
    read = Reference.load(tmp_path / "reference.safetensors")
    stolen = midi(tune(5000, 30) + tune(7)[10:60])
    for reference in (made, read):
        found = reference.compare(stolen)
        assert (found.run.work, found.run.notes) == ("work-7", 50)
    assert len(read.digest) == 64
    notes = 20 * 240
    assert (tmp_path / "reference.safetensors").stat().st_size < 20 * notes


def test_a_whole_work_is_found_as_the_most_alike_in_another_key_too():
    reference = Reference.build(works(10))
    moved = midi([(pitch + 3, length) for pitch, length in tune(3)], tune(1003))
    found = reference.compare(moved)
    assert (found.likest, found.shared_ppm) == ("work-3", 1_000_000)


def test_a_stranger_shares_no_passage():
    found = Reference.build(works(10)).compare(midi(tune(999)))
    assert (found.run.notes, found.likest, found.shared_ppm) == (0, "", 0)


def test_a_broken_file_is_told(tmp_path):
    path = tmp_path / "reference.safetensors"
    for rubbish in (b"", b"{}", b"\xff" * 100):
        path.write_bytes(rubbish)
        with pytest.raises(InvalidError, match="no reference"):
            Reference.load(path)
