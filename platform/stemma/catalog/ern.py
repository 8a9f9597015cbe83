"""DDEX Electronic Release Notifications (ERN 3.8 and 4.3) as rows.

A message names its sound recordings first and says afterwards on which releases they stand and what
may be done with them, so what is known of each recording is kept, in its shortest form, until the
message ends; its elements are thrown away as soon as they are read.  Nothing outside the message is
ever fetched: no entities, no document types, no network.

Elements are told by their local names: senders qualify them or not, and versions place them in other
namespaces.  (Electronic Release Notification Message Suite Standard, DDEX.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from stemma.catalog.record import (
    PartyRecord,
    Problem,
    RecordingRecord,
    ReleaseRecord,
    ReservationRecord,
    ShareRecord,
)
from stemma.catalog.table import PLAIN_ISRC, read_date, read_duration, read_percent, read_style
from stemma.catalog.text import clean, homograph, shown
from stemma.errors import InvalidError
from stemma.rights.consent import Scope
from stemma.rights.identifiers import ipi, isni, isrc, iswc, product_code
from stemma.rights.reservations import Use
from stemma.rights.shares import WHOLE, WORLD, split

MOST_RECORDINGS = 200_000
"""Sound recordings in one message."""
LONGEST_TEXT = 2_000
DEEPEST = 64

_KEPT = ("SoundRecording", "Party", "Release", "TrackRelease", "ReleaseDeal", "MessageHeader", "PurgedRelease")
"""Elements that are read when they end, and then thrown away."""
_ELSEWHERE = {"Party", "Release"}
"""Names that also stand where something else is told."""
_NOT_ERN = "Bring a NewReleaseMessage of ERN 3.8 or 4.3."
_WORKERS = {"composer", "composerlyricist", "lyricist", "author", "songwriter", "writer"}
_MINING: dict[str, Scope] = {
    "UseForDataMining": "data_mining",
    "UseForTrainingNonGenerativeAI": "ai_training",
    "UseForTrainingGenerativeAI": "ai_generative_training",
    "UseForGenerativeAI": "ai_generative_training",  # as older sets of allowed values call it
}
"""Types of use that are about machines.

