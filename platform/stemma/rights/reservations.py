"""What rights-holders say, where machines can read it, about mining and training: read and written.

Two vocabularies are in use.  A website speaks by the *TDM Reservation Protocol* (TDMRep, final report of
the W3C community group, 10 May 2024, https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/),
the opt-out that Article 4(3) of Directive (EU) 2019/790 asks for: a file, HTTP headers, or HTML.  A file
speaks by the *training and data mining assertion* of the Creator Assertions Working Group (CAWG 1.1,
https://cawg.io/training-and-data-mining/1.1/) in its C2PA manifest.

A reservation is no consent and takes none back.  Whoever finds one beside a consent has two statements of
one owner that do not agree, and has to ask.  Everything here comes from strangers and is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from stemma.errors import InvalidError
from stemma.rights.consent import Scope

WELL_KNOWN = "/.well-known/tdmrep.json"
MOST_BYTES = 512 * 1024
MOST_RULES = 10_000
LONGEST = 2048
"""Characters of a location or an address."""

Use = Literal["allowed", "notAllowed", "constrained"]
"""What a reservation says of one use, in the words of CAWG."""

MINING: tuple[Scope, ...] = ("data_mining", "ai_training", "ai_generative_training")
"""What mining is in the sense of TDMRep.

It speaks of “any automated analytical technique” (Article 2(2) of the directive), and Article 53(1)(c) of
Regulation (EU) 2024/1689 asks makers of models to heed such reservations when they train.
"""


class Declaration(NamedTuple):
    """What is said of one resource."""

    reserved: bool | None
    """None: nothing is said, which neither reserves nor allows."""
    policy: str = ""
    """Address at which the terms are."""


SILENT = Declaration(None)


class Rule(NamedTuple):
    """An entry of `tdmrep.json`: what is said of all resources whose path fits."""

    location: str
    """Beginning of a path; `*` stands for anything, `$` at the end for the end of the path."""
    reserved: bool | None
    policy: str = ""


# --- A website: the file ----------------------------------------------------------------------------


def parse(document: bytes) -> list[Rule]:
    """The rules of a `tdmrep.json`, in their order.

    Raises `InvalidError` that names the entry.  A reservation that is neither 0 nor 1 is no error: the
    report has it read as unset.
    """
    if len(document) > MOST_BYTES:
        raise InvalidError(
            f"tdmrep.json is larger than {MOST_BYTES // 1024} KiB.", remedy="Use patterns in its locations."
        )
    try:
        found = json.loads(document.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidError("tdmrep.json is not JSON in UTF-8.", remedy="Write an array of objects.") from error
    if not isinstance(found, list):
        raise InvalidError("tdmrep.json is no array.", remedy="Put brackets around it, even around one rule.")
    if len(found) > MOST_RULES:
        raise InvalidError(f"tdmrep.json has more than {MOST_RULES:,} rules.", remedy="Use patterns in its locations.")
    return [_rule(number, entry) for number, entry in enumerate(found, start=1)]


def write(rules: Iterable[Rule]) -> bytes:
    """A `tdmrep.json` with these rules, which `parse` reads as the same.

    Raises `InvalidError` for what it would not read.
    """
    entries = []
    for number, rule in enumerate(rules, start=1):
        if rule.reserved is None:
            raise InvalidError(f"Rule {number} says nothing.", remedy="Leave it out, or say whether it reserves.")
        entry = {"location": rule.location, "tdm-reservation": int(rule.reserved)}
        if rule.policy:
            entry["tdm-policy"] = rule.policy
        _rule(number, entry)
        entries.append(entry)
    document = json.dumps(entries, indent=2, ensure_ascii=False).encode("utf-8", "strict") + b"\n"
    if len(entries) > MOST_RULES or len(document) > MOST_BYTES:
        raise InvalidError("These are too many rules for one file.", remedy="Use patterns in their locations.")
    return document


def _rule(number: int, entry: Any) -> Rule:
    def wrong(told: str, remedy: str) -> InvalidError:
        return InvalidError(f"Entry {number} of tdmrep.json {told}.", remedy=remedy, code="tdmrep")

    if not isinstance(entry, dict):
        raise wrong("is no object", "Write it with location and tdm-reservation.")
    location = entry.get("location")
    if not isinstance(location, str) or not location.startswith(("/", "*")):
        raise wrong("has no location that is a path", "Begin it with a slash.")
    if len(location) > LONGEST or not _plain(location):
        raise wrong("has a location that cannot be read", f"Use at most {LONGEST:,} plain characters.")
    if "tdm-reservation" not in entry:
        raise wrong(f"({location[:80]}) does not say whether it reserves", "Set tdm-reservation to 0 or 1.")
    policy = entry.get("tdm-policy", "")
    if not isinstance(policy, str) or (policy and not _address(policy)):
        raise wrong(f"({location[:80]}) has a policy that is no address", "Begin tdm-policy with https://.")
    return Rule(location, _reserved(entry["tdm-reservation"]), policy)


def _reserved(value: object) -> bool | None:
    """0 or 1; some write them with quotation marks, and mean it.  Anything else is unset."""
    if isinstance(value, str):
        value = value.strip()
    if isinstance(value, bool):
        return None
    return {0: False, 1: True, "0": False, "1": True}.get(value) if isinstance(value, int | str) else None


def _plain(text: str) -> bool:
    return all(sign.isprintable() for sign in text)


def _address(text: str) -> bool:
    """Whether it can be an address of a policy: absolute, or on the same site."""
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        return False
    return len(text) <= LONGEST and _plain(text) and (scheme in {"http", "https"} or text.startswith("/"))


def declared(rules: Sequence[Rule], url: str) -> Declaration:
    """What the file of a site says of one of its addresses, by the first rule that fits.

    The report calls the first match in sequence the most specific one.
    """
    parts = urlsplit(url)
    path = _escaped(parts.path or "/") + (f"?{_escaped(parts.query)}" if parts.query else "")
    path = path.replace("$", "%24").replace("*", "%2A")
    return next((Declaration(r.reserved, r.policy) for r in rules if _fits(_escaped(r.location), path)), SILENT)


def _fits(pattern: str, path: str) -> bool:
    """Whether a path fits a pattern, as robots.txt has it (RFC 9309, 2.2.3); linear in both."""
    ends = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not others:
        return not ends or len(path) == len(first)
    at = len(first)
    last = others.pop() if ends else ""
    for part in others:
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return not ends or (len(path) - len(last) >= at and path.endswith(last))


_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT = "!#$%&'()*+,/:;=?@[]~"


def _escaped(text: str) -> str:
    """One spelling for one path: only what RFC 3986 calls unreserved stands unescaped, escapes in capitals."""

    def one(found: re.Match[str]) -> str:
        sign = chr(int(found[1], 16))
        return sign if sign in _UNRESERVED else f"%{found[1].upper()}"

    return _ESCAPE.sub(one, quote(text, safe=_KEPT, errors="replace"))


# --- A website: headers and pages -------------------------------------------------------------------


def of_headers(headers: Mapping[str, str]) -> Declaration:
    """What the headers of an answer say of it, whatever case their names have."""
    found = {name.lower(): value for name, value in headers.items()}
    return _said(found.get("tdm-reservation"), found.get("tdm-policy"))


def of_html(page: str) -> Declaration:
    """What the `meta` elements in the head of a page say of it; only the first 512 KiB are looked at."""
    reader = _Head()
    reader.feed(page[:MOST_BYTES])
    return _said(reader.found.get("tdm-reservation"), reader.found.get("tdm-policy"))


def of_answer(by_file: Declaration, headers: Mapping[str, str], page: str = "") -> Declaration:
    """What counts for one answer: its headers stand above the file of the site, its HTML above both."""
    for said in (of_html(page) if page else SILENT, of_headers(headers)):
        if said.reserved is not None:
            return said
    return by_file


def _said(reservation: str | None, policy: str | None) -> Declaration:
    reserved = _reserved(reservation)
    address = (policy or "").strip()
    return Declaration(reserved, address if reserved is not None and _address(address) else "")


class _Head(HTMLParser):
    """The meta elements of a head; the first of a name counts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._over = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._over = self._over or tag == "body"
        given = dict(attrs)
        name = (given.get("name") or "").strip().lower()
        if tag == "meta" and not self._over and name in {"tdm-reservation", "tdm-policy"}:
            self.found.setdefault(name, given.get("content") or "")


