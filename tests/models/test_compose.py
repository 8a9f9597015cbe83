import pytest

from models.conftest import LAYOUTS, SHAPE
from stemma.errors import InvalidError
from stemma.models.protocol import KEYS, GenerationRequest
from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.score import read_midi
from stemma.models.symbolic.tokens import read


def test_the_same_seed_gives_the_same_bytes(model):
    request = GenerationRequest(style="chorale", bars=3, seed=11)
    first, second = model.generate(request), model.generate(request)
    assert first.midi == second.midi
    assert first.example == second.example
    assert model.generate(request.model_copy(update={"seed": 12})).midi != first.midi


def test_without_a_seed_one_is_drawn_and_told(model):
    piece = model.generate(GenerationRequest(style="fiddle", bars=2))
    again = model.generate(GenerationRequest(style="fiddle", bars=2, seed=piece.seed))
    assert again.midi == piece.midi


def test_what_is_asked_for_is_given(model):
    request = GenerationRequest(
        style="chorale", bars=4, tempo=77.5, key="Eb minor", instruments=("oboe", "viola", "viola", "bassoon"), seed=1
    )
    piece = model.generate(request)
    score = read_midi(piece.midi)
    assert (piece.style, piece.bars, piece.tempo, piece.key, piece.seed) == ("chorale", 4, 77.5, "Eb minor", 1)
    assert score.tempo == pytest.approx(77.5, abs=0.01)
    assert {part.name for part in score.parts} <= {"oboe", "viola 1", "viola 2", "bassoon"}
    state = read(piece.example.tokens, model.network.vocabulary)
    assert state.ended
    assert state.bars == 4


def test_fewer_instruments_share_the_parts(model):
    piece = model.generate(GenerationRequest(style="chorale", bars=4, instruments=("organ",), seed=1))
    assert {part.program for part in read_midi(piece.midi).parts} == {19}


def test_seconds_become_bars(model):
    piece = model.generate(GenerationRequest(style="fiddle", seconds=20, tempo=120, seed=5))
    state = read(piece.example.tokens, model.network.vocabulary)
    assert piece.bars * state.bar / 24 / 2 == pytest.approx(20, abs=state.bar / 24 / 2)


def test_the_shortest_and_the_longest_pieces(model):
    assert model.generate(GenerationRequest(style="fiddle", bars=1, seed=0)).bars == 1
    piece = model.generate(GenerationRequest(style="fiddle", bars=64, seed=0))
    assert piece.bars == 64
    assert read(piece.example.tokens, model.network.vocabulary).ended
    assert len(piece.example.tokens) > 2 * model.limit  # the context was left behind more than once


def test_a_long_piece_of_many_voices_slides_on(model):
    piece = model.generate(GenerationRequest(style="piano", bars=40, seed=2))
    state = read(piece.example.tokens, model.network.vocabulary)
    assert (state.ended, state.bars) == (True, 40)


@pytest.mark.parametrize("style", ["chorale", "fiddle"])
@pytest.mark.parametrize("key", ["D major", "G minor"])
def test_a_piece_comes_to_rest_on_its_tonic(style, key):
    roomy = Symbolic.create(LAYOUTS, LAYOUTS, shape=SHAPE, limit=4096, seed=3)
    score = read_midi(roomy.generate(GenerationRequest(style=style, key=key, bars=5, seed=4)).midi)
    tonic = KEYS.index(key) % 12
    last = [[n.pitch for n in part.notes if n.start + n.duration == score.end] for part in score.parts]
    assert {(pitch - tonic) % 12 for part in last for pitch in part} <= {0, 3, 4, 7}
    assert tonic in {pitch % 12 for part in last for pitch in part}


def test_a_prompt_is_read_literally_where_it_is_explicit(model):
    piece = model.generate(GenerationRequest(prompt="a chorale in F sharp minor at 63 bpm, 3 bars", seed=1))
    assert (piece.style, piece.key, piece.tempo, piece.bars) == ("chorale", "F# minor", 63.0, 3)
    assert len(piece.example.condition) == 384


def test_fields_win_over_the_prompt(model):
    piece = model.generate(
        GenerationRequest(prompt="a chorale in C minor", key="D major", style="fiddle", bars=1, seed=1)
    )
    assert (piece.style, piece.key) == ("fiddle", "D major")


def test_a_model_chooses_what_is_left_open(model):
    piece = model.generate(GenerationRequest(seed=4))
    assert piece.style in model.styles
    assert piece.key in KEYS
    assert 4 <= piece.bars <= 32


def test_the_longest_prompt_is_taken(model):
    assert model.generate(GenerationRequest(prompt="x" * 2000, bars=1, seed=1)).bars == 1


def test_an_unknown_style_names_the_known_ones(model):
    with pytest.raises(InvalidError) as error:
        model.generate(GenerationRequest(style="techno"))
    assert error.value.code == "unknown-style"
    assert "chorale" in error.value.remedy


def test_an_unknown_instrument_is_refused(model):
    with pytest.raises(InvalidError) as error:
        model.generate(GenerationRequest(style="chorale", instruments=("theremin",)))
    assert error.value.code == "unknown-instrument"


def test_it_stops_when_told(model):
    asked = iter([False] * 10 + [True])
    with pytest.raises(InterruptedError):
        model.generate(GenerationRequest(style="chorale", bars=16, seed=1), stop=lambda: next(asked))


@pytest.mark.parametrize(
    "bad",
    [
        {"tempo": float("nan")},
        {"tempo": float("inf")},
        {"seconds": float("nan")},
        {"seconds": 1e9},
        {"bars": 0},
        {"bars": 65},
        {"bars": 2.5},
        {"bars": 4, "seconds": 10},
        {"prompt": "x" * 1_000_000},
        {"key": "H dur"},
        {"seed": -1},
        {"unknown": 1},
    ],
)
def test_absurd_requests_are_refused_before_a_model_sees_them(bad):
    with pytest.raises(ValueError, match="validation error"):
        GenerationRequest.model_validate(bad)


def test_bars_denser_than_the_context_are_wound_up(scores):
    """With hardly any context every bar overflows it; the piece must still come to its end."""
    narrow = Symbolic.create(LAYOUTS, LAYOUTS, shape=SHAPE, limit=40, seed=3)
    for style in ("chorale", "piano", "fiddle"):
        piece = narrow.generate(GenerationRequest(style=style, bars=9, seed=1))
        state = read(piece.example.tokens, narrow.network.vocabulary)
        assert (state.ended, state.bars) == (True, 9)
        assert read_midi(piece.midi).end <= 9 * state.bar
