"""General MIDI instruments by name, and the ensembles in which each style is heard by default."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from stemma.errors import InvalidError

# General MIDI 1 sound set (MIDI Manufacturers Association, RP-003), in lower case, programs 0…127.
NAMES: tuple[str, ...] = (
    "acoustic grand piano", "bright acoustic piano", "electric grand piano", "honky-tonk piano", "electric piano 1",
    "electric piano 2", "harpsichord", "clavinet", "celesta", "glockenspiel", "music box", "vibraphone", "marimba",
    "xylophone", "tubular bells", "dulcimer", "drawbar organ", "percussive organ", "rock organ", "church organ",
    "reed organ", "accordion", "harmonica", "tango accordion", "nylon guitar", "steel guitar", "jazz guitar",
    "clean guitar", "muted guitar", "overdriven guitar", "distortion guitar", "guitar harmonics", "acoustic bass",
    "fingered bass", "picked bass", "fretless bass", "slap bass 1", "slap bass 2", "synth bass 1", "synth bass 2",
    "violin", "viola", "cello", "contrabass", "tremolo strings", "pizzicato strings", "orchestral harp", "timpani",
    "string ensemble 1", "string ensemble 2", "synth strings 1", "synth strings 2", "choir aahs", "voice oohs",
    "synth voice", "orchestra hit", "trumpet", "trombone", "tuba", "muted trumpet", "french horn", "brass section",
    "synth brass 1", "synth brass 2", "soprano sax", "alto sax", "tenor sax", "baritone sax", "oboe", "english horn",
    "bassoon", "clarinet", "piccolo", "flute", "recorder", "pan flute", "blown bottle", "shakuhachi", "whistle",
    "ocarina", "square lead", "sawtooth lead", "calliope lead", "chiff lead", "charang lead", "voice lead",
    "fifths lead", "bass and lead", "new age pad", "warm pad", "polysynth pad", "choir pad", "bowed pad",
    "metallic pad", "halo pad", "sweep pad", "rain", "soundtrack", "crystal", "atmosphere", "brightness", "goblins",
    "echoes", "sci-fi", "sitar", "banjo", "shamisen", "koto", "kalimba", "bagpipe", "fiddle", "shanai", "tinkle bell",
    "agogo", "steel drums", "woodblock", "taiko drum", "melodic tom", "synth drum", "reverse cymbal",
    "guitar fret noise", "breath noise", "seashore", "bird tweet", "telephone ring", "helicopter", "applause",
    "gunshot",
)  # fmt: skip
_PROGRAMS = {name: program for program, name in enumerate(NAMES)}
# What people write instead.
_PROGRAMS |= {
    "piano": 0, "organ": 19, "guitar": 24, "harp": 46, "strings": 48, "choir": 52, "voice": 52, "horn": 60,
    "violoncello": 42, "double bass": 43, "bagpipes": 109, "tin whistle": 78, "saxophone": 65, "sax": 65,
}  # fmt: skip
MUSICAL = range(112)
"""Programs that play pitches; those above are percussion and noises."""


def program(name: str) -> int:
    """The program of a name, 0…127; raises `InvalidError` that proposes the nearest names."""
    plain = " ".join(name.lower().replace("_", " ").split())
    if plain in _PROGRAMS:
        return _PROGRAMS[plain]
    near = get_close_matches(plain, _PROGRAMS, n=3, cutoff=0.5)
    raise InvalidError(
        f"{name[:60]!r} is not an instrument of General MIDI.",
        remedy=f"Did you mean {' or '.join(near)}?" if near else f"Known are {', '.join(NAMES[:112])}.",
        code="unknown-instrument",
    )


def name(program: int) -> str:
    """The name of a program; raises `InvalidError` outside 0…127."""
    if not 0 <= program < len(NAMES):
        raise InvalidError(f"{program} is not a program of General MIDI.", remedy="Programs are 0…127.")
    return NAMES[program]


@dataclass(frozen=True)
class Ensemble:
    """Instruments from the top part to the lowest; the last plays every part below it too."""

    name: str
    instruments: tuple[str, ...]

    def seat(self, parts: int) -> tuple[str, ...]:
        """An instrument for each of so many parts."""
        seats = len(self.instruments)
        if parts <= seats:  # outer voices keep their instruments, inner seats are filled from the top
            return (*self.instruments[: parts - 1], self.instruments[-1]) if parts > 1 else self.instruments[:1]
        return (*self.instruments[:-1], *(self.instruments[-1:] * (parts - seats + 1)))


# Each style is heard in one of these; the first is the one most fitting.
ENSEMBLES: dict[str, tuple[Ensemble, ...]] = {
    "chorale": (
        Ensemble("organ", ("church organ",)),
        Ensemble("choir", ("choir aahs",)),
        Ensemble("string quartet", ("violin", "violin", "viola", "cello")),
        Ensemble("brass", ("trumpet", "trumpet", "french horn", "trombone")),
        Ensemble("woodwinds", ("oboe", "clarinet", "english horn", "bassoon")),
    ),
    "polyphony": (
        Ensemble("viols", ("viola", "viola", "viola", "cello", "cello")),
        Ensemble("voices", ("choir aahs",)),
        Ensemble("recorders", ("recorder",)),
    ),
    "reel": (Ensemble("fiddle", ("fiddle",)), Ensemble("flute", ("flute",)), Ensemble("accordion", ("accordion",))),
    "jig": (Ensemble("fiddle", ("fiddle",)), Ensemble("whistle", ("whistle",)), Ensemble("flute", ("flute",))),
    "hornpipe": (Ensemble("fiddle", ("fiddle",)), Ensemble("banjo", ("banjo",)), Ensemble("piccolo", ("piccolo",))),
    "air": (
        Ensemble("violin", ("violin",)),
        Ensemble("flute", ("flute",)),
        Ensemble("piccolo", ("piccolo",)),  # in the place of the fife
        Ensemble("recorder", ("recorder",)),
    ),
    "song": (
        Ensemble("flute", ("flute",)),
        Ensemble("oboe", ("oboe",)),
        Ensemble("violin", ("violin",)),
        Ensemble("harp", ("orchestral harp",)),
    ),
    "classical": (
        Ensemble("string quartet", ("violin", "violin", "viola", "cello")),
        Ensemble("piano", ("acoustic grand piano",)),
    ),
}


def ensemble(style: str, *, choice: int = 0) -> Ensemble:
    """An ensemble of the style, the most fitting unless another is chosen; a piano for unknown styles."""
    known = ENSEMBLES.get(style, ENSEMBLES["classical"][1:])
    return known[choice % len(known)]
