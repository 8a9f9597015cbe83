"""Which column of a table means what: fields, guessing from headings, the template."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from stemma.errors import InvalidError

MOST_OWNERS = 20
"""Owners of one side that a row can name."""

FIELDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "title": ("Title", ("track title", "recording title", "song", "song title", "titel", "titre", "titulo", "name")),
    "artist": (
        "Artist",
        (
            "display artist",
            "main artist",
            "performer",
            "artist name",
            "kunstler",
            "interpret",
            "artiste",
            "interprete",
            "artista",
            "track artist",
        ),
    ),
    "isrc": ("ISRC", ("isrc code", "track isrc", "code isrc")),
    "reference": (
        "Reference",
        (
            "your number",
            "track id",
            "recording id",
            "internal id",
            "catalog id",
            "id",
            "referenz",
            "reference interne",
            "referencia",
            "own number",
        ),
    ),
    "release_title": (
        "Release",
        (
            "album",
            "album title",
            "release title",
            "product title",
            "veroffentlichung",
            "titre de l album",
            "titulo del album",
        ),
    ),
    "upc": ("UPC", ("ean", "upc ean", "upc/ean", "barcode", "bar code", "icpn", "gtin", "strichcode", "code barres")),
    "release_artist": ("Release artist", ("album artist", "albumartist")),
    "label": ("Label", ("label name", "record label", "imprint", "p line owner", "etiquette", "sello")),
    "released_on": (
        "Release date",
        (
            "released",
            "release day",
            "original release date",
            "veroffentlichungsdatum",
            "date de sortie",
            "fecha de lanzamiento",
            "date",
        ),
    ),
    "track": (
        "Track",
        ("track number", "track no", "no", "sequence", "position", "titelnummer", "numero de piste", "pista"),
    ),
    "duration": (
        "Duration",
        ("length", "time", "running time", "dauer", "lange", "duree", "duracion", "duration mm ss"),
    ),
    "duration_ms": ("Duration (ms)", ("duration ms", "length ms", "milliseconds")),
    "composer": (
        "Composer",
        ("composers", "writer", "writers", "songwriter", "author", "komponist", "compositeur", "compositor", "urheber"),
    ),
    "work_title": ("Work title", ("composition", "composition title", "werktitel", "titre de l oeuvre", "obra")),
    "iswc": ("ISWC", ("iswc code", "work iswc")),
    "work_reference": ("Work reference", ("work id", "song id", "werknummer")),
    "style": ("Style", ("genre", "repertoire", "tradition", "main genre", "stil", "genero")),
    "collection": ("Collection", ("series", "sammlung", "serie")),
    "region": ("Region", ("country of origin", "origin", "herkunft", "pays", "pais", "region of origin")),
    "year": ("Year", ("recording year", "p year", "jahr", "annee", "ano")),
    "period": (
        "Period",
        (
            "century",
            "period of origin",
            "year of origin",
            "epoche",
            "jahrhundert",
            "epoque",
            "siecle",
            "epoca",
            "siglo",
        ),
    ),
    "tempo": ("Tempo", ("bpm",)),
    "key": ("Key", ("musical key", "tonart", "tonalite", "tonalidad")),
    "audio_file": (
        "File",
        ("audio file", "filename", "file name", "audio", "datei", "dateiname", "fichier", "archivo"),
    ),
    "takedown": ("Takedown", ("taken down", "delete", "withdrawn")),
}
"""By field: its heading in the template, and other headings that mean it (English, German, French, Spanish)."""
SIDES: dict[str, tuple[str, tuple[str, ...]]] = {
    "master": ("Master owner", ("owner", "rights owner", "master", "leistungsschutz", "proprietaire", "titular")),
    "publishing": (
        "Publisher",
        ("publishing", "publishing owner", "verlag", "editeur", "editorial", "original publisher"),
    ),
}
OWNER: dict[str, tuple[str, tuple[str, ...]]] = {
    "name": ("", ("name",)),
    "percent": (
        "share %",
        ("share", "percent", "percentage", "%", "split", "anteil", "anteil %", "part", "participacion"),
    ),
    "ppm": ("ppm", ("share ppm", "parts per million")),
    "ipi": ("IPI", ("cae", "ipi number", "ipi name number", "ipi cae")),
    "isni": ("ISNI", ()),
    "territory": ("territory", ("country", "gebiet", "territoire", "territorio")),
}
_OWNER = re.compile(rf"(master|publishing)\.([1-9]\d?)\.({'|'.join(OWNER)})")


def plain(heading: str) -> str:
    """A heading as it is compared: without case, accents and marks."""
    letters = unicodedata.normalize("NFKD", heading.replace("%", " % ").replace("ß", "ss"))
    letters = "".join(char for char in letters if not unicodedata.combining(char)).casefold()
    return " ".join(re.findall(r"[^\W_]+|%", letters))


def _synonyms() -> dict[str, str]:
    known: dict[str, str] = {}
    for field, (heading, others) in FIELDS.items():
        for name in (heading, field.replace("_", " "), *others):
            known.setdefault(plain(name), field)
    return known


def _owner_pattern() -> re.Pattern[str]:
    sides = {plain(name): side for side, (heading, others) in SIDES.items() for name in (heading, side, *others)}
    parts = {plain(name): part for part, (heading, others) in OWNER.items() for name in (heading, *others) if name}
    side = "|".join(sorted(map(re.escape, sides), key=len, reverse=True))
    part = "|".join(sorted(map(re.escape, parts), key=len, reverse=True))
    return re.compile(rf"(?P<side>{side})\s*(?P<n>[1-9]\d?)?\s*(?P<part>{part})?")


_KNOWN = _synonyms()
_OWNERS = _owner_pattern()
_SIDE_OF = {plain(name): side for side, (heading, others) in SIDES.items() for name in (heading, side, *others)}
_PART_OF = {plain(name): part for part, (heading, others) in OWNER.items() for name in (heading, *others) if name}


def is_field(name: str) -> bool:
    """Whether a mapping may name this field."""
    found = _OWNER.fullmatch(name)
    return name in FIELDS or (found is not None and int(found[2]) <= MOST_OWNERS)


def guess(headings: Sequence[str]) -> dict[str, str]:
    """Field by heading, for the headings whose meaning is known; each field once."""
    mapping: dict[str, str] = {}
    taken: set[str] = set()
    for heading in headings:
        field = _meaning(plain(heading))
        if field and field not in taken:
            mapping[heading] = field
            taken.add(field)
    return mapping


def _meaning(name: str) -> str:
    if name in _KNOWN:
        return _KNOWN[name]
    found = _OWNERS.fullmatch(name)
    if found is None:
        return ""
    number = int(found["n"] or 1)
    if number > MOST_OWNERS:
        return ""
    return f"{_SIDE_OF[found['side']]}.{number}.{_PART_OF[found['part']] if found['part'] else 'name'}"


def check_mapping(mapping: Mapping[str, str], headings: Iterable[str]) -> None:
    """Raise `InvalidError` unless the mapping names known fields of headings that are there, each once."""
    present = set(headings)
    for heading, field in mapping.items():
        if heading not in present:
            raise InvalidError(
                f"There is no column “{heading}”.",
                remedy=f"The columns are {', '.join(sorted(present)[:30])}.",
                code="mapping",
            )
        if not is_field(field):
            raise InvalidError(f"There is no field {field!r}.", remedy="See docs/catalog-files.md.", code="mapping")
    fields = list(mapping.values())
    if twice := sorted({field for field in fields if fields.count(field) > 1}):
        raise InvalidError(
            f"Two columns are said to be {', '.join(twice)}.", remedy="Choose one for each.", code="mapping"
        )
    if "title" not in fields:
        raise InvalidError(
            "No column is said to be the title.", remedy="Say which column holds the titles.", code="mapping"
        )


def heading_of(field: str) -> str:
    """How the template calls a field."""
    if found := _OWNER.fullmatch(field):
        side, number, part = found.groups()
        return f"{SIDES[side][0]} {number} {OWNER[part][0]}".strip()
    return FIELDS[field][0]


_TEMPLATE: tuple[tuple[str, str], ...] = (
    ("title", "Morning in March"),
    ("artist", "The Examples"),
    ("isrc", "QZSTM2600001"),
    ("reference", "EX-0001"),
    ("release_title", "A Year of Examples"),
    ("upc", "036000291452"),
    ("label", "Example Records"),
    ("released_on", "2026-03-21"),
    ("track", "1"),
    ("duration", "3:45"),
    ("composer", "Erika Example; John Example"),
    ("iswc", "T-034.524.680-1"),
    ("style", "folk"),
    ("year", "2026"),
    ("audio_file", "EX-0001.wav"),
    ("master.1.name", "Example Records"),
    ("master.1.percent", "100"),
    ("publishing.1.name", "Erika Example"),
    ("publishing.1.percent", "66.67"),
    ("publishing.1.ipi", "00014107338"),
    ("publishing.2.name", "John Example"),
    ("publishing.2.percent", "33.33"),
    ("publishing.2.ipi", ""),
)


def template() -> str:
    """A CSV with every heading that people mostly need, and one row that shows what to write."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heading_of(field) for field, _ in _TEMPLATE)
    writer.writerow(example for _, example in _TEMPLATE)
    return out.getvalue()
