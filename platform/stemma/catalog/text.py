"""Names and titles from outside: what may stand in them, what is mended in silence, and what deceives the eye."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from confusable_homoglyphs import categories, confusables

INVISIBLE = frozenset("\u00ad\u200b\u2060\ufeff\u180e")
"""Characters of no width that no script needs inside a name."""
JOINERS = frozenset("\u200c\u200d")
"""Joiners: Persian, Indic scripts and emoji need them; between Latin letters they only hide."""
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing (Unicode TR 9): a name can be made to read as another."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a cell begins that a spreadsheet takes for a formula (OWASP, CSV injection)."""


class Cleaned(NamedTuple):
    """A text as it is kept, and what was found in it."""

    text: str
    rule: str = ""
    """`text` or `direction` where it cannot be taken; `invisible` or `homograph` where it can, but is told."""
    remedy: str = ""

    @property
    def refused(self) -> bool:
        """Whether the text cannot be taken."""
        return self.rule in {"text", "direction"}


def clean(text: str) -> Cleaned:
    """A text in normal form C, without white space at its ends and without invisible characters."""
    # What Python calls printable has no control, format, private or unassigned characters.
    if text.isprintable():
        return Cleaned(unicodedata.normalize("NFC", text).strip())
    return _clean(text)


@lru_cache(maxsize=65_536)
def _clean(text: str) -> Cleaned:
    text = text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ").replace("\t", " ")
    if any(unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn"} for char in text):
        return Cleaned("", "text", "Remove characters that are no text (control characters, unassigned ones).")
    if not BIDI.isdisjoint(text):
        return Cleaned("", "direction", "Remove characters that turn the direction of writing.")
    kept = "".join(char for i, char in enumerate(text) if char not in INVISIBLE and not _hiding(text, i))
    shown = unicodedata.normalize("NFC", kept).strip()
    if len(kept) < len(text):
        return Cleaned(shown, "invisible", "Characters of no width were removed: check the name.")
    return Cleaned(shown)


def _hiding(text: str, place: int) -> bool:
    """Whether a joiner stands where no script needs one: beside a Latin, Greek or Cyrillic letter, or at an end."""
    if text[place] not in JOINERS:
        return False
    beside = text[place - 1 : place] + text[place + 1 : place + 2] if place else ""
    return len(beside) < 2 or any(
        unicodedata.name(char, "").startswith(("LATIN", "GREEK", "CYRILLIC", "DIGIT", "SPACE")) for char in beside
    )


def homograph(name: str) -> str:
    """Why a name may deceive: scripts mixed so that a letter looks like one of another; empty where it does not."""
    return "" if name.isascii() else _homograph(name)


@lru_cache(maxsize=65_536)
def _homograph(name: str) -> str:
    for word in name.split():
        if not word.isascii() and confusables.is_dangerous(word, preferred_aliases=["latin"]):
            scripts = sorted(
                a.capitalize() for a in categories.unique_aliases(word) if a not in {"COMMON", "INHERITED"}
            )
            return f"“{word}” mixes {' and '.join(scripts)} letters that look alike."
    return ""


def skeleton(name: str) -> str:
    """A form in which names that look alike are equal (after Unicode TS 39, section 4), caseless and without spaces.

    Compared with, never shown: two skeletons are equal where a reader could take one name for the other.
    """
    if not name.isascii():
        name = "".join(_prototype(char) for char in unicodedata.normalize("NFKD", name))
    folded = "".join(char for char in name.casefold() if char.isalnum())
    # Within ASCII the same holds: rn and m, l and 1 and I, O and 0.
    return folded.replace("rn", "m").replace("vv", "w").replace("1", "l").replace("i", "l").replace("0", "o")


def alike(one: str, other: str) -> bool:
    """Whether two names look alike and are written with other letters: one of them with letters outside ASCII.

    Accents, case, spaces and signs make no other name: Beyoncé is Beyonce.
    """
    if one.isascii() and other.isascii():
        return False
    return skeleton(one) == skeleton(other) and _bare(one) != _bare(other)


def _bare(name: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", name).casefold() if char.isalnum())


@lru_cache(maxsize=4096)
def _prototype(char: str) -> str:
    if char.isascii() or unicodedata.combining(char):
        return "" if unicodedata.combining(char) else char
    found = confusables.is_confusable(char, preferred_aliases=[], greedy=True)
    latin = [h["c"] for h in (found[0]["homoglyphs"] if found else ()) if h["c"].isascii()]
    return min(latin) if latin else char


def defuse(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe stands before what would be one."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def undefuse(cell: str) -> str:
    """The cell as it was before `defuse`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def shown(value: str, longest: int = 200) -> str:
    """A value as it may be shown in a message: short, and without characters that change what is around it."""
    plain = "".join(c if c.isprintable() and c not in BIDI else "�" for c in value[: longest + 1])
    return plain if len(plain) <= longest else plain[:longest] + "…"