# --- A file -----------------------------------------------------------------------------------------

ASSERTIONS = ("cawg.training-mining", "c2pa.training-mining")
"""Labels of the assertion; the second is of C2PA 1.4, whose entries begin with `c2pa.` too."""
USES: tuple[Scope, ...] = ("data_mining", "ai_inference", "ai_training", "ai_generative_training")


AND = " · "
"""Between constraints of several uses, where they are told in one line."""


class Mining(NamedTuple):
    """What a training and data mining assertion says."""

    uses: dict[Scope, Use]
    constraint: str
    """Of what is constrained, in its own words."""

    @property
    def refused(self) -> tuple[Scope, ...]:
        """What is not simply allowed: a constraint is a condition that somebody has to look at."""
        return tuple(scope for scope, use in self.uses.items() if use != "allowed")


def of_assertion(data: object) -> Mining:
    """What the data of an assertion says of each use that it names.

    `constrained` without a word of how is `notAllowed`, as the specification has it; so is a use that it
    does not know.  Raises `InvalidError` where there are no entries at all.
    """
    entries = data.get("entries") if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        raise InvalidError("The training and data mining assertion has no entries.", remedy="Mark the file anew.")
    uses: dict[Scope, Use] = {}
    told: list[str] = []
    for scope in USES:
        said = [entries[name] for name in (f"cawg.{scope}", f"c2pa.{scope}") if name in entries]
        if not said:
            continue
        use, constraint = _entry(said[0])
        uses[scope] = use
        if constraint and constraint not in told:
            told.append(constraint)
    return Mining(uses, AND.join(told)[:LONGEST])


def assertion(uses: Mapping[Scope, Use], constraint: str | Mapping[Scope, str] = "") -> dict[str, Any]:
    """The data of a `cawg.training-mining` assertion that says this, which `of_assertion` reads as the same.

    `constraint` is what holds of all that is constrained, or of each scope.
    """
    entries: dict[str, dict[str, str]] = {}
    for scope in USES:
        if scope in uses:
            entries[f"cawg.{scope}"] = {"use": uses[scope]}
            words = constraint if isinstance(constraint, str) else constraint.get(scope, "")
            if uses[scope] == "constrained" and words:
                entries[f"cawg.{scope}"]["constraint_info"] = words
    return {"entries": entries}


def _entry(entry: object) -> tuple[Use, str]:
    if not isinstance(entry, dict):
        return "notAllowed", ""
    use = entry.get("use")
    if use == "allowed":
        return "allowed", ""
    # The text of the specification calls it constraints_info, its schema constraint_info.
    told = entry.get("constraint_info") or entry.get("constraints_info")
    if use == "constrained" and isinstance(told, str) and (words := " ".join(told.split())):
        return "constrained", words[:LONGEST]
    return "notAllowed", ""
