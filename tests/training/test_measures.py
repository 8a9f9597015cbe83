import numpy as np
import pytest

from stemma.models.symbolic.score import Meter, Note, Part, Score
from stemma.training.measures import Runs, distance, likeness, measure


def line(*pitches: int, duration: int = 24) -> Score:
    notes = tuple(Note(i * duration, duration, pitch) for i, pitch in enumerate(pitches))
    return Score((Part(0, "p", notes),), (Meter(0, 4, 4),), 100.0)


def chords(*stacks: tuple[int, ...]) -> Score:
    parts = [tuple(Note(i * 24, 24, stack[k]) for i, stack in enumerate(stacks)) for k in range(len(stacks[0]))]
    return Score(tuple(Part(0, "p", part) for part in parts), (Meter(0, 4, 4),), 100.0)


def test_a_scale_is_in_its_key_and_moves_by_step():
    found = measure([(line(60, 62, 64, 65, 67, 69, 71, 72), "C major")])
    assert (found.in_key, found.stepwise, found.voices, found.closes) == (1, 1, 1, 1)
    assert measure([(line(61, 63), "C major")]).in_key == 0


def test_minor_knows_both_forms_of_its_upper_steps():
    assert measure([(line(69, 77, 78, 79, 80, 81), "A minor")]).in_key == 1


def test_consonance_is_counted_over_pairs():
    assert measure([(chords((67, 64, 60)), "C major")]).consonant == 1
    assert measure([(chords((61, 60)), "C major")]).consonant == 0
    assert measure([(chords((67, 64, 60)), "C major")]).voices == 3


def test_an_empty_set_has_measures():
    assert measure([]).in_key == 0


def test_distances():
    a, b = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    assert distance(a, a) == 0
    assert distance(a, b) == 1
    assert likeness(a, a) == pytest.approx(1)
    assert likeness(a, np.zeros(3)) == 0


def test_copied_notes_are_found_in_any_key():
    tune = [60, 62, 64, 65, 67, 65, 64, 62, 60, 67, 72, 71, 69]
    runs = Runs([line(*tune)])
    assert runs.longest(line(*[p + 5 for p in tune])) == len(tune) - 1
    assert runs.longest(line(1, 50, *tune[2:11], 20, 90)) == 8
    assert runs.longest(line(60, 70, 61, 71, 62, 72, 63, 73)) == 0
    assert runs.longest(line(*tune, duration=12)) == 0
