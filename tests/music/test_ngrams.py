from __future__ import annotations

from itertools import pairwise

import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.music import ngrams
from stemma.music.ngrams import SEED, Index, longest_verbatim_run


def midi(*lines: list[tuple[int, int]]) -> bytes:
    """Lines of (pitch, length in ticks of the grid)."""
    made = symusic.Score(480)
    for number, line in enumerate(lines):
        track = symusic.Track(str(number), 0, False)
        start = 0
        for pitch, length in line:
            track.notes.append(symusic.Note(start * 20, length * 20, pitch, 80))
            start += length
        made.tracks.append(track)
    return bytes(made.dumps_midi())


notes = st.tuples(st.integers(60, 63), st.sampled_from([12, 24]))
lines = st.lists(notes, min_size=1, max_size=40)


def steps(line: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(b[0] - a[0], a[1]) for a, b in pairwise(line)]


def longest_by_trying_all(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> int:
    a, b = steps(one), steps(other)
    best = 0
    for i in range(len(a)):
        for j in range(len(b)):
            n = 0
            while i + n < len(a) and j + n < len(b) and a[i + n] == b[j + n]:
                n += 1
            best = max(best, n)
    return best + 1 if best >= SEED else 0


@settings(max_examples=60)
@given(lines, st.lists(lines, min_size=1, max_size=4))
def test_finds_what_trying_everything_finds(line, works):
    index = Index({str(i): midi(work) for i, work in enumerate(works)})
    assert longest_verbatim_run(midi(line), index) == max(longest_by_trying_all(line, work) for work in works)


@settings(max_examples=30)
@given(lines.filter(lambda line: len(line) > SEED), st.integers(-20, 20))
def test_a_work_in_another_key_is_the_same_work(line, shift):
    moved = [(pitch + shift, length) for pitch, length in line]
    assert longest_verbatim_run(midi(moved), Index({"work": midi(line)})) == len(line)


def test_a_planted_passage_is_found_where_it_stands():
    theme = [(60 + i * i % 7, 12 if i % 3 else 24) for i in range(20)]
    piece = [(80, 6), (50, 18), *theme, (40, 6)]
    run = Index([("theme", midi([(70, 6)], theme))]).longest(midi([(60, 96)], piece))
    assert run == ngrams.Run(notes=20, work="theme", part=1, start=2, their_part=1, their_start=0)


def test_a_work_is_not_compared_with_itself_when_asked_not_to():
    theme = [(60 + i % 5, 12) for i in range(30)]
    index = Index({"self": midi(theme), "other": midi([(60, 24)] * 3)})
    assert index.longest(midi(theme)).work == "self"
    assert index.longest(midi(theme), but="self").notes == 0


def test_an_empty_index_holds_nothing():
    assert longest_verbatim_run(midi([(60, 12)] * 20), Index({})) == 0
