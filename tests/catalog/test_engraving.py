from __future__ import annotations

import pytest

from stemma.catalog import engraving
from stemma.catalog.repertoire import Piece, everything
from stemma.errors import InvalidError
from stemma.music.score import Bar, Note, Part, Sheet


def piece(style: str, rhythm: str = "", *, path: str = "haydn/opus1no1/movement1.mxl", tune: str = "") -> Piece:
    return Piece(path, 1, style, "Title", "Nobody", "Collection", "", None, tune=tune, rhythm=rhythm)


def sheet(
    meter: tuple[int, int] = (4, 4), *, mark: float | None = None, word: str = "", bars: int = 8, parts: int = 4
) -> Sheet:
    length = meter[0] * 96 // meter[1]
    line = tuple(Note(i * 24, i * 24 + 24, 60) for i in range(bars * length // 24))
    return Sheet(
        tuple(Part(f"Part {i}", line) for i in range(parts)),
        tuple(Bar(i * length, length, *meter) for i in range(bars)),
        "C major",
        mark,
        word,
    )


@pytest.mark.parametrize(
    ("what", "score", "tempo"),
    [
        (piece("reel", "reel"), sheet((2, 2)), 200),
        (piece("reel", "reel"), sheet((2, 4)), 100),
        (piece("jig", "jig"), sheet((6, 8)), 168),
        (piece("jig", "slip jig"), sheet((9, 8)), 180),
        (piece("hornpipe", "hornpipe"), sheet((4, 4)), 160),
        (piece("song", "waltz"), sheet((3, 4)), 132),
        (piece("song", "song"), sheet((6, 8)), 110.4),
        (piece("air", "air", tune="X:1"), sheet(mark=89), 89),
        (piece("classical", "presto"), sheet(mark=240, word="Presto"), 240),
        (piece("classical", "poco adagio"), sheet(mark=120), 54),  # 120 is what programs write unasked
        (piece("classical", "andante"), sheet((6, 8)), 114),
        (piece("classical"), sheet(word="Allegro con brio"), 126),
        (piece("classical"), sheet(), 112),
    ],
)
def test_tempi_fit_what_is_played(what: Piece, score: Sheet, tempo: float):
    assert engraving.tempo_of(what, score) == tempo


def test_quick_chorales_are_taken_slower():
    calm = Sheet((Part("S", (Note(0, 192, 60),)),), (Bar(0, 192, 4, 4),), "C major", None, "")
    quick = Sheet(
        (Part("S", tuple(Note(i * 6, i * 6 + 6, 60) for i in range(32))),), (Bar(0, 192, 4, 4),), "C", None, ""
    )
    assert engraving.tempo_of(piece("chorale"), calm) == 88
    assert engraving.tempo_of(piece("chorale"), quick) == 66


def test_short_pieces_stay_whole_and_long_ones_are_cut_at_bar_lines():
    assert engraving.sections(sheet(bars=8), 120, 4) == [(0, 8)]
    cuts = engraving.sections(sheet(bars=200), 120, 3)
    assert cuts == [(0, 30), (30, 60), (60, 90)]
    assert engraving.sections(sheet(bars=80), 120, 4) == [(0, 30), (30, 60)]  # what is left over is left out


def test_parts_that_name_an_instrument_get_it():
    score = Sheet(
        (Part("Bb Clarinet", (Note(0, 24, 60),)), Part("Piano", (Note(0, 24, 48),))), (Bar(0, 96, 4, 4),), "C", None, ""
    )
    assert engraving.seating(piece("classical"), score) == {"Bb Clarinet": "clarinet", "Piano": "acoustic grand piano"}


def test_what_is_no_chorale_is_left_out_and_says_why(tmp_path):
    odd = piece("chorale", path="bach/bwv1.6.mxl")  # with horns
    engraved = engraving.engrave(odd, tmp_path, "key")
    assert engraved.takes == ()
    assert "four-part" in engraved.refused
    assert engraving.kept(tmp_path, "key") == engraved


def test_an_unreadable_score_is_left_out_and_says_why(tmp_path):
    broken = piece("song", tune="X:1\nT:Broken\nK:C\n", path="miscFolk/northumbrianminstrelsyopus.abc")
    engraved = engraving.engrave(broken, tmp_path, "key")
    assert engraved.takes == ()
    assert broken.name in engraved.refused


@pytest.mark.parametrize("content", [b"", b"{", b'{"number": 1}', b'{"number": 1, "takes": [{}]}', b"\xff"])
def test_a_damaged_record_is_no_record(tmp_path, content: bytes):
    (tmp_path / "key.json").write_bytes(content)
    assert engraving.kept(tmp_path, "key") is None


def test_cache_names_follow_what_they_are_made_from():
    pieces = everything()[:2] + everything()[600:602]
    assert len({engraving.cache_key(one) for one in pieces}) == 4
    assert engraving.cache_key(pieces[0]) == engraving.cache_key(pieces[0])


def test_a_single_broken_piece_does_not_pass_for_music():
    with pytest.raises(InvalidError):
        engraving.read(piece("song", tune="not abc at all"))
