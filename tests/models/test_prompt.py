import numpy as np
import pytest

from stemma.models.symbolic.captions import captions
from stemma.models.symbolic.prompt import Wishes, embed, wishes
from stemma.models.symbolic.score import Meter


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a lively jig in D major", Wishes(key="D major", style="jig")),
        ("something in b flat minor, 90 BPM", Wishes(key="Bb minor", tempo=90.0)),
        ("two chorales, 8 bars, in G# minor", Wishes(key="Ab minor", bars=8, style="chorale")),
        ("a 30 second air", Wishes(seconds=30.0, style="air")),
        ("a jig or a reel", Wishes()),
        ("at 900 bpm for 5000 seconds in H major", Wishes()),
        ("", Wishes()),
    ],
)
def test_prompts_are_read(prompt, expected):
    assert wishes(prompt, ("air", "chorale", "jig", "reel")) == expected


def test_embeddings_are_near_where_meanings_are():
    vectors = embed(["a solemn hymn for choir", "a slow church chorale", "a wild dance for fiddle"])
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_an_embedding_does_not_depend_on_the_company():
    long, short = "a very long description of a slow and solemn piece of music " * 10, "a jig"
    np.testing.assert_allclose(embed([short, long])[0], embed([short])[0], atol=1e-5)


def test_captions_are_the_same_every_time_and_name_what_is_known():
    facts = {"style": "jig", "key": "D major", "tempo": 168.0, "meter": Meter(0, 6, 8), "instruments": ["fiddle"]}
    first = captions(**facts, count=200, seed="x")
    assert first == captions(**facts, count=200, seed="x")
    words = " ".join(first)
    for expected in ("jig", "D major", "fiddle", "fast", "168 bpm"):
        assert expected in words
    assert "minor" not in words


def test_a_style_without_words_goes_by_its_name():
    found = captions(
        style="slow-march", key="C minor", tempo=50.0, meter=Meter(0, 5, 4), instruments=[], count=5, seed="x"
    )
    assert all("slow march" in text for text in found)
