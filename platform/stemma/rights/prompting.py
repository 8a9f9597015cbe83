"""Names that no prompt may name: of artists and works whose owners do not allow style prompting.

The portal signs the list, serving holds every prompt against it.  It holds no names but their hashes (the
first 64 bits of SHA-256 over `person` or `title` and the folded words): it tells nobody who said no.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from confusable_homoglyphs import confusables
from pydantic import BaseModel, ConfigDict, Field, model_validator

PROMPTING = "stemma-prompting+jws"
PROMPTING_KEY = "rights/prompting.jws"
Why = Literal["refused", "withdrawn", "custody"]
WHYS: tuple[Why, ...] = get_args(Why)
LONGEST = 12
"""Words of a name that count; what follows them is not looked at."""
PERSON, TITLE = "person", "title"
MANY = 4
"""Words of a title that is one wherever they stand together."""
SHORTEST = 4
"""Letters of a single word that is taken for a name."""
NOBODY = """
anonymous, anon, traditional, trad, unknown, unknown artist, unknown composer, various, various artists, folk song,
public domain, composer not named
"""
"""What stands in the place of a name where there is none."""
COMMON = """
a an and as at by for from in my no of on op opus or the to with your
air andante allegro adagio ballad bar bars bass blues bpm bourree canon chorale choral concerto dance duet duo etude
fantasia fast fiddle flat folk fugue gavotte gigue guitar hornpipe hymn jazz jig largo lullaby major march mazurka
melody menuet minor minuet moderato movement music natural nocturne number overture pastorale piano piece polka
polonaise prelude presto quartet quintet ragtime reel rondo samba sarabande scherzo serenade sharp slow solo sonata
sonatina song strathspey study suite symphony tango theme toccata trio tune variation variations vivace waltz
b c d e f g i ii iii iv v vi 1 2 3 4 5 6 7 8 9 10
"""
"""Words that describe music: a title of nothing else is a name only where the prompt makes it one."""
BEFORE = frozenset({"like", "by", "imitating", "imitate", "copy", "copying", "mimic", "recreate", "resembling", "aka"})
BEFORE_OF = frozenset({"style", "manner", "spirit", "vein", "way", "sound", "mould", "fashion", "version", "cover"})
AFTER = frozenset({"style", "styled", "esque", "ish", "like", "s", "sounding", "inspired", "cover"})
"""Words beside a word that make it the name of somebody or something."""
_NOBODY = frozenset(" ".join(name.split()) for name in NOBODY.split(","))
_COMMON = frozenset(COMMON.split())


class Prompting(BaseModel):
    """The list.  Signed with a key of role `rights` as type `PROMPTING`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.prompting/1"] = "stemma.prompting/1"
    at: str
    sequence: int = Field(ge=0)
    """Grows with every list, whatever the clocks say."""
    names: dict[Why, str]
    """Hashes by why they stand here: base64 of numbers of 64 bits in network order, ascending."""

    @model_validator(mode="after")
    def _readable(self) -> Prompting:
        for packed in self.names.values():
            if len(base64.b64decode(packed, validate=True)) % 8:
                raise ValueError("names: a hash is cut off")
        return self

    @property
    def count(self) -> int:
        """How many names it holds."""
        return sum(len(base64.b64decode(packed)) // 8 for packed in self.names.values())

    @property
    def order(self) -> tuple[int, str]:
        """Of two lists, the one with the larger order is the newer."""
        return self.sequence, self.at


class Named(NamedTuple):
    """What a prompt names and may not."""

    words: str
    """As the prompt says them."""
    why: Why


def pack(people: Iterable[str] = (), titles: Iterable[str] = ()) -> str:
    """The hashes of names as a list carries them; what stands for nobody is left out."""
    kinds = ((PERSON, (name for person in people for name in _called(person))), (TITLE, titles))
    folded = ((kind, _words(name)) for kind, names in kinds for name in names)
    marks = {_mark(kind, words) for kind, words in folded if words and " ".join(words) not in _NOBODY}
    return base64.b64encode(b"".join(mark.to_bytes(8) for mark in sorted(marks))).decode()


class Names:
    """A list, ready to be asked."""

    def __init__(self, given: Prompting) -> None:
        self.given = given
        self.count = given.count
        self._marks = {why: _numbers(packed) for why, packed in given.names.items()}

    def find(self, prompt: str) -> Named | None:
        """The first name in a prompt that stands in the list."""
        tokens = list(_tokens(prompt))
        folded = [token.folded for token in tokens]
        for start in range(len(tokens)):
            for end in range(min(len(tokens), start + LONGEST), start, -1):
                words = folded[start:end]
                made = _cued(folded, start, end) or _quoted(prompt, tokens[start].begin, tokens[end - 1].end)
                person, title = _can_be(words, [prompt[each.begin] for each in tokens[start:end]])
                why = None
                if person or made:
                    why = self._why(_mark(PERSON, words))
                if why is None and (title or made):
                    why = self._why(_mark(TITLE, words))
                if why is not None:
                    return Named(prompt[tokens[start].begin : tokens[end - 1].end], why)
        return None

    def _why(self, mark: int) -> Why | None:
        for why, marks in self._marks.items():
            place = bisect_left(marks, mark)
            if place < len(marks) and marks[place] == mark:
                return why
        return None


class _Token(NamedTuple):
    folded: str
    begin: int
    end: int


def _tokens(text: str) -> Iterator[_Token]:
    for found in re.finditer(r"[^\W_]+", text):
        yield _Token(_fold(found[0]), found.start(), found.end())


@lru_cache(maxsize=65_536)
def _fold(word: str) -> str:
    """A word as it is compared: without case, accents, and letters that only look like Latin ones."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return "".join(char if char.isascii() else _latin(char) for char in plain.casefold())


def _latin(char: str) -> str:
    found = confusables.is_confusable(char, preferred_aliases=[], greedy=True)
    looks = [each["c"] for each in found[0]["homoglyphs"]] if found else []
    return next((look.lower() for look in looks if look.isascii() and look.isalnum()), char)


def _can_be(words: list[str], initials: list[str]) -> tuple[bool, bool]:
    """Whether these words can be a person's name, and a title, where nothing beside them says so.

    “In the evening” describes music as well as it names a song; “In the Evening” names one, and so do
    many words on end.
    """
    strange = [word not in _COMMON for word in words]
    if len(words) < 2 or not any(strange):
        return False, False
    capitals = all(first.isupper() for first, odd in zip(initials, strange, strict=True) if odd)
    return True, capitals or (len(words) >= MANY and sum(strange) > 1)


def _cued(folded: list[str], start: int, end: int) -> bool:
    """Whether a word beside these makes them the name of somebody or something."""
    if end - start == 1 and len(folded[start]) < SHORTEST:
        return False
    before = folded[start - 1] if start else ""
    further = folded[start - 2] if start > 1 else ""
    after = folded[end] if end < len(folded) else ""
    cued = before in BEFORE or after in AFTER or (before == "la" and further == "a")
    return cued or (before == "of" and further in BEFORE_OF)


def _quoted(prompt: str, begin: int, end: int) -> bool:
    return bool(begin) and prompt[begin - 1] in "\"'“„‘«»”" and prompt[end : end + 1] in {*"\"'”“’»«"}


def _called(person: str) -> list[str]:
    """How a person is named in a prompt: as registered, turned round at the comma, and by the last name."""
    whole = folded(person)
    if not whole or whole in _NOBODY:
        return []
    *before, last = whole.split()
    alone = last if before and len(last) >= SHORTEST and last not in _COMMON else ""
    return [name for name in dict.fromkeys((person, whole, alone)) if name]


def folded(name: str) -> str:
    """A person's name as names are compared: turned round at the comma, and without the years of a life."""
    last, comma, first = name.partition(",")
    return " ".join(word for word in _words(f"{first} {last}" if comma else name) if not word.isdigit())


def _words(name: str) -> list[str]:
    return [token.folded for token in _tokens(name)][:LONGEST]


def _mark(kind: str, words: list[str]) -> int:
    return int.from_bytes(hashlib.sha256(" ".join((kind, *words)).encode()).digest()[:8])


def _numbers(packed: str) -> array[int]:
    numbers = array("Q", base64.b64decode(packed))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
