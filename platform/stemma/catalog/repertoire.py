"""Which pieces the house catalog holds: one list of everything that qualifies, and a balanced choice from it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import zip_longest
from typing import TypeVar

from stemma.catalog import corpus

_T = TypeVar("_T")

MAX_SECTIONS = 2
"""A movement gives at most so many recordings."""


@dataclass(frozen=True)
class Piece:
    """A piece of music to engrave: one file of the corpus, or one tune of a file."""

    path: str
    number: int
    """Place in the whole list, from which its identifiers are made: it never depends on a choice."""
    style: str
    title: str
    composer: str
    collection: str
    region: str
    year: int | None
    tune: str = ""
    """The tune's own text, where a file holds many."""
    index: str = ""
    """The tune's number in its file."""
    rhythm: str = ""
    """What is danced to it, such as `slip jig`, or the movement's tempo word."""
    sections: int = 1
    """Into how many recordings it may be cut."""

    @property
    def name(self) -> str:
        """Name of the source, such as `bach/bwv66.6` or `airdsAirs/book1 #12`; Humdrum files keep their ending."""
        plain = self.path if self.path.endswith(".krn") else self.path.rsplit(".", 1)[0]
        return f"{plain} #{self.index}" if self.index else plain

    @property
    def source(self) -> corpus.Group:
        """Where it comes from and what that allows."""
        return corpus.group(self.path)


@cache
def everything() -> tuple[Piece, ...]:
    """All pieces that could enter the catalog, free and not, in a fixed order."""
    found = [
        *_chorales(),
        *_madrigals(),
        *_ryan(),
        *_oneill(),
        *_aird(),
        *_songs(),
        *_movements(),
        *_reserved(),
    ]
    # A few files number two tunes alike; the first keeps the name.
    named = {piece.name: piece for piece in reversed(found)}
    kept = [piece for piece in found if named[piece.name] is piece]
    return tuple(replace(piece, number=number) for number, piece in enumerate(kept))


def choose(*, full: bool = False, limit: int | None = None) -> list[Piece]:
    """The pieces of a build.

    By default every chorale and madrigal and some of everything else, with some that are not free;
    `full`: all that qualify.  `limit` keeps about so many of the default choice, of every style and
    of both kinds alike.
    """
    pieces = everything()
    if not full:
        shares: dict[tuple[str, str], int] = {**_SHARES}
        groups: dict[tuple[str, str], list[Piece]] = {}
        for piece in pieces:
            groups.setdefault((piece.style, piece.collection), []).append(piece)
        pieces = tuple(piece for key, group in groups.items() for piece in _spread(group, shares.get(key, len(group))))
    if limit is not None:
        kinds: dict[tuple[str, bool], list[Piece]] = {}
        for piece in pieces:
            kinds.setdefault((piece.style if piece.source.free else "", piece.source.free), []).append(piece)
        rounds = zip_longest(*(_spread(group, min(len(group), limit)) for group in kinds.values()))
        pieces = tuple(piece for one in rounds for piece in one if piece is not None)[:limit]
    return sorted(pieces, key=lambda piece: piece.number)


