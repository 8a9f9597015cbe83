"""Descriptions of works in words, from what is known of them: the prompts a model is trained with.

No caption names a work or a composer: a prompt must ask for music, not for somebody's piece.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from stemma.models.symbolic.score import Meter

WORDS: dict[str, tuple[str, ...]] = {
    "chorale": ("chorale", "four-part chorale", "Lutheran hymn", "hymn", "church chorale", "hymn for a congregation"),
    "polyphony": ("madrigal", "Renaissance polyphony", "early vocal polyphony", "motet", "piece of early polyphony"),
    "reel": ("reel", "Irish reel", "fast session tune", "reel to dance to", "fiddle tune"),
    "jig": ("jig", "Irish jig", "double jig", "skipping dance", "folk dance in six-eight"),
    "hornpipe": ("hornpipe", "sailors' hornpipe", "clog dance", "bouncing dance tune"),
    "air": ("air", "Scottish air", "country dance tune", "old fife tune", "traditional melody"),
    "song": ("song", "folk song", "old song", "song melody", "ballad", "tune to sing"),
    "classical": (
        "classical movement",
        "string quartet",
        "minuet for strings",
        "Viennese chamber music",
        "sonata movement",
    ),
    "ragtime": ("ragtime", "piano rag", "syncopated ragtime piano", "rag"),
}
"""Other names of a style; a style that is not here goes by its own name."""

MINOR = ("sad", "dark", "melancholy", "mournful", "wistful", "plaintive", "sombre")
MAJOR = ("happy", "bright", "cheerful", "joyful", "warm", "sunny", "hopeful")
PACES = (
    (66.0, ("very slow", "solemn", "grave", "adagio")),
    (88.0, ("slow", "calm", "gentle", "peaceful", "andante")),
    (108.0, ("moderate", "relaxed", "walking-pace", "moderato")),
    (132.0, ("lively", "brisk", "upbeat", "allegro")),
    (1000.0, ("fast", "energetic", "quick", "driving", "presto")),
)
METERS = {
    (3, 4): "in waltz time",
    (6, 8): "in jig time",
    (4, 4): "in common time",
    (2, 4): "in two",
    (9, 8): "in slip-jig time",
}
NUMBERS = ("", "solo", "two-part", "three-part", "four-part", "five-part", "six-part", "seven-part", "eight-part")


def pace(tempo: float) -> tuple[str, ...]:
    """Words for a tempo in quarter notes per minute."""
    return next(words for limit, words in PACES if tempo < limit)


def captions(
    *, style: str, key: str, tempo: float, meter: Meter, instruments: Sequence[str], count: int, seed: str
) -> list[str]:
    """That many descriptions, each naming some of what is known, in an order that depends on the seed."""
    rng = random.Random(seed)  # noqa: S311 - words, not secrets
    found = []
    for _ in range(count):
        names = WORDS.get(style, ())
        noun = rng.choice(names) if names and rng.random() < 0.6 else style.replace("-", " ")
        adjectives = []
        if rng.random() < 0.6:
            adjectives.append(rng.choice(pace(tempo)))
        if rng.random() < 0.4:
            adjectives.append(rng.choice(MINOR if key.endswith("minor") else MAJOR))
        if len(instruments) < len(NUMBERS) and rng.random() < 0.2:
            adjectives.append(NUMBERS[len(instruments)])
        rng.shuffle(adjectives)
        text = " ".join([*adjectives, noun])
        text = f"{'an' if text[0] in 'aeiou' else 'a'} {text}" if rng.random() < 0.7 else text
        tails = []
        if rng.random() < 0.6:
            tails.append(f"in {key}" if rng.random() < 0.7 else f"in a {key.split()[1]} key")
        if instruments and rng.random() < 0.4:
            tails.append("for " + " and ".join(dict.fromkeys(name.lower() for name in instruments)))
        if (meter.beats, meter.unit) in METERS and rng.random() < 0.25:
            tails.append(METERS[meter.beats, meter.unit])
        if rng.random() < 0.15:
            tails.append(f"at {round(tempo)} bpm")
        rng.shuffle(tails)
        found.append(" ".join([text, *tails]))
    return found
