import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.errors import InvalidError
from stemma.models.protocol import KEYS
from stemma.models.symbolic.score import Meter, Note, Part, Score, read_midi, write_midi
from stemma.models.symbolic.tokens import DURATIONS, Layout, State, Vocabulary, read, trace


def notes(score: Score) -> list[tuple[Note, ...]]:
    return [part.notes for part in score.parts]


def test_real_scores_come_back_exactly(layouts, vocabulary):
    for layout in layouts:
        assert layout.exact
        segment = layout.segment(vocabulary, limit=10**6)
        back = read(segment.tokens, vocabulary).score(layout.score.tempo)
        assert notes(back) == notes(layout.score)
        assert back.pickup == layout.score.pickup
        assert [p.program for p in back.parts] == [p.program for p in layout.score.parts]


def test_tokens_are_dense(layouts, vocabulary):
    segments = [layout.segment(vocabulary, limit=10**6) for layout in layouts]
    assert sum(len(s.tokens) for s in segments) / sum(s.notes for s in segments) < 1.8


def test_segments_cover_every_note_once(layouts, vocabulary):
    for layout in layouts:
        segments = layout.segments(vocabulary, limit=60)
        assert len(segments) > 1
        assert [s.first for s in segments[1:]] == [s.after for s in segments[:-1]]
        assert segments[-1].after == len(layout.score.bars())
        assert sum(s.notes for s in segments) == sum(len(part.notes) for part in layout.score.parts)
        assert all(len(s.tokens) <= 60 or s.after == s.first + 1 for s in segments)


def test_a_note_held_over_a_cut_is_not_struck_again(vocabulary):
    score = Score((Part(0, "p", (Note(0, 144, 60), Note(144, 48, 62))),), (Meter(0, 4, 4),), 100.0)
    second = Layout.of(score, "piano", "C major").segment(vocabulary, first=1)
    state = read(second.tokens, vocabulary)
    assert [(s, d, p) for s, d, p in state.notes[0] if p] == [(48, 48, [62])]


def test_following_the_tokens_gives_what_the_writer_saw(layouts, vocabulary):
    segment = layouts[0].segment(vocabulary)
    features, free = trace(segment.tokens.tolist(), vocabulary)
    assert np.array_equal(features, segment.features)
    assert np.array_equal(free, segment.free)


def test_every_key_is_written_as_one(vocabulary):
    def tokens(key: str, up: int) -> list[int]:
        line = tuple(Note(24 * i, 24, pitch + up) for i, pitch in enumerate((60, 64, 67, 59, 60)))
        piece = Score((Part(0, "p", line),), (Meter(0, 4, 4),), 100.0)
        return Layout.of(piece, "piano", key).segment(vocabulary).tokens.tolist()

    in_c, in_d = tokens("C major", 0), tokens("D major", 2)
    assert [i for i, (a, b) in enumerate(zip(in_c, in_d, strict=True)) if a != b] == [3]


@st.composite
def pieces(draw) -> Score:
    """Scores of up to three parts with chords, overlaps, rests and odd meters."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        found = draw(
            st.sets(
                st.builds(
                    Note, st.integers(0, 400), st.sampled_from([1, 3, 5, 12, 24, 25, 50, 97, 200]), st.integers(30, 100)
                ),
                min_size=1,
                max_size=12,
            )
        )
        parts.append(Part(draw(st.integers(0, 127)), "p", tuple(sorted(found))))
    meter = draw(st.sampled_from([Meter(0, 4, 4), Meter(0, 3, 8), Meter(0, 5, 4), Meter(0, 1, 16)]))
    pickup = draw(st.sampled_from([0, 6, meter.bar // 2]))
    return Score(tuple(parts), (meter,), 100.0, pickup if 0 < pickup < meter.bar and pickup in DURATIONS else 0)


@settings(max_examples=120)
@given(piece=pieces(), key=st.sampled_from(KEYS), limit=st.sampled_from([40, 100, 10**6]))
def test_any_score_that_fits_its_voices_comes_back(piece, key, limit):
    vocabulary = Vocabulary(["any"])
    layout = Layout.of(piece, "any", key)
    whole = read(layout.segment(vocabulary, limit=10**6).tokens, vocabulary)
    assert whole.ended
    if layout.exact:
        assert notes(whole.score()) == notes(piece)
    segments = layout.segments(vocabulary, limit=limit)
    assert sum(s.notes for s in segments) == sum(len(p.notes) for p in whole.score().parts)
    for segment in segments:
        features, free = trace(segment.tokens.tolist(), vocabulary)
        assert np.array_equal(features, segment.features)
        assert np.array_equal(free, segment.free)


@settings(max_examples=40)
@given(data=st.data())
def test_whatever_is_drawn_within_the_grammar_is_a_piece(data):
    vocabulary = Vocabulary(["a", "b"])
    state, rng = State(vocabulary), np.random.default_rng(data.draw(st.integers(0, 10**6)))
    bars = data.draw(st.integers(1, 4))
    for _ in range(3000):
        if state.ended:
            break
        mask = state.allowed(parts=3)
        if state.bars == 0 and mask[vocabulary.bar.start]:
            choice = (
                vocabulary.bar[bars - 1]
                if len(state.streams) == 3
                else rng.choice(np.flatnonzero(mask[: vocabulary.bar.start]))
            )
        else:
            choice = rng.choice(np.flatnonzero(mask))
        assert not state.forced or mask.sum() == 1
        state.push(int(choice))
    assert state.ended
    assert state.bars == bars
    last = state.meters[0]
    assert state.score().end <= bars * last.bar


def test_tokens_out_of_place_are_refused(vocabulary, layouts):
    tokens = layouts[0].segment(vocabulary).tokens.tolist()
    for broken in ([tokens[1]], [*tokens[:4], vocabulary.end], [*tokens[:3], 10**6], [*tokens, tokens[-1]], [-1]):
        with pytest.raises(InvalidError) as error:
            read(broken, vocabulary)
        assert error.value.code == "bad-tokens"


def test_a_style_that_the_vocabulary_lacks_is_refused(layouts):
    with pytest.raises(InvalidError):
        layouts[0].segment(Vocabulary(["other"]))


@pytest.mark.parametrize(
    "meters",
    [
        (Meter(0, 116, 4),),
        (Meter(0, 23, 32), Meter(69, 4, 4)),
        (Meter(0, 4, 4), Meter(96, 23, 32), Meter(165, 3, 4)),
        (Meter(0, 5, 64), Meter(7, 2, 2)),
        (Meter(0, 0, 4), Meter(40, 3, 4)),
        (Meter(0, 7, 4), Meter(168, 61, 16)),
    ],
)
def test_odd_meters_of_any_file_are_written(meters, vocabulary):
    line = tuple(Note(i * 20, 20, 60 + i % 7) for i in range(60))
    midi = write_midi(Score((Part(0, "p", line),), meters, 100.0))
    layout = Layout.of(read_midi(midi), "piano", "C major")
    assert layout.exact
    for limit in (50, 10**6):
        segments = layout.segments(vocabulary, limit=limit)
        assert sum(s.notes for s in segments) == 60
    assert read(segments[0].tokens, vocabulary).score().parts[0].notes == line
