"""The scores that the package music21 carries: where each group comes from and what it allows.

Sources of what stands here: the README of music21 10 ("The encoded musical scores in the corpus have
their own copyrights and licenses. The underlying music is believed to be in the public domain … and
the encodings are also either public domain or used by permission."), `corpus/license.txt` ("Some
encodings included in the corpus may not be used for commercial uses or have other restrictions: please
see the licenses embedded in individual compositions or directories"), `essenFolksong/license.txt`, and
the notices inside the files, all read in version 10.5.1.

The rule for `free`: the composition is in the public domain, the file's encoding is in the public
domain, under a license without share-alike, or distributed by permission with no restriction stated
in the file or its folder.  Whatever states a restriction, or of which we cannot tell, is not free.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stemma.errors import NotFoundError

_PERMISSION = "Public-domain music; encoding distributed with music21 by permission, no restriction stated"


@dataclass(frozen=True)
class Group:
    """Scores of one source under one license."""

    name: str
    files: tuple[str, ...]
    """Patterns of paths within the corpus; the first group that matches a file is its group."""
    license: str
    free: bool
    note: str


GROUPS: tuple[Group, ...] = (
    Group(
        "Bach chorales, CCARH",
        ("bach/*.krn",),
        "Copyright 1994, Center for Computer Assisted Research in the Humanities",
        free=False,
        note="The files say: “Rights to all derivative electronic formats reserved.”",
    ),
    Group(
        "Bach chorales",
        ("bach/*.mxl", "bach/*.xml"),
        "Public-domain music; encodings by way of Margaret Greentree (jsbchorales.net), “used by permission”",
        free=True,
        note="Most files carry “PDF © 2004 Margaret Greentree, used by permission”, a notice of her printed sheets; "
        "none states a restriction on the encoding.",
    ),
    Group(
        "Monteverdi, fifth book of madrigals",
        ("monteverdi/madrigal.5.*",),
        "© Ut Orpheus Edizioni 2003",
        free=False,
        note="Scanned from a modern critical edition, whose copyright notice the files still carry.",
    ),
    Group(
        "Monteverdi, third and fourth books of madrigals",
        ("monteverdi/*.mxl",),
        _PERMISSION,
        free=True,
        note="Scanned from an edition that the files do not name; they carry no notice.",
    ),
    Group(
        "Lusitano",
        ("lusitano/*",),
        "CC0 (Michael Scott Asato Cuthbert, 2022)",
        free=True,
        note="The file says: “released as CC0/Public Domain”.",
    ),
    Group(
        "Ryan's Mammoth Collection",
        ("ryansMammoth/*",),
        _PERMISSION,
        free=True,
        note="Published in Boston in 1883. Transcribed by Ray Davies, Bob Puckette, John Chambers, John Walsh.",
    ),
    Group(
        "O'Neill's Music of Ireland",
        ("oneills1850/*",),
        _PERMISSION,
        free=True,
        note="Published in Chicago in 1903. Transcribed by volunteers whom each file names.",
    ),
    Group(
        "Aird's Airs",
        ("airdsAirs/*",),
        _PERMISSION,
        free=True,
        note="Published in Glasgow from 1778 on. Transcribed by Jack Campin, 2009.",
    ),
    Group(
        "Northumbrian Minstrelsy",
        ("miscFolk/northumbrian*",),
        _PERMISSION,
        free=True,
        note="Published by Bruce and Stokoe in 1882. Transcribed by Jack Campin, 2007.",
    ),
    Group(
        "American fife music",
        ("miscFolk/americanfife*",),
        "Source unknown",
        free=False,
        note="The file says that it came “from a site that has now disappeared”: nobody can tell who encoded it.",
    ),
    Group(
        "Quartets of Haydn, Mozart, Beethoven and Schumann",
        ("haydn/*", "mozart/*", "beethoven/*.mxl", "schumann_robert/opus41*"),
        _PERMISSION,
        free=True,
        note="",
    ),
    Group(
        "Songs of Robert Schumann", ("schumann_robert/*",), _PERMISSION, free=True, note="Encoded for music21 in 2011."
    ),
    Group("C. P. E. Bach", ("cpebach/*.mxl",), _PERMISSION, free=True, note="Encoded for music21 in 2022."),
    Group("Handel", ("handel/*",), _PERMISSION, free=True, note="Encoded for music21 in 2011."),
    Group(
        "Corelli",
        ("corelli/*.xml",),
        "Creative Commons BY (© 2014)",
        free=True,
        note="Asks for attribution: encoded for music21, 2014.",
    ),
    Group(
        "Weber",
        ("weber/*",),
        "Public domain: “assigned to the public domain” by Oliver Seely, 1998",
        free=True,
        note="Arrangement for clarinet and piano by Oliver Seely.",
    ),
    Group(
        "Joplin",
        ("joplin/*",),
        _PERMISSION,
        free=True,
        note="Published in 1899. The file names a user's upload to musescore.com as its source and no license.",
    ),
    Group("Foster", ("leadSheet/foster*",), "Public Domain", free=True, note="The file's own words."),
    Group(
        "Liliʻuokalani",
        ("liliuokalani/*",),
        "Public domain; encoding CC0 (Michael Scott Asato Cuthbert)",
        free=True,
        note="",
    ),
    Group(
        "J. Rosamond Johnson",
        ("johnson_j_r/*",),
        "Public domain; encoding CC0 (Michael Scott Asato Cuthbert)",
        free=True,
        note="",
    ),
    Group(
        "Lead sheets",
        ("leadSheet/berlin*",),
        "All Rights Reserved",
        free=False,
        note="The file's own words.",
    ),
    Group(
        "Palestrina",
        ("palestrina/*",),
        "Copyright 2000, John Miller",
        free=False,
        note="The files say: “Rights to all derivative electronic formats reserved.”",
    ),
    Group(
        "Essen folk songs",
        ("essenFolksong/*.abc",),
        "Non-commercial distribution and use; “legal status unclear”",
        free=False,
        note="The folder says: “The legal status of the Essen folksong database is unclear”, and permission was "
        "given for non-commercial use only.",
    ),
    Group(
        "Trecento",
        ("trecento/*",),
        "Not stated",
        free=False,
        note="Encoded from the edition Polyphonic Music of the Fourteenth Century (1956–1991), which may be protected.",
    ),
    Group(
        "Josquin",
        ("josquin/*",),
        "GNU General Public License, version 2 or later (Laura E. Conrad, 1999)",
        free=False,
        note="Copyleft: what is made from it would have to be licensed alike.",
    ),
    Group(
        "Ciconia and Luca",
        ("ciconia/*.xml", "luca/*"),
        "CC BY-SA 3.0 (Michael Scott Cuthbert, 2010)",
        free=False,
        note="Share-alike: what is made from it would have to be licensed alike.",
    ),
    Group(
        "Clara Schumann, polonaises",
        ("schumann_clara/polonaise*",),
        "CC BY-SA 4.0 (typeset by Cypressdome for IMSLP)",
        free=False,
        note="Share-alike: what is made from it would have to be licensed alike.",
    ),
    Group(
        "Clara Schumann, trio",
        ("schumann_clara/*",),
        "“©”",
        free=False,
        note="The file carries a copyright sign without an owner or terms.",
    ),
    Group(
        "Schubert",
        ("schubert/*",),
        "“Copyright ©”",
        free=False,
        note="The file carries a copyright sign without an owner or terms; encoded by Luke Poeppel.",
    ),
    Group(
        "Beach",
        ("beach/*",),
        "CC BY-SA (Michael Scott Cuthbert, 2017)",
        free=False,
        note="Share-alike: what is made from it would have to be licensed alike.",
    ),
    Group(
        "Verdi",
        ("verdi/*",),
        "Not stated",
        free=False,
        note="Arranged by Richard Krentzlin, who died in 1956: the arrangement may be protected.",
    ),
    Group(
        "Nottingham Music Database",
        ("nottingham-dataset/*",),
        "Not stated",
        free=False,
        note="Tunes of the twentieth century are among them, and no license is stated.",
    ),
    Group(
        "KernScores",
        ("*.krn",),
        "Not stated",
        free=False,
        note="Encoded by Craig Stuart Sapp; the file does not say under which terms.",
    ),
)


@cache
def folder() -> Path:
    """Where the scores lie, found without loading music21.  Raises `NotFoundError` where there are none."""
    spec = importlib.util.find_spec("music21")
    found = (
        Path(next(iter(spec.submodule_search_locations))) / "corpus"
        if spec and spec.submodule_search_locations
        else None
    )
    if found is None or not (found / "bach").is_dir():
        raise NotFoundError(
            "The scores of music21 are not installed.",
            remedy="Install the extra `platform`; the package's edition without corpus does not do.",
            code="no-corpus",
        )
    return found


def group(path: str) -> Group:
    """The group of a file; raises `NotFoundError` for one that nobody has looked at."""
    for candidate in GROUPS:
        if any(fnmatch.fnmatch(path, pattern) for pattern in candidate.files):
            return candidate
    raise NotFoundError(f"No license note covers {path}.", remedy="Read its license and add it to GROUPS.")


def files(pattern: str) -> list[str]:
    """Paths within the corpus that match a pattern, in an order that does not depend on the machine."""
    root = folder()
    return sorted((path.relative_to(root).as_posix() for path in root.glob(pattern)), key=_natural)


def _natural(text: str) -> list[tuple[int, str]]:
    """Numbers within names count as numbers: madrigal 3.2 stands before 3.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