The standard knows no type of use that refuses: a deal allows.  It is refused by a deal that names the use
under the policy `BlockAccess` (“shall block any use”), or that has ended; and tied to a condition by
territories and a period.  What no deal names is neither allowed nor refused.
"""


class ErnRow(NamedTuple):
    """One sound recording of a message (`stemma.catalog.record.Row`)."""

    number: int
    found: dict[str, Any]
    problems: tuple[Problem, ...]
    given: dict[str, Any] | None
    """The fields of its record; None when a problem is an error."""

    @property
    def raw(self) -> dict[str, str]:
        """What was read, by our names for the elements."""
        return {name: value for name, value in self.found.items() if isinstance(value, str)}

    def record(self) -> RecordingRecord | None:
        """The record; None when a problem is an error."""
        if self.given is None:
            return None
        return RecordingRecord(**{name: value for name, value in self.given.items() if value not in (None, "")})


def rows(path: Path) -> Iterator[ErnRow]:
    """The sound recordings of a message.  Raises `InvalidError` for what is no well-formed message."""
    message = _Message()
    try:
        with path.open("rb") as file:
            yield from message.read(file)
    except etree.XMLSyntaxError as error:
        raise InvalidError(
            f"The message is not well-formed: {shown(str(error), 150)}.",
            remedy="Ask its sender for it again.",
            code="broken-xml",
        ) from error


class _Said(NamedTuple):
    """What one deal says of one use by machines."""

    kind: str
    """The type of use, as the message names it."""
    use: Use
    ended: bool
    detail: str
    """Its condition or refusal, in words."""


def _told(terms: Any, created: str, *, ended: bool) -> tuple[Use, bool, str]:
    """What a deal says of every use that it names, whether it has ended, and why in words."""
    if any((policy.text or "").strip() == "BlockAccess" for policy in terms.iter("{*}RightsClaimPolicyType")):
        return "notAllowed", False, "BlockAccess"
    end = _period(terms, "End")
    if ended:
        return "notAllowed", True, f"ended on {end}"
    conditions = []
    territories = sorted({(code.text or "").strip() for code in _all(terms, "TerritoryCode")} - {""})
    if territories and "Worldwide" not in territories:
        conditions.append(f"only in {', '.join(territories)}")
    if excluded := sorted({(code.text or "").strip() for code in _all(terms, "ExcludedTerritoryCode")} - {""}):
        conditions.append(f"not in {', '.join(excluded)}")
    # Channels are services by name: whether Stemma is one of them, no message says.  Any is a condition, so that
    # what a deal keeps to some is never taken as allowed.
    if channels := _channels(terms, "DistributionChannel"):
        conditions.append(f"only through {channels}")
    if channels := _channels(terms, "ExcludedDistributionChannel"):
        conditions.append(f"not through {channels}")
    if (start := _period(terms, "Start")) and start > created:
        conditions.append(f"from {start}")
    if end:
        conditions.append(f"until {end}")
    return ("constrained" if conditions else "allowed"), False, " ".join(conditions)


def _channels(terms: Any, name: str) -> str:
    named = {" ".join(" ".join(channel.itertext()).split()) or "unnamed" for channel in terms.iter(f"{{*}}{name}")}
    return ", ".join(shown(each, 100) for each in sorted(named))


def _period(terms: Any, side: str) -> str:
    return (_text(terms, f"ValidityPeriod/{side}Date") or _text(terms, f"ValidityPeriod/{side}DateTime"))[:10]


def _reservation(said: Sequence[_Said]) -> ReservationRecord:
    """What all deals together say: a refusal counts before all, a deal in force before one that has ended."""
    uses: dict[str, Use] = {}
    details: list[str] = []
    for scope in dict.fromkeys(_MINING[each.kind] for each in said):
        own = [each for each in said if _MINING[each.kind] == scope]
        own = [each for each in own if not each.ended] or own
        use = next(use for use in _STRICTEST if any(each.use == use for each in own))
        uses[scope] = use
        told = dict.fromkeys(
            f"{each.kind}: {each.detail}" if each.detail else each.kind for each in own if each.use == use
        )
        details += told
    return ReservationRecord(source="ern", uses=uses, detail="; ".join(details)[:LONGEST_TEXT])


_STRICTEST: tuple[Use, ...] = ("notAllowed", "allowed", "constrained")
"""Which of several deals counts: what one allows everywhere needs no condition of another."""


class _Message:
    """What is known of a message so far."""

    def __init__(self) -> None:
        self.created = ""
        self.parties: dict[str, dict[str, str]] = {}
        self.recordings: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self.down: set[str] = set()
        """References of releases that are taken down."""
        self.mining: dict[str, list[_Said]] = {}
        """What deals say of mining and training, by reference of the release."""

    def read(self, file: Any) -> Iterator[ErnRow]:
        reading = etree.iterparse(
            file,
            tag=("{*}NewReleaseMessage", "{*}PurgeReleaseMessage", *(f"{{*}}{name}" for name in _KEPT)),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        handles = {name: getattr(self, f"_{name}") for name in _KEPT}
        root = False
        for _, element in reading:
            if not root:
                _check_root(element)
                root = True
            name = _local(element)
            if name in handles and (name not in _ELSEWHERE or _listed(element.getparent())):
                handles[name](element)
                element.clear()
        if not root:
            raise InvalidError("This XML is no release notification.", remedy=_NOT_ERN, code="not-ern")
        yield from self._rows()

    # --- Elements, as they end ------------------------------------------------------------------

    def _MessageHeader(self, element: Any) -> None:  # noqa: N802 - named after the element
        self.created = _text(element, "MessageCreatedDateTime")[:10]

    def _Party(self, element: Any) -> None:  # noqa: N802
        found = {"name": _text(element, "PartyName/FullName")}
        for id_ in _all(element, "PartyId"):
            for child in id_:
                found.setdefault(_local(child).lower(), (child.text or "").strip())
        self.parties[_text(element, "PartyReference")] = found

    def _SoundRecording(self, element: Any) -> None:  # noqa: N802
        if len(self.recordings) >= MOST_RECORDINGS:
            raise InvalidError(
                f"The message names more than {MOST_RECORDINGS:,} recordings.", remedy="Send it in parts.", code="size"
            )
        found: dict[str, Any] = {"line": element.sourceline or 0, "writers": [], "rights": []}
        _RECORDING.hand_on(found, element)
        self.recordings.append(found)

    def _Release(self, element: Any) -> None:  # noqa: N802
        found: dict[str, Any] = {"tracks": {}}
        _RELEASE.hand_on(found, element)
        self.releases.append(found)

    def _TrackRelease(self, element: Any) -> None:  # noqa: N802
        reference = _text(element, "ReleaseResourceReference")
        self.releases.append(
            {"reference": _text(element, "ReleaseReference"), "tracks": {reference: None}, "of_track": True}
        )

    def _ReleaseDeal(self, element: Any) -> None:  # noqa: N802
        references = {(ref.text or "").strip() for ref in _all(element, "DealReleaseReference")}
        ended = []
        for terms in element.iter("{*}DealTerms"):
            end = _text(terms, "ValidityPeriod/EndDate") or _text(terms, "ValidityPeriod/EndDateTime")
            ended.append(bool(end) and bool(self.created) and end[:10] < self.created)
            if _text(terms, "TakeDown").lower() == "true":
                self.down |= references
            kinds = [kind for use in terms.iter("{*}UseType") if (kind := (use.text or "").strip()) in _MINING]
            if kinds:
                told = _told(terms, self.created, ended=ended[-1])
                for reference in references:
                    self.mining.setdefault(reference, []).extend(_Said(kind, *told) for kind in kinds)
        if ended and all(ended):
            self.down |= references

    def _PurgedRelease(self, element: Any) -> None:  # noqa: N802
        code = _text(element, "ReleaseId/ISRC")
        if code:
            self.recordings.append(
                {"line": element.sourceline or 0, "isrc": code, "title": _text(element, "Title/TitleText") or code,
                 "takedown": True, "writers": [], "rights": []}
            )  # fmt: skip

    # --- At the end -------------------------------------------------------------------------------

    def _rows(self) -> Iterator[ErnRow]:
        standing: dict[str, tuple[dict[str, Any] | None, int | None]] = {}
        mined: dict[str, list[_Said]] = {}
        for each in self.releases:
            for reference, track in each["tracks"].items():
                if not each.get("of_track"):
                    standing.setdefault(reference, (each, track))
                if said := self.mining.get(each.get("reference", "")):
                    mined.setdefault(reference, []).extend(said)
        down = self._all_down()
        seen: dict[str, int] = {}
        divided: dict[Any, _Divided] = {}
        for number, found in enumerate(self.recordings, start=1):
            reference = found.get("reference", "")
            release, track = standing.get(reference, _NOWHERE)
            found["takedown"] = found.get("takedown", False) or reference in down
            yield _row(number, found, release, track, self.parties, seen, divided, mined.get(reference, ()))

    def _all_down(self) -> set[str]:
        """Resources whose every release is taken down."""
        up = {r for release in self.releases if release.get("reference") not in self.down for r in release["tracks"]}
        return {r for release in self.releases for r in release["tracks"]} - up


_NOWHERE: tuple[dict[str, Any] | None, int | None] = (None, None)


def _check_root(element: Any) -> None:
    tree = element.getroottree()
    if tree.docinfo.doctype:
        raise InvalidError(
            "The message declares a document type, which ERN does not have.",
            remedy="Ask its sender for it without one.",
            code="doctype",
        )
    if _local(tree.getroot()) not in {"NewReleaseMessage", "PurgeReleaseMessage"}:
        raise InvalidError("This is no release notification.", remedy=_NOT_ERN, code="not-ern")


def _listed(parent: Any) -> bool:
    """Whether an element stands in the list of its kind, and not somewhere else under the same name."""
    return parent is not None and _local(parent) in {"PartyList", "ReleaseList"}


def _local(element: Any) -> str:
    tag: str = element.tag
    return tag if tag[0] != "{" else tag.rpartition("}")[2]


def _text(element: Any, path: str) -> str:
    """The text at a path of local names, cut; empty where there is none."""
    for name in _steps(path):
        for child in element:
            tag = child.tag
            if tag == name or (tag[0] == "{" and tag.endswith(name) and tag.rpartition("}")[2] == name):
                element = child
                break
        else:
            return ""
    return (element.text or "").strip()[:LONGEST_TEXT]


def _below(element: Any, path: str) -> Any:
    """The element at a path of local names; None where there is none."""
    for name in _steps(path):
        element = next(iter(_all(element, name)), None)
        if element is None:
            return None
    return element


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _all(element: Any, name: str) -> list[Any]:
    return [child for child in element if _local(child) == name]


Handle = Callable[[dict[str, Any], Any], None]


class _Handles(dict[str, Handle | None]):
    """What to do with the children of an element, by their tags as they are spelt in this message."""

    def __init__(self, by_name: dict[str, Handle]) -> None:
        super().__init__()
        self._by_name = by_name

    def __missing__(self, tag: str) -> Handle | None:
        if len(self) > 10_000:  # a message that makes up names
            self.clear()
        handle = self[tag] = self._by_name.get(tag.rpartition("}")[2])
        return handle

    def hand_on(self, found: dict[str, Any], element: Any) -> None:
        """Give each child to whom it concerns."""
        for child in element:
            if (handle := self[child.tag]) is not None:
                handle(found, child)


def _put(name: str, path: str = "") -> Handle:
    """Keep the first text of an element, or of one below it."""

    def put(found: dict[str, Any], element: Any) -> None:
        if name not in found:
            text = _text(element, path) if path else (element.text or "").strip()[:LONGEST_TEXT]
            if text:
                found[name] = text

    return put


def _title(found: dict[str, Any], element: Any) -> None:
    """The title that is shown is better than any other."""
    if element.get("IsDefault") == "true" or "title" not in found:
        found["title"] = (element.text or "").strip()[:LONGEST_TEXT] or found.get("title", "")


def _artist_name(found: dict[str, Any], element: Any) -> None:
    if element.get("IsDefault") == "true" or "artist" not in found:
        found["artist"] = (element.text or "").strip()[:LONGEST_TEXT]


def _edition(found: dict[str, Any], element: Any) -> None:
    _EDITION.hand_on(found, element)


def _technical(found: dict[str, Any], element: Any) -> None:
    """The file of the sound: the first that is named, and its hash."""
    if "file" in found:
        return
    for at in ("DeliveryFile/File", "File"):
        file = _below(element, at)
        if file is None:
            continue
        name, folder = _text(file, "URI") or _text(file, "FileName"), _text(file, "FilePath")
        if name:
            found["file"] = name.replace("\\", "/").rpartition("/")[2]
            found["uri"] = f"{folder.rstrip('/')}/{name}" if folder else name
            _hash(found, file)
            return


def _hash(found: dict[str, Any], file: Any) -> None:
    """The hash of a file: 4.x says Algorithm and HashSumValue, 3.8 HashSumAlgorithmType and HashSum."""
    algorithm = _text(file, "HashSum/Algorithm") or _text(file, "HashSum/HashSumAlgorithmType")
    value = _text(file, "HashSum/HashSumValue") or _text(file, "HashSum/HashSum")
    if algorithm and value:
        found["hash"] = f"{algorithm} {value}"


def _texts_of(element: Any) -> dict[str, str]:
    """The texts of its children by local name; of several the first."""
    found: dict[str, str] = {}
    for child in element:
        tag = child.tag
        found.setdefault(tag if tag[0] != "{" else tag.rpartition("}")[2], child.text or "")
    return found


def _contributor(found: dict[str, Any], element: Any) -> None:
    # Since 4.3.2 a role is an element of its own, with its value inside.
    roles = {
        (_text(child, "Value") or (child.text or "").strip()).lower() for child in element if child.tag.endswith("Role")
    }
    if roles & _WORKERS:
        known = _texts_of(element)
        name = _text(element, "PartyName/FullName") if "PartyName" in known else ""
        found["writers"].append((known.get("ContributorPartyReference", "").strip(), name))


def _controller(found: dict[str, Any], element: Any) -> None:
    known = _texts_of(element)
    name = _text(element, "PartyName/FullName") if "PartyName" in known else ""
    reference, percent = known.get("RightsControllerPartyReference", ""), known.get("RightSharePercentage", "")
    found["rights"].append((reference.strip(), name, percent.strip()[:50]))


def _by_territory(found: dict[str, Any], element: Any) -> None:
    """ERN 3.8 tells most of a recording or release once for each territory; the first is taken."""
    if "by_territory" in found:
        return
    found["by_territory"] = True
    _TERRITORY.hand_on(found, element)


def _territory_title(found: dict[str, Any], element: Any) -> None:
    if element.get("TitleType") == "DisplayTitle" and (text := _text(element, "TitleText")):
        found["title"] = text


def _group(found: dict[str, Any], element: Any) -> None:
    for item in element.iter("{*}ResourceGroupContentItem"):
        if reference := _text(item, "ReleaseResourceReference"):
            number = _text(item, "SequenceNumber")
            track = int(number) if number.isascii() and number.isdigit() and 0 < int(number[:5]) <= 9999 else None
            found["tracks"].setdefault(reference, track)


def _references(found: dict[str, Any], element: Any) -> None:
    for child in element:
        if _local(child) == "ReleaseResourceReference" and child.text:
            found["tracks"].setdefault(child.text.strip(), None)


def _product(found: dict[str, Any], element: Any) -> None:
    if code := _text(element, "ICPN"):
        found.setdefault("upc", code)


_EDITION = _Handles(
    {
        "ResourceId": _put("isrc", "ISRC"),
        "TechnicalDetails": _technical,
    }
)
_TERRITORY = _Handles(
    {
        "Title": _territory_title,
        "DisplayArtistName": _artist_name,
        "DisplayArtist": _put("artist", "PartyName/FullName"),
        "ResourceContributor": _contributor,
        "IndirectResourceContributor": _contributor,
        "LabelName": _put("label"),
        "Genre": _put("genre", "GenreText"),
        "DisplayGenre": _put("genre", "GenreText"),
        "ReleaseDate": _put("date"),
        "OriginalReleaseDate": _put("date"),
        "ResourceGroup": _group,
        "TechnicalSoundRecordingDetails": _technical,
        "RightsController": _controller,
    }
)
_RECORDING = _Handles(
    {
        "ResourceReference": _put("reference"),
        "SoundRecordingId": _put("isrc", "ISRC"),
        "ResourceId": _put("isrc", "ISRC"),
        "SoundRecordingEdition": _edition,
        "DisplayTitleText": _title,
        "ReferenceTitle": _put("title", "TitleText"),
        "DisplayArtistName": _artist_name,
        "Contributor": _contributor,
        "ResourceRightsController": _controller,
        "WorkId": _put("iswc", "ISWC"),
        "Duration": _put("duration"),
        "ContainsAI": _put("ai"),
        "TechnicalDetails": _technical,
        "SoundRecordingDetailsByTerritory": _by_territory,
    }
)
_RELEASE = _Handles(
    {
        "ReleaseReference": _put("reference"),
        "ReleaseId": _product,
        "DisplayTitleText": _title,
        "ReferenceTitle": _put("title", "TitleText"),
        "DisplayArtistName": _artist_name,
        "ReleaseLabelReference": _put("label_reference"),
        "Genre": _put("genre", "GenreText"),
        "DisplayGenre": _put("genre", "GenreText"),
        "ReleaseDate": _put("date"),
        "OriginalReleaseDate": _put("date"),
        "GlobalReleaseDate": _put("date"),
        "ReleaseResourceReferenceList": _references,
        "ResourceGroup": _group,
        "ReleaseDetailsByTerritory": _by_territory,
    }
)


_Divided = tuple[tuple[ShareRecord, ...], list[Problem]]


class _Reader:
    """Reads the values of one row, and notes what is wrong with them."""

    def __init__(self, divided: dict[Any, _Divided] | None = None) -> None:
        self.problems: list[Problem] = []
        self._divided = {} if divided is None else divided

    def shares(self, rights: list[tuple[str, str, str]], parties: dict[str, dict[str, str]]) -> tuple[ShareRecord, ...]:
        """The shares of the master; the same controllers divide in the same way."""
        if not rights:
            return ()
        key = tuple(rights)
        found = self._divided.get(key)
        if found is None:
            found = self._divided[key] = _shares(key, parties)
        if found[1]:
            self.problems += found[1]
        return found[0]

    def text(self, field: str, value: str, longest: int, *, name: bool = False) -> str:
        if len(value) <= longest and value.isascii() and value.isprintable():
            return value.strip()
        found = clean(value)
        if found.refused or len(found.text) > longest:
            self.error(field, value, found.rule or "too-long", found.remedy or f"Write at most {longest} characters.")
            return ""
        if found.rule:
            self.warn(field, value, found.rule, found.remedy)
        if name and (why := homograph(found.text)):
            self.warn(field, value, "homograph", why)
        return found.text

    def code(self, field: str, value: str, check: Callable[[str], str]) -> str:
        if not value:
            return ""
        try:
            return check(value)
        except InvalidError as error:
            self.error(field, value, error.code, error.remedy or error.message)
            return ""

    def read(self, field: str, value: str, check: Callable[[str], Any]) -> Any:
        found, told = check(value)
        for rule, remedy, severity in told:
            self.problems.append(Problem(field, shown(value), rule, remedy, severity))
        return found

    def error(self, field: str, value: str, rule: str, remedy: str) -> None:
        self.problems.append(Problem(field, shown(value), rule, remedy))

    def warn(self, field: str, value: str, rule: str, remedy: str) -> None:
        self.problems.append(Problem(field, shown(value), rule, remedy, "warning"))


def _plain_iswc(text: str) -> str:
    return iswc(text).replace("-", "").replace(".", "")


def _row(
    number: int,
    found: dict[str, Any],
    release: dict[str, Any] | None,
    track: int | None,
    parties: dict[str, dict[str, str]],
    seen: dict[str, int],
    divided: dict[Any, _Divided],
    mined: Sequence[_Said],
) -> ErnRow:
    reader = _Reader(divided)
    code = found.get("isrc", "")
    if not PLAIN_ISRC(code):
        code = reader.code("isrc", code, isrc)
    title = reader.text("title", found.get("title", ""), 500)
    if not title and not reader.problems:
        reader.error("title", "", "missing", "Name the recording in DisplayTitleText or ReferenceTitle.")
    if code and seen.setdefault(code, number) != number:
        reader.error("isrc", code, "twice", f"Recording {seen[code]} of the message has it already.")
    if found.get("ai") in {"All", "Partly"}:
        reader.warn("ai", found["ai"], "contains-ai", "The sender says that the recording was made with generative AI.")
    writers = [reader.text("composer", _name(w, parties), 300, name=True) for w in found["writers"]]
    given: dict[str, Any] = {
        "isrc": code,
        "title": title,
        "artist": reader.text("artist", found.get("artist", ""), 300, name=True),
        "iswc": reader.code("iswc", found.get("iswc", ""), _plain_iswc),
        "composer": "; ".join(dict.fromkeys(filter(None, writers)))[:300],
        "duration_ms": reader.read("duration", found.get("duration", ""), _duration_of),
        "audio_file": reader.text("audio_file", found.get("file", ""), 300),
        "track": track,
        "takedown": bool(found.get("takedown")),
        "shares": reader.shares(found["rights"], parties),
    }
    genre = found.get("genre") or (release or {}).get("genre", "")
    given["style"] = _style_of(genre)
    if release is not None:
        given["release"] = _release(release, parties, reader)
    if mined:
        given["reservation"] = _reservation(mined)
    bad = any(problem.severity == "error" for problem in reader.problems)
    return ErnRow(number, found, tuple(reader.problems), None if bad else given)


@lru_cache(maxsize=65_536)
def _duration_of(text: str) -> Any:
    return read_duration(text)


@lru_cache(maxsize=4096)
def _style_of(genre: str) -> str:
    return read_style(genre)[0] or ""


def _release(release: dict[str, Any], parties: dict[str, dict[str, str]], reader: _Reader) -> ReleaseRecord | None:
    if "made" not in release:
        own = _Reader()
        title = own.text("release.title", release.get("title", ""), 500)
        label = release.get("label") or parties.get(release.get("label_reference", ""), {}).get("name", "")
        made = None
        if title:
            made = ReleaseRecord(
                title=title,
                upc=own.code("release.upc", release.get("upc", ""), product_code),
                artist=own.text("release.artist", release.get("artist", ""), 300, name=True),
                label=own.text("release.label", label, 200),
                released_on=own.read("release.released_on", release.get("date", ""), read_date),
            )
        # What is wrong with a release alone does not keep its recordings out: it is taken without.
        told = [problem._replace(severity="warning") for problem in own.problems]
        release["made"], release["problems"] = made, told
    reader.problems += release["problems"]
    made_: ReleaseRecord | None = release["made"]
    return made_


def _name(party: tuple[str, str], parties: dict[str, dict[str, str]]) -> str:
    reference, name = party
    return name or parties.get(reference, {}).get("name", "")


def _shares(rights: tuple[tuple[str, str, str], ...], parties: dict[str, dict[str, str]]) -> _Divided:
    """Who controls the recording, where the message says so: shares of the master."""
    own = _Reader()
    owners, units, places = [], [], 0
    for reference, name, percent in rights:
        known = parties.get(reference, {})
        text = own.text("shares", name or known.get("name", ""), 200, name=True)
        part = read_percent(percent) if percent else (100, 0) if len(rights) == 1 else None
        if not text or part is None:
            own.error("shares", percent, "percent", "Say who each rights controller is, and the percentage.")
            return (), own.problems
        owners.append(
            PartyRecord(
                name=text,
                ipi=own.code("shares", known.get("ipinamenumber", ""), ipi) or None,
                isni=own.code("shares", known.get("isni", ""), isni) or None,
            )
        )
        units.append(part)
        places = max(places, part[1])
    weights = [value * 10 ** (places - count) for value, count in units]
    if sum(weights) != 100 * 10**places:
        figure = f"{sum(weights) / 10**places:g}"
        remedy = f"The rights controllers have {figure} % together: correct it to 100."
        own.error("shares", figure, "shares-sum", remedy)
        return (), own.problems
    amounts = split(WHOLE, weights)
    shares = tuple(
        ShareRecord(party=party, side="master", ppm=ppm, territory=WORLD)
        for party, ppm in zip(owners, amounts, strict=True)
        if ppm
    )
    return shares, own.problems
