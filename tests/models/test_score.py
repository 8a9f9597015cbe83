import pytest

from stemma.errors import InvalidError
from stemma.models.symbolic.score import GRID, Meter, Note, Part, Score, read_midi, tonic, write_midi

TUNE = (Note(0, 12, 60), Note(12, 12, 62), Note(24, 72, 64))


def score(**changes) -> Score:
    return Score(**{"parts": (Part(40, "violin", TUNE),), "meters": (Meter(0, 4, 4),), "tempo": 96.0, **changes})


def test_midi_comes_back_as_it_was():
    given = score(meters=(Meter(0, 3, 4), Meter(144, 6, 8)))
    assert read_midi(write_midi(given, key="Bb minor")) == given


def test_a_pickup_comes_back():
    given = score(pickup=GRID)
    back = read_midi(write_midi(given))
    assert back.pickup == GRID
    assert [start for start, _ in back.bars()] == [-72, 24]


def test_a_meter_inside_a_bar_cuts_it_short():
    given = score(meters=(Meter(0, 4, 4), Meter(36, 3, 4)))
    assert [(start, meter.bar) for start, meter in given.bars()] == [(0, 36), (36, 72)]


def test_times_off_the_grid_are_told():
    import symusic

    midi = symusic.Score(480)
    track = symusic.Track("x", 0, False)
    track.notes.append(symusic.Note(7, 480, 60, 80))
    midi.tracks.append(track)
    back = read_midi(midi.dumps_midi())
    assert not back.exact
    assert back.parts[0].notes[0].start == 0


@pytest.mark.parametrize(
    "data", [b"", b"no music", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\xff\xff\xff\xff"]
)
def test_unreadable_scores_are_refused(data):
    with pytest.raises(InvalidError) as error:
        read_midi(data, source="score of Air")
    assert "score of Air" in error.value.message


def test_an_empty_score_is_refused():
    import symusic

    with pytest.raises(InvalidError) as error:
        read_midi(symusic.Score(480).dumps_midi())
    assert error.value.code == "empty-score"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("C major", (0, "major")), ("f# minor", (6, "minor")), ("B- major", (10, "major")), ("D dorian", (2, "minor"))],
)
def test_keys_are_read(name, expected):
    assert tonic(name) == expected


def test_a_word_that_is_no_key_is_refused():
    with pytest.raises(InvalidError):
        tonic("H dur")