def _spread(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """So many of them, evenly from the first to the last."""
    if count >= len(pieces):
        return list(pieces)
    return [pieces[i * len(pieces) // count] for i in range(count)]


# How many of a collection's pieces the default build takes; all of those that are not named.
_SHARES = {
    ("reel", "Ryan's Mammoth Collection"): 20,
    ("reel", "O'Neill's Music of Ireland"): 20,
    ("hornpipe", "Ryan's Mammoth Collection"): 18,
    ("hornpipe", "O'Neill's Music of Ireland"): 18,
    ("jig", "Ryan's Mammoth Collection"): 14,
    ("jig", "O'Neill's Music of Ireland"): 14,
    ("jig", "Aird's Airs"): 10,
    ("air", "Aird's Airs"): 28,
    ("song", "O'Neill's Music of Ireland"): 18,
    ("song", "Northumbrian Minstrelsy"): 18,
    ("classical", "String quartets"): 14,
}


def _chorales() -> Iterable[Piece]:
    for path in corpus.files("bach/*.mxl") + corpus.files("bach/*.xml"):
        bwv = path.split("bwv")[1].rsplit(".", 1)[0]
        if _parts(path) != 4:
            continue  # with instruments, or parts of chorales
        # The title comes from music21's list of chorales when the piece is engraved.
        yield Piece(path, 0, "chorale", f"BWV {bwv}", "Johann Sebastian Bach", "Bach chorales", "Germany", None)


def _parts(path: str) -> int:
    """How many parts a MusicXML file declares, without reading it whole as music."""
    file = corpus.folder() / path
    if file.suffix == ".mxl":
        with zipfile.ZipFile(file) as packed:
            name = next(name for name in packed.namelist() if not name.startswith("META-INF"))
            return packed.read(name).count(b"<score-part ")
    return file.read_bytes().count(b"<score-part ")


def _madrigals() -> Iterable[Piece]:
    for path in corpus.files("monteverdi/madrigal.[34].*.mxl"):
        if "_old" in path:
            continue
        book, number = (int(part) for part in path.split(".")[1:3])
        words = (corpus.folder() / path).with_suffix(".rntxt")
        found = re.search(r"(?m)^Title:\s*(.+?)\s*$", words.read_text("utf-8", "replace")) if words.exists() else None
        title = (found[1] if found else f"Madrigal {book}.{number}").rstrip(".,")
        yield Piece(
            path, 0, "polyphony", title, "Claudio Monteverdi", "Monteverdi madrigals", "Italy", {3: 1592, 4: 1603}[book]
        )
    for path in corpus.files("lusitano/*.mxl"):
        title = "Allor che ignuda d'herb' et fior la terra"
        yield Piece(path, 0, "polyphony", title, "Vicente Lusitano", "Le Muse", "Italy", 1562)


def _ryan() -> Iterable[Piece]:
    for path in corpus.files("ryansMammoth/*.abc"):
        for tune in tunes(path):
            rhythm = tune.rhythm or tune.title.rsplit("--", 1)[-1].strip().lower()
            style = _dance(rhythm)
            if style:
                yield _tune(tune, style, "Ryan's Mammoth Collection", "United States", 1883, rhythm)


def _oneill() -> Iterable[Piece]:
    seen: set[int] = set()  # several volunteers transcribed some tunes
    for path in corpus.files("oneills1850/*.abc"):
        for tune in tunes(path):
            number = int(tune.index)
            if number in seen:
                continue
            seen.add(number)
            style = _oneill_style(number)
            if style:
                rhythm = "slip jig" if tune.meter == "9/8" else tune.rhythm
                yield _tune(tune, style, "O'Neill's Music of Ireland", "Ireland", 1903, rhythm or style)


def _oneill_style(number: int) -> str:
    """The book's own order: airs, double jigs, slip jigs, reels, hornpipes, long dances."""
    for last, style in ((625, "song"), (699, ""), (1175, "jig"), (1555, "reel"), (1780, "hornpipe")):
        if number <= last:
            return style
    return ""


def _aird() -> Iterable[Piece]:
    for path in corpus.files("airdsAirs/*.abc"):
        for tune in tunes(path):
            jig = tune.meter in {"6/8", "9/8", "12/8"}
            rhythm = "slip jig" if tune.meter == "9/8" else "jig" if jig else "air"
            yield _tune(tune, "jig" if jig else "air", "Aird's Airs", "Scotland", 1778, rhythm)


def _songs() -> Iterable[Piece]:
    path = "miscFolk/northumbrianminstrelsyopus.abc"
    text = (corpus.folder() / path).read_text("utf-8", "replace")
    songs = text[: text.index("Pipe tunes")].count("\nX:")  # the second half of the book is for the pipes
    for tune in tunes(path)[:songs]:
        yield _tune(tune, "song", "Northumbrian Minstrelsy", "England", 1882, "song")
    for path, title, composer, region, year in (
        ("leadSheet/fosterBrownHair.mxl", "Jeanie with the Light Brown Hair", "Stephen Foster", "United States", 1854),
        ("liliuokalani/aloha_oe.mxl", "Aloha ʻOe", "Liliʻuokalani", "Hawaii", 1884),
        ("johnson_j_r/lift_every_voice.mxl", "Lift Every Voice and Sing", "J. Rosamond Johnson", "United States", 1900),
        ("handel/rinaldo/Lascia_chio_pianga.mxl", "Lascia ch'io pianga", "George Frideric Handel", "England", 1711),
        ("schumann_robert/dichterliebe_no2.xml", "Aus meinen Tränen sprießen", "Robert Schumann", "Germany", 1840),
    ):
        yield Piece(path, 0, "song", title, composer, "Songs", region, year, rhythm="song")


# Headings by movement, which most of these encodings leave out.
_QUARTETS = (
    ("haydn/opus1no1", "String Quartet in B flat, op. 1 no. 1", "Joseph Haydn", "Austria", 1762,
     ("Presto", "Menuetto", "Adagio", "Menuetto", "Presto")),
    ("haydn/opus74no1", "String Quartet in C, op. 74 no. 1", "Joseph Haydn", "Austria", 1793,
     ("Allegro moderato", "Andantino grazioso", "Menuetto: Allegretto", "Vivace")),
    ("mozart/k80", "String Quartet in G, K. 80", "Wolfgang Amadeus Mozart", "Austria", 1770,
     ("Adagio", "Allegro", "Menuetto", "Rondeau: Allegro")),
    ("mozart/k155", "String Quartet in D, K. 155", "Wolfgang Amadeus Mozart", "Austria", 1772,
     ("Allegro", "Andante", "Molto allegro")),
    ("mozart/k156", "String Quartet in G, K. 156", "Wolfgang Amadeus Mozart", "Austria", 1772,
     ("Presto", "Adagio", "Tempo di Menuetto", "Adagio")),
    ("mozart/k458", "String Quartet in B flat, K. 458", "Wolfgang Amadeus Mozart", "Austria", 1784,
     ("Allegro vivace assai", "Menuetto: Moderato", "Adagio", "Allegro assai")),
    ("beethoven/opus18no1", "String Quartet in F, op. 18 no. 1", "Ludwig van Beethoven", "Germany", 1801,
     ("Allegro con brio", "Adagio affettuoso ed appassionato", "Scherzo: Allegro molto", "Allegro")),
    ("beethoven/opus59no1", "String Quartet in F, op. 59 no. 1", "Ludwig van Beethoven", "Germany", 1808,
     ("Allegro", "Allegretto vivace e sempre scherzando", "Adagio molto e mesto", "Allegro")),
    ("beethoven/opus59no2", "String Quartet in E minor, op. 59 no. 2", "Ludwig van Beethoven", "Germany", 1808,
     ("Allegro", "Molto adagio", "Allegretto", "Presto")),
    ("beethoven/opus59no3", "String Quartet in C, op. 59 no. 3", "Ludwig van Beethoven", "Germany", 1808,
     ("Andante con moto", "Andante con moto quasi allegretto", "Menuetto grazioso", "Allegro molto")),
    ("schumann_robert/opus41no1", "String Quartet in A minor, op. 41 no. 1", "Robert Schumann", "Germany", 1842,
     ("Andante espressivo", "Scherzo: Presto", "Intermezzo", "Adagio", "Presto")),
)  # fmt: skip


def _movements() -> Iterable[Piece]:
    for place, work, composer, region, year, headings in _QUARTETS:
        for path in corpus.files(f"{place}/*.mxl"):
            number = int(path.split("movement")[1][0])
            heading = headings[number - 1]
            title = f"{work}: {('I', 'II', 'III', 'IV', 'V')[number - 1]}. {heading}"
            yield Piece(
                path, 0, "classical", title, composer, "String quartets", region, year,
                rhythm=heading.lower(), sections=MAX_SECTIONS,
            )  # fmt: skip
    for path, title, composer, collection, region, year, heading in (
        ("joplin/maple_leaf_rag.mxl", "Maple Leaf Rag", "Scott Joplin", "Ragtime", "United States", 1899,
         "tempo di marcia"),
        ("weber/concertino_clarinet.mxl", "Concertino for Clarinet, op. 26", "Carl Maria von Weber", "Movements",
         "Germany", 1811, "adagio ma non troppo"),
        ("cpebach/h186.mxl", "Sonata in A, H. 186: II. Poco adagio", "Carl Philipp Emanuel Bach", "Movements",
         "Germany", 1765, "poco adagio"),
        ("corelli/opus3no1/1grave.xml", "Sonata da chiesa, op. 3 no. 1: Grave", "Arcangelo Corelli", "Movements",
         "Italy", 1689, "grave"),
    ):  # fmt: skip
        yield Piece(
            path, 0, "classical", title, composer, collection, region, year, rhythm=heading, sections=MAX_SECTIONS
        )


def _reserved() -> Iterable[Piece]:
    """A few of what is not free, so that the gate has something to refuse and the catalog says why."""
    for path in _some(corpus.files("palestrina/*.krn"), 6):
        name = path.split("/")[1].rsplit(".", 1)[0].replace("_", " ")
        title = f"Mass movement: {name}"
        yield Piece(path, 0, "polyphony", title, "Giovanni Pierluigi da Palestrina", "Palestrina masses", "Italy", None)
    for path in _some(corpus.files("trecento/*.xml"), 5):
        title = path.split("/")[1].rsplit(".", 1)[0].split("-", 1)[-1].strip().replace("_", " ")
        yield Piece(path, 0, "polyphony", title, "Anonymous", "Trecento", "Italy", None)
    for path, title, composer, region, year in (
        ("monteverdi/madrigal.5.2.mxl", "O Mirtillo, Mirtill' anima mia", "Claudio Monteverdi", "Italy", 1605),
        ("monteverdi/madrigal.5.3.mxl", "Era l'anima mia", "Claudio Monteverdi", "Italy", 1605),
        ("monteverdi/madrigal.5.8.mxl", "Ferir quel petto, Silvio", "Claudio Monteverdi", "Italy", 1605),
        ("ciconia/quod_jactatur.xml", "Quod jactatur", "Johannes Ciconia", "Italy", None),
        ("luca/gloria.xml", "Gloria", "D. Luca", "Italy", None),
    ):
        yield Piece(path, 0, "polyphony", title, composer, "Reserved editions", region, year)
    for path in corpus.files("bach/*.krn"):
        bwv = path.split("bwv")[1].rsplit(".", 1)[0]
        title = f"BWV {bwv} (CCARH edition)"
        yield Piece(path, 0, "chorale", title, "Johann Sebastian Bach", "Bach chorales, CCARH", "Germany", None)
    for path in _some(corpus.files("essenFolksong/*.abc"), 8):
        tune = tunes(path)[3]
        yield _tune(tune, "song", "Essen folk songs", "Germany", None, "song")
    for tune in _some(tunes("miscFolk/americanfifeopus.abc"), 4):
        yield _tune(tune, "air", "American fife music", "United States", None, "air")
    for path, style, title, composer, region, year in (
        (
            "leadSheet/berlinAlexandersRagtime.mxl",
            "song",
            "Alexander's Ragtime Band",
            "Irving Berlin",
            "United States",
            1911,
        ),
        ("schubert/Lindenbaum.xml", "song", "Der Lindenbaum", "Franz Schubert", "Austria", 1828),
        (
            "beach/prayer_of_a_tired_child.musicxml",
            "song",
            "Prayer of a Tired Child",
            "Amy Beach",
            "United States",
            1915,
        ),
        ("verdi/laDonnaEMobile.mxl", "song", "La donna è mobile", "Giuseppe Verdi", "Italy", 1851),
        (
            "schumann_clara/polonaise_op1n1.mxl",
            "classical",
            "Polonaise, op. 1 no. 1",
            "Clara Schumann",
            "Germany",
            1831,
        ),
        (
            "schumann_clara/polonaise_op1n2.mxl",
            "classical",
            "Polonaise, op. 1 no. 2",
            "Clara Schumann",
            "Germany",
            1831,
        ),
        (
            "schumann_clara/opus17/movement3.xml",
            "classical",
            "Piano Trio, op. 17: III",
            "Clara Schumann",
            "Germany",
            1846,
        ),
        ("chopin/mazurka06-2.krn", "classical", "Mazurka, op. 6 no. 2", "Frédéric Chopin", "Poland", 1832),
    ):
        yield Piece(path, 0, style, title, composer, "Reserved editions", region, year)


def _some(items: Sequence[_T], count: int) -> list[_T]:
    return [items[i * len(items) // count] for i in range(count)]


@dataclass(frozen=True)
class Tune:
    """One tune of a file in ABC notation."""

    path: str
    index: str
    title: str
    meter: str
    rhythm: str
    text: str


def tunes(path: str) -> list[Tune]:
    """The tunes of an ABC file that one instrument can play: those with several voices are left out."""
    text = (corpus.folder() / path).read_text("utf-8", "replace").replace("\r", "")
    found = []
    for block in re.split(r"(?m)^(?=X:)", text)[1:]:
        if re.search(r"(?m)^V:|\[V:", block) or not re.search(r"(?m)^K:", block):
            continue
        tune = Tune(
            path=path,
            index=re.sub(r"\D", "", _field(block, "X")).lstrip("0") or "0",
            title=_title(_field(block, "T")),
            meter={"C": "4/4", "C|": "2/2"}.get(_field(block, "M"), _field(block, "M")),
            rhythm=_field(block, "R").lower(),
            text=block.strip() + "\n",
        )
        found.append(tune)
    return found


def _field(block: str, letter: str) -> str:
    """The first value of an information field, empty where there is none."""
    match = re.search(rf"(?m)^{letter}:[ \t]*(.*?)[ \t]*(?:%.*)?$", block)
    return match[1].strip() if match else ""


def _title(text: str) -> str:
    """A tune's title as people write it: `Fair Maid, The` and `CAPITALS` are put right."""
    plain = re.sub(r"\s+", " ", text.strip(' ."')).strip()
    plain = re.sub(r"(?<=[a-z]):(?=[a-z])", "", plain)  # slips of the pen in some files
    if match := re.fullmatch(r"(.*?)[.,]*, ?(The|A|An)", plain):
        plain = f"{match[2]} {match[1]}"
    if sum(char.isupper() for char in plain) > sum(char.islower() for char in plain):
        plain = " ".join(word.capitalize() for word in plain.split())
    return plain[:200] or "Untitled"


def _dance(rhythm: str) -> str:
    """The style of a dance, empty for those that stand alone."""
    if "reel" in rhythm:
        return "reel"
    if "jig" in rhythm:
        return "jig"
    if "hornpipe" in rhythm or "clog" in rhythm:
        return "hornpipe"
    return ""


def _tune(tune: Tune, style: str, collection: str, region: str, year: int | None, rhythm: str) -> Piece:
    title = tune.title.split(" -- ")[0]
    return Piece(
        tune.path, 0, style, title, "Traditional", collection, region, year,
        tune=tune.text, index=tune.index if len(tune.index) < 6 else "", rhythm=rhythm,
    )  # fmt: skip
